import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { AccountsHookName, AccountsHooks } from '../types/index.ts'
import * as errors from '../lib/errors.ts'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { HOUR, holdClock, SECOND } from './support/clock.ts'

const EMAIL = 'ada@example.com'

const settle = async () => await new Promise(resolve => setImmediate(resolve))

/** Every hook, with the names of those that ran and what they were given, in order. */
function recordAll () {
  const calls: Array<{ name: AccountsHookName, state: Record<string, unknown> }> = []
  const note = (name: AccountsHookName) => (state: object) => { calls.push({ name, state: { ...state } }) }
  const hooks: Partial<AccountsHooks> = { authorize: () => true }
  for (const name of ['beforeRegister', 'afterRegister', 'beforeLogin', 'afterLogin', 'loginFailed', 'sessionRefreshed', 'sessionReused', 'sessionRevoked', 'passwordChanged'] as const) hooks[name] = note(name)
  return {
    hooks,
    /** What was called since the last `take`. */
    take: () => calls.splice(0),
    takeNames: () => calls.splice(0).map(({ name }) => name)
  }
}

t.test('which hooks a day of an account calls, in which order, with which state', async t => {
  const clock = holdClock(t)
  const { hooks, take } = recordAll()
  const { client } = await createApp(t, { hooks })
  const browser = client()

  const { user, session } = (await browser.post('/auth/register', { email: 'Ada@Example.com', username: 'Ada', name: 'Ada L', password: PASSWORD })).json()
  const isRequest = (url: string) => ({ url, method: 'POST' })
  t.match(take(), [
    { name: 'beforeRegister', state: { email: 'Ada@Example.com', username: 'Ada', name: 'Ada L', request: isRequest('/auth/register') } },
    { name: 'afterRegister', state: { user: { id: user.id, email: 'Ada@Example.com' }, session: { id: session.id }, request: isRequest('/auth/register') } }
  ])

  await browser.post('/auth/login', { email: EMAIL, password: OTHER_PASSWORD })
  t.match(take(), [{ name: 'loginFailed', state: { identifier: EMAIL, reason: 'wrong-password', request: isRequest('/auth/login') } }])
  await browser.post('/auth/login', { username: 'Nobody', password: PASSWORD })
  t.match(take(), [{ name: 'loginFailed', state: { identifier: 'Nobody', reason: 'unknown-user' } }], 'as it was written')

  const second = (await browser.post('/auth/login', { email: EMAIL, password: PASSWORD })).json()
  t.match(take(), [
    { name: 'beforeLogin', state: { user: { id: user.id }, request: isRequest('/auth/login') } },
    { name: 'sessionRevoked', state: { userId: user.id, sessionId: session.id, reason: 'replaced', request: isRequest('/auth/login') } },
    { name: 'afterLogin', state: { user: { id: user.id }, session: { id: second.session.id } } }
  ], 'A-09: the session that the browser presented is over')

  const thief = browser.copy()
  clock.advance(HOUR + SECOND)
  await browser.get('/private')
  t.match(take(), [{ name: 'sessionRefreshed', state: { userId: user.id, sessionId: second.session.id, outcome: 'rotated', request: { url: '/private' } } }])
  await browser.post('/auth/refresh')
  t.match(take(), [{ name: 'sessionRefreshed', state: { outcome: 'window' } }])
  clock.advance(HOUR + SECOND)
  await thief.post('/auth/refresh')
  await settle()
  t.match(take(), [
    { name: 'sessionReused', state: { userId: user.id, sessionId: second.session.id, request: isRequest('/auth/refresh') } },
    { name: 'sessionRevoked', state: { reason: 'reused' } }
  ])

  const third = (await browser.post('/auth/login', { email: EMAIL, password: PASSWORD })).json()
  take()
  await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  t.match(take(), [
    { name: 'sessionRevoked', state: { sessionId: third.session.id, reason: 'password-changed' } },
    { name: 'passwordChanged', state: { user: { id: user.id, email: 'Ada@Example.com' }, request: isRequest('/auth/password/change') } }
  ])
  await browser.post('/auth/logout')
  t.match(take(), [{ name: 'sessionRevoked', state: { userId: user.id, reason: 'signed-out', request: isRequest('/auth/logout') } }])
})

