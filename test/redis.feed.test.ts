import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createRedisFeed, type FeedClient, type RedisFeed } from '../lib/adapters/redis/feed.ts'
import { redisStorage } from '../lib/adapters/redis/index.ts'
import type { Storage } from '../types/index.ts'
import { startRedis, type RedisServer } from './services/redis.js'
import { startTcpProxy, type TcpProxy } from './services/tcp-proxy.js'
import { createApp, databaseFile } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { holdClock, SECOND } from './support/clock.ts'
import { describeTimes, pause, realTime, until } from './support/postgres-server.ts'
import { openRedis } from './support/redis.ts'
import { countCalls } from './support/tapped-storage.ts'
import { accessOf } from './support/tokens.ts'

const BOUND_MS = 1000
const RECOVERY_MS = 5000
const PREFIX = 'accounts:'

function connectTo (t: Test, url: string, options = {}): Redis {
  const client = new Redis(url, options)
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

interface Listening { readonly feed: RedisFeed, readonly heard: string[] }

/** A feed that is current, and what it says from now on; `listen`: another way to the server, for that alone. */
async function listenOn (t: Test, client: Redis, { prefix = PREFIX, listen = client } = {}): Promise<Listening> {
  const server = {
    options: client.options,
    duplicate: (options: object) => listen.duplicate(options)
  }
  const send = async (command: string, ...args: ReadonlyArray<string | number>) => await client.call(command, ...args)
  const feed = createRedisFeed(server as unknown as FeedClient, send, prefix)
  t.teardown(async () => await feed.close())
  const heard: string[] = []
  feed.subscribe(change => heard.push(change.kind === 'session' ? change.sessionId : change.kind))
  await until(() => feed.isCurrent(), RECOVERY_MS)
  heard.length = 0
  return { feed, heard }
}

/** Server, two ways to it, and a feed that listens on the second. */
async function createScene (t: Test): Promise<{ server: RedisServer, proxy: TcpProxy, client: Redis } & Listening> {
  const server = await startRedis()
  const proxy = await startTcpProxy(server.url)
  t.teardown(async () => {
    await proxy.close()
    await server.stop()
  })
  const client = connectTo(t, server.url)
  const listen = connectTo(t, proxy.url, { lazyConnect: true })
  return { server, proxy, client, ...await listenOn(t, client, { listen }) }
}

const killTracking = async (client: Redis) => {
  const list = String(await client.client('LIST'))
  // Flag t: "the client enabled keys tracking".
  for (const [, id] of list.matchAll(/^id=(\d+) .* flags=\S*t\S* /gm)) await client.client('KILL', 'ID', id!)
}

t.test('J-11 what becomes of a session at a prompt is heard, by whatever it ends, and nothing else', async t => {
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  const edits: ReadonlyArray<readonly [string, 'the session' | 'gap' | null]> = [
    ['hset KEY revokedAt 1', 'the session'],
    ['del KEY', 'the session'],
    ['unlink KEY', 'the session'],
    ['pexpire KEY 1', 'the session'],
    ['rename KEY elsewhere', 'the session'],
    ['flushall', 'gap'],
    ['flushdb async', 'gap'],
    ['set accounts:throttle:{ada} 1', null],
    ['hset other:KEY revokedAt 1', null],
    ['hset KEY:more a 1', null]
  ]
  for (const keyPrefix of ['', 'host:']) {
    const client = connectTo(t, server.url, { keyPrefix })
    const { heard } = await listenOn(t, client)
    for (const [index, [edit, expected]] of edits.entries()) {
      const key = `accounts:session:{ada${index}}`
      await client.hset(key, 'userId', 'ada')
      await until(() => heard.length > 0, BOUND_MS)
      heard.length = 0
      const [command, ...args] = edit.replace('KEY', key).split(' ')
      await client.call(command!, ...args)
      // Whatever came before this one has been told when it is.
      await client.hset('accounts:session:{the end}', 'userId', 'grace')
      await until(() => heard.includes('the end'), BOUND_MS)
      t.strictSame([...new Set(heard)].filter(one => one === `ada${index}` || one === 'gap'), expected === null ? [] : [expected === 'gap' ? 'gap' : `ada${index}`], `${keyPrefix}${edit}`)
      heard.length = 0
    }
  }
})

t.test('J-11 F-07 a session that is evicted is told of', async t => {
  const server = await startRedis({ 'maxmemory-policy': 'allkeys-lru' })
  t.teardown(async () => await server.stop())
  const client = connectTo(t, server.url)
  const { heard } = await listenOn(t, client)
  await client.hset('accounts:session:{ada}', 'userId', 'ada')
  await until(() => heard.length > 0, BOUND_MS)
  heard.length = 0
  await client.config('SET', 'maxmemory', '1')
  await client.get('nothing').catch(() => {})
  await client.set('accounts:more', 'more').catch(() => {})
  await until(() => heard.includes('ada') || heard.includes('gap'), 2 * BOUND_MS)
  t.equal(await client.exists('accounts:session:{ada}'), 0)
})

interface Fault {
  readonly title: string
  start (scene: Awaited<ReturnType<typeof createScene>>): Promise<void> | void
  heal? (scene: Awaited<ReturnType<typeof createScene>>): Promise<void> | void
}

const FAULTS: readonly Fault[] = [
  { title: 'F-02 a server that is frozen', start: ({ server }) => server.freeze(true), heal: ({ server }) => server.freeze(false) },
  { title: 'F-01 a server that is killed', start: async ({ server }) => await server.kill(), heal: async ({ server }) => await server.restart() },
  { title: 'a network that swallows what is told', start: ({ proxy }) => proxy.freeze(true), heal: ({ proxy }) => proxy.freeze(false) },
  { title: 'a network that has forgotten its connections', start: ({ proxy }) => proxy.abandon() },
  { title: 'a connection that is reset', start: ({ proxy }) => proxy.cut() },
  { title: 'CLIENT KILL', start: async ({ client }) => await killTracking(client) },
  { title: 'a server that takes no connections any more', start: ({ proxy }) => { proxy.refuse(true); proxy.cut() }, heal: ({ proxy }) => proxy.refuse(false) }
]

for (const { title, start, heal } of FAULTS) {
  t.test(`J-11 ${title}: never believed for longer than a second, and all is forgotten before it is believed again`, async t => {
    const scene = await createScene(t)
    const { feed, heard } = scene
    // At any moment of a heartbeat.
    await pause(Math.random() * 200)
    const startedAt = realTime()
    await start(scene)
    let believedFor = 0
    let isWrong = false
    const look = () => {
      if (!feed.isCurrent() || heard.includes('gap')) return
      believedFor = realTime() - startedAt
      isWrong ||= believedFor > BOUND_MS
    }
    await until(() => {
      look()
      return realTime() - startedAt > 1.5 * BOUND_MS
    })
    t.notOk(isWrong, `believed for ${believedFor.toFixed(0)} ms`)
    if (heal !== undefined) t.notOk(feed.isCurrent())
    await heal?.(scene)
    const ms = await until(() => {
      look()
      return feed.isCurrent()
    }, RECOVERY_MS)
    t.ok(heard.includes('gap'))
    t.comment(`believed for ${believedFor.toFixed(0)} ms, again ${ms.toFixed(0)} ms after it was mended`)
    heard.length = 0
    await scene.client.hset('accounts:session:{ada}', 'userId', 'ada')
    await until(() => heard.includes('ada'), BOUND_MS)
  })
}

t.test('F-06 a primary that was replaced for those who write, but goes on talking to those who listen, is not believed', async t => {
  const { client, feed, heard, proxy } = await createScene(t)
  const successor = await startRedis()
  t.teardown(async () => await successor.stop())
  const startedAt = realTime()
  const newClient = connectTo(t, successor.url)
  client.call = newClient.call.bind(newClient)
  let believedFor = 0
  await until(() => {
    if (feed.isCurrent() && heard.length === 0) believedFor = realTime() - startedAt
    return realTime() - startedAt > 2 * BOUND_MS
  })
  t.ok(believedFor <= BOUND_MS, `believed for ${believedFor.toFixed(0)} ms`)
  t.notOk(feed.isCurrent())
  t.ok(proxy.count() <= 1, 'and connections that are given up are closed')
})

t.test('J-11 a feed that nobody asks falls silent, and is current soon after somebody does', async t => {
  const clock = holdClock(t)
  const { proxy, client, feed, heard } = await createScene(t)
  clock.advance(6 * SECOND)
  await pause(500)
  const before = Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))![1])
  await pause(600)
  const after = Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))![1])
  t.ok(after - before <= 1, 'not a word in three heartbeats')
  await client.del('accounts:session:{ada}')
  t.notOk(feed.isCurrent(), 'what was proved long ago proves nothing')
  await until(() => feed.isCurrent(), BOUND_MS)

  clock.advance(6 * SECOND)
  await pause(500)
  heard.length = 0
  proxy.cut()
  t.notOk(feed.isCurrent())
  await until(() => feed.isCurrent(), RECOVERY_MS)
  t.strictSame(heard, ['gap'])
})

