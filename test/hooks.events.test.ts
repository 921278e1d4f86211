import { Writable } from 'node:stream'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { errors } from '../lib/index.ts'
import { createOutages } from '../lib/outages.ts'
import type { AccountsEvent } from '../types/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { HOUR, holdClock, SECOND } from './support/clock.ts'
import { listen } from './support/events.ts'
import { createHost } from './support/host.ts'
import { tapStorage } from './support/tapped-storage.ts'

const EMAIL = 'ada@example.com'

/** The whole of the contract: a name that is taken away or changed breaks somebody's dashboard. */
const NAMES = ['account.registered', 'account.changed', 'account.deleted', 'login.succeeded', 'login.failed', 'session.rotated', 'session.window', 'session.recovered', 'session.reused', 'session.revoked', 'password.changed', 'request.refused', 'storage.failed']

const MEMBERS = ['name', 'at', 'userId', 'actorId', 'sessionId', 'requestId', 'address', 'reason']

const settle = async () => await new Promise(resolve => setImmediate(resolve))

t.test('every decision is published under its stable name, with who and where, and with nothing else', async t => {
  const clock = holdClock(t)
  const seen: AccountsEvent[] = []
  let isDown = false
  const storage = tapStorage(await sqliteStorage(':memory:'), async (_verb, _args, call) => {
    if (isDown) throw new TypeError('the store is down')
    return await call()
  })
  const { app, client } = await createApp(t, { storage }, app => { app.get('/admin', { onRequest: app.guard({ roles: ['admin'] }) }, async () => ({})) })
  const events = listen(t)
  const browser = client()
  const expect = (...names: string[]) => {
    const taken = events.take()
    seen.push(...taken)
    t.strictSame(taken.map(({ name, reason }) => reason === undefined ? name : `${name}: ${reason}`), names)
    return taken
  }
  const login = async (password: string, email = EMAIL) => await browser.post('/auth/login', { email, password })

  const { user, session } = (await browser.post('/auth/register', { email: EMAIL, password: PASSWORD })).json()
  t.match(expect('account.registered'), [{ userId: user.id, sessionId: session.id, address: '127.0.0.1', requestId: /^req-/, at: Date }])
  await browser.get('/private')
  expect()
  await login(OTHER_PASSWORD)
  t.match(expect('login.failed: wrong-password'), [{ userId: user.id, sessionId: undefined }])
  await login(PASSWORD, 'nobody@example.com')
  t.match(expect('login.failed: unknown-user'), [{ userId: undefined }])
  const second = (await login(PASSWORD)).json()
  t.match(expect('session.revoked: replaced', 'login.succeeded'), [{ sessionId: session.id }, { userId: user.id, sessionId: second.session.id }])
  await browser.get('/admin')
  expect('request.refused: FST_ACCOUNTS_FORBIDDEN')
  await client().get('/admin')
  expect('request.refused: FST_ACCOUNTS_AUTHENTICATION_REQUIRED')

  const lost = browser.copy()
  clock.advance(HOUR + SECOND)
  await browser.copy().get('/private')
  expect('session.rotated')
  clock.advance(HOUR + SECOND)
  await lost.post('/auth/refresh')
  expect('session.recovered')
  await lost.post('/auth/refresh')
  expect('session.window')
  await browser.request('PATCH', '/auth/me', { name: 'Ada' })
  expect('session.window', 'account.changed: name')
  await lost.get('/private')
  expect()
  clock.advance(HOUR + SECOND)
  await lost.get('/private')
  expect('session.rotated')
  clock.advance(HOUR + SECOND)
  await browser.post('/auth/refresh')
  const [reused] = events.take()
  seen.push(reused!)
  t.match(reused, { name: 'session.reused', userId: user.id, sessionId: second.session.id })

  for (const name of Object.keys(browser.cookies)) delete browser.cookies[name]
  await login(PASSWORD)
  expect('login.succeeded')
  await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  expect('session.revoked: password-changed', 'password.changed')
  await browser.post('/auth/logout')
  expect('session.revoked: signed-out')
  await app.accounts.users.update(user.id, { disabled: true, roles: ['user'] })
  t.match(expect('account.changed: disabled roles'), [{ requestId: undefined, address: undefined }])
  await login(OTHER_PASSWORD)
  expect('login.failed: disabled')
  await app.accounts.users.update(user.id, { disabled: false })
  expect('account.changed: disabled')
  await login(OTHER_PASSWORD)
  expect('login.succeeded')
  isDown = true
  await login(OTHER_PASSWORD)
  expect('storage.failed: users')
  isDown = false
  await browser.request('DELETE', '/auth/me', { password: OTHER_PASSWORD })
  expect('session.revoked: deleted', 'account.deleted')

  t.strictSame([...new Set(seen.map(({ name }) => name))].sort(), [...NAMES].sort(), 'each name of the contract, and no other')
  for (const event of seen) {
    t.strictSame(Object.keys(event).filter(member => !MEMBERS.includes(member)), [])
    t.notMatch(JSON.stringify(event), /eyJ|\$argon2|violet|copper|@example/)
  }
})