t.test('the services call the same hooks, with request: null', async t => {
  const { hooks, take, takeNames } = recordAll()
  const { app } = await createApp(t, { hooks })
  const { user } = (await app.accounts.register({ email: EMAIL, password: PASSWORD }))!
  await app.accounts.login({ email: EMAIL, password: PASSWORD })
  await app.accounts.login({ email: EMAIL, password: OTHER_PASSWORD }).catch(() => {})
  await app.accounts.passwords.change(user.id, { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  const calls = take()
  t.strictSame(calls.map(({ name }) => name), ['beforeRegister', 'afterRegister', 'beforeLogin', 'afterLogin', 'loginFailed', 'sessionRevoked', 'sessionRevoked', 'passwordChanged'])
  t.ok(calls.every(({ state }) => state.request === null))
  await app.accounts.sessions.endAll(user.id)
  t.match(take(), [{ name: 'sessionRevoked', state: { userId: user.id, reason: 'ended-by-host', request: null } }])
  const { session } = await app.accounts.login({ email: EMAIL, password: OTHER_PASSWORD })
  takeNames()
  await app.accounts.sessions.end(user.id, session.id)
  await app.accounts.sessions.end(user.id, session.id)
  t.match(take(), [{ state: { sessionId: session.id, reason: 'ended-by-host' } }], 'once')
  for (const [reason, act] of [['disabled', async () => await app.accounts.users.update(user.id, { disabled: true })], ['deleted', async () => await app.accounts.users.delete(user.id)]] as const) {
    await app.accounts.users.update(user.id, { disabled: false })
    await app.accounts.login({ email: EMAIL, password: OTHER_PASSWORD })
    takeNames()
    await act()
    t.match(take(), [{ name: 'sessionRevoked', state: { userId: user.id, reason } }], `S-04: ${reason}`)
  }
})

t.test('beforeRegister comes after the checks and before anything is stored; afterRegister when all is', async t => {
  const order: string[] = []
  const { app, client, storage } = await createApp(t)
  app.accounts.addHook('beforeRegister', async () => {
    await settle()
    order.push(`before ${await storage.users.findByEmail(EMAIL) === null ? 'nobody' : 'stored'}`)
  })
  app.accounts.addHook('afterRegister', async ({ session }) => {
    await settle()
    order.push(`after ${await storage.sessions.find(session!.id) === null ? 'nothing' : 'stored'}`)
  })
  for (const body of [{ email: 'no address', password: PASSWORD }, { email: EMAIL, password: 'short' }, { email: EMAIL, username: '?', password: PASSWORD }]) {
    t.equal((await client().post('/auth/register', body)).statusCode, 422)
  }
  t.strictSame(order, [], 'what is refused anyway is not asked about')
  t.equal((await client().post('/auth/register', { email: EMAIL, password: PASSWORD })).statusCode, 201)
  t.strictSame(order, ['before nobody', 'after stored'], 'both were awaited')
})

t.test('beforeLogin comes after the right password and before the session; a wrong one does not reach it', async t => {
  const { app, signedUp, client } = await createApp(t)
  await signedUp(EMAIL)
  const { id } = (await app.accounts.users.findByEmail(EMAIL))!
  const sessions: number[] = []
  app.accounts.addHook('beforeLogin', async () => { sessions.push((await app.accounts.sessions.list(id)).length) })
  app.accounts.addHook('afterLogin', async () => { sessions.push((await app.accounts.sessions.list(id)).length) })
  await client().post('/auth/login', { email: EMAIL, password: OTHER_PASSWORD })
  t.strictSame(sessions, [])
  await client().post('/auth/login', { email: EMAIL, password: PASSWORD })
  t.strictSame(sessions, [1, 2])
})

const THROWN: ReadonlyArray<readonly [string, () => unknown, { statusCode: number, code: string, message?: string }]> = [
  ['an error', () => new TypeError('inner reason'), { statusCode: 403, code: 'FST_ACCOUNTS_HOOK_REFUSED', message: 'Refused' }],
  ['an error with a 4xx of its own', () => Object.assign(new TypeError('Only by invitation'), { statusCode: 422, code: 'NOT_INVITED' }), { statusCode: 422, code: 'NOT_INVITED', message: 'Only by invitation' }],
  ['an error with a status and no code', () => Object.assign(new TypeError('Gone'), { statusCode: 410 }), { statusCode: 410, code: 'FST_ACCOUNTS_HOOK_REFUSED', message: 'Gone' }],
  ['a 429', () => Object.assign(new TypeError('Slow down'), { statusCode: 429 }), { statusCode: 429, code: 'FST_ACCOUNTS_HOOK_REFUSED' }],
  ['an error with a 5xx', () => Object.assign(new TypeError('inner reason'), { statusCode: 500 }), { statusCode: 403, code: 'FST_ACCOUNTS_HOOK_REFUSED', message: 'Refused' }],
  ['an error with a 200', () => Object.assign(new TypeError('inner reason'), { statusCode: 200 }), { statusCode: 403, code: 'FST_ACCOUNTS_HOOK_REFUSED' }],
  ['an error with a status as text', () => Object.assign(new TypeError('inner reason'), { statusCode: '422' }), { statusCode: 403, code: 'FST_ACCOUNTS_HOOK_REFUSED' }],
  ['text', () => 'inner reason', { statusCode: 403, code: 'FST_ACCOUNTS_HOOK_REFUSED' }],
  ['nothing', () => undefined, { statusCode: 403, code: 'FST_ACCOUNTS_HOOK_REFUSED' }],
  ['null', () => null, { statusCode: 403, code: 'FST_ACCOUNTS_HOOK_REFUSED' }]
]

t.test('before hooks refuse by throwing: 403, or the error\'s own 4xx; nothing is stored, no cookie set', async t => {
  for (const [what, make, expected] of THROWN) {
    for (const isAsync of [false, true]) {
      const { app, client, signedUp, storage } = await createApp(t)
      await signedUp(EMAIL)
      const refuse = isAsync ? async () => await Promise.reject(make()) : () => { throw make() }
      app.accounts.addHook('beforeRegister', refuse)
      app.accounts.addHook('beforeLogin', refuse)
      let wasCalled = false
      for (const name of ['beforeRegister', 'beforeLogin', 'afterRegister', 'afterLogin'] as const) app.accounts.addHook(name, () => { wasCalled = true })
      for (const answer of [await client().post('/auth/register', { email: 'eve@example.com', password: PASSWORD }), await client().post('/auth/login', { email: EMAIL, password: PASSWORD })]) {
        t.match(answer.json(), expected, `${what}, ${isAsync ? 'rejected' : 'thrown'}`)
        t.notMatch(answer.body, 'inner reason')
        t.notOk(answer.headers['set-cookie'])
      }
      t.notOk(wasCalled, 'no hook after it ran')
      t.equal(await storage.users.findByEmail('eve@example.com'), null)
    }
  }
})

t.test('F-38 a hook that breaks fails its own request at most: the server lives and serves the next', async t => {
  const failing: Record<string, number> = { beforeLogin: 403, beforeSignIn: 403, claims: 500, afterLogin: 200, afterSignIn: 200, loginFailed: 401, sessionRevoked: 204, authorize: 403, verifyToken: 500 }
  const rejections: unknown[] = []
  const listen = (reason: unknown) => { rejections.push(reason) }
  process.on('unhandledRejection', listen)
  t.teardown(() => { process.off('unhandledRejection', listen) })
  for (const [name, expected] of Object.entries(failing)) {
    for (const isAsync of [false, true]) {
      const { app, client, signedUp } = await createApp(t)
      const ada = await signedUp(EMAIL)
      let isBroken = true
      app.accounts.addHook(name as 'afterLogin', () => {
        if (!isBroken) return name === 'claims' ? undefined : true as never
        if (isAsync) return new Promise((_resolve, reject) => { setImmediate(() => reject(new TypeError('broken'))) })
        throw new TypeError('broken')
      })
      const act = async () => {
        if (name === 'sessionRevoked') return await ada.post('/auth/logout')
        if (name === 'authorize' || name === 'verifyToken') return await (await signedUp(`${name}-${isAsync}-${isBroken}@example.com`)).get('/private')
        return await client().post('/auth/login', { email: EMAIL, password: name === 'loginFailed' ? 'another harbor 17 lamp' : PASSWORD })
      }
      const title = `${name}, ${isAsync ? 'rejected' : 'thrown'}`
      const answer = await act()
      t.equal(answer.statusCode, expected, title)
      t.notMatch(answer.body, 'broken', title)
      await settle()
      isBroken = false
      t.ok([200, 204, 401].includes((await act()).statusCode), `${title}, and mended`)
    }
  }
  t.strictSame(rejections, [])
})

t.test('a before hook that throws a status without an error refuses as well', async t => {
  const { app, client } = await createApp(t)
  app.accounts.addHook('beforeRegister', async () => await Promise.reject({ statusCode: 422 })) // eslint-disable-line prefer-promise-reject-errors
  const { statusCode } = await client().post('/auth/register', { email: EMAIL, password: PASSWORD })
  t.ok(statusCode === 403 || statusCode === 422, `answered ${statusCode}`)
})

t.test('hooks of one name run one after the other, those of the options first', async t => {
  const order: number[] = []
  const slowly = (number: number) => async () => {
    await settle()
    order.push(number)
  }
  const given = [slowly(1), slowly(2)]
  const { app, signedUp } = await createApp(t, { hooks: { beforeRegister: given, afterRegister: slowly(5) } })
  app.accounts.addHook('beforeRegister', slowly(3))
  app.accounts.addHook('beforeRegister', slowly(4))
  app.accounts.addHook('afterRegister', slowly(6))
  await signedUp(EMAIL)
  t.strictSame(order, [1, 2, 3, 4, 5, 6])
  t.equal(given.length, 2, 'the caller\'s list stays as it was')
})

t.test('hooks of one registration do not run in another', async t => {
  const shared: Array<() => void> = []
  const calls: string[] = []
  const [first, second] = [await createApp(t, { hooks: { afterRegister: shared } }), await createApp(t, { hooks: { afterRegister: shared } })]
  first.app.accounts.addHook('afterRegister', () => { calls.push('first') })
  second.app.accounts.addHook('afterRegister', () => { calls.push('second') })
  await second.signedUp(EMAIL)
  t.strictSame(calls, ['second'])
})

t.test('every way to sign in calls beforeSignIn while nothing is stored and afterSignIn before its cookies are set; every way out afterSignOut', async t => {
  const calls: string[] = []
  const { app, client, storage } = await createApp(t, {}, app => {
    app.post('/in/:id', async (request, reply) => await reply.signIn({ id: (request.params as { id: string }).id }))
    app.post('/out', async (_request, reply) => {
      await reply.signOut()
      return {}
    })
  })
  app.accounts.addHook('beforeSignIn', async ({ user, request }) => {
    await settle()
    const sessions = user === null ? [] : (await app.accounts.sessions.list(user.id)).filter(({ createdAt }) => createdAt > started)
    calls.push(`before ${user?.email ?? 'nobody yet'} ${sessions.length} ${request!.url}`)
  })
  app.accounts.addHook('afterSignIn', async ({ user, session, request }) => {
    await settle()
    calls.push(`after ${user.email} ${await storage.sessions.find(session.id) === null ? 'not stored' : 'stored'} ${request!.url}`)
  })
  app.accounts.addHook('afterSignOut', async ({ request }) => {
    await settle()
    calls.push(`out ${request.url}`)
  })
  let started = new Date(0)
  const browser = client()
  const act = async (url: string, body?: object, method = 'POST') => {
    await new Promise(resolve => setTimeout(resolve, 2))
    started = new Date()
    const { statusCode } = await browser.request(method, url, body)
    t.ok(statusCode < 300, url)
    return calls.splice(0)
  }
  t.strictSame(await act('/auth/register', { email: EMAIL, password: PASSWORD }), ['before nobody yet 0 /auth/register', `after ${EMAIL} stored /auth/register`])
  const { id } = (await app.accounts.users.findByEmail(EMAIL))!
  t.strictSame(await act('/auth/login', { email: EMAIL, password: PASSWORD }), [`before ${EMAIL} 0 /auth/login`, `after ${EMAIL} stored /auth/login`])
  t.strictSame(await act('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }), [`before ${EMAIL} 0 /auth/password/change`, `after ${EMAIL} stored /auth/password/change`])
  t.strictSame(await act('/auth/logout'), ['out /auth/logout'])
  t.strictSame(await act(`/in/${id}`), [`before ${EMAIL} 0 /in/${id}`, `after ${EMAIL} stored /in/${id}`])
  t.strictSame(await act('/out'), ['out /out'])

  await act(`/in/${id}`)
  for (const [hook, expected] of [[new TypeError('no'), 403], [Object.assign(new TypeError('no'), { statusCode: 418 }), 418], [new errors.FST_ACCOUNTS_STORAGE_UNAVAILABLE(), 503]] as const) {
    const refused = await createApp(t, { hooks: { beforeSignIn: () => { throw hook } }, storage: { ...storage, close: async () => {} } })
    const visitor = refused.client()
    t.equal((await visitor.post('/auth/login', { email: EMAIL, password: OTHER_PASSWORD })).statusCode, expected)
    t.equal((await visitor.post('/auth/register', { email: 'bob@example.com', password: PASSWORD })).statusCode, expected)
    t.strictSame(Object.keys(visitor.cookies), [])
  }
  t.equal(await app.accounts.users.findByEmail('bob@example.com'), null)
  t.equal((await app.accounts.sessions.list(id)).length, 1)
})

t.test('addHook refuses a name that no hook has, and what is no function', async t => {
  const { app } = await createApp(t, { secret: randomBytes(32) })
  const add = app.accounts.addHook as (name: unknown, hook: unknown) => void
  for (const name of ['beforLogin', 'onRequest', 'constructor', '__proto__', '', undefined, 7, 'toString']) {
    t.throws(() => add(name, () => {}), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: `Option "hooks.${String(name)}" is unknown` })
  }
  for (const hook of [undefined, null, 'afterLogin', {}, [() => {}]]) {
    t.throws(() => add('afterLogin', hook), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: 'Option "hooks.afterLogin" must be a function' })
  }
})
