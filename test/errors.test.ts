import { STATUS_CODES } from 'node:http'
import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { AccountsHooks, Storage } from '../types/index.ts'
import { createApp, databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import type { Client } from './support/client.ts'
import { HOUR, holdClock, MINUTE, SECOND } from './support/clock.ts'
import { createHost } from './support/host.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }
const BARE = 'Cookie realm="accounts"'

type Row = readonly [expected: string, title: string, response: LightMyRequestResponse]

/** What every refusal looks like, whatever it is about. */
function checkShape (t: { ok (value: unknown, title: string): void, equal (one: unknown, other: unknown, title: string): void, strictSame (one: unknown, other: unknown, title: string): void }, [expected, title, response]: Row): void {
  const body = response.json() as Record<string, unknown>
  const { statusCode, headers } = response
  const what = `${expected} ${title}`
  t.equal(`${statusCode} ${String(body.code)}`, expected, what)
  t.strictSame(Object.keys(body).sort(), ['code', 'error', 'message', 'statusCode'], `${what}: exactly these members`)
  t.strictSame([body.statusCode, body.error, headers['content-type']], [statusCode, STATUS_CODES[statusCode], 'application/json; charset=utf-8'], what)
  t.ok(typeof body.message === 'string' && body.message !== '' && !/\.[tj]s\b|node_modules|\\n +at |select |insert |sqlite|violet|copper|eyJ/i.test(response.body), `${what}: tells nothing`)
  t.equal(headers['www-authenticate'] !== undefined, statusCode === 401, `${what}: a challenge if and only if it is 401`)
  t.equal(/^[1-9]\d*$/.test(String(headers['retry-after'])), statusCode === 503, `${what}: Retry-After if and only if it is 503`)
}

t.test('I-07 every error has one shape, 401 a challenge, 503 a time to come back', async t => {
  const clock = holdClock(t)
  const storage = await sqliteStorage(databaseFile(t))
  const { client, signedUp } = await createApp(t, { storage, passwords: { maxQueue: 1 }, throttle: false }, app => {
    app.get('/admin', { onRequest: app.guard({ roles: ['admin'] }) }, async () => ({}))
    app.get('/fresh', { onRequest: app.guard({ fresh: '5m' }) }, async () => ({}))
    app.get('/checked', { onRequest: app.authenticate, preHandler: app.authorize(() => false) }, async () => ({}))
  })
  const browser = await signedUp(ADA.email)
  await client().post('/auth/register', { ...ADA, email: 'bob@example.com', username: 'bob' })
  const rows: Row[] = []
  const note = async (expected: string, title: string, answer: Promise<LightMyRequestResponse>) => { rows.push([expected.replace(' ', ' FST_ACCOUNTS_'), title, await answer]) }
  const register = async (body: object) => await client().post('/auth/register', body)
  const cookie = (value: string) => ({ cookie: `accounts_access=${value}` })

  await note('400 INPUT_INVALID', 'no body', client().post('/auth/login'))
  await note('400 INPUT_INVALID', 'a member too many', register({ ...ADA, role: 'admin' }))
  await note('400 JSON_INVALID', 'half a body', client().post('/auth/login', '{', { 'content-type': 'application/json' }))
  await note('413 BODY_TOO_LARGE', 'a large body', register({ ...ADA, name: 'x'.repeat(17_000) }))
  await note('415 MEDIA_TYPE_UNSUPPORTED', 'a form', client().post('/auth/login', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }))
  await note('415 MEDIA_TYPE_UNSUPPORTED', 'no type', client().post('/auth/login', 'a=1', { 'content-type': '' }))
  await note('401 CREDENTIALS_INVALID', 'a wrong password', client().post('/auth/login', { ...ADA, password: OTHER_PASSWORD }))
  await note('401 CREDENTIALS_INVALID', 'nobody', client().post('/auth/login', { ...ADA, email: 'nobody@example.com' }))
  for (const path of ['/auth/me', '/auth/sessions', '/private']) {
    await note('401 AUTHENTICATION_REQUIRED', `nothing presented to ${path}`, client().get(path))
    await note('401 TOKEN_INVALID', `a bad token to ${path}`, client().get(path, cookie('x')))
    await note('401 COOKIE_DUPLICATE', `two cookies to ${path}`, client().get(path, cookie('x; accounts_access=y')))
  }
  await note('401 AUTHENTICATION_REQUIRED', 'nothing to refresh', client().post('/auth/refresh'))
  await note('401 TOKEN_INVALID', 'a bad token to refresh', client().post('/auth/refresh', undefined, { cookie: 'accounts_refresh=x' }))
  await note('403 ORIGIN_REFUSED', 'ours, from elsewhere', client().post('/auth/login', ADA, { origin: 'https://evil.example' }))
  await note('403 ORIGIN_REFUSED', 'the host\'s, from elsewhere', browser.post('/private', undefined, { origin: 'https://evil.example' }))
  await note('403 FORBIDDEN', 'a role', browser.get('/admin'))
  await note('403 FORBIDDEN', 'a check', browser.get('/checked'))
  await note('403 PASSWORD_WRONG', 'a wrong current password', browser.post('/auth/password/change', { currentPassword: OTHER_PASSWORD, newPassword: OTHER_PASSWORD }))
  await note('404 SESSION_NOT_FOUND', 'an unknown session', browser.request('DELETE', `/auth/sessions/${'A'.repeat(24)}`))
  await note('409 EMAIL_TAKEN', 'a taken address', register(ADA))
  await note('409 USERNAME_TAKEN', 'a taken user name', register({ ...ADA, email: 'eve@example.com', username: 'BOB' }))
  await note('422 EMAIL_INVALID', 'no address', register({ ...ADA, email: 'ada' }))
  await note('422 USERNAME_INVALID', 'no user name', register({ ...ADA, email: 'eve@example.com', username: '!' }))
  await note('422 NAME_INVALID', 'no name', register({ ...ADA, email: 'eve@example.com', name: '\n' }))
  await note('422 PASSWORD_TOO_SHORT', 'a short password', register({ ...ADA, email: 'eve@example.com', password: 'short' }))
  await note('422 PASSWORD_TOO_LONG', 'a long password', register({ ...ADA, email: 'eve@example.com', password: 'x1'.repeat(600) }))
  await note('422 PASSWORD_COMMON', 'a common password', register({ ...ADA, email: 'eve@example.com', password: 'passwordpassword' }))

  const busy = await Promise.all(Array.from({ length: 12 }, async () => await client().post('/auth/login', ADA)))
  const refused = busy.filter(({ statusCode }) => statusCode !== 200)
  t.ok(refused.length > 0 && refused.length < 12)
  for (const response of refused) rows.push(['503 FST_ACCOUNTS_BUSY', 'too many logins at once', response])

  clock.advance(6 * MINUTE)
  await note('401 FRESH_LOGIN_REQUIRED', 'a login of before', browser.get('/fresh'))
  clock.advance(HOUR)
  const expired = browser.copy()
  delete expired.cookies.accounts_refresh
  await note('401 TOKEN_EXPIRED', 'an expired token alone', expired.get('/private'))
  await browser.post('/auth/refresh')
  const ended = browser.copy()
  await browser.post('/auth/logout')
  await note('401 TOKEN_INVALID', 'a session that is over', ended.get('/private'))
  await note('401 TOKEN_INVALID', 'its refresh token', ended.post('/auth/refresh'))

  const caller = client()
  await caller.post('/auth/login', ADA)
  await storage.close!()
  clock.advance(2 * SECOND)
  t.equal(Object.keys(caller.cookies).length, 2)
  for (const [method, path, body] of [['GET', '/private'], ['GET', '/auth/me'], ['POST', '/auth/logout'], ['POST', '/auth/refresh'], ['POST', '/auth/login', ADA], ['POST', '/auth/register', { ...ADA, email: 'eve@example.com' }], ['POST', '/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }]] as const) {
    await note('503 STORAGE_UNAVAILABLE', `${method} ${path} without a store`, caller.copy().request(method, path, body))
  }
  t.ok(rows.slice(-7).every(([, , { headers }]) => headers['set-cookie'] === undefined), 'an outage logs nobody out')

  for (const row of rows) checkShape(t, row)
  const seen = new Set(rows.map(([, , { statusCode }]) => statusCode))
  t.strictSame([...seen].sort(), [400, 401, 403, 404, 409, 413, 415, 422, 503])

  const challenges: Readonly<Record<string, string>> = {
    AUTHENTICATION_REQUIRED: BARE,
    CREDENTIALS_INVALID: BARE,
    TOKEN_INVALID: `${BARE}, error="invalid_token"`,
    TOKEN_EXPIRED: `${BARE}, error="invalid_token", error_description="expired"`,
    COOKIE_DUPLICATE: `${BARE}, error="invalid_request"`,
    FRESH_LOGIN_REQUIRED: `${BARE}, error="insufficient_user_authentication", max_age=300`
  }
  for (const [expected, title, { statusCode, headers }] of rows) {
    const withTokens = /presented to \/(private|auth\/(me|sessions))$/.test(title) ? ', Bearer realm="accounts"' : ''
    if (statusCode === 401) t.equal(headers['www-authenticate'], `${challenges[expected.slice('401 FST_ACCOUNTS_'.length)]}${withTokens}`, `${title}: "error" if and only if a token was presented`)
  }
})

t.test('I-07 a hook refuses with a 4xx of its own, and the shape stays', async t => {
  let thrown: unknown
  const { client } = await createApp(t, { hooks: { beforeRegister () { throw thrown } } })
  const refuse = (statusCode: number, code?: string) => Object.assign(new Error('not today'), { statusCode, ...(code === undefined ? {} : { code }) })
  for (const [status, code] of [[400, 'MY_CODE'], [402, 'MY_CODE'], [409, undefined], [401, 'MY_CODE'], [418, 'MY_CODE'], [451, undefined], [419, 'MY_CODE'], [499, undefined]] as const) {
    thrown = refuse(status, code)
    const response = await client().post('/auth/register', ADA)
    const { error, ...body } = response.json()
    t.strictSame([response.statusCode, body], [status, { statusCode: status, code: code ?? 'FST_ACCOUNTS_HOOK_REFUSED', message: 'not today' }], `${status} ${code}`)
    t.ok(typeof error === 'string' && error !== '', `${status}: "error" is there, though Node may know no words for it`)
    t.equal(response.headers['www-authenticate'], status === 401 ? BARE : undefined)
  }
  for (const status of [100, 200, 204, 302, 399, 500, 502, 503, 999, -1, NaN, 400.5]) {
    thrown = refuse(status)
    const response = await client().post('/auth/register', ADA)
    checkShape(t, ['403 FST_ACCOUNTS_HOOK_REFUSED', `a hook's ${status}`, response])
  }
})

/** Values that code throws which expects an `Error`, or that are made to be mistaken for something else. */
const THROWN: Readonly<Record<string, unknown>> = {
  null: null,
  undefined,
  'a text': 'no',
  'an empty text': '',
  zero: 0,
  true: true,
  'a symbol': Symbol('no'),
  'a function': () => true,
  'an empty object': {},
  'an object without a prototype': Object.create(null),
  'an object that says 200': { statusCode: 200, message: 'fine' },
  'an object that says 400': { statusCode: 400, code: 'X', message: 'no' },
  'a frozen error': Object.freeze(new Error('no')),
  'an error that says 204': Object.assign(new Error('fine'), { statusCode: 204 }),
  'an error with a code that is none': Object.assign(new Error('no'), { statusCode: 400, code: { a: 1 } }),
  'an error whose status throws': Object.defineProperty(new Error('no'), 'statusCode', { get () { throw new TypeError('gotcha') } }),
  'a promise': Promise.resolve(true)
}

/** Hooks that throw at once, and that reject later. */
const throwers = (value: unknown): Array<() => never | Promise<never>> => [() => { throw value }, async () => await Promise.reject(value)]

t.test('I-08 whatever a hook throws, nobody gets in by it and the process lives', async t => {
  const unhandled: unknown[] = []
  const watch = (reason: unknown) => { unhandled.push(reason) }
  process.on('unhandledRejection', watch)
  process.on('uncaughtException', watch)
  t.teardown(() => process.off('unhandledRejection', watch).off('uncaughtException', watch))

  let current: keyof AccountsHooks | 'check' | 'preHandler' | 'none' = 'none'
  let act: () => never | Promise<never> = () => { throw new Error('not set') }
  const when = (name: typeof current) => async () => { if (current === name) await act() }
  const now = (name: typeof current) => (): void | Promise<void> => { if (current === name) return act() }
  const before = ['beforeRegister', 'beforeLogin'] as const
  const later = ['afterRegister', 'afterLogin', 'loginFailed', 'sessionRefreshed', 'sessionRevoked', 'passwordChanged'] as const
  const hooks = Object.fromEntries([...before, ...later].map(name => [name, [now(name), when(name)]]))
  const { client, signedUp } = await createHost(t, {
    accounts: { hooks: { ...hooks, authorize: () => current === 'authorize' ? act() : true } },
    before (app) { app.addHook('preHandler', async () => { if (current === 'preHandler') await act() }) },
    after (app) {
      app.get('/plain', { onRequest: app.authenticate }, async () => ({ ok: true }))
      app.get('/checked', { onRequest: app.guard({ check: () => current === 'check' ? act() : true }) }, async () => ({ ok: true }))
      app.get('/authorized', { onRequest: app.authenticate, preHandler: app.authorize(() => current === 'check' ? act() : true) }, async () => ({ ok: true }))
    }
  })
  const browser = await signedUp(ADA.email)
  let count = 0
  for (const [title, value] of Object.entries(THROWN)) {
    for (const [index, thrower] of throwers(value).entries()) {
      act = thrower
      const what = `${title}, ${index === 0 ? 'thrown' : 'rejected'}`
      const refused = async (name: typeof current, method: string, path: string, body?: object, caller: Client = browser) => {
        current = name
        const response = await caller.request(method, path, body)
        current = 'none'
        t.ok(response.statusCode >= 400 && response.statusCode <= 599, `${name}: ${what}: ${response.statusCode}`)
        t.equal(response.headers['set-cookie'], undefined, `${name}: ${what}`)
        const members = Object.entries(response.json() as object).map(([member, value]) => `${member}: ${typeof value}`).sort()
        t.strictSame(members, ['code: string', 'error: string', 'message: string', 'statusCode: number'], `${name}: ${what}: the shape stays`)
        if (name !== 'preHandler') t.ok(response.statusCode < 500, `${name}: ${what}: it refuses, it does not break: ${response.statusCode}`)
      }
      const email = `eve${count++}@example.com`
      await refused('beforeRegister', 'POST', '/auth/register', { email, password: PASSWORD }, client())
      t.equal((await client().post('/auth/login', { email, password: PASSWORD })).statusCode, 401, `${what}: no account came of it`)
      await refused('beforeLogin', 'POST', '/auth/login', ADA, client())
      await refused('authorize', 'GET', '/plain')
      await refused('authorize', 'GET', '/auth/me')
      await refused('check', 'GET', '/checked')
      await refused('check', 'GET', '/authorized')
      await refused('preHandler', 'PATCH', '/auth/me', { name: 'Eve' })
    }
  }
  t.match((await browser.get('/auth/me')).json(), { user: { name: null } })

  for (const [title, value] of Object.entries(THROWN)) {
    for (const thrower of throwers(value)) {
      act = thrower
      current = 'loginFailed'
      t.equal((await client().post('/auth/login', { ...ADA, password: OTHER_PASSWORD })).statusCode, 401, `loginFailed: ${title}: the login fails as it would`)
      current = 'afterLogin'
      t.equal((await client().post('/auth/login', ADA)).statusCode, 200, `afterLogin: ${title}: it has happened, the log says what went wrong`)
    }
  }
  current = 'none'
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(unhandled, [], 'no rejection is left over')
  t.equal((await browser.get('/plain')).statusCode, 200)
})

t.test('I-08 only true is consent: what is like it, or nothing at all, lets nobody in', async t => {
  let consent: unknown
  const give = () => consent as boolean
  const { signedUp } = await createApp(t, { hooks: { authorize: principal => principal.user.email === 'hook@example.com' ? give() : true } }, app => {
    app.get('/checked', { onRequest: app.guard({ check: give }) }, async () => ({}))
    app.get('/authorized', { onRequest: app.authenticate, preHandler: app.authorize(give) }, async () => ({}))
    app.get('/later', { onRequest: app.guard({ check: async () => await Promise.resolve(give()) }) }, async () => ({}))
  })
  const [browser, hooked] = [await signedUp(ADA.email), await signedUp('hook@example.com')]
  for (const value of [undefined, null, false, 0, 1, '', 'true', 'yes', {}, [], [true], () => true, Object(true), NaN, Symbol('true')]) {
    consent = value
    for (const [caller, path] of [[browser, '/checked'], [browser, '/authorized'], [browser, '/later'], [hooked, '/private'], [hooked, '/auth/me']] as const) {
      checkShape(t, ['403 FST_ACCOUNTS_FORBIDDEN', `${path}: ${String(typeof value)}`, await caller.get(path)])
    }
  }
  consent = true
  for (const [caller, path] of [[browser, '/checked'], [browser, '/authorized'], [browser, '/later'], [hooked, '/private'], [hooked, '/auth/me']] as const) t.equal((await caller.get(path)).statusCode, 200, path)
})

t.test('I-08 whatever an adapter throws is 503, in a guard as in a route', async t => {
  const real = await sqliteStorage(':memory:')
  let fail: (() => never | Promise<never>) | null = null
  /** A host's own adapter on a bad day. */
  const moody = <Port extends object>(port: Port): Port => new Proxy(port, {
    get: (target, name) => {
      const verb = Reflect.get(target, name) as unknown
      return typeof verb === 'function' ? (...args: unknown[]) => fail === null ? Reflect.apply(verb, target, args) as unknown : fail() : verb
    }
  })
  const storage: Storage = { users: moody(real.users), sessions: moody(real.sessions), throttles: moody(real.throttles!), close: async () => await real.close?.() }
  const { client, signedUp } = await createApp(t, { storage })
  const browser = await signedUp(ADA.email)
  for (const [title, value] of Object.entries(THROWN)) {
    for (const thrower of throwers(value)) {
      fail = thrower
      const answers: Row[] = []
      for (const [method, path, body] of [['GET', '/private'], ['POST', '/private'], ['GET', '/auth/me'], ['GET', '/auth/sessions'], ['DELETE', '/auth/sessions'], ['POST', '/auth/refresh'], ['POST', '/auth/logout'], ['POST', '/auth/login', ADA], ['POST', '/auth/register', { ...ADA, email: 'eve@example.com' }]] as const) {
        answers.push(['503 FST_ACCOUNTS_STORAGE_UNAVAILABLE', `${method} ${path}: ${title}`, await browser.copy().request(method, path, body)])
      }
      fail = null
      for (const row of answers) checkShape(t, row)
      t.ok(answers.every(([, , { headers }]) => headers['set-cookie'] === undefined), `${title}: nobody is logged out`)
    }
  }
  t.equal((await browser.get('/private')).statusCode, 200, 'the session has outlived it all')
  t.equal((await client().post('/auth/login', { ...ADA, email: 'eve@example.com' })).statusCode, 401)
})
