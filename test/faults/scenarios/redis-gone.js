export default {
  id: 'F-01',
  title: 'Redis is killed',
  setups: ['redis'],
  inject: async ({ stores }) => await stores.redis.kill(),
  heal: async ({ stores }) => await stores.redis.restart()
}
