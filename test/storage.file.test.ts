import { renameSync, rmSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import BetterSqlite from 'better-sqlite3'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { sampleSession } from '../lib/testing/samples.ts'
import { createApp, databaseFile, PASSWORD } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { connect, openWithConnection } from './support/sqlite.ts'
import { accessOf, sessionIdOf } from './support/tokens.ts'

/** A locked file is asked again for most of a second; a password takes its time too, on a machine that is busy. */
const PATIENCE_MS = 2000
const realTime = performance.now.bind(performance)

type Send = (browser: Client) => Promise<LightMyRequestResponse>

const WRITES: Readonly<Record<string, Send>> = {
  'sign-up': async browser => await browser.post('/auth/register', { email: `new${Math.random()}@example.com`, password: PASSWORD }),
  login: async browser => await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD }),
  'a new name': async browser => await browser.request('PATCH', '/auth/me', { name: 'Countess' }),
  'a new password': async browser => await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: 'silver comet 31 thimble' }),
  'ending the others': async browser => await browser.request('DELETE', '/auth/sessions'),
  deletion: async browser => await browser.request('DELETE', '/auth/me', { password: PASSWORD }),
  logout: async browser => await browser.post('/auth/logout')
}
const READS: Readonly<Record<string, Send>> = {
  'a strict check': async browser => await browser.get('/strict'),
  'the list of sessions': async browser => await browser.get('/auth/sessions')
}

async function createFixture (t: Test) {
  const file = databaseFile(t)
  const { storage, connection } = await openWithConnection(file)
  const test = await createApp(t, { storage }, app => {
    app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
  })
  return { ...test, file, connection, browser: await test.signedUp('ada@example.com') }
}

async function checkUnavailable (t: Test, title: string, browser: Client, send: Send): Promise<void> {
  const copy = browser.copy()
  const start = realTime()
  const answer = await send(copy)
  const ms = realTime() - start
  t.equal(answer.statusCode, 503, `${title}: ${answer.statusCode}`)
  t.match(answer.headers['retry-after'], /^[1-9]\d?$/, `${title}: when to come back`)
  t.equal(answer.cookies.length, 0, `${title}: no cookie`)
  t.ok(ms <= PATIENCE_MS, `${title}: ${ms.toFixed(0)} ms`)
}

const checkAll = async (t: Test, browser: Client, ...flows: Array<Readonly<Record<string, Send>>>) => {
  await Promise.all(flows.flatMap(flow => Object.entries(flow)).map(async ([title, send]) => await checkUnavailable(t, title, browser, send)))
}

