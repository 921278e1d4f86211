import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import t from 'tap'
import type { CookiePrincipal } from '../types/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD, sharedStorage } from './support/app.ts'
import { byPassword, byRefresh, createApiClient, granted, type Grant } from './support/bearer.ts'
import { createClient } from './support/client.ts'
import { holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { claimsOf } from './support/tokens.ts'

declare module 'fastify' {
  interface AccountsClaims { plan?: string, tenant?: string, asked?: number, via?: string }
}

const bodyOf = (token: string | undefined) => claimsOf(token) as unknown as Record<string, unknown>

t.test('K3 the hook "claims" says what access tokens are to say, anew with each of them', async t => {
  const clock = holdClock(t)
  let asked = 0
  const { app, signedUp } = await createApp(t, {
    hooks: {
      claims: [
        async ({ user, session, request }) => ({ plan: user.email.startsWith('ada') ? 'gold' : 'none', asked: ++asked, via: `${session.id.length} ${request?.method ?? 'nobody'}` }),
        () => null,
        () => ({ plan: 'platinum', extra: { 2: 'é\u2028', 1: [null, -0] }, when: new Date(0) } as object)
      ]
    }
  }, app => { app.get('/claims', { onRequest: app.authenticate }, async ({ principal }) => (principal as CookiePrincipal).claims) })
  const expected = { plan: 'platinum', via: '24 POST', extra: { 1: [null, 0], 2: 'é\u2028' }, when: '1970-01-01T00:00:00.000Z' }
  const browser = await signedUp('ada@example.com')
  t.strictSame((await browser.get('/claims')).json(), { ...expected, asked: 1 })
  t.match(bodyOf(browser.cookies.accounts_access), expected)
  t.strictSame(Object.keys(bodyOf(browser.cookies.accounts_refresh)).sort(), ['aud', 'exp', 'gen', 'iat', 'iss', 'jti', 'sid', 'sub'], 'a refresh token says nothing of it')
  t.strictSame((await browser.get('/claims')).json().asked, 1, 'and what a token says stays as it was')
  clock.advance(HOUR)
  t.strictSame((await browser.get('/claims')).json(), { ...expected, asked: 2, via: '24 GET' }, 'a renewal within the guard')
  t.equal((await browser.post('/auth/refresh')).statusCode, 200)
  t.equal((await browser.get('/claims')).json().asked, 3, 'also one within the window')
  const { access_token: token, refresh_token: refresh } = (await byPassword(app, 'ada@example.com')).json() as Required<Grant>
  t.equal((await createApiClient(app, token).get('/claims')).json().asked, 4)
  t.equal(bodyOf((await byRefresh(app, refresh)).json().access_token).asked, 5)
  t.equal(bodyOf((await app.accounts.login({ email: 'ada@example.com', password: PASSWORD })).accessToken).via, '24 nobody')
})

t.test('what no token can say is refused by name, and nobody is signed in', async t => {
  let said: () => unknown = () => ({})
  const { app, client, signedUp } = await createApp(t, { hooks: { claims: () => said() as object } })
  const browser = await signedUp()
  const { users, sessions } = app.accounts
  const { id } = (await users.findByEmail('user1@example.com'))!
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  const deep = JSON.parse(`${'{"a":'.repeat(9)}1${'}'.repeat(9)}`) as object
  const rows: ReadonlyArray<readonly [string, unknown, RegExp]> = [
    ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'sid', 'gen', 'auth_time', 'scope', 'client_id', 'cnf', 'typ'].map(name => [name, { [name]: 1 }, new RegExp(`can't say "${name}"`)] as const),
    ['a list', [1], /must be an object/],
    ['a text', 'x', /must be an object/],
    ['a cycle', cycle, /JSON/],
    ['a BigInt', { n: 1n }, /JSON/],
    ['too deep', deep, /nested/],
    ['__proto__', JSON.parse('{"x":{"__proto__":1}}'), /__proto__/],
    ['too long', { x: 'ä'.repeat(600) }, /1024 bytes/]
  ]
  for (const [title, claims, message] of rows) {
    said = () => claims
    await t.rejects(sessions.begin(id), { code: 'FST_ACCOUNTS_CLAIMS_INVALID', statusCode: 500, message }, title)
    said = () => ({})
    await t.rejects(sessions.begin(id, { claims: claims as object }), { code: 'FST_ACCOUNTS_CLAIMS_INVALID', message }, `${title}, at the sign-in`)
  }
  app.accounts.addHook('claims', () => ({ more: 'z'.repeat(600) }) as object)
  said = () => ({ some: 'z'.repeat(600) })
  await t.rejects(sessions.begin(id), { code: 'FST_ACCOUNTS_CLAIMS_INVALID', message: /1024 bytes/ }, 'too long together')
  for (const nothing of [undefined, null, {}]) {
    said = () => nothing
    t.strictSame(Object.keys(bodyOf((await sessions.begin(id)).accessToken)).filter(name => name !== 'more').sort(), ['aud', 'auth_time', 'exp', 'gen', 'iat', 'iss', 'jti', 'sid', 'sub'])
  }
  await sessions.endAll(id)
  const login = async () => await client().post('/auth/login', { email: 'user1@example.com', password: PASSWORD })
  said = () => { throw new TypeError('the service behind it is down') }
  t.match([(await login()).statusCode, (await login()).json().code], [500, 'FST_ACCOUNTS_INTERNAL'])
  said = () => { throw Object.assign(new Error('Not today'), { statusCode: 403 }) }
  t.match((await login()).json(), { statusCode: 403, message: 'Not today' })
  said = () => ({ x: 'y'.repeat(2000) })
  const refused = await login()
  t.match([refused.statusCode, refused.json().code, refused.headers['set-cookie']], [500, 'FST_ACCOUNTS_CLAIMS_INVALID', undefined])
  t.strictSame(await sessions.list(id), [], 'nothing was stored')
  t.equal((await browser.get('/private')).statusCode, 401)
})

