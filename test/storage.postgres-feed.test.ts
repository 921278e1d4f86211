import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { postgresStorage, type PostgresStorage } from '../lib/adapters/kysely/index.ts'
import type { Change } from '../types/index.ts'
import { createApp } from './support/app.ts'
import { holdClock, SECOND } from './support/clock.ts'
import { databaseUrl, openPostgres, query, schemaName } from './support/postgres.ts'
import { pause, realTime, startServer, until } from './support/postgres-server.ts'
import { startTcpProxy } from './services/tcp-proxy.js'
import { countCalls } from './support/tapped-storage.ts'
import { accessOf } from './support/tokens.ts'

const BOUND_MS = 1000

/** What a feed says, from now on. */
function hear ({ feed }: Pick<PostgresStorage, 'feed'>): string[] {
  const heard: string[] = []
  feed.subscribe((change: Change) => { heard.push(describe(change)) })
  return heard
}

function describe (change: Change): string {
  switch (change.kind) {
    case 'session': return `session ${change.sessionId}`
    case 'user': return `user ${change.userId}`
    case 'personal-token': return `token ${change.tokenId}`
    default: return 'gap'
  }
}

/** What the process is warned of, from now on. */
function warned (t: Test): string[] {
  const warnings: string[] = []
  const note = ({ name, message }: Error) => { if (name === 'FastifyAccountsWarning') warnings.push(message) }
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  return warnings
}

const sessionOf = (sid: string) => [`session ${sid}`]
const userOf = (_sid: string, sub: string) => [`user ${sub}`]
const nobody = () => []

const EDITS: ReadonlyArray<readonly [string, (sid: string, sub: string) => string[]]> = [
  ['update accounts_sessions set revoked_at = now() where id = $1', sessionOf],
  ['update accounts_sessions set epoch = epoch + 1 where id = $1', sessionOf],
  ['update accounts_sessions set expires_at = now() where id = $1', sessionOf],
  ['update accounts_sessions set idle_expires_at = now() where id = $1', sessionOf],
  ['update accounts_sessions set user_id = \'somebody else\' where id = $1', sessionOf],
  ['delete from accounts_sessions where id = $1', sessionOf],
  ['update accounts_users set roles = \'["editor"]\' where id = $2', userOf],
  ['update accounts_users set disabled_at = now() where id = $2', userOf],
  ['update accounts_users set epoch = epoch + 1 where id = $2', userOf],
  ['delete from accounts_users where id = $2', userOf],
  ['truncate accounts_sessions', () => ['gap']],
  ['truncate accounts_users', () => ['gap']],
  ['update accounts_sessions set generation = generation + 1, rotated_at = now(), idle_expires_at = idle_expires_at + interval \'1 day\' where id = $1', nobody],
  ['update accounts_sessions set last_seen_at = now() where id = $1', nobody]
]

t.test('J-11 what a person types at a SQL prompt is heard, and nothing else', async t => {
  const schema = schemaName(t)
  const storage = await postgresStorage(databaseUrl(), { schema })
  const { signedUp, app } = await createApp(t, { storage })
  for (const [edit, expected] of EDITS) {
    const browser = await signedUp(`${Math.random()}@example.com`)
    const { sid, sub } = accessOf(browser)
    t.equal((await browser.get('/private')).statusCode, 200)
    const heard = hear(storage)
    const statement = edit.replace(/accounts_/, `${schema}.accounts_`).replace('$1', `'${sid}'`).replace('$2', `'${sub}'`)
    await query(statement)
    if (expected !== nobody) await until(() => heard.length > 0, BOUND_MS)
    // Whatever came before this one has been delivered when it is.
    await storage.feed.publish!({ kind: 'user', userId: 'the end' })
    await until(() => heard.includes('user the end'), BOUND_MS)
    t.strictSame(heard.slice(0, -1), expected(sid, sub), edit)
    t.equal((await browser.copy().get('/private')).statusCode, expected === nobody || edit.includes('roles') ? 200 : 401, edit)
  }
  t.ok(app)
})

