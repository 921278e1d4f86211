import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { Accounts, Storage } from '../types/index.ts'
import { databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { DAY, holdClock, MINUTE } from './support/clock.ts'
import { createOldDatabase, OLD, type OldDatabase } from './support/flowise-database.ts'
import { ROOT } from './support/root.ts'

const KINDS = ['sqlite', 'postgres'] as const

const secret = () => randomBytes(48).toString('base64url')

/** The environment of the new server, on a database of its own. */
function environment (t: Test, old: OldDatabase, more: Record<string, string> = {}): Record<string, string> {
  return {
    APP_URL: 'http://localhost:3000',
    DATABASE_URL: databaseFile(t),
    JWT_AUTH_TOKEN_SECRET: secret(),
    PASSWORD_SALT_HASH_ROUNDS: '4',
    BASIC_SUNSET: new Date(Date.now() + 90 * DAY).toISOString(),
    OLD_DATABASE_URL: old.url,
    OLD_JWT_REFRESH_TOKEN_SECRET: OLD.jwtSecret,
    OLD_JWT_ISSUER: OLD.issuer,
    OLD_JWT_AUDIENCE: OLD.audience,
    OLD_EXPRESS_SESSION_SECRET: OLD.sessionSecret,
    OLD_SESSIONS_UNTIL: new Date(Date.now() + 7 * DAY).toISOString(),
    ...more
  }
}

interface OldPerson { readonly credential: string }
interface ImportOptions { readonly keep?: readonly string[], readonly isDryRun?: boolean }
interface Line { readonly id: string, readonly outcome: string, readonly notes: readonly string[] }

const { build } = await import(join(ROOT, 'examples/from-flowise/server.js')) as { build: (env: object) => Promise<FastifyInstance> }
const { importPeople, formatReport } = await import(join(ROOT, 'examples/from-flowise/import.js')) as { importPeople: (accounts: Accounts, storage: Storage, people: readonly OldPerson[], options?: ImportOptions) => Promise<Line[]>, formatReport: (report: readonly Line[]) => string }
const { openOldDatabase } = await import(join(ROOT, 'examples/from-flowise/old-database.js')) as { openOldDatabase: (url: string) => Promise<{ people: (organization?: string) => Promise<OldPerson[]>, close: () => Promise<void> }> }
const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<Storage & { close: () => Promise<void> }> }

/** The import as it is called from the shell. */
async function runImport (env: Record<string, string>, ...args: string[]): Promise<{ code: number, stdout: string, stderr: string }> {
  const call = promisify(execFile)(process.execPath, [join(ROOT, 'examples/from-flowise/import.js'), ...args], { env: { PATH: process.env.PATH, ...env } })
  return await call.then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), (error: { code: number, stdout: string, stderr: string }) => error)
}

/** The new server of the example; `bring` is the import into its database. */
async function startServer (t: Test, env: Record<string, string>): Promise<{ app: FastifyInstance, bring: (options?: ImportOptions, alter?: (person: OldPerson) => OldPerson) => Promise<Line[]> }> {
  const app = await build(env)
  const [old, storage] = [await openOldDatabase(env.OLD_DATABASE_URL!), await sqliteStorage(env.DATABASE_URL!)]
  t.teardown(async () => { await Promise.all([app.close(), old.close(), storage.close()]) })
  return { app, bring: async (options, alter = person => person) => await importPeople(app.accounts, storage, (await old.people('o-1')).map(alter), options) }
}

const login = async (app: FastifyInstance, email: string, password = 'sesame') => (await createClient(app).post('/auth/login', { email, password })).statusCode

