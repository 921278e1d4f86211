import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { redisStorage } from '../lib/adapters/redis/index.ts'
import type { Storage } from '../types/index.ts'
import { startRedis, type RedisServer } from './services/redis.js'
import { createApp, PASSWORD, type TestApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { DAY, holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { realTime, until } from './support/postgres-server.ts'
import { keysOf, openRedis, type TestRedis } from './support/redis.ts'

const EMAIL = 'ada@example.com'
const RECOVERY_MS = 5000

/** An answer of Redis is waited for, and for who may be in the middle of an attempt elsewhere: a second each. */
const PATIENCE_MS = 3000

async function startServer (t: Test): Promise<RedisServer> {
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  return server
}

/** Attempts are counted in Redis, and all else is kept in a database. */
async function createSubject (t: Test, { url }: RedisServer): Promise<TestApp & { readonly redis: TestRedis }> {
  const redis = openRedis(t, url)
  return { ...await createApp(t, { storage: { ...await sqliteStorage(':memory:'), throttles: redis.parts.throttles } }), redis }
}

const login = async (browser: Client, password = PASSWORD) => (await browser.post('/auth/login', { email: EMAIL, password })).statusCode
const guess = async ({ client }: TestApp) => await login(client(), `not ${PASSWORD}`)

async function checkOutage (t: Test, end: (server: RedisServer) => unknown): Promise<void> {
  const server = await startServer(t)
  const test = await createSubject(t, server)
  const ada = await test.signedUp(EMAIL)
  const clock = holdClock(t)
  t.strictSame([await guess(test), await guess(test)], [401, 401])
  await end(server)

  const start = realTime()
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await guess(test)))
  t.ok(realTime() - start < PATIENCE_MS, `${(realTime() - start).toFixed(0)} ms`)
  t.strictSame([answers.filter(status => status === 401).length, answers.filter(status => status === 429).length], [3, 17], 'it goes on from what Redis has said last')
  t.equal(await login(ada), 200, 'the owner comes in from a browser that is known')
  t.equal(await login(test.client()), 429)

  let guessed = 0
  for (let seconds = 0; seconds < 120; seconds += 30) {
    clock.advance(30 * SECOND)
    for (let count = 0; count < 2; count++) if (await guess(test) === 401) guessed++
  }
  t.equal(guessed, 2, 'within two minutes of outage')
}

t.test('F-35 while Redis is gone attempts are counted by each process: nobody guesses without end, nobody is locked out', async t => {
  await checkOutage(t, async server => await server.kill())
})

t.test('F-35 while Redis hangs attempts are counted by each process', async t => {
  await checkOutage(t, server => server.freeze(true))
})

t.test('F-35 when Redis is back it counts again', async t => {
  const server = await startServer(t)
  const test = await createSubject(t, server)
  await test.signedUp(EMAIL)
  await server.kill()
  t.equal(await guess(test), 401)
  await server.restart()
  t.comment(`after ${(await until(async () => {
    await guess(test)
    return (await keysOf(test.redis.client, test.redis.prefix)).length > 0
  }, RECOVERY_MS)).toFixed(0)} ms`)
})

t.test('F-35 A-01 what was forgiven before an outage is not held against anybody in it; what was refused stays refused', async t => {
  const clock = holdClock(t)
  const server = await startServer(t)
  const redis = openRedis(t, server.url)
  const test = await createApp(t, { throttle: { free: 1, limit: 2 }, storage: { ...await sqliteStorage(':memory:'), throttles: redis.parts.throttles } })
  const names = ['forgiven@example.com', 'refused@example.com', 'old@example.com'] as const
  for (const email of names) await test.signedUp(email)
  const attempt = async (email: string, password = `not ${PASSWORD}`) => (await test.client().post('/auth/login', { email, password })).statusCode
  const [forgiven, refused, old] = names
  t.equal(await attempt(old), 401)
  clock.advance(HOUR)
  t.strictSame([await attempt(old), await attempt(old)], [401, 429])
  clock.advance(DAY * 31)
  for (const email of [forgiven, refused]) t.equal(await attempt(email), 401)
  clock.advance(HOUR)
  t.equal(await attempt(forgiven, PASSWORD), 200)
  t.equal(await attempt(refused), 401)
  await server.kill()
  t.equal(await attempt(forgiven), 401, 'counted anew')
  t.equal(await attempt(forgiven), 429)
  t.equal(await attempt(old), 401, 'long ago')
  clock.advance(2 * HOUR)
  t.equal(await attempt(refused), 429, 'none is left, however long one waits')
})

const FEW = { max: 5, maxSensitive: 3, window: '1m', shared: true } as const

t.test('A-06 rateLimit.shared: servers count the requests of a network together, and each by itself while Redis is gone', async t => {
  const clock = holdClock(t)
  const server = await startServer(t)
  const redis = openRedis(t, server.url)
  const open = async (throttles: Storage['throttles']) => await createApp(t, { rateLimit: FEW, secret: SECRET, storage: { ...await sqliteStorage(':memory:'), throttles: throttles! } })
  const servers = [await open(redis.parts.throttles), await open(redisStorage(redis.client, { prefix: redis.prefix }).throttles)]
  const ask = async (turn: number, remoteAddress = '203.0.113.1') => await servers[turn % 2]!.app.inject({ url: '/auth/me', remoteAddress })
  const statuses = async (times: number, remoteAddress?: string) => {
    const all: number[] = []
    for (let turn = 0; turn < times; turn++) all.push((await ask(turn, remoteAddress)).statusCode)
    return all
  }
  // To the beginning of a window of the clock.
  clock.advance(MINUTE - Date.now() % MINUTE)
  t.strictSame(await statuses(6), [401, 401, 401, 401, 401, 429])
  clock.advance(20 * SECOND)
  const refused = await ask(0)
  t.strictSame([refused.statusCode, refused.json().code], [429, 'FST_ACCOUNTS_RATE_LIMITED'])
  t.ok(Number(refused.headers['retry-after']) <= 40 && Number(refused.headers['retry-after']) > 38)
  t.equal((await ask(0, '203.0.113.2')).statusCode, 401, 'another network')
  const sensitive = async (turn: number) => (await servers[turn % 2]!.app.inject({ method: 'POST', url: '/auth/login', payload: {}, remoteAddress: '203.0.113.4' })).statusCode
  t.strictSame(await statuses(2, '203.0.113.4'), [401, 401])
  t.strictSame([await sensitive(0), await sensitive(1), await sensitive(0), await sensitive(1)], [400, 400, 400, 429], 'what others are asked for does not use up what secrets are')
  const keys = (await redis.client.keys(`${redis.prefix}*`)).join()
  t.match(keys, 'throttle:{rate:')
  t.notMatch(keys, '203.0.113', 'Redis does not see whom it is about')
  clock.advance(MINUTE)
  t.strictSame(await statuses(6), [401, 401, 401, 401, 401, 429], 'the next window')
  t.equal((await ask(0, '203.0.113.3')).statusCode, 401)
  clock.jump(-2 * MINUTE)
  t.equal((await ask(1, '203.0.113.3')).statusCode, 401, 'a server whose clock is behind')
  clock.jump(2 * MINUTE)

  clock.advance(MINUTE)
  await server.kill()
  t.strictSame(await statuses(12), [...new Array<number>(10).fill(401), 429, 429], 'five from each')
})

const SECRET = Buffer.from('nG3xWq8vT1bLr6YzKc0mJd5hFs9pAe2u')
