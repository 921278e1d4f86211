const HOUR = 3_600_000
const JUMPS = [HOUR, -HOUR]

export default {
  id: 'F-25',
  title: 'a clock jumps by an hour, and back',
  setups: ['postgres', 'redis'],
  isHarmless: true,
  inject: async ({ nodes }, round) => await nodes.at(-1).ask('skew', { milliseconds: JUMPS[round % JUMPS.length] }),
  heal: async ({ nodes }, round) => await nodes.at(-1).ask('skew', { milliseconds: -JUMPS[round % JUMPS.length] })
}
