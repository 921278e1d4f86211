export default {
  id: 'F-08',
  title: 'Redis forgets scripts',
  setups: ['redis'],
  holdMs: 500,
  isHarmless: true,
  inject: async ({ stores }) => await stores.redis.operator.script('FLUSH'),
  heal: async ({ stores }) => await stores.redis.operator.script('FLUSH')
}
