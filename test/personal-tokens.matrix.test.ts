import type { FastifyInstance, HTTPMethods, LightMyRequestResponse } from 'fastify'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Storage } from '../types/index.ts'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { MINUTE, holdClock } from './support/clock.ts'
import { createPeopleApp } from './support/people.ts'
import { runs } from './support/runs.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

function addDoors (app: FastifyInstance): void {
  const handler = async () => 'in'
  app.route({ method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], url: '/host/any', onRequest: app.authenticate, handler })
  app.get('/host/strict', { onRequest: app.guard({ liveness: 'strict', roles: ['owner'] }), handler })
  app.get('/host/stateless', { onRequest: app.guard({ liveness: 'stateless' }), handler })
  app.get('/host/configured', { config: { accounts: { via: 'personal-token' } } }, handler)
  app.get('/host/scoped', { onRequest: app.guard({ scopes: ['read'] }), handler })
  app.get('/host/anyhow', { onRequest: app.guard({ scopes: [] }), handler })
  app.get('/host/by-cookie', { onRequest: app.verifyAccessCookie, handler })
  app.get('/host/fresh', { onRequest: app.guard({ fresh: '1h' }), handler })
}

/** Everything that the routes of the plugin take, so that nothing is refused for its shape. */
const bodyOf = (url: string): object | undefined => ({
  '/auth/register': { email: 'eve@example.com', password: PASSWORD },
  '/auth/login': { email: 'ada@example.com', password: PASSWORD },
  '/auth/password/change': { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD },
  '/auth/password/forgot': { email: 'ada@example.com' },
  '/auth/password/reset': { token: 'x', password: OTHER_PASSWORD },
  '/auth/email/verify': { token: 'x' },
  '/auth/email/resend': { email: 'ada@example.com' },
  '/auth/email/change': { email: 'eve@example.com', password: PASSWORD },
  '/auth/tokens': { name: 'another', context: 'server' },
  '/auth/tokens/:id': { name: 'renamed' },
  '/auth/tokens/:id/rotate': {},
  '/auth/me': { name: 'Eve' },
  '/auth/users/:id': { roles: [] }
})[url]

async function createMatrix (t: Test) {
  const storage = await openStorage(t)
  const test = await createApp(t, { storage, mailer: { send: async () => {} }, registration: { verifyEmail: false } }, addDoors)
  const { app } = test
  const { id } = (await app.accounts.register({ email: 'ada@example.com', password: PASSWORD }))!.user
  await app.accounts.users.update(id, { roles: ['owner'] })
  const victim = await app.accounts.users.create({ email: 'victim@example.com' })
  const { personalToken: { id: tokenId } } = (await app.accounts.personalTokens.create(id, { name: 'the other one', context: 'server' }))!
  const sessionId = (await app.accounts.sessions.list(id))[0]!.id
  const idFor = (url: string) => url.startsWith('/auth/tokens') ? tokenId : url.startsWith('/auth/sessions') ? sessionId : victim.id
  const mint = async (limits: object = {}) => (await app.accounts.personalTokens.create(id, { name: 'a token', context: 'server', ...limits }))!.token
  return {
    ...test,
    mint,
    async call (method: string, url: string, headers: Record<string, string>): Promise<LightMyRequestResponse> {
      const body = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method) ? bodyOf(url) : undefined
      return await app.inject({ method: method as 'GET', url: url.replace(':id', idFor(url)), headers, ...(body === undefined ? {} : { payload: body }) })
    },
    /** All that is stored of these people, but for when tokens were used. */
    async look () {
      const of = async (userId: string) => [await storage.users.find(userId), await storage.sessions.listForUser(userId, new Date(0)), await tokensOf(storage, userId)]
      return JSON.stringify([await of(id), await of(victim.id), (await app.accounts.users.list()).users.length])
    }
  }
}

const tokensOf = async (storage: Storage, userId: string) => (await storage.personalTokens!.listForUser(userId)).map(token => ({ ...token, lastUsedAt: null, lastUsedAddress: null })).sort((a, b) => a.id < b.id ? -1 : 1)

