import t from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { AccountsOptions, Policy, Principal } from '../types/index.ts'
import { createApp, PASSWORD } from './support/app.ts'
import { holdClock, MINUTE, SECOND } from './support/clock.ts'
import { tapStorage } from './support/tapped-storage.ts'

const whoCalls = async (request: FastifyRequest) => ({ via: request.principal?.via ?? null, email: request.principal?.user.email ?? null })

/** `GET` and `POST /route` under a policy. */
async function createGuarded (t: Test, policy: Policy | undefined, options: Partial<AccountsOptions> = {}) {
  return await createApp(t, options, app => {
    app.route({ method: ['GET', 'POST'], url: '/route', onRequest: app.guard(policy), handler: whoCalls })
  })
}

const idOf = async (app: FastifyInstance, email: string) => (await app.accounts.users.findByEmail(email))!.id

t.test('a guard without a policy demands any credential, and one with via just that kind', async t => {
  for (const policy of [undefined, {}, { via: 'cookie' }, { via: ['cookie'] }] as const) {
    const { client, signedUp } = await createGuarded(t, policy)
    const stranger = await client().get('/route')
    t.match(stranger.json(), { statusCode: 401, code: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' })
    t.equal(stranger.headers['www-authenticate'], policy === undefined || !('via' in policy) ? 'Cookie realm="accounts", Bearer realm="accounts"' : 'Cookie realm="accounts"')
    const browser = await signedUp('ada@example.com')
    t.strictSame((await browser.get('/route')).json(), { via: 'cookie', email: 'ada@example.com' })
    t.equal((await browser.post('/route')).statusCode, 200)
    t.match((await browser.get('/route')).headers.vary, /cookie/i, 'no cache gives one caller\'s answer to another')
  }
})

t.test('app.verifyAccessCookie is the guard of exactly that credential', async t => {
  const { client, signedUp } = await createApp(t, {}, app => { app.get('/route', { onRequest: app.verifyAccessCookie }, whoCalls) })
  t.equal((await client().get('/route')).statusCode, 401)
  t.equal((await client().get('/route', { authorization: 'Bearer x' })).statusCode, 401)
  t.strictSame((await (await signedUp('ada@example.com')).get('/route')).json(), { via: 'cookie', email: 'ada@example.com' })
})

t.test('optional lets nobody in as nobody, but a bad credential is still refused', async t => {
  const { client, signedUp } = await createGuarded(t, { optional: true })
  t.strictSame((await client().get('/route')).json(), { via: null, email: null })
  const browser = await signedUp('ada@example.com')
  t.strictSame((await browser.get('/route')).json(), { via: 'cookie', email: 'ada@example.com' })
  const cookie = `accounts_access=${browser.cookies.accounts_access!.slice(0, -4)}AAAA`
  const refused = await client().get('/route', { cookie })
  t.match(refused.json(), { statusCode: 401, code: 'FST_ACCOUNTS_TOKEN_INVALID' })
  t.equal((await client().get('/route', { cookie: `${cookie}; accounts_refresh=${browser.cookies.accounts_refresh}` })).statusCode, 200, 'a good refresh cookie proves who it is')
  const stale = browser.copy()
  await browser.post('/auth/logout')
  t.equal((await stale.get('/route')).statusCode, 401, 'the cookies of a session that has ended')
})

t.test('fresh demands a recent password, and says how recent (RFC 9470)', async t => {
  const clock = holdClock(t)
  const { client, signedUp } = await createGuarded(t, { fresh: '5m' })
  const browser = await signedUp('ada@example.com')
  t.equal((await browser.get('/route')).statusCode, 200)
  clock.advance(5 * MINUTE - SECOND)
  t.equal((await browser.get('/route')).statusCode, 200)
  clock.advance(2 * SECOND)
  const stale = await browser.get('/route')
  t.match(stale.json(), { statusCode: 401, code: 'FST_ACCOUNTS_FRESH_LOGIN_REQUIRED' })
  t.equal(stale.headers['www-authenticate'], 'Cookie realm="accounts", error="insufficient_user_authentication", max_age=300')
  t.equal((await browser.get('/private')).statusCode, 200, 'the session itself goes on')
  await browser.post('/auth/refresh')
  t.equal((await browser.get('/route')).statusCode, 401, 'a refreshed token is no fresher')
  await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  t.equal((await browser.get('/route')).statusCode, 200)
  t.equal((await client().get('/route')).json().code, 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED')
})

t.test('roles are those of this moment: a change counts at once, in both directions', async t => {
  const { app, storage, client, signedUp } = await createGuarded(t, { roles: ['admin', 'editor'] })
  const browser = await signedUp('ada@example.com')
  const id = await idOf(app, 'ada@example.com')
  const steps = [[[], 403], [['admin'], 200], [['user'], 403], [['user', 'editor'], 200], [['Admin'], 403], [['admin editor'], 403], [[], 403]] as const
  for (const [roles, statusCode] of steps) {
    // Past the service, which would refuse some of these.
    await storage.users.update(id, { roles }, new Date())
    await app.accounts.users.announce(id)
    t.equal((await browser.get('/route')).statusCode, statusCode, JSON.stringify(roles))
  }
  t.match((await browser.get('/route')).json(), { code: 'FST_ACCOUNTS_FORBIDDEN', message: 'Forbidden' })
  t.equal((await client().get('/route')).statusCode, 401, 'nobody has no roles')
})

t.test('S-04 disabling ends every session at once and enabling again revives none', async t => {
  const { app, signedUp, client } = await createGuarded(t, undefined)
  const browser = await signedUp('ada@example.com')
  const elsewhere = client()
  await elsewhere.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  const id = await idOf(app, 'ada@example.com')
  await app.accounts.users.update(id, { disabled: true })
  for (const one of [browser.copy(), elsewhere.copy()]) t.equal((await one.get('/route')).statusCode, 401)
  await app.accounts.users.update(id, { disabled: false })
  for (const one of [browser.copy(), elsewhere.copy()]) {
    t.equal((await one.get('/route')).statusCode, 401)
    t.equal((await one.post('/auth/refresh')).statusCode, 401)
  }
  t.equal((await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
})

t.test('liveness: strict asks the store each time, checked and stateless need not; with the store down only stateless goes on for good', async t => {
  let reads = 0
  let isDown = false
  const { feed, ...withoutFeed } = await sqliteStorage(':memory:')
  const storage = tapStorage(withoutFeed, async (verb, _args, call) => {
    if (isDown) throw new TypeError('the store is down')
    if (verb === 'sessions.find') reads++
    return await call()
  })
  const { app, signedUp } = await createApp(t, { storage: { ...storage, feed: feed! } }, app => {
    for (const liveness of ['checked', 'strict', 'stateless'] as const) app.get(`/${liveness}`, { onRequest: app.guard({ liveness }) }, whoCalls)
    app.get('/fresh', { onRequest: app.guard({ fresh: '5m' }) }, whoCalls)
  })
  const browser = await signedUp('ada@example.com')
  await browser.get('/checked')
  const readsOf = async (url: string) => {
    reads = 0
    for (let request = 0; request < 5; request++) t.equal((await browser.get(url)).statusCode, 200, url)
    return reads
  }
  t.equal(await readsOf('/checked'), 0)
  t.equal(await readsOf('/stateless'), 0)
  t.equal(await readsOf('/strict'), 5)
  t.equal(await readsOf('/fresh'), 5, 'fresh is strict')

  isDown = true
  t.equal((await browser.get('/stateless')).statusCode, 200)
  for (const url of ['/strict', '/fresh']) {
    const answer = await browser.get(url)
    t.match(answer.json(), { statusCode: 503, code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' })
    t.match(answer.headers['retry-after'], /^\d$/)
    t.notOk(answer.headers['set-cookie'], 'an outage logs nobody out')
  }
  isDown = false
  await app.accounts.sessions.endAll(await idOf(app, 'ada@example.com'))
  for (const url of ['/checked', '/strict', '/stateless']) t.equal((await browser.copy().get(url)).statusCode, 401, `${url} has heard that the session is over`)
})

t.test('without a revocation feed checked asks the store each time', async t => {
  let reads = 0
  const { feed, ...storage } = await sqliteStorage(':memory:')
  const { signedUp } = await createGuarded(t, { liveness: 'checked' }, {
    storage: tapStorage(storage, async (verb, _args, call) => {
      if (verb === 'sessions.find') reads++
      return await call()
    })
  })
  const browser = await signedUp('ada@example.com')
  for (let request = 1; request <= 4; request++) {
    await browser.get('/route')
    t.equal(reads, request)
  }
})

const CONSENTS: ReadonlyArray<readonly [string, unknown, number]> = [
  ['true', () => true, 200], ['a promise of true', async () => true, 200],
  ['false', () => false, 403], ['a promise of false', async () => false, 403], ['nothing', () => {}, 403], ['a promise of nothing', async () => {}, 403],
  ['1', () => 1, 403], ['"true"', () => 'true', 403], ['an object', () => ({ allowed: true }), 403], ['a thenable of false', () => Promise.resolve(false), 403],
  ['a throw', () => { throw new TypeError('the reason is nobody\'s business') }, 403], ['a rejection', async () => await Promise.reject(new TypeError('the reason is nobody\'s business')), 403]
]

t.test('only true is consent, in a policy\'s check, in app.authorize and in the authorize hook', async t => {
  for (const [what, given, statusCode] of CONSENTS) {
    const check = given as NonNullable<Policy['check']>
    const { app, signedUp, client } = await createApp(t, {}, app => {
      app.get('/check', { onRequest: app.guard({ check }) }, whoCalls)
      app.get('/authorize', { onRequest: app.authenticate, preHandler: app.authorize(check) }, whoCalls)
      app.get('/hook', { onRequest: app.authenticate }, whoCalls)
    })
    const browser = await signedUp('ada@example.com')
    for (const url of ['/check', '/authorize']) {
      const answer = await browser.get(url)
      t.equal(answer.statusCode, statusCode, `${url}: ${what}`)
      if (statusCode === 403) t.strictSame(answer.json(), { statusCode: 403, code: 'FST_ACCOUNTS_FORBIDDEN', error: 'Forbidden', message: 'Forbidden' })
    }
    t.equal((await browser.get('/hook')).statusCode, 200)
    app.accounts.addHook('authorize', check)
    t.equal((await browser.get('/hook')).statusCode, statusCode, `hook: ${what}`)
    t.equal((await client().get('/hook')).statusCode, 401)
  }
})

t.test('check and authorize are given the principal and the request, and are not asked about nobody', async t => {
  const asked: Array<[string, string]> = []
  const check = (principal: Principal, request: FastifyRequest) => {
    t.equal(request.principal, principal)
    asked.push([principal.user.email, request.url])
    return principal.user.email !== 'eve@example.com'
  }
  const { client, signedUp } = await createApp(t, { hooks: { authorize: check } }, app => {
    app.get('/check', { onRequest: app.guard({ check }) }, whoCalls)
    app.get('/optional', { onRequest: app.guard({ optional: true, check }) }, whoCalls)
    app.get('/unguarded', { preHandler: app.authorize(check) }, whoCalls)
  })
  const ada = await signedUp('ada@example.com')
  const eve = await signedUp('eve@example.com')
  t.equal((await ada.get('/check')).statusCode, 200)
  t.strictSame(asked.splice(0), [['ada@example.com', '/check'], ['ada@example.com', '/check']], 'the policy first, then the hook')
  t.equal((await eve.get('/check')).statusCode, 403)
  t.equal((await eve.get('/optional')).statusCode, 403, 'optional does not mean anybody')
  t.equal((await eve.get('/auth/me')).statusCode, 403, 'the hook holds for our own routes too')
  asked.splice(0)
  t.equal((await client().get('/optional')).statusCode, 200)
  t.equal((await client().get('/check')).statusCode, 401)
  t.match((await ada.get('/unguarded')).json(), { statusCode: 401, code: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' }, 'who was not asked who they are is nobody')
  t.strictSame(asked, [])
})

t.test('the HEAD twin of a guarded GET is guarded as well', async t => {
  const { client, signedUp } = await createGuarded(t, { roles: ['admin'] })
  for (const url of ['/private', '/route', '/auth/me', '/auth/sessions']) {
    t.equal((await client().request('HEAD', url)).statusCode, 401, url)
  }
  const browser = await signedUp('ada@example.com')
  t.equal((await browser.request('HEAD', '/private')).statusCode, 200)
  t.equal((await browser.request('HEAD', '/route')).statusCode, 403)
})

t.test('the principal is frozen, and one user\'s is never another\'s', async t => {
  const seen: Principal[] = []
  const { signedUp } = await createApp(t, {}, app => {
    app.get('/route', { onRequest: app.authenticate }, async request => {
      seen.push(request.principal!)
      return {}
    })
  })
  const [ada, eve] = [await signedUp('ada@example.com'), await signedUp('eve@example.com')]
  await Promise.all(Array.from({ length: 20 }, async (_, index) => await (index % 2 === 0 ? ada : eve).get('/route')))
  t.equal(seen.length, 20)
  t.equal(seen.filter(({ user }) => user.email === 'ada@example.com').length, 10)
  const [first, other] = [seen.find(({ user }) => user.email === 'ada@example.com')!, seen.find(({ user }) => user.email === 'eve@example.com')!]
  t.not(first, other)
  t.not(first.user, other.user)
  t.not(first.signal, other.signal)
  const frozen = [first, first.user, first.user.roles, first.via === 'cookie' && first.session]
  for (const value of frozen) t.ok(Object.isFrozen(value))
  t.throws(() => { (first as { via: string }).via = 'basic' }, TypeError)
  t.throws(() => { (first.user.roles as string[]).push('admin') }, TypeError)
  t.notOk('passwordDigest' in first.user || 'epoch' in first.user)
})
