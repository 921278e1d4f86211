/** Microseconds for each key, so that it takes its time. */
const KEYS = 300
const DELAY = '4000'

/** It has been started again, and reads what it keeps. */
export default {
  id: 'F-09',
  title: 'Redis is loading',
  setups: ['redis'],
  holdMs: 200,
  async inject ({ stores: { redis: { operator } } }) {
    for (let index = 0; index < KEYS; index++) await operator.set(`ballast:${index}`, 'x')
    await operator.config('SET', 'key-load-delay', DELAY)
    // It answers when it has loaded; meanwhile it refuses.
    return { loaded: operator.call('DEBUG', 'RELOAD') }
  },
  async heal ({ stores: { redis: { operator } } }, _round, { loaded }) {
    await loaded
    await operator.config('SET', 'key-load-delay', '0')
    for (let index = 0; index < KEYS; index++) await operator.del(`ballast:${index}`)
  }
}