for (const [lock, unlock] of [['BEGIN IMMEDIATE', 'COMMIT'], ['BEGIN EXCLUSIVE', 'ROLLBACK']] as const) {
  t.test(`V-02 a file that another connection has locked (${lock}, ${unlock}): reads go on, writes are 503, and then all heals`, async t => {
    const clock = holdClock(t)
    const { file, browser, storage } = await createFixture(t)
    const sql = connect(t, file)
    const before = sql.prepare('SELECT * FROM accounts_users').all()
    sql.exec(lock)
    for (const send of [...Object.values(READS), async (client: Client) => await client.get('/private')]) t.equal((await send(browser)).statusCode, 200)
    await checkAll(t, browser, WRITES)
    t.strictSame(sql.prepare('SELECT * FROM accounts_users').all(), before, 'S-I15 nothing half done')
    t.equal((await browser.get('/private')).statusCode, 200, 'and nobody is logged out')

    clock.advance(HOUR)
    await checkUnavailable(t, 'a trade', browser, async client => await client.post('/auth/refresh'))
    await checkUnavailable(t, 'a renewal on the way', browser, async client => await client.get('/private'))
    sql.exec(unlock)
    t.equal((await storage.sessions.find(sessionIdOf(browser)))?.generation, 0, 'R-06 a failed attempt consumes nothing')
    t.equal((await browser.get('/private')).headers['accounts-refresh'], 'rotated')
    t.equal((await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
  })
}

t.test('V-02 a lock that is let go in time is waited for', async t => {
  const { file, browser } = await createFixture(t)
  const sql = connect(t, file)
  sql.exec('BEGIN IMMEDIATE')
  setTimeout(() => sql.exec('COMMIT'), 300)
  t.equal((await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
})

const DEFECTS: Array<{ title: string, flows: Array<Readonly<Record<string, Send>>>, begin: (fixture: Awaited<ReturnType<typeof createFixture>>) => void, end: ((fixture: Awaited<ReturnType<typeof createFixture>>) => void) | null }> = [
  { title: 'renamed', flows: [READS, WRITES], begin: ({ file }) => renameSync(file, `${file}.away`), end: ({ file }) => renameSync(`${file}.away`, file) },
  { title: 'deleted', flows: [READS, WRITES], begin: ({ file }) => rmSync(file), end: null },
  { title: 'read-only', flows: [WRITES], begin: ({ connection }) => connection.pragma('query_only = 1'), end: ({ connection }) => connection.pragma('query_only = 0') },
  { title: 'closed', flows: [READS, WRITES], begin: ({ connection }) => connection.close(), end: null }
]

for (const { title, flows, begin, end } of DEFECTS) {
  t.test(`V-02 S-I14 a database that is ${title}: 503, no cookie is touched${end === null ? '' : ', and it heals by itself'}`, async t => {
    const clock = holdClock(t)
    const fixture = await createFixture(t)
    const { browser } = fixture
    t.equal((await browser.get('/private')).statusCode, 200)
    begin(fixture)
    await checkAll(t, browser, ...flows)
    clock.advance(HOUR)
    if (flows.includes(WRITES)) await checkUnavailable(t, 'a renewal on the way', browser, async client => await client.get('/private'))
    if (end === null) return
    end(fixture)
    t.equal((await browser.get('/private')).headers['accounts-refresh'], 'rotated')
    t.equal((await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
    t.equal((await browser.post('/auth/register', { email: 'after@example.com', password: PASSWORD })).statusCode, 201)
  })
}

t.test('V-02 S-I15 a database that is full: 503, no half account, and it heals when there is room', async t => {
  const { browser, client, connection } = await createFixture(t)
  connection.pragma(`max_page_count = ${String(connection.pragma('page_count', { simple: true }))}`)
  const count = (table: string) => connection.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number
  let refused: LightMyRequestResponse | undefined
  let accepted = 0
  for (let attempt = 0; attempt < 60 && refused === undefined; attempt++) {
    const answer = await client().post('/auth/register', { email: `${'x'.repeat(60)}@${attempt}.example.com`, password: PASSWORD, name: 'y'.repeat(200) })
    if (answer.statusCode === 201) accepted++
    else refused = answer
  }
  t.equal(refused?.statusCode, 503, `after ${accepted} sign-ups`)
  t.match(refused?.headers['retry-after'], /^[1-9]\d?$/)
  t.equal(refused?.cookies.length, 0)
  t.strictSame([count('accounts_users'), count('accounts_sessions')], [accepted + 1, accepted + 1], 'an account with its session, or neither')
  t.equal((await browser.get('/strict')).statusCode, 200)
  connection.pragma('max_page_count = 1000000')
  t.equal((await client().post('/auth/register', { email: 'after@example.com', password: PASSWORD })).statusCode, 201)
})

t.test('V-02 requests that wait for a lock do not stand in the way of others', async t => {
  const { file, browser } = await createFixture(t)
  const sql = connect(t, file)
  sql.exec('BEGIN IMMEDIATE')
  await browser.get('/private')
  const waiting = new Set(Array.from({ length: 8 }, () => browser.copy()))
  const writers = Promise.all([...waiting].map(async writer => {
    const answer = await writer.post('/auth/logout')
    waiting.delete(writer)
    return answer
  }))
  // What comes from the world outside, as every request on a socket does, has its turn.
  let longest = 0
  while (waiting.size > 0) {
    const start = realTime()
    await stat(file)
    longest = Math.max(longest, realTime() - start)
  }
  t.ok((await writers).every(({ statusCode }) => statusCode === 503))
  t.ok(longest < 450, `another waited ${longest.toFixed(0)} ms`)
})

for (const title of ['renamed', 'deleted', 'closed']) {
  t.test(`V-02 what is remembered of a database that is ${title} is not believed for longer than a second`, async t => {
    const clock = holdClock(t)
    const fixture = await createFixture(t)
    const { browser } = fixture
    t.equal((await browser.get('/private')).statusCode, 200)
    DEFECTS.find(defect => defect.title === title)!.begin(fixture)
    clock.advance(SECOND)
    await browser.get('/private')
    clock.advance(SECOND)
    await checkUnavailable(t, 'a check', browser, async client => await client.get('/private'))
  })
}

t.test('J-11 a database that is replaced by another file is not believed: a session ended there is refused or unavailable here', async t => {
  const clock = holdClock(t)
  const fixture = await createFixture(t)
  const { file, browser, connection } = fixture
  t.equal((await browser.get('/private')).statusCode, 200)
  connection.pragma('wal_checkpoint(TRUNCATE)')
  const copy = `${file}.restored`
  await connection.backup(copy)
  renameSync(copy, file)
  const other = await createApp(t, { storage: await sqliteStorage(file) })
  await other.app.accounts.sessions.endAll(accessOf(browser).sub)
  clock.advance(2 * SECOND)
  t.equal((await browser.get('/private')).statusCode, 503)
})

const CORRUPTIONS: Array<[string, string]> = [
  ['roles that are no JSON', 'UPDATE accounts_users SET roles = \'["editor"\' WHERE id = $sub'],
  ['roles that are no list', 'UPDATE accounts_users SET roles = \'{"0":"owner"}\' WHERE id = $sub'],
  ['roles that are null', 'UPDATE accounts_users SET roles = \'null\' WHERE id = $sub'],
  ['roles that are no texts', 'UPDATE accounts_users SET roles = \'[1]\' WHERE id = $sub'],
  ['an epoch that is no number', 'UPDATE accounts_users SET epoch = \'one\' WHERE id = $sub'],
  ['an epoch with a fraction', 'UPDATE accounts_users SET epoch = 0.5 WHERE id = $sub'],
  ['a digest that is a number', 'UPDATE accounts_users SET password_digest = x\'00\' WHERE id = $sub'],
  ['a birthday that is none', 'UPDATE accounts_users SET created_at = \'yesterday\' WHERE id = $sub'],
  ['a generation that is no number', 'UPDATE accounts_sessions SET generation = \'x\', epoch = epoch WHERE id = $sid'],
  ['an end that is none', 'UPDATE accounts_sessions SET expires_at = \'never\', epoch = epoch WHERE id = $sid'],
  ['an idle end that is none', 'UPDATE accounts_sessions SET idle_expires_at = \'never\', epoch = epoch WHERE id = $sid'],
  ['a revocation that is no time', 'UPDATE accounts_sessions SET revoked_at = \'\' WHERE id = $sid']
]
for (const [title, corrupt] of CORRUPTIONS) {
  t.test(`F-30 a row with ${title}: its user gets 503, all others go on`, async t => {
    const clock = holdClock(t)
    const { file, browser, signedUp } = await createFixture(t)
    const neighbour = await signedUp('neighbour@example.com')
    const { sid, sub } = accessOf(browser)
    connect(t, file).prepare(corrupt).run(corrupt.includes('$sid') ? { sid } : { sub })
    clock.advance(SECOND)
    const flows: Record<string, Send> = {
      'a check': async client => await client.get('/private'),
      'a strict check': READS['a strict check']!,
      'a trade': async client => await client.post('/auth/refresh'),
      ...(corrupt.includes('accounts_users') ? { login: WRITES.login! } : {})
    }
    for (const [flow, send] of Object.entries(flows)) await checkUnavailable(t, flow, browser, send)
    clock.advance(HOUR)
    await checkUnavailable(t, 'a renewal on the way', browser, flows['a check']!)
    clock.advance(MINUTE)
    t.equal((await neighbour.get('/private')).statusCode, 200)
    t.equal((await neighbour.post('/auth/login', { email: 'neighbour@example.com', password: PASSWORD })).statusCode, 200)
  })
}

t.test('F-30 a row without its digest lets nobody log in, and tells nobody why', async t => {
  const { file, browser, client } = await createFixture(t)
  const unknown = await client().post('/auth/login', { email: 'unknown@example.com', password: PASSWORD })
  connect(t, file).prepare('UPDATE accounts_users SET password_digest = NULL').run()
  const answer = await browser.copy().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  t.equal(answer.statusCode, 401)
  t.equal(answer.body, unknown.body)
  t.equal((await browser.get('/strict')).statusCode, 200, 'who is in stays in')
})

t.test('triggers run in whichever SQLite writes, so they use nothing that an old one lacks, and tell the time as it is', async t => {
  const file = databaseFile(t)
  const storage = await sqliteStorage(file)
  t.teardown(async () => { await storage.close!() })
  const database = new BetterSqlite(file)
  t.teardown(() => { database.close() })
  const texts = database.prepare("select sql from sqlite_master where type = 'trigger'").pluck().all() as string[]
  t.ok(texts.length >= 6)
  // Since 3.38, 3.42, 3.35, and 3.39.
  for (const text of texts) t.notMatch(text, /unixepoch|subsec|returning|is (not )?distinct/i)
  const session = sampleSession('ada')
  await storage.sessions.create(session)
  const before = Date.now()
  database.exec('delete from accounts_sessions')
  const at = database.prepare('select at from accounts_changes where session_id = ?').pluck().get(session.id) as number
  t.ok(at >= before - 2 && at <= Date.now() + 2, `${at - before} ms`)
})