for (const kind of KINDS) {
  t.test(`from Flowise on ${kind}: everybody comes along with the password they have, and nobody is lost without a word`, async t => {
    const old = await createOldDatabase(t, kind)
    const env = environment(t, old)
    const ids = {
      ada: await old.add({ email: 'Ada@example.com', name: 'Ada Lovelace', role: 'owner' }),
      bob: await old.add({ email: 'bob@example.com' }),
      shut: await old.add({ email: 'shut@example.com', role: 'owner', memberStatus: 'disable' }),
      off: await old.add({ email: 'off@example.com', status: 'disabled' }),
      odd: await old.add({ email: 'odd@example.com', status: 'frozen' }),
      sso: await old.add({ email: 'sso@example.com', password: null }),
      foreign: await old.add({ email: 'foreign@example.com', credential: 'md5:1234' }),
      invited: await old.add({ email: 'invited@example.com', status: 'invited', password: null, name: 'In\nvited' }),
      unverified: await old.add({ email: 'unverified@example.com', status: 'unverified' }),
      gone: await old.add({ email: 'gone@example.com', status: 'deleted', password: null }),
      nowhere: await old.add({ email: 'nobody at all' }),
      twin: await old.add({ email: 'twin@example.com' }),
      twinInvited: await old.add({ email: 'Twin@example.com', status: 'invited', password: null }),
      same: await old.add({ email: 'same@example.com' }),
      sameToo: await old.add({ email: 'SAME@example.com' })
    }
    const { app, bring } = await startServer(t, env)
    const { users } = app.accounts
    const before = await old.dump()
    const dry = await bring({ isDryRun: true })
    t.strictSame((await users.list()).users, [], 'a dry run brings nobody')
    const report = await bring()
    t.strictSame(report, dry, 'but says the same')
    for (const [name, outcome, notes] of [
      ['shut', 'imported', 'disabled'],
      ['off', 'imported', 'disabled'],
      ['odd', 'imported', 'status "frozen" is unknown: disabled'],
      ['sso', 'imported', 'no password'],
      ['foreign', 'imported', 'digest of an unknown kind: no password'],
      ['invited', 'imported', 'invited: the address is not proved; no password; name left out'],
      ['unverified', 'imported', 'unverified: the address is not proved'],
      ['gone', 'left', 'deleted there'],
      ['nowhere', 'refused', 'no usable address'],
      ['twinInvited', 'refused', `shares the address with ${ids.twin}`],
      ['same', 'refused', `shares the address with ${ids.sameToo}`],
      ['sameToo', 'refused', `shares the address with ${ids.same}`]
    ] as const) t.match(report.find(({ id }) => id === ids[name]), { outcome, notes: notes.split('; ') }, name)
    for (const name of ['ada', 'bob', 'twin'] as const) t.match(report.find(({ id }) => id === ids[name]), { outcome: 'imported', notes: [] }, name)
    const again = formatReport(await bring({ keep: [ids.sameToo] }))
    t.match(again, /\n15 people: imported 1, there 10, left 1, refused 3$/, 'run again it adds whom it was told to')
    t.strictSame(await old.dump(), before)

    t.match(await users.find(ids.ada), { email: 'Ada@example.com', name: 'Ada Lovelace', roles: ['owner'], disabled: false, emailVerified: true, createdAt: new Date('2025-05-06T07:08:09Z') })
    t.match(await users.find(ids.shut), { roles: [], disabled: true })
    t.match(await users.find(ids.invited), { emailVerified: false, name: null })
    for (const email of ['ada@example.com', 'bob@example.com', 'twin@example.com', 'same@example.com']) {
      t.strictSame([await login(app, email, 'sesame!'), await login(app, email)], [401, 200], email)
    }
    for (const email of ['shut', 'off', 'odd', 'sso', 'foreign', 'invited', 'gone']) t.equal(await login(app, `${email}@example.com`), 401, email)
    t.equal((await users.findByEmail('same@example.com'))!.id, ids.sameToo)

    await users.update(ids.bob, { disabled: true })
    t.strictSame((await bring()).find(({ id }) => id === ids.bob)!.notes, ['disabled: here true, there false'], 'what differs is told, and left as it is')
    t.match(await users.find(ids.bob), { disabled: true })
    const changed = await bring({}, person => ({ ...person, credential: person.credential?.replace(/.$/, last => last === '.' ? '/' : '.') }))
    t.strictSame(['unverified', 'ada'].map(name => changed.find(({ id }) => id === ids[name as 'ada'])!.notes), [['password: was changed there'], []], 'whoever has logged in here has the newer password')
  })
}

t.test('from Flowise: the import as a command says what it did, asks whose owners are owners here, and fails where somebody was refused', async t => {
  const old = await createOldDatabase(t, 'sqlite')
  const env = environment(t, old)
  const ada = await old.add({ email: 'ada@example.com', role: 'owner' })
  const bob = await old.add({ email: 'bob@example.com', role: 'owner', organization: 'o-2' })
  const nobody = await old.add({ email: 'no\u001b[2Jbody', credential: '$2x$04$x' })
  t.match(await runImport(env), { code: 1, stdout: '', stderr: /There are 2 organisations.*o-1, o-2/ })
  t.strictSame(await runImport(env, '--organization', 'o-1').then(({ code, stdout, stderr }) => [code, stdout, stderr]), [1, `refused  ${nobody}  "no\\u001b[2Jbody"  no usable address
3 people: imported 2, there 0, left 0, refused 1
Whoever was refused can not log in: see "Who can't come along as they are" in docs/from-flowise.md.
`, ''])
  const { app } = await startServer(t, env)
  t.strictSame([(await app.accounts.users.find(ada))!.roles, (await app.accounts.users.find(bob))!.roles], [['owner'], []])
})

