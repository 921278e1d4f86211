/** Fast and immediate. */
const SIGNALS = ['SIGINT', 'SIGQUIT']

export default {
  id: 'F-10',
  title: 'PostgreSQL restarts',
  setups: ['postgres', 'redis'],
  holdMs: 500,
  inject: async ({ stores }, round) => await stores.postgres.halt(SIGNALS[round % SIGNALS.length]),
  heal: async ({ stores }) => await stores.postgres.resume()
}
