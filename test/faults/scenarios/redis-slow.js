/** By turns: an answer comes in time, or not, or perhaps. */
const DELAYS = [[200, 0], [2000, 0], [100, 1500]]

export default {
  id: 'F-03',
  title: 'Redis is slow',
  setups: ['redis'],
  holdMs: 2500,
  inject: ({ networks }, round) => networks.redis.delay(...DELAYS[round % DELAYS.length]),
  heal: ({ networks }) => networks.redis.delay(0)
}