t.test('a refusal is published wherever it is decided', async t => {
  const { app, signedUp, client } = await createApp(t, {}, app => {
    app.get('/authorize', { onRequest: app.authenticate, preHandler: app.authorize(() => false) }, async () => ({}))
    app.get('/check', { onRequest: app.guard({ check: () => false }) }, async () => ({}))
    app.post('/sso', async (_request, reply) => { await reply.signIn({ id: 'nobody' }) })
  })
  const browser = await signedUp(EMAIL)
  app.accounts.addHook('beforeLogin', () => { throw new TypeError('not today') })
  const events = listen(t)
  const refusals: Record<string, () => Promise<{ statusCode: number }>> = {
    'a policy\'s check': async () => await browser.get('/check'),
    'app.authorize': async () => await browser.get('/authorize'),
    'a beforeLogin hook': async () => await client().post('/auth/login', { email: EMAIL, password: PASSWORD }),
    'a wrong current password at a change': async () => await browser.post('/auth/password/change', { currentPassword: OTHER_PASSWORD, newPassword: OTHER_PASSWORD }),
    'a wrong password at deletion': async () => await browser.request('DELETE', '/auth/me', { password: OTHER_PASSWORD }),
    'a page of another origin': async () => await client().post('/auth/login', { email: EMAIL, password: PASSWORD }, { origin: 'https://evil.example' }),
    'a forged refresh token': async () => await client().post('/auth/refresh', undefined, { cookie: 'accounts_refresh=forged' })
  }
  for (const [what, act] of Object.entries(refusals)) {
    const { statusCode } = await act()
    t.ok(statusCode === 401 || statusCode === 403, `${what}: ${statusCode}`)
    t.equal(events.take().length, 1, what)
  }
})

t.test('a session that the host begins is published', async t => {
  const { signedUp, app } = await createApp(t, {}, app => {
    app.post('/sso', async (_request, reply) => ({ session: await reply.signIn((await app.accounts.users.findByEmail(EMAIL))!) }))
  })
  await signedUp(EMAIL)
  const events = listen(t)
  const { session } = (await app.inject({ method: 'POST', url: '/sso' })).json()
  t.match(events.take(), [{ sessionId: session.id }])
  const begun = await app.accounts.sessions.begin((await app.accounts.users.findByEmail(EMAIL))!.id)
  t.match(events.take(), [{ name: 'login.succeeded', userId: begun.user.id, sessionId: begun.session.id }])
})

