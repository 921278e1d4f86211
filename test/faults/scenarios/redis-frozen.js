export default {
  id: 'F-02',
  title: 'Redis is frozen',
  setups: ['redis'],
  holdMs: 2000,
  inject: ({ stores }) => stores.redis.freeze(true),
  heal: ({ stores }) => stores.redis.freeze(false)
}
