import { randomBytes } from 'node:crypto'
import pg from 'pg'
import t from 'tap'
import { postgresStorage, sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { AccountsHealth, AccountsOptions, RevocationFeed } from '../types/index.ts'
import { startRedis } from './services/redis.js'
import { createApp, openStorage, PASSWORD } from './support/app.ts'
import { basic } from './support/basic.ts'
import { holdClock, SECOND } from './support/clock.ts'
import { checkUnavailable, createFaultyStorage, DEADLINE_MS, FAILURES, LIES, SILENCES, withFault } from './support/faults.ts'
import { createMailApp } from './support/mail.ts'
import { databaseUrl, schemaName } from './support/postgres.ts'
import { pause, realTime, until } from './support/postgres-server.ts'
import { openRedis } from './support/redis.ts'
import { countCalls } from './support/tapped-storage.ts'

const WITH_ROUTE: Partial<AccountsOptions> = { routes: { health: true } }

/** What a busy machine needs on top of a deadline. */
const PATIENCE_MS = 400

t.test('the route is there only if it is asked for; the service always is', async t => {
  const { app } = await createApp(t)
  t.equal((await app.inject('/auth/health')).statusCode, 404)
  t.equal((await app.accounts.health()).ok, true)
})

t.test('a server that is well says so to anybody, keeps it from caches, and says nothing of anybody', async t => {
  const { app, signedUp, secret } = await createApp(t, { ...WITH_ROUTE, protect: 'all', basic: { users: true } }, app => {
    app.get('/old', { onRequest: app.verifyBasic }, async () => 'in')
  })
  const browser = await signedUp()
  const { token } = (await browser.post('/auth/tokens', { name: 'Script', context: 'server' })).json<{ token: string }>()
  await app.inject({ url: '/private', headers: { authorization: `Bearer ${token}` } })
  await app.inject({ url: '/old', headers: basic('user1@example.com', PASSWORD) })

  const { statusCode, headers, body } = await app.inject('/auth/health')
  t.equal(statusCode, 200)
  t.match(headers, { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8', 'set-cookie': undefined, 'retry-after': undefined })
  const { at, stores, feed, ...rest } = JSON.parse(body) as AccountsHealth
  t.ok(Math.abs(Date.now() - Date.parse(String(at))) < 5 * SECOND)
  for (const { ok, ms } of Object.values(stores)) t.ok(ok && Number.isInteger(ms) && ms < DEADLINE_MS)
  t.ok(feed!.current && feed!.age! >= 0 && feed!.age! < DEADLINE_MS)
  t.strictSame(rest, { ok: true, passwords: { running: 0, waiting: 0 }, mail: null, unwritten: { sessions: 1, personalTokens: 1, basicUses: 1 } })
  for (const known of ['user1@example.com', token, secret.toString('hex'), browser.cookies.accounts_access!]) t.notOk(body.includes(known))
  t.equal((await app.inject({ method: 'HEAD', url: '/auth/health' })).statusCode, 200)
})

t.test('however many ask, the stores are asked once a second; requests of others don\'t use up anybody\'s share', async t => {
  const clock = holdClock(t)
  const { storage, calls } = countCalls(await openStorage(t))
  const { app, client } = await createApp(t, { ...WITH_ROUTE, storage, rateLimit: { max: 2 } })
  calls.splice(0)
  const ask = async () => (await app.inject('/auth/health')).statusCode
  const crowd = async () => [...new Set(await Promise.all(Array.from({ length: 50 }, ask)))]
  const ONCE = ['users.findByEmail', 'sessions.find']
  t.strictSame(await crowd(), [200], 'nor are they counted')
  t.strictSame(calls.splice(0), ONCE)
  clock.advance(900)
  t.strictSame(await crowd(), [200])
  t.strictSame(calls.splice(0), [])
  clock.advance(200)
  t.strictSame(await crowd(), [200])
  t.strictSame(calls.splice(0), ONCE)
  for (const expected of [401, 401, 429]) t.equal((await client().get('/auth/me')).statusCode, expected)
  t.equal(await ask(), 200, 'whoever is over the limit still learns it')
})

t.test('V-01 whatever a store does instead of answering: 503 within its second, which one it is, and no word of why', async t => {
  const clock = holdClock(t)
  const { storage } = await createFaultyStorage()
  const { app } = await createApp(t, { ...WITH_ROUTE, storage })
  for (const [name, verb] of [['users', 'users.findByEmail'], ['sessions', 'sessions.find']] as const) {
    for (const [kind, fault] of Object.entries({ ...FAILURES, ...LIES, ...SILENCES })) {
      clock.advance(2 * SECOND)
      const { answer, ms } = await withFault(async () => await app.inject('/auth/health'), verb, fault)
      checkUnavailable(t, answer, `${verb} ${kind}`)
      const { ok, stores } = answer.json<AccountsHealth>()
      t.strictSame([ok, stores.users.ok, stores.sessions.ok], [false, name !== 'users', name !== 'sessions'], `${verb} ${kind}`)
      t.ok(ms <= DEADLINE_MS + PATIENCE_MS, `${ms.toFixed(0)} ms`)
      t.notMatch(answer.body, /connection reset|gone|code|message/)
    }
  }
  clock.advance(2 * SECOND)
  t.equal((await app.inject('/auth/health')).statusCode, 200, 'and then all is well again')
})

t.test('F-14 while every connection of the pool is in use it still answers in time, and is well when one is free again', async t => {
  const pool = new pg.Pool({ connectionString: databaseUrl(), max: 2 })
  const schema = schemaName(t)
  t.teardown(async () => await pool.end())
  const { app } = await createApp(t, { ...WITH_ROUTE, storage: await postgresStorage(pool, { schema }) })
  const held = [await pool.connect(), await pool.connect()]
  for (let question = 0; question < 3; question++) {
    const since = realTime()
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await app.inject('/auth/health')))
    const ms = realTime() - since
    t.ok(ms <= DEADLINE_MS + PATIENCE_MS, `${ms.toFixed(0)} ms`)
    for (const answer of answers) t.match([answer.statusCode, answer.json()], [503, { ok: false, stores: { users: { ok: false }, sessions: { ok: false } }, feed: { current: true } }])
    await pause(1010)
  }
  for (const client of held) client.release()
  t.equal((await app.inject('/auth/health')).statusCode, 200)
})

t.test('a feed that sleeps is woken; without one that is current, each request asks the store, and the server is well', async t => {
  const clock = holdClock(t)
  const { feed: inner, ...rest } = await sqliteStorage(':memory:')
  let currentSince = Infinity
  const feed: RevocationFeed = {
    ...inner!,
    age: () => null,
    isCurrent () {
      if (currentSince === Infinity) currentSince = realTime() + 100
      return realTime() > currentSince
    }
  }
  const { app } = await createApp(t, { storage: { ...rest, feed } })
  t.match(await app.accounts.health(), { ok: true, feed: { current: true, age: null } })
  clock.advance(2 * SECOND)
  currentSince = Infinity
  feed.isCurrent = () => false
  const since = realTime()
  t.match(await app.accounts.health(), { ok: true, feed: { current: false, age: null } })
  t.ok(realTime() - since < DEADLINE_MS)
  t.equal((await (await createApp(t, { storage: rest })).app.accounts.health()).feed, null)
})

t.test('mail that waits and a mailer that fails are told, without asking the mailer', async t => {
  const clock = holdClock(t)
  const { app, smtp, storage } = await createMailApp(t, { throttle: false })
  // Little by little: claims on mail run out by the same clock.
  const health = async () => {
    await pause(100)
    clock.advance(1.1 * SECOND)
    return (await app.accounts.health()).mail
  }
  const forgot = async () => {
    const { email } = await app.accounts.users.create({ email: `${randomBytes(4).toString('hex')}@example.com`, password: PASSWORD, emailVerified: true })
    await app.accounts.passwords.forgot(email)
  }
  t.strictSame(await health(), { waiting: 0, sending: 0, failing: false })
  smtp.trouble('silence')
  const before = smtp.counts.connections
  await forgot()
  await until(async () => (await health())!.sending === 1 && smtp.counts.connections > before)
  const { connections } = smtp.counts
  for (let question = 0; question < 5; question++) await health()
  t.equal(smtp.counts.connections, connections)

  await smtp.stop()
  await until(async () => (await health())!.failing)
  t.match(await health(), { waiting: 1, sending: 0 })
  await smtp.start()
  smtp.trouble(null)
  await forgot()
  await until(async () => !(await health())!.failing)
  const { count: _, ...outbox } = storage.outbox!
  for (const [title, counting] of [['does not count', {}], ['counts wrong', { count: async () => 1001 }], ['fails', { count: async () => { throw new TypeError('gone') } }]] as const) {
    const other = await createMailApp(t, { storage: { ...storage, outbox: { ...outbox, ...counting } } })
    t.match(await other.app.accounts.health(), { ok: true, mail: { waiting: null } }, `an outbox that ${title}`)
  }
})

t.test('logins that wait for a free core are told', async t => {
  const clock = holdClock(t)
  const { app, client } = await createApp(t, { throttle: false })
  const logins = Array.from({ length: 40 }, async () => await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD }))
  await until(async () => {
    clock.advance(2 * SECOND)
    const { running, waiting } = (await app.accounts.health()).passwords
    return running >= 1 && waiting >= 10
  })
  await Promise.all(logins)
  clock.advance(2 * SECOND)
  t.strictSame((await app.accounts.health()).passwords, { running: 0, waiting: 0 })
})