t.test('J-11 whatever the ids of a host are made of, what is published of them arrives', async t => {
  const storage = await openPostgres(t)
  const ids = ['', '?', '*', '?x', '*x', 's', 'u', '\'; notify x', '"\\', 'a\nb\r\t', 'ü', '🦊', ' ', 'x'.repeat(255), '🦊'.repeat(255), '\'"\\?'.repeat(63)]
  const heard = hear(storage)
  for (const id of ids) {
    await storage.feed.publish!({ kind: 'user', userId: id })
    await storage.feed.publish!({ kind: 'session', sessionId: id })
    await storage.feed.publish!({ kind: 'personal-token', tokenId: id })
  }
  await until(() => heard.length >= 3 * ids.length, BOUND_MS)
  t.strictSame(heard, ids.flatMap(id => [`user ${id}`, `session ${id}`, `token ${id}`]))
})

t.test('J-11 storages of one database hear each other if they share their tables, and else not', async t => {
  const [schema, other] = [schemaName(t), schemaName(t)]
  const open = async (options: { schema: string, tablePrefix?: string }) => {
    const storage = await postgresStorage(databaseUrl(), options)
    t.teardown(async () => await storage.close())
    return storage
  }
  const [one, same, prefixed, elsewhere] = [await open({ schema }), await open({ schema }), await open({ schema, tablePrefix: 'other_' }), await open({ schema: other })]
  const heard = [same, prefixed, elsewhere].map(hear)
  await one.feed.publish!({ kind: 'user', userId: 'ada' })
  for (const storage of [prefixed, elsewhere]) await storage.feed.publish!({ kind: 'user', userId: 'grace' })
  await until(() => heard.every(({ length }) => length > 0), BOUND_MS)
  t.strictSame(heard, [['user ada'], ['user grace'], ['user grace']])
})

t.test('S-I24 names as long as they may be work throughout', async t => {
  const schema = `${schemaName(t)}_______________________________`.slice(0, 30)
  t.teardown(async () => { await query(`drop schema if exists ${schema} cascade`) })
  const storage = await postgresStorage(databaseUrl(), { schema, tablePrefix: 'p'.repeat(30) })
  const { signedUp, app } = await createApp(t, { storage })
  const browser = await signedUp()
  t.equal((await browser.get('/private')).statusCode, 200)
  await app.accounts.users.update(accessOf(browser).sub, { disabled: true })
  t.equal((await browser.get('/private')).statusCode, 401)
  t.ok(await until(() => storage.feed.isCurrent(), 2 * BOUND_MS))
})

t.test('the default schema is the first of the search_path, and its tables are found there again', async t => {
  const schema = schemaName(t)
  await query(`create schema ${schema}`)
  const url = `${databaseUrl()}?options=${encodeURIComponent(`-c search_path=${schema}`)}`
  const storage = await postgresStorage(url)
  const { signedUp, app } = await createApp(t, { storage })
  const browser = await signedUp()
  t.equal((await query(`select 1 from ${schema}.accounts_users`)).length, 1)
  const again = await postgresStorage(url, { migrate: false })
  t.teardown(async () => await again.close())
  const heard = hear(again)
  await app.accounts.users.update(accessOf(browser).sub, { name: 'Ada' })
  await until(() => heard.length > 0, BOUND_MS)
  t.ok(heard.includes(`user ${accessOf(browser).sub}`))
})

t.test('J-11 a feed that nobody asks falls silent, and is current soon after somebody does', async t => {
  const clock = holdClock(t)
  const proxy = await startTcpProxy(databaseUrl())
  t.teardown(async () => await proxy.close())
  const storage = await openPostgres(t, { listen: proxy.url })
  t.ok(storage.feed.isCurrent())
  clock.advance(6 * SECOND)
  await pause(500)
  const asleep = proxy.bytes()
  await pause(600)
  t.equal(proxy.bytes(), asleep, 'not a word in three heartbeats')

  const heard = hear(storage)
  await storage.feed.publish!({ kind: 'user', userId: 'ada' })
  await until(() => heard.length > 0, BOUND_MS)
  t.notOk(storage.feed.isCurrent(), 'what was proved long ago proves nothing')
  const ms = await until(() => storage.feed.isCurrent(), BOUND_MS)

  clock.advance(6 * SECOND)
  await pause(500)
  proxy.cut()
  await pause(50)
  heard.length = 0
  const start = realTime()
  let wasCurrentBefore = false
  await until(() => {
    if (heard.length === 0) wasCurrentBefore ||= storage.feed.isCurrent()
    return storage.feed.isCurrent()
  }, 5 * BOUND_MS)
  t.notOk(wasCurrentBefore, 'after a loss it is current no sooner than it has told of the gap')
  t.strictSame(heard, ['gap'])
  t.comment(`current again after ${ms.toFixed(0)} ms, after a loss ${(realTime() - start).toFixed(0)} ms`)
})

