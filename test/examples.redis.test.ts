import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { RedisStorage } from '../lib/adapters/redis/index.ts'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { Storage } from '../types/index.ts'
import { startRedis } from './services/redis.js'
import { startRedisSentinel } from './services/redis-sentinel.js'
import { createApp, databaseFile, PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { databaseUrl, query, schemaName } from './support/postgres.ts'
import { realTime, until } from './support/postgres-server.ts'
import { ROOT } from './support/root.ts'

interface Parts {
  besidePostgres (databaseUrl: string, redisUrl: string): Promise<Storage>
  bySentinel (sentinels: object[]): RedisStorage
}

const { besidePostgres, bySentinel } = await import(join(ROOT, 'examples/redis/parts.js')) as Parts
const { build } = await import(join(ROOT, 'examples/redis/server.js')) as { build: (options: object, url: string) => Promise<FastifyInstance> }

const FAILOVER_MS = 20_000
const OPTIONS = { appUrl: 'http://localhost:3000', secret: Buffer.from('nG3xWq8vT1bLr6YzKc0mJd5hFs9pAe2u') }

t.test('the example on app.redis signs in, and keeps sessions there', async t => {
  const { url, stop } = await startRedis()
  t.teardown(stop)
  process.chdir(join(databaseFile(t), '..'))
  const start = async () => await build(OPTIONS, url)
  const app = await start()
  const browser = createClient(app)
  t.equal((await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })).statusCode, 201)
  t.ok((await (app as unknown as { redis: { keys (pattern: string): Promise<string[]> } }).redis.keys('accounts:session:*')).length === 1)
  await app.close()
  const again = await start()
  t.teardown(async () => await again.close())
  t.strictSame((await createClient(again, browser.cookies).get('/hello')).json(), { hello: 'ada@example.com' }, 'after a restart')
})

t.test('the example beside PostgreSQL signs in', async t => {
  const { url, stop } = await startRedis()
  t.teardown(stop)
  const schema = schemaName(t)
  await query(`create schema ${schema}`)
  const { signedUp } = await createApp(t, { storage: await besidePostgres(`${databaseUrl()}?options=-csearch_path%3D${schema}`, url) })
  t.equal((await (await signedUp()).get('/private')).statusCode, 200)
})

t.test('F-06 F-09 Sentinel: another primary is found by itself, who is signed in stays so, and what ends is heard of', async t => {
  const { sentinels, failOver, stop } = await startRedisSentinel()
  t.teardown(stop)
  const file = databaseFile(t)
  const open = async (t: Test) => await createApp(t, { storage: { ...await sqliteStorage(file), ...bySentinel(sentinels) }, secret: OPTIONS.secret })
  const [first, second] = [await open(t), await open(t)]
  const ada = await first.signedUp('ada@example.com')
  const there = createClient(second.app, ada.cookies)
  t.equal((await there.get('/private')).statusCode, 200)

  await failOver()
  const seen = new Set<number>()
  const canSignUp = async () => {
    seen.add((await there.copy().get('/private')).statusCode)
    return (await first.client().post('/auth/register', { email: `${seen.size}${realTime()}@example.com`, password: PASSWORD })).statusCode === 201
  }
  t.comment(`well again after ${(await until(canSignUp, FAILOVER_MS)).toFixed(0)} ms; meanwhile ${[...seen].join()}`)
  t.notOk(seen.has(401))
  await until(async () => (await there.copy().get('/private')).statusCode === 200, FAILOVER_MS)
  await until(() => [first, second].every(({ storage }) => storage.sessions.feed!.isCurrent()), FAILOVER_MS)
  t.equal((await ada.post('/auth/logout')).statusCode, 204)
  await until(async () => (await there.copy().get('/private')).statusCode === 401, 1000)
})
