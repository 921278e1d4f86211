import t from 'tap'
import { createPeopleApp } from './support/people.ts'
import { DAY, holdClock, SECOND } from './support/clock.ts'
import { holdTimers } from './support/timers.ts'
import { makeToken, statusOf, useToken } from './support/tokens-of.ts'

t.test('D1, D5 a token instead of a password: ApiToken or Bearer, and the rights that its owner has at this moment', async t => {
  const { app, person } = await createPeopleApp(t, {}, app => {
    app.get('/reports', { onRequest: app.guard({ roles: ['editor'] }) }, async ({ principal }) => principal)
    app.get('/scripts', { onRequest: app.verifyPersonalToken }, async ({ principal }) => principal!.via)
  })
  const { id, browser } = await person()
  const { token, personalToken } = await makeToken(browser)
  t.match(token, /^pat_[0-9A-Za-z]{32}\d{10}$/)
  for (const scheme of ['ApiToken', 'Bearer', 'apitoken', 'BEARER', 'Bearer  ']) t.equal(await statusOf(app, token, { scheme }), 200, scheme)
  t.equal(await statusOf(app, token, { url: '/reports' }), 403)
  await app.accounts.users.update(id, { roles: ['editor'] })
  const { body, headers } = await useToken(app, token, { url: '/reports' })
  t.match(JSON.parse(body), { via: 'personal-token', user: { id, roles: ['editor'] }, scopes: null, authenticatedAt: personalToken.createdAt, token: { id: personalToken.id, name: 'reports', context: 'server', expiresAt: personalToken.expiresAt } })
  t.equal(headers['set-cookie'], undefined, 'T-06')
  await app.accounts.users.update(id, { roles: [] })
  t.equal(await statusOf(app, token, { url: '/reports' }), 403)
  t.equal((await useToken(app, token, { url: '/scripts' })).body, 'personal-token')
  t.equal((await browser.get('/scripts')).statusCode, 401, 'a cookie is something else')
  t.match((await useToken(app, token, { url: '/auth/me' })).json(), { user: { id } })
})

t.test('D4, T-01 a token is shown once; the list, and a dump of the database, hold nothing of it', async t => {
  const { app, person, storage } = await createPeopleApp(t)
  const { id, browser } = await person()
  const { token, personalToken } = await makeToken(browser, { allowedMethods: ['GET'] })
  const { body } = await browser.get('/auth/tokens')
  t.strictSame(JSON.parse(body), { tokens: [personalToken] })
  t.strictSame(Object.keys(personalToken).sort(), ['allowedIps', 'allowedMethods', 'allowedReferrers', 'context', 'createdAt', 'expiresAt', 'id', 'lastUsedAddress', 'lastUsedAt', 'name', 'scopes', 'successorId'])
  const [record] = await storage.personalTokens!.listForUser(id)
  t.notMatch(JSON.stringify([body, record]), token.slice(4, 36))
  t.match(record!.digest, /^[\w-]{43}$/)
  t.notOk(body.includes(record!.digest))
  for (const guess of [record!.digest, record!.id, token.slice(0, -1), token.slice(4), `pat_${record!.digest}`]) t.equal(await statusOf(app, guess), 401)
})

t.test('T-03, D2 every limit is looked at on every request: method, address, end', async t => {
  const clock = holdClock(t)
  const { app, person } = await createPeopleApp(t)
  const { browser } = await person()
  const { token, personalToken } = await makeToken(browser, { allowedMethods: ['GET', 'POST'], allowedIps: ['192.0.2.7', '198.51.100.0/24', '2001:db8::/32'] })
  for (const from of ['192.0.2.7', '198.51.100.200', '2001:db8:1::1', '::ffff:192.0.2.7', '2001:DB8::']) {
    t.equal(await statusOf(app, token, { from }), 200, from)
    t.equal(await statusOf(app, token, { from, method: 'HEAD' }), 200, 'T-11 GET includes HEAD')
    t.equal(await statusOf(app, token, { from, method: 'POST' }), 200)
  }
  for (const from of ['192.0.2.8', '198.51.101.1', '2001:db9::1', '127.0.0.1', '::192.0.2.7', '64:ff9b::c000:207', 'unknown', 'fe80::1%eth0']) t.equal(await statusOf(app, token, { from }), 401, from)
  clock.advance(30 * DAY - (Date.now() - Date.parse(personalToken.createdAt as unknown as string)) - SECOND)
  t.equal(await statusOf(app, token, { from: '192.0.2.7' }), 200, 'the default is 30 days')
  clock.advance(2 * SECOND)
  t.equal(await statusOf(app, token, { from: '192.0.2.7' }), 401)

  const other = await makeToken((await person()).browser, { allowedMethods: ['POST'] })
  t.equal(await statusOf(app, other.token, { method: 'POST' }), 200)
  for (const method of ['GET', 'HEAD']) t.equal(await statusOf(app, other.token, { method }), 401, method)
})