t.test('a server that refuses to tell is warned of once, and asked every time', async t => {
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  const admin = connectTo(t, server.url)
  const warnings: string[] = []
  const note = ({ name, message }: Error) => { if (name === 'FastifyAccountsWarning' && message.includes('tell')) warnings.push(message) }
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  await admin.acl('SETUSER', 'ada', 'on', '>password', '~*', '&*', '+@all', '-client|tracking')
  const { hostname, port } = new URL(server.url)
  const client = connectTo(t, `redis://ada:password@${hostname}:${port}`)
  const parts = redisStorage(client)
  const { storage, calls } = countCalls({ ...await sqliteStorage(':memory:'), ...parts })
  const { signedUp, app } = await createApp(t, { storage })
  const browser = await signedUp()
  await pause(3 * BOUND_MS)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /no permissions/)
  t.notOk(parts.sessions.feed!.isCurrent())
  calls.length = 0
  for (let count = 0; count < 3; count++) t.equal((await browser.get('/private')).statusCode, 200)
  t.equal(calls.filter(verb => verb === 'sessions.find').length, 3)
  await app.accounts.sessions.endAll(accessOf(browser).sub)
  t.equal((await browser.get('/private')).statusCode, 401)
})

/** Two servers, with their users on one file and their sessions in one Redis. */
async function createPair (t: Test) {
  const file = databaseFile(t)
  const { parts, client, prefix } = openRedis(t)
  const first = await createApp(t, { storage: { ...await sqliteStorage(file), ...parts } })
  const second = await createApp(t, { storage: { ...await sqliteStorage(file), ...redisStorage(client, { prefix }) }, secret: first.secret })
  await until(() => [first, second].every(({ storage }) => storage.sessions.feed!.isCurrent()), RECOVERY_MS)
  return { first, second, client, prefix, at: ({ cookies }: Client) => createClient(second.app, { ...cookies }) }
}

