import { Cluster, Redis } from 'ioredis'
import { postgresStorage } from 'fastify-accounts/kysely'
import { openRedisStorage, redisStorage } from 'fastify-accounts/redis'

export async function besidePostgres (databaseUrl, redisUrl) {
  const storage = { ...await postgresStorage(databaseUrl), ...await openRedisStorage(redisUrl) }
  return storage
}

export function bySentinel (sentinels) {
  // With lazyConnect it is a pattern alone, and opens nothing itself.
  const parts = redisStorage(new Redis({ sentinels, name: 'accounts', lazyConnect: true }))
  return parts
}

export function onCluster (nodes) {
  const parts = redisStorage(new Cluster(nodes, { lazyConnect: true }))
  return parts
}
