import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { OwnClient } from '../lib/adapters/redis/connection.ts'
import { followPrimary } from '../lib/adapters/redis/successor.ts'
import { createMailbox, tokenOf } from '../lib/testing/index.ts'
import { startRedis, type RedisServer } from './services/redis.js'
import { startTcpProxy, type TcpProxy } from './services/tcp-proxy.js'
import { createApp, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR, MINUTE } from './support/clock.ts'
import { checkUnavailable } from './support/faults.ts'
import { realTime, until } from './support/postgres-server.ts'
import { besideRedis, keysOf, openRedis, type TestRedis } from './support/redis.ts'

/** A call has a second, a transaction two; and a busy machine has this much more patience. */
const CALL_MS = 1000
const PATIENCE_MS = 500
const RECOVERY_MS = 5000

const EMAIL = 'ada@example.com'

interface Subject extends TestApp, Omit<TestRedis, 'client'> {
  readonly redis: Redis
  readonly mailbox: ReturnType<typeof createMailbox>
  /** Sessions whose refresh token was taken for a copied one. */
  readonly alarms: string[]
}

async function createSubject (t: Test, url: string): Promise<Subject> {
  const redis = openRedis(t, url)
  const mailbox = createMailbox()
  const alarms: string[] = []
  const options = { mailer: mailbox, registration: { verifyEmail: false }, hooks: { sessionReused: ({ sessionId }: { sessionId: string }) => { alarms.push(sessionId) } } }
  const test = await createApp(t, { ...options, storage: besideRedis(await sqliteStorage(':memory:'), redis.parts) })
  return { ...redis, ...test, redis: redis.client, mailbox, alarms }
}

async function startServer (t: Test, settings?: Record<string, string>): Promise<RedisServer & { proxy: TcpProxy }> {
  const server = await startRedis(settings)
  const proxy = await startTcpProxy(server.url)
  t.teardown(async () => {
    await proxy.close()
    await server.stop()
  })
  return { ...server, proxy }
}

const login = async (browser: Client, password = PASSWORD) => (await browser.post('/auth/login', { email: EMAIL, password })).statusCode
const isIn = async (browser: Client) => (await browser.copy().get('/private')).statusCode === 200

/** Make `successor` a primary that has everything, without anybody being told. */
async function succeed (old: Redis, successor: Redis): Promise<void> {
  await successor.replicaof('127.0.0.1', old.options.port!)
  await until(async () => String(await successor.info('replication')).includes('master_link_status:up'), RECOVERY_MS)
  // Redis waits for what the client itself has written, and for all that came before it.
  await old.set('last', '')
  if (await old.wait(1, RECOVERY_MS) !== 1) throw new TypeError('the successor has not got everything')
  await successor.replicaof('NO', 'ONE')
}

/** Those that send commands, but for what is told of changes and for `redis` itself. */
async function connectionsOf (redis: Redis): Promise<string[]> {
  const own = String(await redis.client('ID'))
  const lines = String(await redis.client('LIST')).split('\n').filter(line => / sub=0 /.test(line) && !/ flags=\w*[MS]/.test(line))
  return lines.map(line => /^id=(\d+)/.exec(line)![1]!).filter(id => id !== own)
}

const countOpened = async (redis: Redis) => Number(/total_connections_received:(\d+)/.exec(await redis.info('stats'))![1])

const server = await startServer(t)

const SILENCES: ReadonlyArray<readonly [string, (isSilent: boolean) => void]> = [
  ['a server that is frozen', server.freeze],
  ['a network that swallows everything', server.proxy.freeze]
]

