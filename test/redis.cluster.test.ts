import { join } from 'node:path'
import { Cluster } from 'ioredis'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { redisStorage, type RedisStorage } from '../lib/adapters/redis/index.ts'
import { storageContract } from '../lib/testing/index.ts'
import { startRedisCluster } from './services/redis-cluster.js'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { besideRedis } from './support/redis.ts'
import { ROOT } from './support/root.ts'

const { onCluster } = await import(join(ROOT, 'examples/redis/parts.js')) as { onCluster (nodes: string[]): RedisStorage }
const { urls, stop } = await startRedisCluster()
const client = new Cluster(urls, { scaleReads: 'all' })
t.teardown(async () => {
  client.disconnect()
  await stop()
})

t.test('S-I24 the storage contract on a Redis Cluster', async t => {
  const storage = besideRedis(await sqliteStorage(':memory:'), redisStorage(client))
  t.teardown(async () => { await Promise.all([storage.close!(), storage.sessions.close!()]) })
  for (const { title, run } of storageContract) await t.resolves(run(storage), title)
  const sizes = await Promise.all(client.nodes('master').map(async node => await node.dbsize()))
  t.ok(sizes.length === 3 && sizes.every(size => size > 0), `keys are on every node: ${sizes.join(', ')}`)
})

t.test('accounts on a Redis Cluster, as in the example', async t => {
  const { signedUp, client: browser } = await createApp(t, { storage: besideRedis(await sqliteStorage(':memory:'), onCluster(urls)) })
  const ada = await signedUp('ada@example.com')
  const other = browser()
  await other.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  t.equal((await ada.get('/auth/sessions')).json().sessions.length, 2)
  t.equal((await ada.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
  t.strictSame([(await ada.get('/private')).statusCode, (await other.get('/private')).statusCode], [200, 401])
})
