import { readFileSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { databaseFile, PASSWORD } from './support/app.ts'
import { HOUR, holdClock } from './support/clock.ts'
import { createMailApp, type MailApp } from './support/mail.ts'
import { startSmtp } from './support/smtp.ts'
import { tapStorage } from './support/tapped-storage.ts'

const EMAIL = 'ada.canary@example.com'
const NAME = 'Ada Canary'
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 canary'

type Row = Record<string, string | number | null>

/** Every row of every table of ours. */
function dump (file: string): Record<string, Row[]> {
  const database = new Database(file, { readonly: true })
  try {
    const tables = database.prepare("select name from sqlite_master where type = 'table' and name like 'accounts_%' and name not like 'accounts_migrations%'").pluck().all() as string[]
    return Object.fromEntries(tables.map(table => [table, database.prepare(`select * from ${table}`).all() as Row[]]))
  } finally {
    database.close()
  }
}

/** An account with a trace in every store: sessions that live and that are over, links, mail that waits, failed logins. */
async function createTraces ({ app, client, member, smtp, takeAll }: MailApp) {
  const ada = await member(EMAIL)
  const second = client()
  await second.post('/auth/login', { email: EMAIL, password: PASSWORD }, { 'user-agent': AGENT })
  await second.post('/auth/logout')
  await client().post('/auth/login', { email: EMAIL, password: PASSWORD, remember: false }, { 'user-agent': AGENT })
  await ada.request('PATCH', '/auth/me', { name: NAME })
  await client().post('/auth/password/forgot', { email: EMAIL })
  await takeAll()
  await smtp.stop()
  await ada.post('/auth/email/change', { email: 'new.canary@example.com', password: PASSWORD }, { 'accept-language': 'de-AT' })
  await client().post('/auth/login', { email: EMAIL, password: 'copper meadow 57 compass' })
  const { id } = (await app.accounts.users.findByEmail(EMAIL))!
  const [session] = await app.accounts.sessions.list(id)
  await app.accounts.hostSessions!.save('id of a host session', { owner: { userId: id, sessionId: session!.id }, data: '{"cart":["canary seed"]}', expiresAt: new Date(Date.now() + HOUR) })
  return { ada, id }
}

t.test('GET /me/export answers all that is stored on a person', async t => {
  const clock = holdClock(t)
  const file = databaseFile(t)
  const mailApp = await createMailApp(t, { storage: await sqliteStorage(file) }, await startSmtp(t))
  const { ada, id } = await createTraces(mailApp)
  const { statusCode, headers, body } = await ada.get('/auth/me/export')
  t.match({ statusCode, headers }, { statusCode: 200, headers: { 'content-type': /^application\/json/, 'cache-control': 'no-store', 'content-disposition': 'attachment; filename="account.json"' } })
  const exported = JSON.parse(body) as Awaited<ReturnType<typeof mailApp.app.accounts.users.export>>
  t.match(exported, { user: { id, email: EMAIL, name: NAME, emailVerified: true }, hasPassword: true, mails: [{ recipient: 'new.canary@example.com', locale: 'de-AT' }, { recipient: EMAIL }] })
  t.match(exported!.links.find(({ purpose }) => purpose === 'reset-password'), { email: EMAIL })
  t.equal(exported!.sessions.length, 3)

  // Every column of every row of theirs is in it, but for what proves something or only serves to find a row.
  const HIDDEN = new Set(['password_digest', 'email_key', 'username_key', 'digest', 'epoch', 'user_id', 'generation', 'acknowledged_generation', 'rotated_at', 'email_verified_at', 'disabled_at'])
  const OF_MAIL = new Set(['id'])
  for (const [table, rows] of Object.entries(dump(file))) {
    for (const row of rows.filter(row => (table === 'accounts_users' ? row.id : row.user_id) === id && table !== 'accounts_changes')) {
      for (const [column, value] of Object.entries(row)) {
        if (value === null || HIDDEN.has(column) || (table === 'accounts_outbox' && OF_MAIL.has(column))) continue
        const shown = [String(value), typeof value === 'number' && value > 1e11 ? new Date(value).toISOString() : String(value), column === 'remember' ? String(value === 1) : String(value)]
        const { epoch: _, ...data } = column === 'data' ? JSON.parse(String(value)) as Record<string, unknown> : {}
        t.ok(column === 'data' ? Object.values(data).every(one => body.includes(JSON.stringify(one))) : shown.some(text => body.includes(text)), `${table}.${column}`)
      }
    }
  }
  t.notMatch(body, /argon2|digest/)

  t.strictSame(await mailApp.app.accounts.users.export(id), JSON.parse(body, (name, value: unknown) => /(At|dueAt)$/.test(name) && typeof value === 'string' ? new Date(value) : value), 'the service answers the same')
  t.equal(await mailApp.app.accounts.users.export('nobody'), null)
  t.equal((await mailApp.client().get('/auth/me/export')).statusCode, 401)
  clock.advance(HOUR)
  t.match(await ada.get('/auth/me/export').then(answer => answer.json<object>()), { statusCode: 401, code: 'FST_ACCOUNTS_FRESH_LOGIN_REQUIRED' })
})

t.test('DELETE /me leaves nothing of the person behind', async t => {
  const file = databaseFile(t)
  const mailApp = await createMailApp(t, { storage: await sqliteStorage(file) }, await startSmtp(t))
  const { ada, id } = await createTraces(mailApp)
  for (const table of ['accounts_users', 'accounts_sessions', 'accounts_one_time_tokens', 'accounts_outbox', 'accounts_host_sessions', 'accounts_throttles']) t.ok(dump(file)[table]!.length > 0, `a trace in ${table}`)
  t.equal((await ada.request('DELETE', '/auth/me', { password: PASSWORD })).statusCode, 204)
  const { accounts_changes: changes, accounts_throttles: throttles, ...rest } = dump(file)
  t.strictSame(Object.values(rest).flat().filter(row => Object.values(row).some(value => typeof value === 'string' && (value.includes('canary') || value.includes('Canary') || value === id))), [])
  t.notMatch(JSON.stringify([changes, throttles]), /canary/i, 'what other processes are told for an hour, and keyed digests, name nobody')
  t.equal((await mailApp.client().post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 401)
  await mailApp.app.close()
  const bytes = readFileSync(file).toString('latin1')
  t.notMatch(bytes, /canary/i, 'nor do the bytes of the file, freed ones included')
  t.equal(statSync(file).mode & 0o777, 0o600, 'which only its owner reads')
})

t.test('S-I15 a deletion that fails half-way has deleted nothing', async t => {
  const file = databaseFile(t)
  let isBroken = false
  const storage = tapStorage(await sqliteStorage(file), async (verb, _args, call) => {
    if (isBroken && verb === 'atomically sessions.deleteAllForUser') throw new TypeError('out of order')
    return await call()
  })
  const mailApp = await createMailApp(t, { storage }, await startSmtp(t))
  const { ada } = await createTraces(mailApp)
  const before = dump(file)
  isBroken = true
  t.equal((await ada.request('DELETE', '/auth/me', { password: PASSWORD })).statusCode, 503)
  const after = dump(file)
  for (const table of ['accounts_users', 'accounts_one_time_tokens', 'accounts_outbox']) t.ok(after[table]!.length >= before[table]!.length, table)
  t.equal((await ada.get('/private')).statusCode, 200)
  isBroken = false
  t.equal((await ada.request('DELETE', '/auth/me', { password: PASSWORD })).statusCode, 204)
})
