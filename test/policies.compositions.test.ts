import fastifyAuth from '@fastify/auth'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { createApp, PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { HOUR, holdClock, MINUTE, SECOND } from './support/clock.ts'

const whoCalls = async (request: FastifyRequest) => ({ via: request.principal?.via ?? null, email: request.principal?.user.email ?? null })

/** What a host may have of its own: a key in a header. */
const hasKey = (request: FastifyRequest, _reply: unknown, done: (error?: Error) => void) => {
  done(request.headers['x-key'] === 'right' ? undefined : Object.assign(new TypeError('no key'), { statusCode: 401 }))
}

const KEY = { 'x-key': 'right' }

async function createComposed (t: Test, setup: (app: FastifyInstance) => void) {
  return await createApp(t, {}, async app => {
    await app.register(fastifyAuth)
    setup(app)
  })
}

t.test('@fastify/auth: with "or" one of several proofs is enough', async t => {
  const { client, signedUp } = await createComposed(t, app => {
    app.get('/last', { onRequest: app.auth([hasKey, app.verifyAccessCookie]) }, whoCalls)
    app.get('/first', { preHandler: app.auth([app.authenticate, hasKey], { relation: 'or' }) }, whoCalls)
  })
  const browser = await signedUp('ada@example.com')
  for (const url of ['/last', '/first']) {
    t.equal((await client().get(url)).statusCode, 401, url)
    t.strictSame((await client().get(url, KEY)).json(), { via: null, email: null }, url)
    t.strictSame((await browser.get(url)).json(), { via: 'cookie', email: 'ada@example.com' }, url)
  }
  t.match((await client().get('/last')).headers['www-authenticate'], 'Cookie')
})

t.test('@fastify/auth: with "and" all of them are needed', async t => {
  const { app, client, signedUp } = await createComposed(t, app => {
    app.get('/route', { onRequest: app.auth([app.authenticate, app.guard({ roles: ['admin'] }), hasKey], { relation: 'and' }) }, whoCalls)
  })
  const browser = await signedUp('ada@example.com')
  t.equal((await client().get('/route', KEY)).statusCode, 401)
  t.equal((await browser.get('/route', KEY)).statusCode, 403)
  await app.accounts.users.update((await app.accounts.users.findByEmail('ada@example.com'))!.id, { roles: ['admin'] })
  t.equal((await browser.get('/route')).statusCode, 401, 'the host\'s own refusal')
  t.strictSame((await browser.get('/route', KEY)).json(), { via: 'cookie', email: 'ada@example.com' })
})

t.test('@fastify/auth: app.authorize stands in a composition after who found out', async t => {
  const isAda = (principal: { user: { email: string } }) => principal.user.email === 'ada@example.com'
  const { client, signedUp } = await createComposed(t, app => {
    app.get('/and', { preHandler: app.auth([app.authenticate, app.authorize(isAda)], { relation: 'and' }) }, whoCalls)
    app.get('/nested', { preHandler: app.auth([[app.authenticate, app.authorize(isAda)], hasKey], { relation: 'or' }) }, whoCalls)
  })
  const [ada, eve] = [await signedUp('ada@example.com'), await signedUp('eve@example.com')]
  for (const url of ['/and', '/nested']) {
    t.equal((await client().get(url)).statusCode, 401)
    t.equal((await ada.get(url)).statusCode, 200)
  }
  t.equal((await eve.get('/and')).statusCode, 403)
  t.equal((await eve.get('/nested')).statusCode, 401)
  t.equal((await eve.get('/nested', KEY)).statusCode, 200)
})

t.test('@fastify/auth: two guards in one composition renew the cookies once', async t => {
  const clock = holdClock(t)
  const { signedUp } = await createComposed(t, app => {
    app.get('/and', { onRequest: app.auth([app.authenticate, app.verifyAccessCookie], { relation: 'and' }) }, whoCalls)
    app.get('/or', { onRequest: app.auth([app.guard({ roles: ['admin'] }), app.authenticate]) }, whoCalls)
  })
  for (const url of ['/and', '/or']) {
    const browser = await signedUp()
    clock.advance(HOUR + SECOND)
    const answer = await browser.get(url)
    t.equal(answer.statusCode, 200, url)
    t.equal(answer.headers['accounts-refresh'], 'rotated')
    t.equal([answer.headers['set-cookie']].flat().length, 2, 'one cookie of each kind')
    t.equal((await browser.get(url)).statusCode, 200)
  }
})

t.test('@fastify/auth: who is let in by a later guard gets no challenge of the one that refused', async t => {
  const clock = holdClock(t)
  const { signedUp } = await createComposed(t, app => {
    app.get('/route', { onRequest: app.auth([app.guard({ fresh: '5m' }), app.authenticate]) }, whoCalls)
  })
  const browser = await signedUp('ada@example.com')
  clock.advance(6 * MINUTE)
  const answer = await browser.get('/route')
  t.equal(answer.statusCode, 200)
  t.notOk(answer.headers['www-authenticate'])
})

t.test('@fastify/auth: nor does who is let in by a proof of the host\'s own', async t => {
  const { client } = await createComposed(t, app => { app.get('/route', { onRequest: app.auth([app.authenticate, hasKey]) }, whoCalls) })
  const answer = await client().get('/route', KEY)
  t.equal(answer.statusCode, 200)
  t.notOk(answer.headers['www-authenticate'])
})

t.test('@fastify/auth: with run: "all" an alternative that refuses does not take back who another one has found', async t => {
  const { signedUp } = await createComposed(t, app => {
    app.get('/route', { onRequest: app.auth([app.authenticate, app.guard({ roles: ['admin'] })], { relation: 'or', run: 'all' }) }, whoCalls)
  })
  const browser = await signedUp('ada@example.com')
  t.strictSame((await browser.get('/route')).json(), { via: 'cookie', email: 'ada@example.com' })
})

t.test('a session that reply.signIn begins is as fresh as the proof that the host has seen, and no fresher', async t => {
  const clock = holdClock(t)
  const { app, client } = await createApp(t, {}, app => {
    const { users } = app.accounts
    app.post('/sso', async (request, reply) => await reply.signIn((await users.findByEmail('ada@example.com'))!, { authenticatedAt: new Date((request.body as { at: number }).at) }))
    app.get('/transfer', { onRequest: app.guard({ fresh: '5m' }) }, async () => ({}))
  })
  await app.accounts.users.create({ email: 'ada@example.com' })
  const now = Date.now()
  for (const [at, statusCode] of [[now - 6 * MINUTE, 401], [0, 401], [now - 4 * MINUTE, 200], [now + HOUR, 200]] as const) {
    const browser = client()
    t.equal((await browser.post('/sso', { at })).statusCode, 200)
    t.equal((await browser.get('/transfer')).statusCode, statusCode)
  }
  const early = client()
  await early.post('/sso', { at: now + HOUR })
  clock.advance(6 * MINUTE)
  t.equal((await early.get('/transfer')).statusCode, 401, 'a moment to come is this one')
  for (const at of ['yesterday', -1]) t.match((await client().post('/sso', { at })).json(), { code: 'FST_ACCOUNTS_INPUT_INVALID', statusCode: 400 })
})

t.test('reply.signIn begins a session in a host\'s own route, and reply.signOut ends it', async t => {
  const { app, client, signedUp } = await createApp(t, {}, app => {
    app.post('/sso', async (request, reply) => {
      const { email, remember } = request.body as { email: string, remember?: boolean }
      const user = await app.accounts.users.findByEmail(email)
      const session = await reply.signIn(user ?? { id: 'nobody' }, remember === undefined ? {} : { remember })
      return { session }
    })
    app.post('/leave', { onRequest: app.guard({ optional: true }) }, async (request, reply) => {
      await reply.signOut()
      return { principal: request.principal }
    })
  })
  await signedUp('ada@example.com')
  const browser = client()
  const signedIn = await browser.post('/sso', { email: 'ada@example.com' })
  t.equal(signedIn.statusCode, 200)
  t.equal(signedIn.headers['cache-control'], 'no-store')
  t.match(signedIn.json(), { session: { id: /^[\w-]{24}$/, expiresAt: String } })
  t.strictSame(Object.keys(browser.cookies).sort(), ['accounts_access', 'accounts_device', 'accounts_refresh'])
  t.ok(signedIn.cookies.every(({ httpOnly, maxAge }) => httpOnly === true && maxAge! > 0))
  t.strictSame((await browser.get('/private')).json(), { email: 'ada@example.com' })
  t.equal((await browser.get('/auth/sessions')).json().sessions.find((session: { current: boolean }) => session.current).id, signedIn.json().session.id)

  const copied = browser.copy()
  const again = await browser.post('/sso', { email: 'ada@example.com', remember: false })
  t.not(again.json().session.id, signedIn.json().session.id, 'A-09: an id of its own')
  t.equal((await copied.get('/private')).statusCode, 401, 'A-09: the session before is over')
  t.ok(again.cookies.every(({ maxAge }) => maxAge === undefined), 'remember: false ends with the browser')

  const stolen = browser.copy()
  const left = await browser.post('/leave')
  t.strictSame(left.json(), { principal: null })
  t.strictSame(Object.keys(browser.cookies), ['accounts_device'])
  t.equal((await stolen.get('/private')).statusCode, 401)
  t.equal((await client().post('/leave')).statusCode, 200, 'nobody can sign out as well')

  const unknown = await client().post('/sso', { email: 'nobody@example.com' })
  t.match(unknown.json(), { statusCode: 401, code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' })
  await app.accounts.users.update((await app.accounts.users.findByEmail('ada@example.com'))!.id, { disabled: true })
  const disabled = await client().post('/sso', { email: 'ada@example.com' })
  t.strictSame([disabled.statusCode, disabled.body, disabled.headers['set-cookie']], [unknown.statusCode, unknown.body, undefined])
})

t.test('A-09 a login ends the session that the browser presents, and takes no id from the client', async t => {
  const { app, client, signedUp } = await createApp(t)
  const attacker = await signedUp('eve@example.com')
  const fixed = createClient(app, { ...attacker.cookies })
  await signedUp('ada@example.com')
  const before = { ...fixed.cookies }
  const { session } = (await fixed.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).json()
  t.notMatch(Object.values(before).join(), session.id)
  for (const [name, value] of Object.entries(fixed.cookies)) t.not(value, before[name])
  t.strictSame((await fixed.get('/private')).json(), { email: 'ada@example.com' })
  t.equal((await attacker.get('/private')).statusCode, 401, 'what the attacker planted is worth nothing')
  t.equal((await client().get('/private', { cookie: 'accounts_access=chosen; accounts_refresh=chosen' })).statusCode, 401)
})