t.test('a session that ends because its token was reused is published as revoked, like every other', async t => {
  const clock = holdClock(t)
  const { signedUp } = await createApp(t)
  const browser = await signedUp(EMAIL)
  const thief = browser.copy()
  clock.advance(HOUR)
  await browser.get('/private')
  await browser.post('/auth/refresh')
  await browser.get('/private')
  clock.advance(HOUR)
  const events = listen(t)
  await thief.post('/auth/refresh')
  t.strictSame(events.takeNames(), ['session.reused', 'session.revoked: reused', 'request.refused: FST_ACCOUNTS_TOKEN_INVALID'])
})

t.test('a session that was over before is not published, nor told to a hook, as revoked by a login that brings its cookies', async t => {
  const told: string[] = []
  const { client, app, signedUp } = await createApp(t, { hooks: { sessionRevoked: ({ reason }) => { told.push(reason) } } })
  const browser = await signedUp(EMAIL)
  const { id } = (await app.accounts.users.findByEmail(EMAIL))!
  await app.accounts.sessions.endAll(id)
  const events = listen(t)
  await browser.post('/auth/login', { email: EMAIL, password: PASSWORD })
  t.strictSame(events.takeNames(), ['login.succeeded'])
  t.strictSame(told, ['ended-by-host'])
  await client().post('/auth/logout')
  t.strictSame(events.takeNames(), [], 'nobody signs out of nothing')
})