t.test('with sessions in Redis it says which of the two does not answer, and the feed is only as good as the worse of both', async t => {
  const clock = holdClock(t)
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  const { feed, ...rest } = await sqliteStorage(':memory:')
  const ofUsers = { isCurrent: true, age: 0 }
  const users: RevocationFeed = { ...feed!, isCurrent: () => ofUsers.isCurrent, age: () => ofUsers.age }
  const { app } = await createApp(t, { ...WITH_ROUTE, storage: { ...rest, feed: users, ...openRedis(t, server.url).parts } })
  const ask = async () => {
    clock.advance(1.1 * SECOND)
    const since = realTime()
    const answer = await app.inject('/auth/health')
    t.ok(realTime() - since <= DEADLINE_MS + PATIENCE_MS)
    const { stores, feed } = answer.json<AccountsHealth>()
    return [answer.statusCode, stores.users.ok, stores.sessions.ok, feed!.current] as const
  }
  const becomes = async (...expected: Awaited<ReturnType<typeof ask>>) => {
    await until(async () => String(await ask()) === String(expected))
    t.pass(`it becomes ${String(expected)}`)
  }
  const ageOfFeed = async () => (await app.accounts.health()).feed!.age
  await becomes(200, true, true, true)
  t.ok((await ageOfFeed())! > 0, 'the age is that of the older')
  ofUsers.age = 5000
  await becomes(200, true, true, true)
  t.equal(await ageOfFeed(), 5000)
  ofUsers.isCurrent = false
  await becomes(200, true, true, false)
  ofUsers.isCurrent = true

  for (const [stop, heal] of [[server.kill, server.restart], [() => server.freeze(true), () => server.freeze(false)]] as const) {
    await stop()
    await becomes(503, true, false, false)
    await heal()
    await becomes(200, true, true, true)
  }
})