t.test('J-11 S-06 what one server has ended the other refuses at once, and it stays so', async t => {
  const { first, client, prefix, at } = await createPair(t)
  const { sessions } = first.app.accounts
  const ends: ReadonlyArray<readonly [string, (browser: Client) => Promise<unknown>]> = [
    ['logout', async browser => await browser.copy().post('/auth/logout')],
    ['ended by the host', async browser => await sessions.end(accessOf(browser).sub, accessOf(browser).sid)],
    ['all ended', async browser => await sessions.endAll(accessOf(browser).sub)],
    ['deleted by hand', async browser => await client.del(`${prefix}session:{${accessOf(browser).sid}}`)]
  ]
  const times: number[] = []
  for (let round = 0; round < 40; round++) {
    const [title, end] = ends[round % ends.length]!
    const browser = await first.signedUp()
    const there = at(browser)
    t.equal((await there.get('/private')).statusCode, 200, title)
    await end(browser)
    const start = realTime()
    while ((await there.copy().get('/private')).statusCode === 200 && realTime() - start < 2 * BOUND_MS) await new Promise(resolve => setImmediate(resolve))
    times.push(realTime() - start)
    t.equal((await there.copy().get('/private')).statusCode, 401, title)
  }
  t.ok(times.every(ms => ms <= BOUND_MS))
  t.comment(`until the other server refused: ${describeTimes(times)}`)
})