t.test('a failing hook costs no refresh token: the client tries again', async t => {
  const clock = holdClock(t)
  let isDown = false
  const { app } = await createApp(t, { hooks: { claims: () => { if (isDown) throw new TypeError('down') } } })
  const { refresh_token: refresh } = await granted({ app })
  clock.advance(MINUTE)
  isDown = true
  t.match(await byRefresh(app, refresh), { statusCode: 500, payload: /server_error/ })
  isDown = false
  t.equal((await byRefresh(app, refresh)).statusCode, 200)
  clock.advance(MINUTE)
  t.match(await byRefresh(app, refresh), { statusCode: 200, headers: { 'accounts-refresh': 'recovered' } })
})

t.test('claims of a sign-in stay with its session: through refreshes, a restart and a change of password', async t => {
  const clock = holdClock(t)
  const secret = randomBytes(32)
  const openShared = sharedStorage(t)
  const options = async () => ({ secret, storage: await openShared(), hooks: { claims: () => ({ plan: 'gold', via: 'hook' }) } })
  const { app } = await createApp(t, await options(), app => {
    app.post('/sso', async (_request, reply) => await reply.signIn((await app.accounts.users.findByEmail('ada@example.com'))!, { claims: { tenant: 'north', via: 'sign-in' } }))
  })
  await app.accounts.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true })
  const browser = createClient(app)
  await browser.post('/sso')
  const expected = { tenant: 'north', plan: 'gold', via: 'hook' }
  t.match(bodyOf(browser.cookies.accounts_access), expected, 'the hook has the last word')
  clock.advance(HOUR)
  await browser.get('/private')
  t.match(bodyOf(browser.cookies.accounts_access), expected)
  t.equal((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
  t.match(bodyOf(browser.cookies.accounts_access), expected)
  t.match((await browser.get('/auth/me/export')).json().sessions.find(({ revokedAt }: { revokedAt: unknown }) => revokedAt === null), { claims: { tenant: 'north', via: 'sign-in' } })
  const { app: again } = await createApp(t, await options())
  const later = createClient(again, { ...browser.cookies })
  clock.advance(HOUR)
  t.equal((await later.get('/private')).statusCode, 200)
  t.match(bodyOf(later.cookies.accounts_access), expected)
  t.notMatch(bodyOf((await again.accounts.login({ email: 'ada@example.com', password: OTHER_PASSWORD })).accessToken), { tenant: 'north' }, 'another session has none of it')
})