for (const [title, silence] of SILENCES) {
  t.test(`V-01 V-02 F-02 ${title}: 503 in time, no cookie, and then all is well again`, async t => {
    const { signedUp, client } = await createSubject(t, server.proxy.url)
    const [ada, leaving] = [await signedUp(EMAIL), client()]
    await login(leaving)
    const cookies = JSON.stringify(ada.cookies)
    const acts: Record<string, (browser: Client) => ReturnType<Client['get']>> = {
      'a guard': async browser => await browser.get('/private'),
      logout: async () => await leaving.copy().post('/auth/logout'),
      login: async () => await client().post('/auth/login', { email: EMAIL, password: PASSWORD }),
      'the list of sessions': async browser => await browser.get('/auth/sessions'),
      'ending the others': async browser => await browser.request('DELETE', '/auth/sessions')
    }
    silence(true)
    for (let round = 0; round < 2; round++) {
      await Promise.all(Object.entries(acts).map(async ([title, act]) => {
        const start = realTime()
        checkUnavailable(t, await act(ada.copy()), title)
        // A login goes on when its attempt can't be counted there, and fails where its session can't be stored.
        const calls = title === 'login' ? 2 : 1
        t.ok(realTime() - start < calls * CALL_MS + PATIENCE_MS, `${title}: ${(realTime() - start).toFixed(0)} ms`)
      }))
    }
    silence(false)
    t.comment(`well again after ${(await until(async () => await isIn(ada), RECOVERY_MS)).toFixed(0)} ms`)
    t.equal(JSON.stringify(ada.cookies), cookies)
    t.equal((await ada.post('/auth/logout')).statusCode, 204)
    t.notOk(await isIn(ada))
  })
}

t.test('V-01 F-02 a connection that nobody hears of any more is given up for another', async t => {
  const { signedUp } = await createSubject(t, server.proxy.url)
  const ada = await signedUp(EMAIL)
  server.proxy.abandon()
  checkUnavailable(t, await ada.copy().get('/private'), 'no answer')
  t.comment(`well again after ${(await until(async () => await isIn(ada), RECOVERY_MS)).toFixed(0)} ms`)
})

t.test('V-01 a connection that breaks while somebody asks how Redis is: it is asked again', async t => {
  const { parts } = openRedis(t, server.proxy.url)
  await parts.sessions.inspect!()
  server.proxy.cut()
  t.match(await parts.sessions.inspect!(), { version: String })
})

t.test('F-09 a server that only reads: what writes is 503, and what reads keeps its connection', async t => {
  const { redis, signedUp } = await createSubject(t, server.url)
  const ada = await signedUp(EMAIL)
  await redis.replicaof('127.0.0.1', 1)
  const before = await connectionsOf(redis)
  t.ok(before.length > 0)
  const opened = await countOpened(redis)
  for (let round = 0; round < 20; round++) {
    const [refused, read] = await Promise.all([ada.copy().post('/auth/logout'), ada.copy().get('/private')])
    checkUnavailable(t, refused, 'a logout')
    t.equal(read.statusCode, 200, 'a guard')
  }
  const after = await connectionsOf(redis)
  t.strictSame(before.filter(id => !after.includes(id)), [], 'none was dropped')
  // To look for a primary once a second, and to be told of changes.
  t.ok(await countOpened(redis) - opened < 10, `${await countOpened(redis) - opened} were opened`)
  await redis.replicaof('NO', 'ONE')
  await until(async () => (await ada.copy().post('/auth/logout')).statusCode === 204, RECOVERY_MS)
})

t.test('F-09 the address leads to a new primary, and the old one stays as its replica: it is followed, and who only reads notices nothing', async t => {
  const [old, next] = [await startServer(t, { 'repl-diskless-sync-delay': '0' }), await startServer(t)]
  const { signedUp } = await createSubject(t, old.proxy.url)
  const [ada, grace] = [await signedUp(EMAIL), await signedUp('grace@example.com')]
  const [direct, successor] = [old, next].map(({ url }) => openRedis(t, url).client) as [Redis, Redis]
  await succeed(direct, successor)
  await direct.replicaof('127.0.0.1', new URL(next.url).port)
  checkUnavailable(t, await ada.copy().post('/auth/logout'), 'where the name does not lead there yet')
  old.proxy.lead(next.url)
  const ms = await until(async () => {
    t.ok(await isIn(grace))
    return (await ada.copy().post('/auth/logout')).statusCode === 204
  }, RECOVERY_MS)
  t.notOk(await isIn(ada))
  t.ok(await isIn(grace))
  t.comment(`after ${ms.toFixed(0)} ms`)
})