t.test('J-11 F-01 that a session was seen is news to nobody: it stays in memory, and a route that asks for the token alone goes on without Redis', async t => {
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  const { client, parts, prefix } = openRedis(t, server.url)
  const { heard } = await listenOn(t, client, { prefix })
  const { storage, calls } = countCalls({ ...await sqliteStorage(':memory:'), ...parts })
  const { signedUp } = await createApp(t, { storage }, app => {
    app.get('/stateless', { onRequest: app.guard({ liveness: 'stateless' }) }, async () => 'in')
  })
  const ada = await signedUp()
  const { sid: id } = accessOf(ada)
  await until(async () => {
    calls.length = 0
    return (await ada.get('/private')).statusCode === 200 && calls.length === 0
  }, RECOVERY_MS)
  t.equal((await ada.get('/stateless')).statusCode, 200)
  heard.length = 0
  const lastSeenAt = new Date(Date.now() + SECOND)
  await parts.sessions.touch([{ id, lastSeenAt, acknowledgedGeneration: 0 }])
  await pause(100)
  t.equal((await ada.get('/private')).statusCode, 200)
  t.strictSame(calls, [], 'nobody asks anew')
  t.strictSame(heard, [])
  t.strictSame((await parts.sessions.find(id))!.lastSeenAt, lastSeenAt)
  await server.kill()
  t.equal((await ada.get('/stateless')).statusCode, 200)
  // As long as the last heartbeat vouches for what is remembered, at the most.
  await until(async () => (await ada.get('/private')).statusCode === 503, RECOVERY_MS)
})

t.test('J-11 memory counts only while both feeds are current: that of the users, and that of the sessions', async t => {
  const { proxy, client, server } = await createScene(t)
  const open = async (change: (storage: Storage) => Storage = storage => storage) => {
    const parts = redisStorage(client)
    const { storage, calls } = countCalls(change({ ...await sqliteStorage(':memory:'), ...parts }))
    const { signedUp } = await createApp(t, { storage })
    const browser = await signedUp()
    await until(() => parts.sessions.feed!.isCurrent(), RECOVERY_MS)
    await browser.get('/private')
    calls.length = 0
    return { calls, knock: async () => { for (let count = 0; count < 3; count++) t.equal((await browser.get('/private')).statusCode, 200) } }
  }
  const both = await open()
  await both.knock()
  t.strictSame(both.calls, [])
  const withoutUsers = await open(({ feed, ...storage }) => storage)
  await withoutUsers.knock()
  t.strictSame(withoutUsers.calls.filter(verb => verb === 'users.find').length, 3)
  const stale = await open(storage => ({ ...storage, feed: { ...storage.feed!, isCurrent: () => false } }))
  await stale.knock()
  t.equal(stale.calls.filter(verb => verb === 'users.find').length, 3)

  server.freeze(true)
  await pause(BOUND_MS)
  server.freeze(false)
  both.calls.length = 0
  await both.knock()
  t.ok(both.calls.includes('sessions.find'), 'what was remembered before is forgotten')
  t.ok(proxy)
})

t.test('V-06 after close() nothing keeps the process, also if the server is frozen', async t => {
  const server = await startRedis()
  t.teardown(async () => await server.stop())
  for (const isFrozen of [false, true]) {
    const child = fork(join(import.meta.dirname, 'workers', 'open-and-close.js'), [JSON.stringify({ file: databaseFile(t), redis: { url: server.url, prefix: PREFIX } })], { execArgv: [], env: { ...process.env, NODE_OPTIONS: '' } })
    t.teardown(() => { child.kill('SIGKILL') })
    await once(child, 'message')
    await pause(300)
    server.freeze(isFrozen)
    const start = realTime()
    child.send('close')
    const [code] = await Promise.race([once(child, 'exit'), pause(10_000).then(() => ['never'])])
    server.freeze(false)
    t.equal(code, 0)
    t.comment(`${isFrozen ? 'frozen: ' : ''}gone after ${(realTime() - start).toFixed(0)} ms`)
  }
})