t.test('T-06 T-07 T-I10 with a token of the owner of the place no route sets a cookie, and none of ours but /auth/me opens', async t => {
  const { app, call, look, mint } = await createMatrix(t)
  const urls = [...new Set(app.accounts.policies().map(({ url }) => url).filter(url => url.startsWith('/')))]
  t.ok(urls.length > 25, `${urls.length} routes`)
  for (const name of ['tokens', 'tokens/:id', 'tokens/:id/rotate', 'sessions', 'sessions/:id', 'password/change', 'password/reset', 'email/change', 'users', 'users/:id', 'users/:id/sessions', 'me', 'me/export', 'login', 'logout', 'refresh', 'register']) t.ok(urls.includes(`/auth/${name}`), name)
  const open = new Set(['GET /auth/me', 'HEAD /auth/me', ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].map(method => `${method} /host/any`), 'GET /private', 'HEAD /private', 'POST /private', ...['strict', 'stateless', 'configured', 'scoped', 'anyhow'].flatMap(name => [`GET /host/${name}`, `HEAD /host/${name}`])])
  const narrowed = new Set(['GET /host/scoped', 'HEAD /host/scoped', 'GET /host/anyhow', 'HEAD /host/anyhow'])
  const kinds: ReadonlyArray<readonly [title: string, token: string, opened: ReadonlySet<string>]> = [['a token', await mint(), open], ['a narrowed token', await mint({ scopes: ['read'] }), narrowed], ['a token of other methods', await mint({ allowedMethods: ['PUT'] }), new Set(['PUT /host/any'])]]
  const before = await look()
  const seen = new Set<string>()
  for (const [title, token, opened] of kinds) {
    for (const url of urls) {
      for (const method of METHODS) {
        for (const scheme of ['ApiToken', 'Bearer']) {
          const answer = await call(method, url, { authorization: `${scheme} ${token}` })
          const isIn = answer.statusCode < 300
          t.equal(answer.headers['set-cookie'], undefined, `${method} ${url}: no cookie`)
          t.equal(isIn, opened.has(`${method} ${url}`), `${title}: ${method} ${url} is ${answer.statusCode}`)
          t.ok(isIn || [401, 403, 404].includes(answer.statusCode), `${method} ${url}: ${answer.statusCode}`)
          if (isIn) seen.add(`${method} ${url}`)
        }
      }
    }
  }
  t.strictSame([...seen].sort(), [...open].sort(), 'all that is to open did')
  t.equal(await look(), before, 'nothing has changed')
})

t.test('T-06 T-07 nor under protect: all, nor with a bad token on what is public', async t => {
  const storage = await openStorage(t)
  const { app } = await createPeopleApp(t, { storage, protect: 'all' }, app => {
    app.get('/quiet', async () => 'in')
    app.get('/public', { config: { accounts: false } }, async ({ principal }) => String(principal))
  })
  const { id } = await app.accounts.users.create({ email: 'ada@example.com', roles: ['owner'] })
  const { token } = (await app.accounts.personalTokens.create(id, { name: 'a token', context: 'server' }))!
  const call = async (method: HTTPMethods, url: string, authorization: string) => await app.inject({ method: method as 'GET', url, headers: { authorization } })
  t.equal((await call('GET', '/quiet', `Bearer ${token}`)).statusCode, 200)
  t.equal((await call('GET', '/quiet', 'Bearer pat_')).statusCode, 401)
  t.equal((await call('GET', '/nowhere', `Bearer ${token}`)).statusCode, 404)
  t.equal((await call('GET', '/nowhere', 'Bearer pat_')).statusCode, 401)
  for (const header of [`Bearer ${token}`, 'Bearer pat_', 'ApiToken x']) {
    t.equal((await call('GET', '/public', header)).body, 'null', 'public is public')
    for (const url of ['/auth/login', '/auth/register', '/auth/refresh', '/auth/logout']) {
      const answer = await call('POST', url, header)
      t.strictSame([answer.statusCode, answer.headers['set-cookie']], [403, undefined], `${url} is not for tokens`)
    }
  }
})

