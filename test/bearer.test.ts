import t from 'tap'
import type { BearerPrincipal } from '../types/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { byPassword, byRefresh, createApiClient, granted, requestToken, type Grant } from './support/bearer.ts'
import { holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { listenRaw, requestLines } from './support/raw-socket.ts'
import { claimsOf } from './support/tokens.ts'
import { holdTimers } from './support/timers.ts'

const WINDOW = 30 * SECOND
const INVALID = 'Bearer realm="accounts", error="invalid_token"'

t.test('K4 K5 an access token in the Authorization header lets in as who its session is of', async t => {
  const { app } = await createApp(t, {}, app => {
    app.get('/who', { onRequest: app.verifyBearer }, async ({ principal }) => principal)
    app.get('/cookie', { onRequest: app.verifyAccessCookie }, async () => 'in')
  })
  const { access_token: token } = await granted({ app })
  const api = createApiClient(app, token)
  const response = await api.get('/who')
  const { via, user, session, scopes } = response.json() as BearerPrincipal
  t.match({ via, user, scopes }, { via: 'bearer', user: { email: 'ada@example.com' }, scopes: null })
  t.equal(session.id, claimsOf(token).sid)
  t.match(response.headers, { vary: 'Cookie, Authorization' })
  t.equal((await api.get('/private')).statusCode, 200)
  for (const scheme of ['bearer', 'BEARER', 'Bearer  ']) t.equal((await app.inject({ url: '/who', headers: { authorization: `${scheme} ${token}` } })).statusCode, 200, 'RFC 9110, 11.1: in any case')
  t.match(await api.get('/cookie'), { statusCode: 401, headers: { 'www-authenticate': 'Cookie realm="accounts"' } }, 'where only a cookie will do')
  t.equal((await api.post('/private', undefined, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })).statusCode, 200, 'X-06: no browser sends it by itself')
})