t.test('J-11 behind a pooler that forgets who listens: it warns once, asks the database each time, and "listen" mends it', async t => {
  const warnings = warned(t)
  const proxy = await startTcpProxy(databaseUrl())
  proxy.dropNotifications()
  t.teardown(async () => await proxy.close())
  const schema = schemaName(t)
  const storage = await postgresStorage(proxy.url, { schema })
  const { storage: counted, calls } = countCalls(storage)
  const { signedUp, app } = await createApp(t, { storage: counted })
  const browser = await signedUp()
  const start = realTime()
  let wasCurrent = false
  while (realTime() - start < 2100) {
    wasCurrent ||= storage.feed.isCurrent()
    await pause(20)
  }
  t.notOk(wasCurrent, 'never current')
  t.equal(warnings.length, 1, 'one warning for all attempts')
  t.match(warnings[0], /"listen"/)
  calls.length = 0
  for (let count = 0; count < 3; count++) t.equal((await browser.get('/private')).statusCode, 200)
  t.equal(calls.filter(verb => verb === 'sessions.find').length, 3)
  await app.accounts.sessions.endAll(accessOf(browser).sub)
  t.equal((await browser.get('/private')).statusCode, 401)

  const mended = await postgresStorage(proxy.url, { schema, listen: databaseUrl() })
  t.teardown(async () => await mended.close())
  t.ok(mended.feed.isCurrent(), 'current from the start')
  const { storage: counted2, calls: calls2 } = countCalls(mended)
  const { signedUp: signedUp2 } = await createApp(t, { storage: counted2 })
  const browser2 = await signedUp2('other@example.com')
  await browser2.get('/private')
  calls2.length = 0
  for (let count = 0; count < 3; count++) t.equal((await browser2.get('/private')).statusCode, 200)
  t.strictSame(calls2, [])
  t.equal(warnings.length, 1)
})

t.test('J-11 a feed that can\'t be proved because the pool is busy blames no pooler, and comes back', async t => {
  const warnings = warned(t)
  const server = await startServer(t)
  const pool = new pg.Pool({ connectionString: server.url, max: 1 })
  t.teardown(async () => await pool.end())
  const storage = await postgresStorage(pool, { listen: server.proxy.url })
  t.teardown(async () => await storage.close())
  t.ok(storage.feed.isCurrent())
  const lent = await pool.connect()
  server.proxy.cut()
  await pause(1100)
  t.notOk(storage.feed.isCurrent())
  lent.release()
  t.ok(await until(() => storage.feed.isCurrent(), 5 * BOUND_MS))
  t.strictSame(warnings, [])
})

t.test('V-06 after close() nothing keeps the process, also if the server is frozen', async t => {
  const server = await startServer(t)
  for (const title of ['a server that answers', 'a server that is frozen']) {
    const child = fork(join(import.meta.dirname, 'workers', 'open-and-close.js'), [JSON.stringify({ url: server.url })], { execArgv: [], env: { ...process.env, NODE_OPTIONS: '' } })
    t.teardown(() => { child.kill('SIGKILL') })
    await once(child, 'message')
    await pause(300)
    if (title.includes('frozen')) server.signal('SIGSTOP')
    const start = realTime()
    child.send('close')
    const [code] = await Promise.race([once(child, 'exit'), pause(10_000).then(() => ['never'])])
    server.signal('SIGCONT')
    t.equal(code, 0, title)
    t.comment(`${title}: gone after ${(realTime() - start).toFixed(0)} ms`)
  }
})
