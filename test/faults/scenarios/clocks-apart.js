const SECOND = 1000
const SKEWS = [1, -1, 30, -30, 60, -60, 300, -300].map(seconds => seconds * SECOND)

/** The clock of the last server is ahead of the others, or behind. */
export default {
  id: 'F-24',
  title: 'clocks differ by 1 s to 5 min',
  setups: ['postgres', 'redis'],
  isHarmless: true,
  inject: async ({ nodes }, round) => await nodes.at(-1).ask('skew', { milliseconds: SKEWS[round % SKEWS.length] }),
  heal: async ({ nodes }, round) => await nodes.at(-1).ask('skew', { milliseconds: -SKEWS[round % SKEWS.length] })
}