t.test('T-04, D3 a token for pages is bound to the sites that embed them, and nobody takes that for more than it is', async t => {
  const { app, person } = await createPeopleApp(t)
  const { browser } = await person()
  const { token } = await makeToken(browser, { context: 'browser', allowedReferrers: ['https://portal.example.org', 'https://*.example.com:8443', 'http://localhost:5173'] })
  const good = [
    { origin: 'https://portal.example.org' }, { referer: 'https://portal.example.org/' }, { referer: 'https://portal.example.org/map?x=1' }, { referer: 'https://portal.example.org' },
    { origin: 'https://a.example.com:8443', referer: 'https://a.example.com:8443/x' }, { origin: 'http://localhost:5173' }
  ]
  for (const headers of good) t.equal(await statusOf(app, token, { headers: headers as Record<string, string>, from: '203.0.113.9' }), 200, JSON.stringify(headers))
  const bad = [
    {}, { origin: 'null' }, { origin: '' }, { origin: 'https://portal.example.org/' }, { origin: 'https://portal.example.org:443' }, { origin: 'http://portal.example.org' }, { origin: 'https://PORTAL.example.org' },
    { origin: 'https://portal.example.org.evil.net' }, { origin: 'https://portal.example.org@evil.net' }, { referer: 'https://evil.net/https://portal.example.org/' }, { referer: 'https://portal.example.org.evil.net/' },
    { origin: 'https://example.com:8443' }, { origin: 'https://a.b.example.com:8443' }, { origin: 'https://a.example.com' }, { origin: 'https://evil.net#.example.com:8443' },
    { origin: 'https://portal.example.org', referer: 'https://a.example.com:8443/' }, { origin: 'https://evil.net', referer: 'https://portal.example.org/' }
  ]
  for (const headers of bad) t.equal(await statusOf(app, token, { headers: headers as Record<string, string> }), 401, JSON.stringify(headers))
  const server = await makeToken(browser, { allowedIps: ['127.0.0.1'] })
  for (const headers of bad) t.equal(await statusOf(app, server.token, { headers: headers as Record<string, string> }), 200, 'T-I3 a script is not asked where its page is')
})

t.test('a narrowed token reaches only what names its scopes', async t => {
  const { app, person } = await createPeopleApp(t, { personalTokens: { scopes: ['reports:read', 'reports:write', 'billing'] } }, app => {
    const scoped = (url: string, scopes: string[]) => app.get(url, { config: { accounts: { scopes } } }, async () => 'reached')
    scoped('/read', ['reports:read'])
    scoped('/both', ['reports:read', 'reports:write'])
    scoped('/any', [])
    app.get('/look', { onRequest: app.guard({ scopes: [] }) }, async ({ principal }) => principal!.scopes)
  })
  const { browser } = await person()
  const { token } = await makeToken(browser, { scopes: ['reports:read', 'billing', 'billing'] })
  for (const [url, status] of [['/read', 200], ['/any', 200], ['/both', 403], ['/private', 403], ['/auth/me', 403]] as const) t.equal(await statusOf(app, token, { url }), status, url)
  t.strictSame((await useToken(app, token, { url: '/look' })).json(), ['reports:read', 'billing'])
  const refused = await useToken(app, token, { url: '/both' })
  t.match(refused.json(), { code: 'FST_ACCOUNTS_SCOPE_INSUFFICIENT' })
  t.equal(refused.headers['www-authenticate'], 'Bearer realm="accounts", error="insufficient_scope", scope="reports:read reports:write"')
  const whole = await makeToken(browser)
  for (const url of ['/read', '/any', '/both', '/private']) {
    t.equal(await statusOf(app, whole.token, { url }), 200, 'a token without scopes may do what its owner may')
    t.equal((await browser.get(url)).statusCode, 200)
  }
  t.match((await browser.post('/auth/tokens', { name: 'x', context: 'server', scopes: ['reports:raed'] })).json(), { code: 'FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID', message: /scopes\[0\]/ })
  t.throws(() => app.guard({ scopes: ['reports:raed'] }), { code: 'FST_ACCOUNTS_POLICY_INVALID', message: /"reports:raed"/ })
})

