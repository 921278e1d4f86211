import fastifyAuth from '@fastify/auth'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { AccountsOptions, PersonalTokenRefusedState } from '../types/index.ts'
import { OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { DAY, HOUR, holdClock, MINUTE, SECOND } from './support/clock.ts'
import { listen } from './support/events.ts'
import { createPeopleApp } from './support/people.ts'
import { makeToken, statusOf, useToken, type MadeToken } from './support/tokens-of.ts'

const create = async (t: Test, options: Partial<AccountsOptions> = {}) => {
  const test = await createPeopleApp(t, options)
  const { id, browser } = await test.person()
  const patch = async (token: MadeToken, change: object) => await browser.request('PATCH', `/auth/tokens/${token.personalToken.id}`, change)
  const rotate = async ({ personalToken: { id } }: MadeToken, body: object = {}) => await browser.post(`/auth/tokens/${id}/rotate`, body)
  return { ...test, id, browser, patch, rotate }
}

const iso = (inMilliseconds: number) => new Date(Date.now() + inMilliseconds).toISOString()

t.test('T-05, T-08, T-12 what can\'t be had is refused with words, when a token is made and when it is changed', async t => {
  const { app, browser, patch } = await create(t)
  const server = await makeToken(browser)
  const page = await makeToken(browser, { context: 'browser' })
  const refusals: Array<readonly ['server' | 'browser', object, RegExp]> = [
    ['server', { allowedMethods: [] }, /allowedMethods is an empty list/],
    ['server', { allowedMethods: ['get'] }, /allowedMethods\[0\] "get"/],
    ['server', { allowedIps: [] }, /allowedIps is an empty list/],
    ['server', { allowedIps: ['10.0.0.0/8', '10.0.0.1/8'] }, /allowedIps\[1\] "10\.0\.0\.1\/8".*10\.0\.0\.0\/8/],
    ['server', { allowedIps: ['0.0.0.0/0'] }, /allowedIps\[0\]/],
    ['server', { allowedIps: ['::/0'] }, /allowedIps\[0\]/],
    ['server', { allowedIps: ['::ffff:0:0/96'] }, /allowedIps\[0\]/],
    ['server', { allowedIps: ['010.0.0.1'] }, /allowedIps\[0\]/],
    ['server', { allowedIps: ['fe80::1%eth0'] }, /allowedIps\[0\]/],
    ['server', { allowedReferrers: ['https://example.com'] }, /allowedReferrers is only for tokens of the context "browser"/],
    ['browser', { allowedIps: ['192.0.2.1'] }, /allowedIps is only for tokens of the context "server"/],
    ['browser', { allowedReferrers: [] }, /allowedReferrers is an empty list/],
    ['browser', { allowedReferrers: ['*'] }, /allowedReferrers\[0\]/],
    ['browser', { allowedReferrers: ['https://*.co.uk'] }, /allowedReferrers\[0\]/],
    ['browser', { allowedReferrers: ['https://example.com/portal'] }, /allowedReferrers\[0\]/],
    ['server', { scopes: [] }, /scopes is an empty list/],
    ['server', { scopes: ['a b'] }, /scopes\[0\]/],
    ['server', { name: '' }, /name/],
    ['server', { name: ' ' }, /name/],
    ['server', { name: 'a\nb' }, /name/],
    ['server', { name: 'x'.repeat(101) }, /name/],
    ['server', { expiresAt: iso(-SECOND) }, /expiresAt is past/],
    ['server', { expiresAt: iso(366 * DAY + MINUTE) }, /expiresAt is too late/],
    ['server', { expiresAt: '2027-02-30T00:00:00Z' }, /RFC 3339/],
    ['server', { expiresAt: '2027-01-31' }, /RFC 3339/],
    ['server', { expiresAt: '2027-01-31T24:00:00Z' }, /RFC 3339/],
    ['server', { expiresAt: '2027-01-31T12:00:00' }, /RFC 3339/],
    ['server', { expiresAt: '1800000000' }, /RFC 3339/]
  ]
  for (const [context, fields, message] of refusals) {
    const expected = { statusCode: 422, code: 'FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID', message }
    t.match((await browser.post('/auth/tokens', { name: 'x', context, ...fields })).json(), expected, `POST ${JSON.stringify(fields)}`)
    t.match((await patch(context === 'server' ? server : page, fields)).json(), expected, `PATCH ${JSON.stringify(fields)}`)
  }
  const shapes: object[] = [{ expiresAt: 1_800_000_000 }, { expiresAt: null }, { userId: 'x' }, { createdBy: 'x' }, { digest: 'x' }, { epoch: 7 }, { createdAt: iso(0) }, { name: 7 }, { allowedIps: '192.0.2.1' }, { allowedIps: [7] }, { scopes: 'x' }]
  for (const fields of shapes) {
    t.equal((await browser.post('/auth/tokens', { name: 'x', context: 'server', ...fields })).statusCode, 400, JSON.stringify(fields))
    t.equal((await patch(server, fields)).statusCode, 400, JSON.stringify(fields))
  }
  for (const fields of [{ name: 'x' }, { context: 'server' }, { name: 'x', context: 'both' }, {}]) t.equal((await browser.post('/auth/tokens', fields)).statusCode, 400)
  for (const fields of [{ context: 'browser' }, {}]) t.equal((await patch(server, fields)).statusCode, 400, 'T-10 the context never changes')
  const messageOf = async (fields: object) => (await browser.post('/auth/tokens', { name: 'x', context: 'server', ...fields })).json<{ message: string }>().message
  for (const context of ['script', '', 7, null]) t.equal(await messageOf({ context }), 'body/context must be one of server, browser')
  for (const expiresAt of [1_800_000_000, null]) t.equal(await messageOf({ expiresAt }), 'body/expiresAt must be string (RFC 3339, such as 2027-01-31T12:00:00Z)')
  t.match(await messageOf({ allowedIps: [7] }), /^body\/allowedIps\/0 must be string \(Addresses and networks/)
  t.equal(await messageOf({ digest: 'x' }), 'body must not have additional properties')
  t.equal((await browser.get('/auth/tokens')).json<{ tokens: unknown[] }>().tokens.length, 2)
  t.equal(await statusOf(app, server.token), 200, 'nothing was changed')
})

t.test('what is stored is canonical, and null lifts a limit', async t => {
  const { browser, patch } = await create(t)
  const token = await makeToken(browser, { allowedMethods: ['GET', 'GET'], allowedIps: ['::ffff:192.0.2.1', '192.0.2.1/32', '2001:DB8:0:0::1', '198.51.100.0/24'], expiresAt: '2026-12-24T18:00:00+01:00' })
  t.match(token.personalToken, { allowedMethods: ['GET'], allowedIps: ['192.0.2.1', '2001:db8::1', '198.51.100.0/24'], expiresAt: '2026-12-24T17:00:00.000Z' })
  t.match((await patch(token, { name: 'nightly', allowedIps: null })).json(), { personalToken: { name: 'nightly', allowedIps: null, allowedMethods: ['GET'] } })
  const page = await makeToken(browser, { context: 'browser', allowedReferrers: ['https://a.example:443', 'https://a.example', 'http://b.example:80'] })
  t.match(page.personalToken, { allowedReferrers: ['https://a.example', 'http://b.example'] })
})

t.test('T-11, T-I11 a change counts from the next request on, narrower or wider', async t => {
  const clock = holdClock(t)
  const { app, browser, patch } = await create(t)
  const token = await makeToken(browser)
  t.equal(await statusOf(app, token.token), 200)
  await patch(token, { allowedMethods: ['POST'] })
  t.equal(await statusOf(app, token.token), 401)
  await patch(token, { allowedMethods: ['GET'], allowedIps: ['192.0.2.1'] })
  t.equal(await statusOf(app, token.token), 401)
  t.equal(await statusOf(app, token.token, { from: '192.0.2.1' }), 200)
  t.equal((await patch(token, { expiresAt: iso(MINUTE) })).statusCode, 200)
  clock.advance(MINUTE)
  t.equal(await statusOf(app, token.token, { from: '192.0.2.1' }), 401)
  t.match(await patch(token, { expiresAt: iso(DAY) }), { statusCode: 404 }, 'what has ended stays so')
})

t.test('the longest life counts from the making, however often it is prolonged', async t => {
  const clock = holdClock(t)
  const { browser, patch, signIn, id } = await create(t, { personalTokens: { defaultTtl: '10d', maxTtl: '20d' } })
  const token = await makeToken(browser)
  t.ok(Math.abs(Date.parse(String(token.personalToken.expiresAt)) - Date.now() - 10 * DAY) < MINUTE)
  clock.advance(9 * DAY)
  browser.cookies.accounts_access = (await signIn(id)).cookies.accounts_access!
  t.match(await patch(token, { expiresAt: iso(12 * DAY) }), { statusCode: 422 })
  t.equal((await patch(token, { expiresAt: iso(10 * DAY) })).statusCode, 200)
})

t.test('a token is revoked by its owner, and by nobody else', async t => {
  const { app, browser, person } = await create(t)
  const { token, personalToken } = await makeToken(browser)
  const other = (await person(['owner'])).browser
  for (const id of [personalToken.id, 'x', '%00', 'x'.repeat(100)]) {
    t.match((await other.request('DELETE', `/auth/tokens/${id}`)).json(), { statusCode: 404, code: 'FST_ACCOUNTS_PERSONAL_TOKEN_NOT_FOUND' })
    t.match(await other.request('PATCH', `/auth/tokens/${id}`, { name: 'mine' }), { statusCode: 404 })
    t.match(await other.post(`/auth/tokens/${id}/rotate`, {}), { statusCode: 404 })
  }
  t.equal(await statusOf(app, token), 200)
  t.equal((await browser.request('DELETE', `/auth/tokens/${personalToken.id}`)).statusCode, 204)
  t.equal(await statusOf(app, token), 401)
  t.equal((await browser.request('DELETE', `/auth/tokens/${personalToken.id}`)).statusCode, 404)
  t.strictSame((await browser.get('/auth/tokens')).json(), { tokens: [] })
})

t.test('a token is replaced: the old one ends now, or after an overlap, and has one successor', async t => {
  const clock = holdClock(t)
  const { app, browser, rotate } = await create(t)
  const first = await makeToken(browser, { allowedMethods: ['GET'], scopes: null, expiresAt: iso(5 * DAY) })
  clock.advance(MINUTE)
  const second = (await rotate(first)).json<MadeToken>()
  t.match(second.personalToken, { name: 'reports', allowedMethods: ['GET'], lastUsedAt: null })
  t.ok(Math.abs(Date.parse(String(second.personalToken.expiresAt)) - Date.now() - 5 * DAY) < 10 * SECOND, 'it lives as long')
  t.strictSame([await statusOf(app, first.token), await statusOf(app, second.token)], [401, 200])
  const answers = await Promise.all(Array.from({ length: 8 }, async () => await rotate(second, { overlap: '1h' })))
  t.strictSame(answers.map(({ statusCode }) => statusCode).sort(), [201, ...new Array<number>(7).fill(404)])
  const third = answers.find(({ statusCode }) => statusCode === 201)!.json<MadeToken>()
  t.strictSame([await statusOf(app, second.token), await statusOf(app, third.token)], [200, 200])
  const successors = ({ tokens }: { tokens: Array<MadeToken['personalToken']> }) => Object.fromEntries(tokens.map(({ id, successorId }) => [id, successorId]))
  t.strictSame(successors((await browser.get('/auth/tokens')).json()), { [third.personalToken.id]: null, [second.personalToken.id]: third.personalToken.id }, 'which of two of one name is to go')
  t.equal(third.personalToken.successorId, null)
  clock.advance(HOUR)
  t.strictSame([await statusOf(app, second.token), await statusOf(app, third.token)], [401, 200])
  t.match((await browser.get('/auth/tokens')).json<{ tokens: object[] }>().tokens, [{ id: third.personalToken.id }], 'of those that were replaced the list is silent')
  t.match((await browser.post('/auth/tokens', { name: 'x', context: 'server' })).json(), { code: 'FST_ACCOUNTS_FRESH_LOGIN_REQUIRED' }, 'an hour after signing in')
})

t.test('a token is replaced without a body, which is no way round the rules for those that there are', async t => {
  const { app, browser } = await create(t)
  const { token, personalToken } = await makeToken(browser)
  const url = `/auth/tokens/${personalToken.id}/rotate`
  for (const [type, status] of [['text/plain', 415], ['application/x-www-form-urlencoded', 415], ['', 415], ['application/json', 400]] as const) {
    t.equal((await browser.request('POST', url, undefined, { 'content-type': type, 'content-length': '0' })).statusCode, status, `an empty body of the type "${type}"`)
  }
  t.equal((await browser.request('POST', url, Buffer.from('{}'), { 'content-type': '' })).statusCode, 415, 'a body of no type')
  t.equal((await browser.request('POST', url, undefined, { origin: 'https://evil.example' })).statusCode, 403)
  t.match((await browser.request('POST', '/auth/tokens')).json(), { statusCode: 400, message: 'body must be object' }, 'elsewhere there must be one')
  t.equal(await statusOf(app, token), 200)
  t.equal((await browser.request('POST', url)).statusCode, 201)
  t.equal(await statusOf(app, token), 401, 'the old one ends now')
})

t.test('T-15 rotating the newest again and again does not get round the limit', async t => {
  const clock = holdClock(t)
  const { app, browser, rotate } = await create(t, { personalTokens: { maxPerUser: 2 } })
  const first = await makeToken(browser)
  await makeToken(browser)
  const second = (await rotate(first, { overlap: '1h' })).json<MadeToken>()
  const refused = await rotate(second, { overlap: '1h' })
  t.match([refused.statusCode, refused.json()], [409, { code: 'FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED' }])
  t.strictSame([await statusOf(app, first.token), await statusOf(app, second.token)], [200, 200], 'nothing was lost')
  await browser.request('DELETE', `/auth/tokens/${first.personalToken.id}`)
  clock.advance(MINUTE)
  t.equal((await rotate(second, { overlap: '1h' })).statusCode, 201)
})

t.test('an overlap that is none is refused, and none goes beyond the end of the old one', async t => {
  const { app, browser, rotate } = await create(t)
  const token = await makeToken(browser, { expiresAt: iso(HOUR) })
  for (const overlap of ['1 hour', '', -1, 0, 1.5, null, true]) t.equal((await rotate(token, { overlap })).statusCode, 400, String(overlap))
  const clock = holdClock(t)
  t.equal((await rotate(token, { overlap: '2h' })).statusCode, 201)
  clock.advance(HOUR)
  t.equal(await statusOf(app, token.token), 401)
})

t.test('T-09 an account that is disabled or deleted takes its tokens with it, for good', async t => {
  const { app, browser, id, person } = await create(t)
  const { token } = await makeToken(browser)
  t.equal(await statusOf(app, token), 200)
  await app.accounts.users.update(id, { disabled: true })
  t.equal(await statusOf(app, token), 401)
  await app.accounts.users.update(id, { disabled: false })
  t.equal(await statusOf(app, token), 401)
  const eve = await person()
  const hers = await makeToken(eve.browser)
  t.equal(await statusOf(app, hers.token), 200)
  await app.accounts.users.delete(eve.id)
  t.equal(await statusOf(app, hers.token), 401)
})

t.test('T-09 another password: a reset ends the tokens, a change does not, unless the options say otherwise', async t => {
  const expected = { reset: { change: 200, set: 401 }, always: { change: 401, set: 401 }, never: { change: 200, set: 200 } } as const
  for (const [revokeTokens, { change, set }] of Object.entries(expected)) {
    const { app, signedUp } = await createPeopleApp(t, { passwords: { revokeTokens: revokeTokens as keyof typeof expected } })
    const browser = await signedUp()
    const first = await makeToken(browser)
    t.equal((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
    t.equal(await statusOf(app, first.token), change, `${revokeTokens}: change`)
    t.equal((await browser.get('/auth/tokens')).json<{ tokens: unknown[] }>().tokens.length, change === 200 ? 1 : 0)
    const second = await makeToken(browser)
    const { user } = (await browser.get('/auth/me')).json<{ user: { id: string } }>()
    await app.accounts.passwords.set(user.id, PASSWORD)
    t.equal(await statusOf(app, second.token), set, `${revokeTokens}: set`)
  }
})

t.test('T-15 of racers no more get a token than there is room for', async t => {
  const { browser, id, app } = await create(t, { personalTokens: { maxPerUser: 3 } })
  const answers = await Promise.all(Array.from({ length: 16 }, async () => await browser.post('/auth/tokens', { name: 'x', context: 'server' })))
  t.strictSame(answers.map(({ statusCode }) => statusCode).sort(), [201, 201, 201, ...new Array<number>(13).fill(409)])
  t.match(answers.find(({ statusCode }) => statusCode === 409)!.json(), { code: 'FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED', message: /at most 3 / })
  t.equal(await app.accounts.personalTokens.revokeAll(id), 3)
  t.equal((await browser.post('/auth/tokens', { name: 'x', context: 'server' })).statusCode, 201)
})

t.test('T-15 a token makes as many requests as it may, and those that are refused do not count', async t => {
  const clock = holdClock(t)
  const { app, browser } = await create(t, { personalTokens: { rateLimit: { max: 5, window: '10s' } } })
  const { token } = await makeToken(browser, { allowedIps: ['192.0.2.1'] })
  for (let count = 0; count < 20; count++) t.equal(await statusOf(app, token), 401)
  const statuses = await Promise.all(Array.from({ length: 12 }, async () => await statusOf(app, token, { from: '192.0.2.1' })))
  t.strictSame(statuses.sort(), [...new Array<number>(5).fill(200), ...new Array<number>(7).fill(429)])
  const refused = await useToken(app, token, { from: '192.0.2.1' })
  t.match(refused.json(), { code: 'FST_ACCOUNTS_RATE_LIMITED' })
  t.match(refused.headers['retry-after'], /^([1-9]|10)$/)
  clock.advance(10 * SECOND)
  t.equal(await statusOf(app, token, { from: '192.0.2.1' }), 200)
})

t.test('T-13 why a token is refused is for its owner\'s hook and the log, and never for the caller', async t => {
  const clock = holdClock(t)
  const events = listen(t)
  const refused: PersonalTokenRefusedState[] = []
  const created: string[] = []
  const { app, browser, id, patch } = await create(t, {
    hooks: {
      personalTokenRefused: state => { refused.push(state) },
      personalTokenCreated: ({ user, token }) => { created.push(`${user.id} ${token.name}`) }
    }
  })
  const server = await makeToken(browser, { allowedMethods: ['GET'], allowedIps: ['192.0.2.1'], expiresAt: iso(HOUR) })
  const page = await makeToken(browser, { context: 'browser', allowedReferrers: ['https://a.example'] })
  t.strictSame(created, [`${id} reports`, `${id} reports`])
  events.take()
  const bodies = [
    await useToken(app, server.token, { method: 'POST', from: '192.0.2.1' }),
    await useToken(app, server.token, { from: '192.0.2.2' }),
    await useToken(app, server.token, { from: 'unknown' }),
    await useToken(app, page.token),
    await useToken(app, page.token, { headers: { origin: 'https://b.example' } }),
    await useToken(app, page.token, { headers: { origin: 'https://a.example', referer: 'https://b.example/' } })
  ]
  clock.advance(HOUR)
  bodies.push(await useToken(app, server.token, { from: '192.0.2.1' }))
  await app.accounts.personalTokens.revoke(id, page.personalToken.id)
  bodies.push(await useToken(app, page.token, { headers: { origin: 'https://a.example' } }))
  await app.accounts.users.update(id, { disabled: true })
  bodies.push(await useToken(app, server.token, { from: '192.0.2.1' }))
  t.equal(new Set(bodies.map(({ body }) => body)).size, 1)
  const reasons = ['method', 'address', 'address-unknown', 'referrer-missing', 'referrer', 'referrer-conflict', 'expired', 'revoked', 'revoked']
  t.strictSame(refused.map(({ reason }) => reason), reasons)
  t.match(refused[1], { userId: id, tokenId: server.personalToken.id, address: '192.0.2.2', at: Date })
  t.equal(refused[2]!.address, null)
  t.strictSame(events.take().filter(({ name }) => name === 'personal-token.refused').map(({ reason, tokenId }) => `${reason} ${tokenId === server.personalToken.id}`), reasons.map((reason, index) => `${reason} ${[0, 1, 2, 6, 8].includes(index)}`))
  const unknown = await useToken(app, `pat_${'0'.repeat(32)}0000000000`)
  t.equal(unknown.body, bodies[0]!.body)
  t.match(events.take(), [{ name: 'personal-token.unknown', reason: 'malformed' }])
  t.equal(refused.length, reasons.length, 'what nobody owns is told to nobody')
  t.equal((await patch(server, { name: 'x' })).statusCode, 401)
})

t.test('T-13 a route that takes no token, or none of its scopes, is refused as before, and its owner is told', async t => {
  const refused: string[] = []
  const events = listen(t)
  const { app, person } = await createPeopleApp(t, { hooks: { personalTokenRefused: ({ userId, tokenId, reason, address }) => { refused.push([userId, tokenId, reason, address].join(' ')) } } }, async app => {
    await app.register(fastifyAuth)
    app.get('/scoped', { onRequest: app.guard({ scopes: ['write'] }) }, async () => 'reached')
    app.get('/either', { onRequest: app.auth([app.verifyAccessCookie, app.guard({ scopes: ['write'] }), app.guard({ scopes: ['read'] })]) }, async () => 'reached')
    app.get('/missing', { onRequest: app.auth([app.verifyAccessCookie, app.guard({ scopes: ['read'] })]) }, async (_request, reply) => await reply.code(404).send({}))
    app.get('/all', { onRequest: app.auth([app.guard({ scopes: ['read'] }), app.verifyAccessCookie], { run: 'all' }) }, async () => 'reached')
    app.get('/own', { onRequest: app.auth([app.verifyAccessCookie, async () => {}]) }, async () => 'reached')
    app.get('/neither', { onRequest: app.auth([app.verifyAccessCookie, async () => { throw new TypeError('no') }]) }, async () => 'reached')
  })
  const { id, browser } = await person()
  const { token, personalToken } = await makeToken(browser, { scopes: ['read'], allowedIps: ['192.0.2.1'] })
  const use = async (url: string, from = '192.0.2.1', given = token) => {
    const { statusCode, json } = await useToken(app, given, { url, from })
    // The hook is called when the answer is out, of which this knows first; the store may have to be asked.
    for (let turn = 0; turn < 40 && refused.length === 0; turn++) await setTimeout(5)
    return [statusCode, statusCode === 200 ? '' : json<{ code?: string }>().code, ...refused.splice(0)]
  }
  const told = (reason: string, from = '192.0.2.1') => [id, personalToken.id, reason, from].join(' ')
  const scope = [403, 'FST_ACCOUNTS_SCOPE_INSUFFICIENT', told('scope')]
  const route = [401, 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED', told('route')]
  events.take()
  t.strictSame(await use('/auth/tokens'), route, 'also a token that nobody has used before')
  t.match(events.take(), [{ name: 'request.refused' }, { name: 'personal-token.refused', userId: id, tokenId: personalToken.id, reason: 'route', address: '192.0.2.1' }])
  t.strictSame(await use('/auth/tokens'), route)
  t.strictSame(await use('/scoped'), scope)
  t.strictSame(await use('/private'), scope)
  t.strictSame(await use('/neither'), [401, undefined, told('route')])
  t.strictSame(await use('/auth/tokens', '192.0.2.2'), [...route.slice(0, 2), told('address', '192.0.2.2')], 'what is wrong with the token itself says more')
  for (const url of ['/either', '/all', '/own']) t.strictSame(await use(url), [200, ''], `${url}: let in after all`)
  t.strictSame(await use('/missing'), [404, undefined])
  t.strictSame(await use('/auth/tokens', '192.0.2.1', `pat_${'0'.repeat(42)}`), route.slice(0, 2), 'what nobody owns is told to nobody')
  await app.accounts.personalTokens.revoke(id, personalToken.id)
  t.strictSame(await use('/auth/tokens'), [...route.slice(0, 2), told('revoked')])
})