for (const kind of KINDS) {
  t.test(`from Flowise on ${kind}: who is signed in there stays signed in, by one session, and what is old can be used no more`, async t => {
    const old = await createOldDatabase(t, kind)
    const env = environment(t, old)
    const id = await old.add({ email: 'ada@example.com', role: 'owner' })
    const bob = await old.add({ email: 'bob@example.com' })
    const { cookies, sid } = await old.signIn(id)
    const { app, bring } = await startServer(t, env)
    await bring()
    t.equal((await createClient(app, (await old.signIn(bob, { claims: { id } })).cookies).get('/me')).statusCode, 401, 'a token beside somebody else\'s session')
    const browser = createClient(app, { ...cookies })
    const page = await Promise.all(['/me', '/auth/me', '/auth/sessions', '/prediction'].map(async url => await browser.get(url)))
    t.strictSame(page.map(({ statusCode, headers }) => [statusCode, headers['cache-control']]), Array(4).fill([200, 'no-store']))
    t.match(page[0]!.json(), { id, roles: ['owner'] })
    t.strictSame(Object.keys(browser.cookies).sort(), ['accounts_access', 'accounts_device', 'accounts_refresh'], 'the old ones are gone')
    t.ok(page[0]!.cookies.filter(({ name }) => name.startsWith('accounts_')).every(({ maxAge, httpOnly }) => maxAge === undefined && httpOnly === true), 'the new ones end with the browser, as the old ones did')
    t.equal((await browser.get('/auth/sessions')).json().sessions.length, 1)
    t.match((await browser.post('/auth/tokens', { name: 'x', context: 'server' })).json(), { code: 'FST_ACCOUNTS_FRESH_LOGIN_REQUIRED' }, 'nobody has proved a password just now')

    const another = await startServer(t, env)
    t.equal((await createClient(another.app, { ...cookies }).get('/me')).statusCode, 200, 'another process has the rest of the page')
    await old.moveEnd(sid, -2 * MINUTE)
    const thief = createClient((await startServer(t, env)).app, { ...cookies })
    t.equal((await thief.get('/me')).statusCode, 401)
    t.strictSame(thief.cookies, {})
    t.equal((await browser.get('/me')).statusCode, 200)
  })
}

