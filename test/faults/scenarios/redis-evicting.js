const POLICIES = ['allkeys-lru', 'allkeys-random']
const BALLAST = 400

/** Redis throws away what it was given, of which a part is of no use to anybody. */
export default {
  id: 'F-07',
  title: 'Redis evicts',
  setups: ['redis'],
  mayLogOut: true,
  async inject ({ stores: { redis: { operator } } }, round) {
    for (let index = 0; index < BALLAST; index++) await operator.set(`ballast:${index}`, 'x'.repeat(1000))
    const used = Number(/^used_memory:(\d+)/m.exec(await operator.info('memory'))[1])
    await operator.config('SET', 'maxmemory-policy', POLICIES[round % POLICIES.length])
    await operator.config('SET', 'maxmemory', String(used - BALLAST * 700))
  },
  async heal ({ stores: { redis: { operator } } }) {
    await operator.config('SET', 'maxmemory', '0')
    await operator.config('SET', 'maxmemory-policy', 'noeviction')
    for (let index = 0; index < BALLAST; index++) await operator.del(`ballast:${index}`)
  }
}
