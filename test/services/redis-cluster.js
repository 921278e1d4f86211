import { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { startRedis } from './redis.js'

const SLOTS = 16_384
const READY_LIMIT_MS = 30_000

/**
 * Starts private servers that share the slots of a Redis Cluster, without replicas.
 * @param {number} [count]
 * @returns {Promise<{ urls: string[], stop: () => Promise<void> }>}
 */
export async function startRedisCluster (count = 3) {
  const servers = await Promise.all(Array.from({ length: count }, async () => await startRedis({ 'cluster-enabled': 'yes' })))
  const stop = async () => { await Promise.all(servers.map(async (server) => await server.stop())) }
  const clients = servers.map(({ url }) => new Redis(url))
  try {
    const share = Math.ceil(SLOTS / count)
    await Promise.all(clients.map(async (client, index) => {
      await client.call('CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(Math.min((index + 1) * share, SLOTS) - 1))
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
    }))
    for (const { url } of servers) await clients[0].call('CLUSTER', 'MEET', '127.0.0.1', new URL(url).port)
    const deadline = Date.now() + READY_LIMIT_MS
    while (!(await Promise.all(clients.map(async (client) => await client.call('CLUSTER', 'INFO')))).every((info) => info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${count}`))) {
      if (Date.now() > deadline) throw new Error('The cluster was not complete in time.')
      await sleep(50)
    }
    return { urls: servers.map(({ url }) => url), stop }
  } catch (error) {
    await stop()
    throw error
  } finally {
    for (const client of clients) client.disconnect()
  }
}