t.test('T-06 a route of the host\'s that a token opens can begin and end no session (CVE-2023-31139)', async t => {
  const storage = await openStorage(t)
  const { app, person } = await createPeopleApp(t, { storage }, app => {
    for (const [name, onRequest] of Object.entries({ plain: app.authenticate, optional: app.guard({ optional: true }), strict: app.guard({ liveness: 'strict' }), token: app.verifyPersonalToken })) {
      app.post(`/${name}/in`, { onRequest }, async ({ principal }, reply) => await reply.signIn({ id: principal!.user.id }))
      app.post(`/${name}/in-briefly`, { onRequest }, async ({ principal }, reply) => await reply.signIn({ id: principal!.user.id }, { remember: false }))
      app.post(`/${name}/begun`, { onRequest }, async request => await app.accounts.sessions.begin(request.principal!.user.id, {}, { request }))
      app.post(`/${name}/out`, { onRequest }, async (_request, reply) => {
        await reply.signOut()
        return 'out'
      })
      app.post(`/${name}/caught`, { onRequest }, async ({ principal }, reply) => {
        await reply.signIn({ id: principal!.user.id }).catch(() => {})
        await reply.signOut().catch(() => {})
        return 'caught'
      })
    }
  })
  const { id } = await person(['owner'])
  const { token } = (await app.accounts.personalTokens.create(id, { name: 'a token', context: 'server' }))!
  const sessions = await app.accounts.sessions.list(id)
  for (const name of ['plain', 'optional', 'strict', 'token']) {
    for (const [act, expected] of [['in', 403], ['in-briefly', 403], ['begun', 403], ['out', 403], ['caught', 200]] as const) {
      const answer = await app.inject({ method: 'POST', url: `/${name}/${act}`, headers: { authorization: `ApiToken ${token}` } })
      t.strictSame([answer.statusCode, answer.headers['set-cookie']], [expected, undefined], `${name}/${act}`)
    }
  }
  t.strictSame(await app.accounts.sessions.list(id), sessions)
})

// Fields that somebody would like to set, beside those that there are.
const lists = { allowedMethods: fc.constantFrom(['GET'], null, [], ['get'], ['*']), allowedIps: fc.constantFrom(['10.0.0.0/8'], null, [], ['0.0.0.0/0'], ['10.0.0.1/8']), allowedReferrers: fc.constantFrom(['https://a.example.com'], null, [], ['*']), scopes: fc.constantFrom(['read'], null, [], ['a b']) }
const moments = fc.oneof(fc.date({ noInvalidDate: false }).map(date => Number.isNaN(date.getTime()) ? 'x' : date.toISOString()), fc.integer(), fc.constantFrom('2999-01-01T00:00:00Z', 1_800_000_000, 1_800_000_000_000, '1800000000', null, Infinity, new Date(Date.now() + 86_400_000).toISOString()))
const junk = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.jsonValue())
const bodies = (victim: { id: string, tokenId: string }) => fc.record({
  name: fc.oneof({ weight: 5, arbitrary: fc.constant('renamed') }, { weight: 1, arbitrary: junk }),
  context: fc.constantFrom('server', 'browser', 'any', null),
  expiresAt: moments,
  ...lists,
  ...Object.fromEntries(['userId', 'user_id', 'createdBy', 'owner', 'user'].map(name => [name, fc.oneof(fc.constant(victim.id), junk)])),
  ...Object.fromEntries(['id', 'tokenId', 'successorId'].map(name => [name, fc.oneof(fc.constant(victim.tokenId), junk)])),
  ...Object.fromEntries(['digest', 'token', 'epoch', 'revokedAt', 'createdAt', 'lastUsedAt', 'noticeAt', '__proto__', 'constructor', 'attributes', 'personalToken', 'overlap'].map(name => [name, junk]))
}, { requiredKeys: [] })
// Mostly what may be asked for.
const sound = {
  expiresAt: fc.integer({ min: -5, max: 400 }).map(days => new Date(Date.now() + days * 86_400_000).toISOString()),
  allowedMethods: fc.constantFrom(['GET'], ['POST', 'GET'], null, []),
  allowedIps: fc.constantFrom(['10.0.0.0/8'], null, ['::1'], ['x']),
  scopes: fc.constantFrom(['read'], null)
}
const FIELDS = ['name', 'context', 'expiresAt', 'allowedMethods', 'allowedIps', 'allowedReferrers', 'scopes']
const RUNS = runs(100)