t.test('notices are not waited for: an answer does not hang on a hook that does', async t => {
  let release = () => {}
  const released = new Promise<void>(resolve => { release = resolve })
  let finished = 0
  const wait = async () => {
    await released
    finished++
  }
  const { client, signedUp } = await createApp(t, { hooks: { loginFailed: wait, sessionRevoked: wait, passwordChanged: wait, sessionRefreshed: wait, sessionReused: wait } })
  const browser = await signedUp(EMAIL)
  t.equal((await client().post('/auth/login', { email: EMAIL, password: OTHER_PASSWORD })).statusCode, 401)
  t.equal((await browser.post('/auth/refresh')).statusCode, 200)
  t.equal((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
  t.equal((await browser.post('/auth/logout')).statusCode, 204)
  t.equal(finished, 0)
  release()
  await settle()
  t.equal(finished, 5, 'loginFailed, sessionRefreshed, sessionRevoked, passwordChanged, sessionRevoked')
})

t.test('an after hook or a notice that fails is logged by its name, and neither the answer nor the next hook knows', async t => {
  const clock = holdClock(t)
  const lines: Array<{ hook?: string, level: number, err?: { message: string } }> = []
  const stream = new Writable({
    write (chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)))
      done()
    }
  })
  const later: string[] = []
  const names = ['afterRegister', 'afterLogin', 'loginFailed', 'sessionRefreshed', 'sessionReused', 'sessionRevoked', 'passwordChanged'] as const
  const { app, client } = await createHost(t, { server: { logger: { level: 'error', stream } } })
  for (const [index, name] of names.entries()) {
    app.accounts.addHook(name, index % 2 === 0 ? () => { throw new TypeError(`thrown by ${name}`) } : async () => await Promise.reject(new TypeError(`rejected by ${name}`)))
    app.accounts.addHook(name, async () => { later.push(name) })
  }
  const browser = client()
  t.equal((await browser.post('/auth/register', { email: EMAIL, password: PASSWORD })).statusCode, 201)
  t.equal((await browser.post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 200)
  t.equal((await client().post('/auth/login', { email: EMAIL, password: OTHER_PASSWORD })).statusCode, 401)
  t.equal((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
  const thief = browser.copy()
  clock.advance(HOUR)
  t.equal((await browser.post('/auth/refresh')).statusCode, 200)
  t.equal((await browser.get('/auth/me')).statusCode, 200)
  clock.advance(HOUR)
  t.equal((await thief.post('/auth/refresh')).statusCode, 401)
  await settle()
  t.strictSame([...new Set(later)].sort(), [...names].sort(), 'every hook was called, and the one behind it as well')
  for (const name of names) t.match(lines.find(({ hook }) => hook === name), { level: 50, err: { message: new RegExp(`by ${name}$`) } })
})

t.test('why a hook or a check refused stands in the log, for its failure may be a fault of the host\'s', async t => {
  const lines: string[] = []
  const stream = new Writable({
    write (chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    }
  })
  const { app, signedUp, client } = await createHost(t, {
    server: { logger: { level: 'info', stream } },
    after (app) { app.get('/check', { onRequest: app.guard({ check: () => { throw new TypeError('fault in a check') } }) }, async () => ({})) }
  })
  const browser = await signedUp(EMAIL)
  app.accounts.addHook('beforeLogin', () => { throw new TypeError('fault in a hook') })
  t.equal((await client().post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 403)
  t.equal((await browser.get('/check')).statusCode, 403)
  for (const cause of ['fault in a hook', 'fault in a check']) t.ok(lines.some(line => line.includes(cause)), cause)
})

t.test('an outage is an error in the log by store and cause, not one for each request, and so is its end; the event is one for each failure', async t => {
  const clock = holdClock(t)
  const lines: Array<{ level: number, msg: string, store?: string, downMs?: number, err?: { message: string, stack?: string } }> = []
  const stream = new Writable({
    write (chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)))
      done()
    }
  })
  const faults = new Map<string, unknown>()
  const storage = tapStorage(await sqliteStorage(':memory:'), async (verb, _args, call) => {
    const [, fault] = [...faults].find(([prefix]) => verb.startsWith(prefix)) ?? []
    if (fault !== undefined) throw fault
    return await call()
  })
  const { app, client, signedUp } = await createHost(t, { server: { logger: { level: 'debug', stream } }, accounts: { storage } })
  const browser = await signedUp(EMAIL)
  const events = listen(t)
  const told = () => lines.splice(0).filter(({ level, msg }) => level >= 40 || (level >= 30 && msg.startsWith('the account storage'))).map(({ level, msg, err, downMs }) => `${level} ${msg}${err === undefined ? '' : `, ${err.message}`}${downMs === undefined ? '' : `, ${Math.floor(downMs / SECOND)} s`}`)
  const fail = async () => { t.equal((await client().post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 503) }
  told()

  faults.set('users.', new TypeError('Command timed out'))
  for (let count = 0; count < 10; count++) await fail()
  t.strictSame(told(), ['50 the account storage failed: users, Command timed out'])
  t.strictSame(events.takeNames(), new Array(10).fill('storage.failed: users'))
  clock.advance(2 * SECOND)
  await fail()
  t.strictSame(told(), [], 'it is known')
  faults.set('users.', new errors.FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: 'no connection' }))
  await fail()
  t.strictSame(told(), ['50 the account storage failed: users, no connection'], 'another cause, in the adapter\'s own words')
  clock.advance(10 * SECOND)
  await fail()
  t.strictSame(told(), ['50 the account storage failed: users, no connection'], 'and every so often')
  faults.set('sessions.', new TypeError('connection reset'))
  t.equal((await browser.copy().get('/auth/sessions')).statusCode, 503)
  t.strictSame(told(), ['50 the account storage failed: sessions, connection reset'], 'each store by itself')
  events.take()

  faults.clear()
  t.equal((await client().post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 200)
  t.equal((await browser.get('/auth/sessions')).statusCode, 200)
  t.strictSame(told(), ['30 the account storage answers again: users, 12 s', '30 the account storage answers again: sessions, 0 s'])
  t.strictSame(events.takeNames(), ['login.succeeded'])

  clock.advance(2 * SECOND)
  faults.set('atomically sessions.', new errors.FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: 'the connection is lost' }))
  const change = async () => await app.accounts.passwords.set((await app.accounts.users.findByEmail(EMAIL))!.id, OTHER_PASSWORD)
  await t.rejects(change(), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE', cause: 'the connection is lost' }, 'nothing is wrapped twice')
  faults.clear()
  await change()
  t.strictSame(told(), ['50 the account storage failed: sessions, the connection is lost', '30 the account storage answers again: sessions, 0 s'], 'within a transaction as well')
})