t.test('K6 J-16 R-08 what is missing, bad, expired, or of another kind is 401, and a challenge says which', async t => {
  const clock = holdClock(t)
  const { app, client, signedUp } = await createApp(t, {}, app => {
    app.get('/who', { onRequest: app.verifyBearer }, async () => 'in')
    app.get('/optional', { onRequest: app.guard({ via: ['bearer', 'cookie'], optional: true }) }, async ({ principal }) => ({ in: principal?.user.email ?? null }))
  })
  const { access_token: token, refresh_token: refresh } = await granted({ app })
  const [head, payload, signature] = token.split('.') as [string, string, string]
  const otherSignature = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  const foreign = `${Buffer.from('{"alg":"RS256","typ":"JWT"}').toString('base64url')}.${payload}.${signature}`
  const ask = async (url: string, authorization?: string) => await app.inject({ url, headers: authorization === undefined ? {} : { authorization } })
  const cases = { nothing: 'Bearer', spaces: 'Bearer   ', garbage: 'Bearer garbage', 'a refresh token': `Bearer ${refresh}`, tampered: `Bearer ${head}.${payload}.${otherSignature}`, another: `Bearer ${foreign}`, twice: `Bearer ${token}, Bearer ${token}`, 'a tail': `Bearer ${token} x`, unsigned: `Bearer ${head}.${payload}.` }
  for (const url of ['/who', '/optional']) {
    for (const [title, header] of Object.entries(cases)) {
      const response = await ask(url, header)
      t.match([response.statusCode, response.headers['www-authenticate'], response.json().code], [401, INVALID, 'FST_ACCOUNTS_TOKEN_INVALID'], `${url} ${title}`)
      t.equal(response.headers['set-cookie'], undefined)
    }
  }
  t.match(await ask('/who'), { statusCode: 401, headers: { 'www-authenticate': 'Bearer realm="accounts"' } })
  t.match(await ask('/who', `ApiToken ${token}`), { statusCode: 401 }, 'of another scheme')
  t.match(await ask('/private'), { statusCode: 401, headers: { 'www-authenticate': 'Cookie realm="accounts", Bearer realm="accounts"' } })
  t.match(await ask('/private', 'Bearer garbage'), { statusCode: 401, headers: { 'www-authenticate': INVALID } })
  t.match((await ask('/optional')).json(), { in: null }, 'nothing presented: anonymous')
  t.match((await ask('/optional', `Bearer ${token}`)).json(), { in: 'ada@example.com' })
  t.match((await ask('/optional', 'Basic QTpC')).json(), { in: null }, 'a kind that is not taken is not looked at')
  for (const place of [`/who?access_token=${token}`, `/who?jwt=${token}`]) t.equal((await ask(place)).statusCode, 401, 'RFC 6750, 2.3: not in a query')
  const form = await app.inject({ method: 'POST', url: '/private', payload: { access_token: token } })
  t.equal(form.statusCode, 401, 'nor in a body')

  const { user } = (await createApiClient(app, token).get('/auth/me')).json()
  const { token: personal } = (await app.accounts.personalTokens.create(user.id, { name: 'x', context: 'server' }))!
  t.match((await ask('/who', `Bearer ${personal}`)).json(), { code: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' }, 'a personal token is of another kind')
  t.match((await ask('/optional', `Bearer ${personal}`)).json(), { in: null })
  const send = await listenRaw(app)
  const twice = await send(requestLines('GET', '/who', [`Authorization: Bearer ${token}`, `Authorization: Bearer ${refresh}`]))
  t.match(twice, { statusCode: 400, body: /FST_ACCOUNTS_HEADER_DUPLICATE/ }, 'I-04')

  const browser = await signedUp()
  t.match(await browser.get('/private', { authorization: `Bearer ${token}` }), { statusCode: 400 }, 'X-06: two credentials')
  t.equal((await browser.get('/private', { authorization: `Bearer ${foreign}` })).statusCode, 200, 'what a gateway adds for itself is none of ours')
  t.equal((await client().get('/private', { cookie: `accounts_access=${token}` })).statusCode, 200, 'the same token in a cookie')

  clock.advance(HOUR)
  t.match(await ask('/who', `Bearer ${token}`), { statusCode: 401, headers: { 'www-authenticate': `${INVALID}, error_description="expired"` }, payload: /FST_ACCOUNTS_TOKEN_EXPIRED/ })
  t.equal((await ask('/optional', `Bearer ${token}`)).statusCode, 401)
})

t.test('J-11 S-04 a bearer token ends at once with its session, and with its user', async t => {
  const { app } = await createApp(t)
  const ends = {
    'ended by the host': async ({ sid, sub }: { sid: string, sub: string }) => await app.accounts.sessions.end(sub, sid),
    'logged out': async (_claims: object, token: string) => await createApiClient(app, token).post('/auth/logout'),
    'ended by its owner': async ({ sid }: { sid: string }, token: string) => await createApiClient(app, token).request('DELETE', `/auth/sessions/${sid}`),
    'its refresh token revoked': async (_claims: object, _token: string, refresh: string) => await requestToken(app, { token: refresh }, { url: '/auth/token/revoke' }),
    'revoked itself': async (_claims: object, token: string) => await requestToken(app, { token, token_type_hint: 'refresh_token' }, { url: '/auth/token/revoke', json: true }),
    'password set': async ({ sub }: { sub: string }) => await app.accounts.passwords.set(sub, OTHER_PASSWORD),
    disabled: async ({ sub }: { sub: string }) => await app.accounts.users.update(sub, { disabled: true }),
    deleted: async ({ sub }: { sub: string }) => await app.accounts.users.delete(sub)
  }
  for (const [title, end] of Object.entries(ends)) {
    const { access_token: token, refresh_token: refresh } = await granted({ app }, `${title.replaceAll(' ', '-')}@example.com`)
    const api = createApiClient(app, token)
    t.equal((await api.get('/private')).statusCode, 200)
    const ended = await end(claimsOf(token), token, refresh)
    if (typeof ended === 'object' && ended !== null && 'statusCode' in ended) {
      t.ok(ended.statusCode < 300, title)
      t.equal(ended.headers['set-cookie'] === undefined || title === 'logged out', true, `${title}: sets no cookie`)
    }
    t.match(await api.get('/private'), { statusCode: 401, headers: { 'www-authenticate': INVALID } }, title)
    t.match(await byRefresh(app, refresh), { statusCode: 400, payload: /"invalid_grant"/ }, title)
  }
})

t.test('R-02 a refresh token rotates as that of a cookie does; a client that loses an answer recovers, a thief does not', async t => {
  const clock = holdClock(t)
  const { advance: pass } = holdTimers(t, clock)
  const { app, storage } = await createApp(t)
  const first = await granted({ app })
  const { sid } = claimsOf(first.access_token)
  const trade = async (token: string) => {
    const response = await byRefresh(app, token)
    const body = response.json() as Grant
    return { outcome: response.headers['accounts-refresh'], refresh: body.refresh_token, access: body.access_token, body, statusCode: response.statusCode }
  }
  t.match(await trade(first.refresh_token), { outcome: 'window', refresh: first.refresh_token, body: { token_type: 'Bearer', expires_in: Number } }, 'within 30 s of the login: the same once more')
  await pass(WINDOW + SECOND)
  const lost = await trade(first.refresh_token)
  t.match(lost, { outcome: 'rotated', refresh: String })
  const again = await trade(first.refresh_token)
  t.match(again, { outcome: 'window', refresh: first.refresh_token }, 'the answer was lost, it asks again at once')
  t.equal((await createApiClient(app, again.access).get('/private')).statusCode, 200)
  await pass(WINDOW + SECOND)
  const recovered = await trade(first.refresh_token)
  t.match(recovered, { outcome: 'recovered', refresh: String }, 'and gets the successor, which it never had')
  t.equal((await createApiClient(app, recovered.access).get('/private')).statusCode, 200, 'the access token proves that it came')
  await pass(WINDOW + SECOND)
  const thief = await trade(first.refresh_token)
  t.match([thief.statusCode, thief.body], [400, { error: 'invalid_grant' }])
  t.equal((await storage.sessions.find(sid))?.revokeReason, 'reused')
  t.equal((await createApiClient(app, recovered.access).get('/private')).statusCode, 401)
  t.match(await trade(recovered.refresh!), { statusCode: 400 })
})

t.test('own routes are open to a bearer client: it changes its password and has new tokens, and no answer sets a cookie', async t => {
  const clock = holdClock(t)
  const { app } = await createApp(t)
  const grant = await granted({ app })
  let api = createApiClient(app, grant.access_token)
  const { sid } = claimsOf(grant.access_token)
  const other = (await byPassword(app, 'ada@example.com')).json() as Grant
  t.match((await api.get('/auth/me')).json(), { user: { email: 'ada@example.com' } })
  t.match((await api.request('PATCH', '/auth/me', { name: 'Ada' })).json(), { user: { name: 'Ada' } })
  t.strictSame((await api.get('/auth/sessions')).json().sessions.map(({ id, current }: { id: string, current: boolean }) => [id, current]).sort(), [[sid, true], [claimsOf(other.access_token).sid, false]].sort())
  const made = await api.post('/auth/tokens', { name: 'backup', context: 'server' })
  t.equal(made.statusCode, 201, 'fresh: the password was just proved')
  t.equal((await api.request('DELETE', '/auth/sessions')).statusCode, 204)
  t.equal((await createApiClient(app, other.access_token).get('/private')).statusCode, 401)
  t.equal((await api.get('/auth/users')).statusCode, 403, 'roles from the live user')
  await app.accounts.users.update(claimsOf(grant.access_token).sub, { roles: ['admin'] })
  t.equal((await api.get('/auth/users')).statusCode, 200)

  clock.advance(16 * MINUTE)
  t.match(await api.post('/auth/tokens', { name: 'later', context: 'server' }), { statusCode: 401, headers: { 'www-authenticate': /insufficient_user_authentication/ } })
  const changed = await api.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  t.match([changed.statusCode, changed.json()], [200, { access_token: String, token_type: 'Bearer', refresh_token: String }])
  t.match([changed.headers['set-cookie'], changed.headers['cache-control']], [undefined, 'no-store'])
  t.equal((await api.get('/private')).statusCode, 401, 'every session has ended')
  api = createApiClient(app, changed.json().access_token)
  t.equal((await api.get('/private')).statusCode, 200)
  t.equal((await createApiClient(app, made.json().token).get('/auth/sessions')).statusCode, 401, 'a personal token manages no sessions')
  const left = await api.request('DELETE', '/auth/me', { password: OTHER_PASSWORD })
  t.strictSame([left.statusCode, left.headers['set-cookie']], [204, undefined])
})

t.test('a host\'s own logout ends the session of a bearer client', async t => {
  const { app } = await createApp(t, {}, app => {
    app.post('/leave', { onRequest: app.authenticate }, async (_request, reply) => {
      await reply.signOut()
      return {}
    })
  })
  const { access_token: token } = await granted({ app })
  const api = createApiClient(app, token)
  const left = await api.post('/leave')
  t.match([left.statusCode, left.headers['set-cookie']], [200, undefined])
  t.equal((await api.get('/private')).statusCode, 401)
})

t.test('bearer: false leaves tokens to cookies alone', async t => {
  const { app, signedUp } = await createApp(t, { bearer: false }, app => {
    t.throws(() => app.verifyBearer, { code: 'FST_ACCOUNTS_BEARER_OFF', statusCode: 501 })
    t.throws(() => app.guard({ via: 'bearer' }), { code: 'FST_ACCOUNTS_POLICY_INVALID' })
  })
  const browser = await signedUp()
  const api = createApiClient(app, browser.cookies.accounts_access!)
  t.equal((await api.get('/private')).statusCode, 401, 'a browser\'s token is no bearer token')
  t.equal((await byPassword(app, 'user1@example.com')).statusCode, 404)
  t.equal((await browser.get('/auth/sessions')).statusCode, 200)
  t.equal((await api.post('/auth/logout')).statusCode, 204)
  t.equal((await browser.get('/private')).statusCode, 200)
})