async function createVictim (t: Test) {
  const storage = await openStorage(t)
  const people = await createPeopleApp(t, { storage })
  const { personalTokens } = people.app.accounts
  const [ada, mallory] = [await people.person(['owner']), await people.person()]
  const victim = (await personalTokens.create(ada.id, { name: 'hers', context: 'server', allowedMethods: ['GET'], allowedIps: ['203.0.113.7'], scopes: ['read'] }))!
  const own = (await personalTokens.create(mallory.id, { name: 'his', context: 'server', allowedMethods: ['GET'] }))!
  return { ...people, storage, ada, mallory, victim, own, rowOf: async (id: string) => JSON.stringify(await storage.personalTokens!.find(id)) }
}

t.test('T-I13 nobody but its owner touches a token, whatever they send', async t => {
  const { storage, ada, mallory, victim, rowOf } = await createVictim(t)
  const { id } = victim.personalToken
  const before = await rowOf(id)
  const tally = new Map<number, number>()
  const property = fc.asyncProperty(bodies({ id: ada.id, tokenId: id }), fc.constantFrom('PATCH', 'DELETE', 'POST'), async (body, method) => {
    const url = method === 'POST' ? `/auth/tokens/${id}/rotate` : `/auth/tokens/${id}`
    const given = method === 'POST' && Object.hasOwn(body, 'overlap') ? { overlap: (body as { overlap?: unknown }).overlap } : body
    const { statusCode } = await mallory.browser.request(method, url, given)
    tally.set(statusCode, (tally.get(statusCode) ?? 0) + 1)
    return [400, 404, 422].includes(statusCode) && await rowOf(id) === before && (await tokensOf(storage, ada.id)).length === 1
  })
  await fc.assert(property, { numRuns: RUNS })
  for (const [method, path, body] of [['PATCH', '', { name: 'mine' }], ['DELETE', '', undefined], ['POST', '/rotate', {}]] as const) {
    const answers = await Promise.all([id, 'a'.repeat(24), 'nothing'].map(async id => await mallory.browser.request(method, `/auth/tokens/${id}${path}`, body)))
    t.strictSame(answers.map(({ statusCode }) => statusCode), [404, 404, 404])
    t.equal(new Set(answers.map(({ body }) => body)).size, 1, 'nor learns that there is one')
  }
  t.equal(await rowOf(id), before)
  t.strictSame((await mallory.browser.get('/auth/tokens')).json().tokens.map((token: { name: string }) => token.name), ['his'])
  t.comment([...tally])
})