t.test('F-09 the address leads to a new primary, and the old one is cut off: who only reads follows too, and hears there of a session that ended', async t => {
  const [old, next] = [await startServer(t, { 'repl-diskless-sync-delay': '0' }), await startServer(t)]
  const { signedUp } = await createSubject(t, old.proxy.url)
  const ada = await signedUp(EMAIL)
  const [direct, successor] = [old, next].map(({ url }) => openRedis(t, url).client) as [Redis, Redis]
  await succeed(direct, successor)
  await direct.replicaof('127.0.0.1', 1)
  old.proxy.lead(next.url)
  t.ok(await isIn(ada))
  await successor.flushall()
  t.comment(`refused after ${(await until(async () => !await isIn(ada), RECOVERY_MS)).toFixed(0)} ms`)
  t.ok((await connectionsOf(successor)).length > 0)
})

t.test('F-09 nobody looks for another primary because of any other refusal, nor in a Cluster, which names it itself', async t => {
  let sought = 0
  const other = { on () {}, connect: async () => { throw new TypeError('there is none') }, disconnect () {} }
  const own = { duplicate () { sought++; return other } }
  const [server, cluster] = [own, { ...own, nodes: () => [] }].map(client => followPrimary(client as unknown as OwnClient)) as [(error: Error) => void, (error: Error) => void]
  for (const message of ['OOM command not allowed', 'Command timed out', '']) server(new TypeError(message))
  cluster(new TypeError('READONLY You can\'t write against a read only replica.'))
  t.equal(sought, 0)
  server(new TypeError('READONLY You can\'t write against a read only replica.'))
  t.equal(sought, 1)
})

t.test('F-09 the connection that looks for a primary is closed whatever it finds; who may not ask it connects anew to see', async t => {
  const refused = async () => { throw new TypeError('NOPERM this user has no permissions to run the \'role\' command') }
  for (const [call, isFollowed] of [[async () => ['master'], true], [async () => ['slave'], false], [refused, true]] as const) {
    const done: string[] = []
    const other = { on () {}, connect: async () => {}, call, disconnect () { done.push('looked') } }
    const own = { duplicate: () => other, disconnect (reconnect?: boolean) { done.push(`anew: ${String(reconnect)}`) } }
    followPrimary(own as unknown as OwnClient)(new TypeError('READONLY'))
    await new Promise(resolve => setImmediate(resolve))
    t.strictSame(done, isFollowed ? ['looked', 'anew: true'] : ['looked'])
  }
})

t.test('F-01 a server that is gone: 503; back without what it kept, all sign in again', async t => {
  const server = await startServer(t)
  const { signedUp, client } = await createSubject(t, server.url)
  const ada = await signedUp(EMAIL)
  const { token } = (await ada.post('/auth/tokens', { name: 'nightly', context: 'server' })).json<{ token: string }>()
  const warnings: Error[] = []
  const listen = (warning: Error) => { warnings.push(warning) }
  process.on('warning', listen)
  t.teardown(() => { process.off('warning', listen) })
  await server.kill()
  t.equal((await client().get('/private', { authorization: `ApiToken ${token}` })).statusCode, 200, 'personal tokens are in the database')
  // So long memory may be believed.
  await until(async () => (await ada.copy().get('/private')).statusCode === 503, CALL_MS)
  const many = Array.from({ length: 20 }, async () => await ada.copy().get('/private'))
  for (const answer of await Promise.all([...many, client().post('/auth/login', { email: EMAIL, password: PASSWORD })])) checkUnavailable(t, answer, 'gone')
  t.strictSame(warnings, [], 'however many wait')
  await server.restart()
  await until(async () => (await ada.copy().get('/private')).statusCode === 401, RECOVERY_MS)
  t.equal(await login(ada), 200)
  t.ok(await isIn(ada))
})

