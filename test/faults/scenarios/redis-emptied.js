export default {
  id: 'F-05',
  title: 'Redis is emptied',
  setups: ['redis'],
  holdMs: 500,
  mayLogOut: true,
  inject: async ({ stores }) => await stores.redis.operator.flushall(),
  heal: () => {}
}