t.test('from Flowise: nothing is taken over on any doubt', async t => {
  const old = await createOldDatabase(t, 'sqlite')
  const env = environment(t, old)
  const [ada, bob] = [await old.add({ email: 'ada@example.com' }), await old.add({ email: 'bob@example.com' })]
  const { app, bring } = await startServer(t, env)
  await bring()
  const later = await old.add({ email: 'later@example.com' })
  const past = Math.floor(Date.now() / 1000) - 60
  const refusals: Array<[string, Parameters<OldDatabase['signIn']>[1], ((cookies: Record<string, string>, sid: string) => unknown)?]> = [
    ['expired', { claims: { exp: past } }],
    ['without an end', { claims: { exp: undefined } }],
    ['of another issuer', { claims: { iss: 'SOMEBODY' } }],
    ['without an issuer', { claims: { iss: undefined } }],
    ['for another audience', { claims: { aud: 'OTHERS' } }],
    ['for nobody', { claims: { aud: undefined } }],
    ['of no age', { claims: { iat: undefined } }],
    ['of nobody', { claims: { id: undefined } }],
    ['of a number', { claims: { id: 7 } }],
    ['of somebody else than the session', { claims: { id: bob } }],
    ['of another algorithm', { algorithm: 'HS512' }],
    ['of another kind', { header: { typ: 'rt+jwt' } }],
    ['of another secret', { secret: secret() }],
    ['beside a session cookie of another secret', { sessionSecret: 'flowise2' }],
    ['beside a session cookie that was altered', {}, cookies => { cookies['connect.sid'] = cookies['connect.sid']!.replace(/\.(\w)/, (_all, first: string) => `.${first === 'x' ? 'y' : 'x'}`) }],
    ['of a session that has ended', { endsAt: new Date(Date.now() - 1000) }],
    ['of somebody who has logged out there', {}, async (_cookies, sid) => await old.run('delete from login_sessions where sid = $1', [sid])],
    ['alone', {}, cookies => { delete cookies['connect.sid'] }],
    ['twice', {}, cookies => { cookies.refreshToken += `; refreshToken=${cookies.refreshToken!}` }],
    ['unsigned', {}, cookies => { cookies.refreshToken = [Buffer.from('{"typ":"JWT","alg":"none"}').toString('base64url'), cookies.refreshToken!.split('.')[1], ''].join('.') }],
    ['in a session cookie that is none', {}, cookies => { cookies['connect.sid'] = '%' }]
  ]
  for (const [title, change, alter] of refusals) {
    const { cookies, sid } = await old.signIn(ada, change)
    await alter?.(cookies, sid)
    const before = await old.dump()
    const answer = await app.inject({ url: '/me', headers: { cookie: Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ') } })
    t.equal(answer.statusCode, 401, title)
    t.strictSame(answer.cookies.map(({ name, maxAge }) => `${name} ${maxAge!}`), ['token 0', 'refreshToken 0', 'connect.sid 0'], `${title}: what is no good is cleared`)
    t.strictSame(await old.dump(), before, `${title}: and nothing is used up`)
  }
  const visit = async (id: string) => (await createClient(app, (await old.signIn(id)).cookies).get('/me')).statusCode
  t.strictSame([await visit(ada), await visit(bob), await visit(later)], [200, 200, 401])
  await app.accounts.passwords.set(ada, OTHER_PASSWORD)
  await app.accounts.users.update(bob, { disabled: true })
  t.strictSame([await visit(ada), await visit(bob)], [401, 401], 'another password, or the end of an account, is the end of what was before')
})

t.test('from Flowise: an outage logs nobody out, and the day on which the bridge ends does', async t => {
  const old = await createOldDatabase(t, 'sqlite')
  const env = environment(t, old)
  const ada = await old.add({ email: 'ada@example.com' })
  const { app, bring } = await startServer(t, env)
  await bring()
  const browser = createClient(app, (await old.signIn(ada)).cookies)
  await old.run('alter table login_sessions rename to away')
  t.equal((await browser.get('/me')).statusCode, 503)
  t.ok('refreshToken' in browser.cookies)
  await old.run('alter table away rename to login_sessions')
  t.equal((await browser.get('/me')).statusCode, 200)

  const late = createClient(app, (await old.signIn(ada, { endsAt: new Date(Date.now() + 30 * DAY) })).cookies)
  holdClock(t).advance(7 * DAY)
  t.equal((await late.get('/me')).statusCode, 401)
  for (const wrong of [{ OLD_JWT_REFRESH_TOKEN_SECRET: '' }, { OLD_JWT_ISSUER: '' }, { OLD_JWT_AUDIENCE: '' }, { OLD_EXPRESS_SESSION_SECRET: '' }, { OLD_SESSIONS_UNTIL: 'next week' }]) {
    await t.rejects(startServer(t, { ...env, ...wrong }), TypeError, Object.keys(wrong)[0]!)
  }
})

t.test('from Flowise: where there were no accounts the shared credentials claim the first one, and scripts find the way out', async t => {
  const old = await createOldDatabase(t, 'sqlite')
  const { app } = await startServer(t, environment(t, old, { FLOWISE_USERNAME: 'user', FLOWISE_PASSWORD: '1234' }))
  const send = async (method: 'GET' | 'POST', url: string, pair: string, payload?: object) => await app.inject({ method, url, headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }, ...(payload === undefined ? {} : { payload }) })
  const owner = { email: 'ada@example.com', password: PASSWORD }
  t.equal((await send('POST', '/auth/owner', 'user:12345', owner)).statusCode, 401)
  t.match((await send('POST', '/auth/owner', 'user:1234', owner)).json(), { user: { roles: ['owner'] } })
  t.equal((await send('POST', '/auth/owner', 'user:1234', { ...owner, email: 'eve@example.com' })).statusCode, 409)
  t.match(await send('GET', '/prediction', 'user:1234'), { statusCode: 200, headers: { deprecation: '@0', sunset: String } })
  t.equal((await send('GET', '/me', 'user:1234')).statusCode, 401)
  const { token } = (await send('POST', '/auth/basic/token', `ada@example.com:${PASSWORD}`, { name: 'nightly' })).json() as { token: string }
  t.equal((await app.inject({ url: '/prediction', headers: { authorization: `Bearer ${token}` } })).statusCode, 200)
})