t.test('X-06 two credentials in one request are refused, whichever is good; what is no token of ours is none', async t => {
  const { app, person } = await createPeopleApp(t, {}, app => { app.get('/people', { onRequest: app.verifyAccessCookie }, async () => 'reached') })
  const { browser } = await person()
  const { token } = await makeToken(browser)
  for (const url of ['/private', '/people', '/auth/me', '/auth/sessions']) {
    for (const authorization of [`ApiToken ${token}`, `Bearer ${token}`, `Bearer ${token}x`, 'ApiToken x']) {
      t.match((await browser.get(url, { authorization })).json(), { statusCode: 400, code: 'FST_ACCOUNTS_CREDENTIALS_CONFLICT' }, `${url} ${authorization}`)
    }
    t.equal((await browser.get(url, { authorization: 'Bearer eyJ.of.a-gateway' })).statusCode, 200, 'a proxy before us has credentials of its own')
    t.equal((await browser.get(url, { authorization: 'Basic YTpi' })).statusCode, 200)
  }
  t.equal((await app.inject({ url: '/private', headers: { authorization: 'Bearer eyJ.of.a-gateway' } })).statusCode, 401)
})

t.test('T-14 the last use is written in batches: its time and address', async t => {
  const clock = holdClock(t)
  const timers = holdTimers(t, clock)
  const { app, person, storage } = await createPeopleApp(t)
  const { id, browser } = await person()
  const { token } = await makeToken(browser)
  const { token: unknown } = await makeToken(browser, { name: 'from a socket' })
  const { token: mapped } = await makeToken(browser, { name: 'to a server on ::' })
  await useToken(app, mapped, { from: '::ffff:192.0.2.9' })
  for (const from of ['192.0.2.1', '192.0.2.2', '2001:db8::7']) await useToken(app, token, { from })
  await useToken(app, unknown, { from: '/run/app.sock' })
  await useToken(app, token, { from: '192.0.2.3', method: 'DELETE', url: '/auth/tokens' })
  const uses = async () => (await browser.get('/auth/tokens')).json<{ tokens: Array<{ name: string, lastUsedAt: string | null, lastUsedAddress: string | null }> }>().tokens
  t.match(await uses(), new Array(3).fill({ lastUsedAt: null }))
  const usedAt = Date.now()
  await timers.advance(10 * SECOND)
  for (let waits = 0; waits < 100 && (await storage.personalTokens!.listForUser(id)).some(({ lastUsedAt }) => lastUsedAt === null); waits++) await new Promise(resolve => setTimeout(resolve, 5))
  const [one, other, third] = (await uses()).sort((a, b) => a.name < b.name ? -1 : 1)
  t.strictSame([one, other, third].map(use => [use!.name, use!.lastUsedAddress]), [['from a socket', null], ['reports', '2001:db8::7'], ['to a server on ::', '192.0.2.9']])
  t.ok(Math.abs(Date.parse(other!.lastUsedAt!) - usedAt) < 5000)
})

t.test('a policy that demands a recent login is not for tokens', async t => {
  const { app, person } = await createPeopleApp(t, {}, app => { app.get('/transfer', { onRequest: app.guard({ fresh: '5m' }) }, async () => 'done') })
  const { browser } = await person()
  const { token } = await makeToken(browser)
  t.equal((await browser.get('/transfer')).statusCode, 200)
  t.match(await useToken(app, token, { url: '/transfer' }), { statusCode: 401, headers: { 'www-authenticate': 'Cookie realm="accounts"' } })
  t.throws(() => app.guard({ via: ['cookie', 'personal-token'], fresh: '5m' }), { code: 'FST_ACCOUNTS_POLICY_INVALID', message: /"fresh" of a personal token/ })
})

t.test('the signal of a principal aborts when its token is revoked, and when it ends', async t => {
  const clock = holdClock(t)
  const signals: AbortSignal[] = []
  const { app, person } = await createPeopleApp(t, {}, app => { app.get('/stream', { onRequest: app.authenticate }, async ({ principal }) => { signals.push(principal!.signal) }) })
  const { id, browser } = await person()
  const [first, second, third] = [await makeToken(browser), await makeToken(browser), await makeToken(browser, { expiresAt: new Date(Date.now() + DAY).toISOString() })]
  for (const { token } of [first, second, third]) await useToken(app, token, { url: '/stream' })
  const aborted = async (signal: AbortSignal) => { while (!signal.aborted) await new Promise(resolve => setTimeout(resolve, 5)) }
  await browser.request('DELETE', `/auth/tokens/${first.personalToken.id}`)
  await aborted(signals[0]!)
  t.strictSame(signals.map(signal => signal.aborted), [true, false, false])
  clock.advance(DAY)
  await aborted(signals[2]!)
  t.equal(signals[1]!.aborted, false)
  await app.accounts.users.update(id, { disabled: true })
  await aborted(signals[1]!)
})