t.test('an outage that comes back after the log has said that it is over is an error again within a second, and what was not told does not end', async t => {
  const { now } = performance
  let time = Math.ceil(now.call(performance))
  performance.now = () => time
  t.teardown(() => { performance.now = now })
  const lines: string[] = []
  const log = (...[, message]: unknown[]) => { lines.push(String(message)) }
  const { answered, failed } = createOutages({ error: log, info: log, debug () {} }, () => {})
  const told = () => lines.splice(0)
  const fail = () => { failed('users', new TypeError('Command timed out')) }

  fail()
  answered('users')
  t.strictSame(told(), ['the account storage failed: users', 'the account storage answers again: users'])
  time += 999
  fail()
  answered('users')
  answered('users')
  t.strictSame(told(), [])
  fail()
  time += 1
  fail()
  t.strictSame(told(), ['the account storage failed: users'], 'the log does not go on saying that it answers')
  time += 9999
  fail()
  t.strictSame(told(), [])
  time += 1
  fail()
  t.strictSame(told(), ['the account storage failed: users'])
  answered('users')
  t.strictSame(told(), ['the account storage answers again: users'])
  failed('sessions', Object.defineProperty({}, 'message', { get () { throw new TypeError('read') } }))
  t.strictSame(told(), ['the account storage failed: sessions'], 'whatever an adapter throws')
  for (const code of ['ECONNREFUSED', 'ETIMEDOUT']) {
    time += 1000
    failed('sessions', Object.assign(new AggregateError([]), { code }))
    t.strictSame(told(), ['the account storage failed: sessions'], 'by their code where there are no words')
  }
})

t.test('P-15 of what a storage throws the log has the words alone, not what hangs on it; and whatever it is, it is 503', async t => {
  const clock = holdClock(t)
  const lines: string[] = []
  const stream = new Writable({
    write (chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    }
  })
  let fault: unknown
  const storage = tapStorage(await sqliteStorage(':memory:'), async (verb, _args, call) => {
    if (fault !== undefined && verb.startsWith('users.')) throw fault
    return await call()
  })
  const { client } = await createHost(t, { server: { logger: { level: 'debug', stream } }, accounts: { storage } })
  const row = { email: EMAIL, passwordDigest: '$argon2id$v=19$m=19456' }
  const hung = { row, detail: `Failing row contains (${Object.values(row).join(', ')})`, sql: `insert into users values ('${row.passwordDigest}')` }
  const circular = Object.assign(new TypeError('round and round'), hung)
  circular.cause = circular
  const cases: ReadonlyArray<readonly [unknown, string]> = [
    [Object.assign(new TypeError('a check is violated', { cause: Object.assign(new TypeError('plan is null'), hung) }), { code: '23514', ...hung }), 'a check is violated: plan is null'],
    [Object.assign(new AggregateError([Object.assign(new TypeError('connect ECONNREFUSED'), hung)], 'no connection'), hung), 'no connection: connect ECONNREFUSED'],
    [circular, 'round and round: round and round: round and round: round and round'],
    [Object.freeze(Object.assign(new TypeError('frozen'), { code: row })), 'frozen'],
    [new errors.FST_ACCOUNTS_STORAGE_UNAVAILABLE(), 'The account storage is unavailable, try again later'],
    [null, 'null']
  ]
  for (const [thrown, message] of cases) {
    clock.advance(20 * SECOND)
    fault = thrown
    lines.length = 0
    t.equal((await client().post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 503, message)
    const { store, err } = lines.map(line => JSON.parse(line)).find(({ level }) => level === 50)
    t.strictSame([store, err.message], ['users', message])
    t.notMatch(lines.join(''), /argon2|@example/)
  }
})