t.test('the hook "verifyToken" may refuse a token that is good: 401, asked once for each token', async t => {
  const clock = holdClock(t)
  const seen: string[] = []
  let answer: (plan: string | undefined) => unknown = plan => plan === 'gold'
  const { app, storage } = await createApp(t, {
    hooks: {
      claims: ({ user }) => ({ plan: user.email.split('@')[0]! }),
      verifyToken: [
        ({ via, user, claims }) => { seen.push(`${via} ${user.email} ${claims.plan}`); return true },
        async ({ claims }) => await answer(claims.plan) as boolean
      ]
    }
  }, app => { app.get('/open', { onRequest: app.guard({ optional: true }) }, async () => 'in') })
  const gold = createApiClient(app, (await granted({ app }, 'gold@example.com')).access_token)
  for (let round = 0; round < 3; round++) t.equal((await gold.get('/private')).statusCode, 200)
  t.strictSame(seen.splice(0), ['bearer gold@example.com gold'])
  const tin = createApiClient(app, (await granted({ app }, 'tin@example.com')).access_token)
  t.match(await tin.get('/private'), { statusCode: 401, headers: { 'www-authenticate': /error="invalid_token"/ } })
  t.equal((await tin.get('/open')).statusCode, 401, 'something bad, not nothing')
  t.strictSame(seen.splice(0), Array(2).fill('bearer tin@example.com tin'))
  const browser = createClient(app)
  await browser.post('/auth/login', { email: 'tin@example.com', password: PASSWORD })
  const refused = await browser.get('/private')
  t.strictSame([refused.statusCode, refused.headers['set-cookie']], [401, undefined])
  t.match(seen.splice(0), ['cookie tin@example.com tin'])
  const { generation, id } = (await storage.sessions.listForUser((await app.accounts.users.findByEmail('tin@example.com'))!.id, new Date())).at(0)!
  clock.advance(MINUTE)
  await browser.get('/private')
  t.equal((await storage.sessions.find(id))?.generation, generation, 'and nothing is traded for it')
  clock.advance(HOUR)
  t.equal((await browser.get('/private')).statusCode, 401, 'nor is one that was just renewed')
  for (const [value, statusCode] of [[1, 401], ['true', 401], [undefined, 401]] as const) {
    answer = () => value
    t.equal((await tin.get('/private')).statusCode, statusCode)
  }
  answer = () => { throw new TypeError('its service is down') }
  t.equal((await tin.get('/private')).statusCode, 401, 'it has expired by now')
  const fresh = createApiClient(app, ((await byPassword(app, 'tin@example.com')).json() as Grant).access_token)
  t.match(await fresh.get('/private'), { statusCode: 500, payload: /FST_ACCOUNTS_INTERNAL/ }, 'a fault of the server logs nobody out')
  answer = () => { throw Object.assign(new Error('Too many seats'), { statusCode: 403 }) }
  t.match(await fresh.get('/private'), { statusCode: 403, payload: /Too many seats/ })
})

t.test('leeway: an access token is taken a while past its end, and no longer', async t => {
  const clock = holdClock(t)
  const { app } = await createApp(t, { leeway: '20s' })
  const { access_token: token, refresh_token: refresh } = await granted({ app })
  const api = createApiClient(app, token)
  const { exp } = claimsOf(token)
  const moveTo = (moment: number) => clock.advance(moment - Date.now())
  moveTo(exp * 1000 + 19 * SECOND)
  t.equal((await api.get('/private')).statusCode, 200)
  moveTo(exp * 1000 + 20 * SECOND)
  t.match(await api.get('/private'), { statusCode: 401, headers: { 'www-authenticate': /expired/ } }, 'also one that was verified before')
  t.equal((await byRefresh(app, refresh)).statusCode, 200)
  for (const leeway of [61, '2m', -1, '0s', 1.5, null]) {
    await t.rejects(createApp(t, { leeway: leeway as number }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "leeway"/ }, String(leeway))
  }
})

t.test('issuer and audience: of a list the first is written, and all are good, so that a new name logs nobody out', async t => {
  const secret = randomBytes(32)
  const openShared = sharedStorage(t)
  const open = async (names: object) => (await createApp(t, { secret, storage: await openShared(), ...names })).app
  const before = await open({ issuer: 'old', audience: 'old-api' })
  const { access_token: token } = await granted({ app: before })
  const both = await open({ issuer: ['new', 'old'], audience: ['new-api', 'old-api'] })
  t.equal((await createApiClient(both, token).get('/private')).statusCode, 200)
  const { access_token: renewed } = (await byPassword(both, 'ada@example.com')).json() as Grant
  t.match(bodyOf(renewed), { iss: 'new', aud: 'new-api' })
  t.equal((await createApiClient(before, renewed).get('/private')).statusCode, 401)
  const after = await open({ issuer: 'new', audience: 'new-api' })
  t.strictSame([(await createApiClient(after, renewed).get('/private')).statusCode, (await createApiClient(after, token).get('/private')).statusCode], [200, 401])
  for (const [name, value] of [['issuer', []], ['issuer', ['']], ['audience', ['a', 1]], ['audience', 7]] as const) {
    await t.rejects(open({ [name]: value }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`^Option "${name}`) })
  }
})

