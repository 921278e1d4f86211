/** Where there is no primary. */
const NOWHERE = ['127.0.0.1', '1']

/** It is a replica by now, and refuses to write. */
export default {
  id: 'F-09',
  title: 'Redis is read-only',
  setups: ['redis'],
  isWriteOnly: true,
  inject: async ({ stores }) => await stores.redis.operator.replicaof(...NOWHERE),
  heal: async ({ stores }) => await stores.redis.operator.replicaof('NO', 'ONE')
}