t.test('T-08 who makes a token makes it for themselves, and of the fields that there are', async t => {
  const { storage, ada, mallory, victim, rowOf } = await createVictim(t)
  const before = await rowOf(victim.personalToken.id)
  let made = 0
  const withName = bodies({ id: ada.id, tokenId: victim.personalToken.id }).map(body => ({ name: 'made', context: 'server', ...body }))
  const wellMeant = fc.record({ name: fc.constant('made'), context: fc.constant('server'), ...sound }, { requiredKeys: ['name', 'context'] })
  const property = fc.asyncProperty(fc.oneof(withName, wellMeant), async body => {
    const mine = (await tokensOf(storage, mallory.id)).length
    const answer = await mallory.browser.post('/auth/tokens', body)
    const after = await tokensOf(storage, mallory.id)
    if (await rowOf(victim.personalToken.id) !== before || (await tokensOf(storage, ada.id)).length !== 1) return false
    if (answer.statusCode !== 201) return [400, 422].includes(answer.statusCode) && after.length === mine
    made++
    const { token, personalToken } = answer.json()
    await storage.personalTokens!.deleteAllForUser(mallory.id)
    const row = after.find(({ id }) => id === personalToken.id)!
    const isWithin = row.expiresAt.getTime() > Date.now() && row.expiresAt.getTime() <= row.createdAt.getTime() + 366 * 86_400_000
    return Object.keys(body).every(name => FIELDS.includes(name)) && row.userId === mallory.id && row.id !== victim.personalToken.id && isWithin && row.revokedAt === null && row.successorId === null && !answer.body.includes(row.digest) && token.startsWith('pat_')
  })
  await fc.assert(property, { numRuns: 2 * RUNS })
  t.ok(made > RUNS / 10, `${made} were made`)
  for (const [field, value] of Object.entries({ userId: ada.id, createdBy: ada.id, digest: 'x', epoch: 0, id: victim.personalToken.id, token: 'pat_x', revokedAt: null, createdAt: new Date() })) {
    t.equal((await mallory.browser.post('/auth/tokens', { name: 'made', context: 'server', [field]: value })).statusCode, 400, field)
  }
  for (const expiresAt of [1_900_000_000, 1_900_000_000_000, '1900000000', '2999-01-01T00:00:00Z', new Date(Date.now() + 367 * 86_400_000), '2020-01-01T00:00:00Z', '2027-02-30T00:00:00Z', '2027-01-31', '2027-01-31T24:00:00Z', '']) {
    t.ok([400, 422].includes((await mallory.browser.post('/auth/tokens', { name: 'made', context: 'server', expiresAt })).statusCode), `expiresAt ${String(expiresAt)}`)
  }
})

t.test('T-10 T-I13 what a token is can\'t be changed by its owner either', async t => {
  const { mallory, ada, own, victim, storage } = await createVictim(t)
  const { id } = own.personalToken
  const fixed = async () => {
    const { id: rowId, userId, digest, context, epoch, createdAt, successorId, revokedAt } = (await storage.personalTokens!.find(id))!
    return JSON.stringify({ rowId, userId, digest, context, epoch, createdAt, successorId, revokedAt })
  }
  const before = await fixed()
  let changed = 0
  const fields = fc.record({ name: fc.constant('renamed'), ...sound }, { requiredKeys: [] })
  const property = fc.asyncProperty(fc.oneof(bodies({ id: ada.id, tokenId: victim.personalToken.id }), fields), async body => {
    const row = JSON.stringify(await storage.personalTokens!.find(id))
    const { statusCode } = await mallory.browser.request('PATCH', `/auth/tokens/${id}`, body)
    if (await fixed() !== before) return false
    if (statusCode === 200) {
      changed++
      return Object.keys(body).every(name => name !== 'context' && FIELDS.includes(name))
    }
    return [400, 422].includes(statusCode) && JSON.stringify(await storage.personalTokens!.find(id)) === row
  })
  await fc.assert(property, { numRuns: 2 * RUNS })
  t.ok(changed > RUNS / 10, `${changed} were changed`)
  t.equal((await storage.personalTokens!.find(victim.personalToken.id))!.name, 'hers')
})

t.test('T-07 to make or widen one takes a recent login, to revoke one does not', async t => {
  const clock = holdClock(t)
  const { mallory, own } = await createVictim(t)
  const { id } = own.personalToken
  clock.advance(16 * MINUTE)
  for (const [method, url, body] of [['POST', '/auth/tokens', { name: 'x', context: 'server' }], ['PATCH', `/auth/tokens/${id}`, { name: 'x' }], ['POST', `/auth/tokens/${id}/rotate`, {}]] as const) t.equal((await mallory.browser.request(method, url, body)).statusCode, 401, `${method} ${url}`)
  t.equal((await mallory.browser.get('/auth/tokens')).statusCode, 200)
  t.equal((await mallory.browser.request('DELETE', `/auth/tokens/${id}`)).statusCode, 204)
})