t.test('credentialOrder: of several credentials the first of the list counts; without it they are refused', async t => {
  const setup = { bearer: ['bearer', 'cookie'], cookie: ['cookie'], token: ['personal-token', 'cookie'] } as const
  for (const [first, credentialOrder] of Object.entries(setup)) {
    const { app, signedUp } = await createApp(t, { credentialOrder }, app => {
      app.get('/who', { onRequest: app.authenticate }, async ({ principal }) => principal!.via)
      app.get('/cookie', { onRequest: app.verifyAccessCookie }, async ({ principal }) => principal!.via)
    })
    const browser = await signedUp()
    const { access_token: bearer } = await granted({ app })
    const { token } = (await app.accounts.personalTokens.create((await app.accounts.users.findByEmail('ada@example.com'))!.id, { name: 'x', context: 'server' }))!
    t.equal((await browser.get('/who', { authorization: `Bearer ${bearer}` })).body, first === 'bearer' ? 'bearer' : 'cookie')
    t.equal((await browser.get('/who', { authorization: `Bearer ${token}` })).body, first === 'token' ? 'personal-token' : 'cookie')
    t.equal((await browser.get('/cookie', { authorization: `Bearer ${bearer}` })).body, 'cookie')
    t.equal((await browser.get('/who')).body, 'cookie')
    t.equal((await browser.get('/who', { authorization: 'Bearer garbage' })).statusCode, first === 'bearer' ? 401 : 200, 'what is nobody\'s stands in the way of a cookie only where bearer tokens go first')
    t.equal((await browser.get('/who', { authorization: `Bearer ${bearer.slice(0, -4)}AAAA` })).statusCode, first === 'bearer' ? 401 : 200)
  }
  for (const order of [['basic'], ['cookie', 'cookie'], ['session'], [], 'cookie', null]) {
    await t.rejects(createApp(t, { credentialOrder: order as never }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "credentialOrder/ }, JSON.stringify(order))
  }
})

t.test('K5 an access token that another program has signed with the shared secret is read by the same rules', async t => {
  const clock = holdClock(t)
  const access = randomBytes(48).toString('base64url')
  const { app } = await createApp(t, { secrets: { access }, issuer: 'us', audience: 'api' })
  const { access_token: token } = await granted({ app })
  const [head] = token.split('.') as [string]
  const ours = bodyOf(token)
  const sign = (change: object) => {
    const input = `${head}.${Buffer.from(JSON.stringify({ ...ours, ...change })).toString('base64url')}`
    return `${input}.${createHmac('sha256', access).update(input).digest('base64url')}`
  }
  const ask = async (change: object) => (await createApiClient(app, sign(change)).get('/private')).statusCode
  const time = Math.floor(Date.now() / 1000)
  t.equal(await ask({ tenant: 'x', jti: 'A'.repeat(24) }), 200)
  for (const [title, change] of Object.entries({
    'not before a while': { nbf: time + 120 },
    expired: { exp: time - 1 },
    'another audience': { aud: 'other' },
    'a list of audiences': { aud: ['api'] },
    'another issuer': { iss: 'them' },
    'a list of issuers': { iss: ['us'] },
    'no issuer': { iss: undefined },
    'made tomorrow': { iat: time + 7200, exp: time + 9000 },
    'nobody\'s': { sub: 'nobody' },
    'another session': { sid: 'A'.repeat(24) },
    'a number for a user': { sub: 1 }
  })) t.equal(await ask(change), 401, title)
  t.equal(await ask({ nbf: time - 5 }), 200)
  clock.advance(SECOND)
})

t.test('tokenHeader: access tokens have members of the host in their header, and another header is another token', async t => {
  const secret = randomBytes(32)
  const openShared = sharedStorage(t)
  const keys = [{ algorithm: 'ES256' as const, privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }]
  for (const more of [{}, { keys }]) {
    const open = async (tokenHeader?: object) => (await createApp(t, { secret, storage: await openShared(), ...more, ...(tokenHeader === undefined ? {} : { tokenHeader: tokenHeader as never }) })).app
    const app = await open({ tenant: 'north', level: 2, beta: true })
    const { access_token: token, refresh_token: refresh } = await granted({ app }, `ada${'keys' in more}@example.com`)
    const headOf = (one: string) => JSON.parse(Buffer.from(one.split('.')[0]!, 'base64url').toString()) as object
    t.match(headOf(token), { typ: 'at+jwt', tenant: 'north', level: 2, beta: true })
    t.notMatch(headOf(refresh), { tenant: 'north' })
    t.equal((await createApiClient(app, token).get('/private')).statusCode, 200)
    const plain = await open()
    t.equal((await createApiClient(plain, token).get('/private')).statusCode, 401)
    t.equal((await byRefresh(plain, refresh)).statusCode, 200, 'its session goes on')
  }
  for (const header of [...['alg', 'typ', 'kid', 'jwk', 'jku', 'x5u', 'x5c', 'crit', 'zip', 'b64', 'enc'].map(name => ({ [name]: 'x' })), { a: {} }, { a: null }, { a: NaN }, [], null, 'x', { a: 'y'.repeat(300) }]) {
    await t.rejects(createApp(t, { tokenHeader: header as never }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "tokenHeader"/ }, JSON.stringify(header))
  }
})