t.test('F-05 F-08 scripts and connections that the server drops are not noticed; what it has forgotten lets nobody in', async t => {
  const { signedUp, client } = await createSubject(t, server.url)
  const operator = new Redis(server.url)
  t.teardown(() => { operator.disconnect() })
  const ada = await signedUp(EMAIL)
  await operator.script('FLUSH')
  t.equal(await login(client()), 200)
  t.ok(await isIn(ada))
  await operator.call('CLIENT', 'KILL', 'TYPE', 'normal')
  t.ok(await isIn(ada), 'a question is asked again')
  t.equal(await login(client()), 200)
  await operator.flushall()
  await until(async () => !await isIn(ada), CALL_MS)
  t.equal((await ada.post('/auth/refresh')).statusCode, 401)
  t.equal(await login(ada), 200)
})

t.test('V-04 F-04 F-12 a lost answer: nothing is done twice, nobody is taken for a thief, and a link is used up by who comes with it', async t => {
  const clock = holdClock(t)
  const { signedUp, client, mailbox, alarms, parts, storage } = await createSubject(t, server.proxy.url)
  const ada = await signedUp(EMAIL)
  const { id: userId } = (await storage.users.findByEmail(EMAIL))!
  const sessionId = (await storage.sessions.listForUser(userId, null))[0]!.id

  const rule = { at: new Date(), delays: [0], limit: 9, forgetAfter: HOUR }
  await parts.throttles.attempt('key', rule)
  const isLost = server.proxy.lose(/throttle:\{key\}/, 'when answered')
  await t.rejects(parts.throttles.attempt('key', rule))
  t.ok(isLost())
  t.match(await parts.throttles.find('key'), { count: 2 })

  // The first time that a script runs it is sent twice: the server does not know it yet.
  await parts.oneTimeTokens.issue({ digest: 'x', purpose: 'verify-email', userId, email: EMAIL, epoch: 0, createdAt: new Date(), expiresAt: new Date(Date.now() + HOUR) })
  t.ok(await parts.oneTimeTokens.consume('x', 'verify-email', new Date()))
  clock.advance(HOUR)
  t.equal((await ada.post('/auth/refresh')).headers['accounts-refresh'], 'rotated')
  for (const outcome of ['window', 'recovered']) {
    clock.advance(HOUR)
    server.proxy.lose(/evalsha[^]*session:\{/, 'when answered')
    const before = (await storage.sessions.find(sessionId))!.generation
    checkUnavailable(t, await ada.post('/auth/refresh'), 'rotated, and not said')
    t.equal((await storage.sessions.find(sessionId))!.generation, before + 1)
    if (outcome === 'recovered') clock.advance(MINUTE)
    t.equal((await ada.post('/auth/refresh')).headers['accounts-refresh'], outcome)
    if (outcome === 'window') {
      clock.advance(MINUTE)
      t.equal((await ada.post('/auth/refresh')).headers['accounts-refresh'], 'recovered')
    }
  }

  await client().post('/auth/password/forgot', { email: EMAIL })
  const token = tokenOf(await mailbox.next({ kind: 'reset-password' }))
  const isUsed = server.proxy.lose(/evalsha[^]*user-one-time/, 'when answered')
  t.equal((await client().post('/auth/password/reset', { token, password: OTHER_PASSWORD })).statusCode, 204)
  t.ok(isUsed())
  t.equal((await client().post('/auth/password/reset', { token, password: PASSWORD })).statusCode, 422)
  t.strictSame(alarms, [])
  t.notOk(await isIn(ada))
})

t.test('F-07 whatever key is evicted, nobody gets back in, and an older link stays void', async t => {
  const { app, client, signedUp, redis, prefix, mailbox, parts } = await createSubject(t, server.url)
  const { id } = (await signedUp(EMAIL), (await app.accounts.users.findByEmail(EMAIL))!)
  const older = (await client().post('/auth/password/forgot', { email: EMAIL }), tokenOf(await mailbox.next({ kind: 'reset-password' })))
  const newer = (await client().post('/auth/password/forgot', { email: EMAIL }), tokenOf(await mailbox.next({ kind: 'reset-password' })))
  for (const kind of ['session', 'user-sessions', 'one-time', 'user-one-time']) {
    const [live, ended] = [client(), client()]
    for (const browser of [live, ended]) await login(browser)
    await ended.post('/auth/logout')
    const keys = (await keysOf(redis, prefix)).filter(key => key.startsWith(`${kind}:`)).map(key => prefix + key)
    const values = await Promise.all(keys.map(async key => await redis.dumpBuffer(key)))
    t.ok(await redis.del(...keys) > 0, kind)
    t.notOk(await isIn(ended), kind)
    await parts.sessions.revokeAllForUser(id, { at: new Date(), reason: 'ended-by-admin' })
    for (const browser of [live, ended]) t.notOk(await isIn(browser), kind)
    t.equal((await client().post('/auth/password/reset', { token: older, password: OTHER_PASSWORD })).statusCode, 422, kind)
    for (const [place, key] of keys.entries()) await redis.restore(key, 0, values[place]!, 'REPLACE')
  }
  t.equal((await client().post('/auth/password/reset', { token: newer, password: OTHER_PASSWORD })).statusCode, 204)
})

t.test('F-06 what a failover or an old backup has undone: a logout is undone with it; a changed password, a used link and a disabled account are not', async t => {
  const { app, signedUp, client, redis, prefix, mailbox } = await createSubject(t, server.url)
  await signedUp(EMAIL)
  const { id } = (await app.accounts.users.findByEmail(EMAIL))!
  const ask = async () => {
    await client().post('/auth/password/forgot', { email: EMAIL })
    return tokenOf(await mailbox.next({ kind: 'reset-password' }))
  }
  let token = ''
  const reset = async () => (await client().post('/auth/password/reset', { token, password: PASSWORD })).statusCode
  const acts: ReadonlyArray<readonly [string, number, (browser: Client) => Promise<unknown>]> = [
    ['logout', 200, async browser => await browser.copy().post('/auth/logout')],
    ['a new password', 401, async () => await app.accounts.passwords.set(id, PASSWORD)],
    ['a reset', 401, async () => t.equal(await reset(), 204)],
    ['disabled', 401, async () => await app.accounts.users.update(id, { disabled: true })]
  ]
  for (const [title, status, act] of acts) {
    const browser = client()
    await login(browser)
    if (title === 'a reset') token = await ask()
    const keys = (await keysOf(redis, prefix)).map(key => prefix + key)
    const before = await Promise.all(keys.map(async key => await redis.dumpBuffer(key)))
    await act(browser)
    t.notOk(await isIn(browser), title)
    for (const [place, key] of keys.entries()) if (before[place] !== null) await redis.restore(key, 0, before[place]!, 'REPLACE')
    await until(async () => (await browser.copy().get('/private')).statusCode === status, CALL_MS)
    t.equal((await browser.get('/private')).statusCode, status, title)
    if (title === 'a reset') t.equal(await reset(), 422, 'its link')
  }
})

t.test('F-07 a start warns, once, of a server that evicts, and of no other', async t => {
  const warnings: string[] = []
  const listen = ({ message, name }: Error) => { if (name === 'FastifyAccountsWarning') warnings.push(message) }
  process.on('warning', listen)
  t.teardown(() => { process.off('warning', listen) })
  const evicting = await startServer(t, { 'maxmemory-policy': 'allkeys-lru' })
  for (const { url } of [server, evicting]) {
    const { parts } = openRedis(t, url)
    await parts.sessions.find('nobody')
    await parts.sessions.find('nobody')
  }
  await until(() => warnings.length > 0)
  t.match(warnings, [/maxmemory-policy is allkeys-lru/])
  t.equal(warnings.length, 1)
})
