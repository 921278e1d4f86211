import t from 'tap'
import { AccountsError, createClient, createPersonalTokenClient } from '../lib/client/index.ts'
import { OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { HOUR, holdClock, MINUTE } from './support/clock.ts'
import { createMailApp } from './support/mail.ts'
import { createBrowserFetch, loseAnswers, openSite, type Fetch } from './support/site.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }
const REFRESH = 'POST /auth/refresh'

/** What a method rejects with. */
const refusal = (statusCode: number) => ({ name: 'AccountsError', statusCode })

/** Guards renew nothing: all is left to the client. */
const EXPLICIT = { refresh: 'explicit' } as const

t.test('every method reaches its route, and gives what that answers', async t => {
  const { app, url } = await openSite(t)
  const accounts = createClient({ url, fetch: createBrowserFetch() })
  t.strictSame(await accounts.owner.status(), { claimed: false })
  const { user, session } = await accounts.owner.claim({ ...ADA, setupCode: (await app.accounts.owner.setupCode())! })
  t.match(user, { email: 'ada@example.com', roles: ['owner'], name: null })
  t.match(await accounts.updateMe({ name: 'Ada' }), { user: { name: 'Ada' } })
  t.match(await accounts.me(), { user: { id: user.id, name: 'Ada' } })
  t.match(await accounts.refresh(), { user: { id: user.id }, session: { id: session.id } })
  t.match(await accounts.exportMe(), { user: { id: user.id }, hasPassword: true })

  const phone = createClient({ url, fetch: createBrowserFetch() })
  t.match(await phone.login({ ...ADA, remember: false }), { user: { id: user.id } })
  const { sessions } = await accounts.sessions.list()
  t.strictSame(sessions.map(({ current }) => current).sort(), [false, true])
  t.equal(await accounts.sessions.end(sessions.find(({ current }) => !current)!.id), undefined)
  await t.rejects(phone.me(), refusal(401))
  await phone.login(ADA)
  t.equal(await accounts.sessions.endOthers(), undefined)
  await t.rejects(phone.me(), refusal(401))

  const { token, personalToken } = await accounts.tokens.create({ name: 'nightly', context: 'server' })
  t.match(await accounts.tokens.list(), { tokens: [{ id: personalToken.id, name: 'nightly' }] })
  t.match(await accounts.tokens.update(personalToken.id, { name: 'hourly' }), { personalToken: { name: 'hourly' } })
  const rotated = await accounts.tokens.rotate(personalToken.id, { overlap: '1h' })
  t.match((await accounts.tokens.rotate(rotated.personalToken.id)).token, /^pat_/)
  const script = createPersonalTokenClient({ url, token })
  t.match(await script.me(), { user: { id: user.id } })
  t.equal((await script.fetch('/private')).status, 200)
  t.equal(await accounts.tokens.revoke(personalToken.id), undefined)
  await t.rejects(script.me(), { name: 'AccountsError', statusCode: 401, code: 'FST_ACCOUNTS_PERSONAL_TOKEN_REFUSED' })

  const bob = await phone.register({ email: 'bob@example.com', password: PASSWORD, name: 'Bob' })
  t.match(bob, { user: { name: 'Bob' } })
  const { users, next } = await accounts.users.list({ search: 'bob', limit: 1 })
  t.strictSame([users.map(({ email }) => email), next], [['bob@example.com'], null])
  t.equal((await accounts.users.list()).users.length, 2)
  t.equal(await accounts.users.endSessions(bob!.user.id), undefined)
  await t.rejects(phone.me(), refusal(401))
  t.match(await accounts.users.update(bob!.user.id, { disabled: true }), { user: { disabled: true } })

  t.equal(await accounts.passwords.change({ currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }), undefined)
  t.match(await accounts.me(), { user: { id: user.id } }, 'signed in anew')
  t.equal(await accounts.logout(), undefined)
  await t.rejects(accounts.me(), refusal(401))
  await phone.register({ email: 'eve@example.com', password: PASSWORD })
  t.equal(await phone.deleteMe({ password: PASSWORD }), undefined)
})

t.test('with a mailer: links verify, reset and change, and signing up gives null', async t => {
  const { app, takeToken, takeMail } = await createMailApp(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const accounts = createClient({ url: app.listeningOrigin, fetch: createBrowserFetch() })
  t.equal(await accounts.register(ADA), null)
  t.equal(await accounts.emails.verify({ token: await takeToken() }), undefined)
  await accounts.login(ADA)
  t.equal(await accounts.emails.change({ email: 'ada@example.org', password: PASSWORD }), undefined)
  const mails = [await takeMail(), await takeMail()]
  const token = /token=([\w-]+)/.exec(mails.map(({ text }) => text).join())![1]!
  await accounts.emails.verify({ token })
  t.match(await accounts.me(), { user: { email: 'ada@example.org' } })
  await takeMail()
  t.equal(await accounts.passwords.forgot({ email: 'ada@example.org' }), undefined)
  t.equal(await accounts.passwords.reset({ token: await takeToken(), password: OTHER_PASSWORD }), undefined)
  await t.rejects(accounts.me(), refusal(401))
  t.equal(await accounts.emails.resend({ email: 'ada@example.org' }), undefined)
})

t.test('errors say the status, the code, the message and when to come back', async t => {
  const { url } = await openSite(t, { throttle: { free: 1 } })
  const accounts = createClient({ url, fetch: createBrowserFetch() })
  await accounts.register(ADA)
  const wrong = await accounts.login({ ...ADA, password: OTHER_PASSWORD }).catch((error: unknown) => error)
  t.ok(wrong instanceof AccountsError && wrong instanceof Error)
  t.match(wrong, { name: 'AccountsError', statusCode: 401, code: 'FST_ACCOUNTS_CREDENTIALS_INVALID', message: 'Wrong name or password', retryAfter: null })
  await t.rejects(accounts.register({ email: 'x@example.com', password: 'short' }), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_TOO_SHORT' })
  await t.rejects(accounts.login({ ...ADA, password: OTHER_PASSWORD }), { statusCode: 429, code: 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', retryAfter: Number })
  await t.rejects(createClient({ url, prefix: '/elsewhere' }).me(), { statusCode: 404, code: null, message: 'Route GET:/elsewhere/me not found' })
  const proxy = async () => new Response('<h1>Bad Gateway</h1>', { status: 502, headers: { 'content-type': 'text/html', 'retry-after': 'soon' } })
  await t.rejects(createClient({ url, fetch: proxy }).me(), { statusCode: 502, code: null, message: 'The server answered 502', retryAfter: null })
})

t.test('20 requests at expiry make one refresh, and all are answered; so does one whose refusal comes late', async t => {
  const { url, refreshed, count } = await openSite(t, EXPLICIT)
  const clock = holdClock(t)
  let release = () => {}
  const held = new Promise<void>(resolve => { release = resolve })
  const slowly: Fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (String(input).endsWith('?late')) await held
    return response
  }
  const accounts = createClient({ url, fetch: createBrowserFetch(slowly) })
  await accounts.register(ADA)
  clock.advance(HOUR + MINUTE)
  const late = accounts.fetch('/private?late')
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await accounts.fetch('/private')))
  t.strictSame(answers.map(({ status }) => status), Array(20).fill(200))
  release()
  t.equal((await late).status, 200)
  t.equal(count(REFRESH), 1)
  t.strictSame(refreshed, ['rotated'])
  clock.advance(HOUR + MINUTE)
  t.match(await accounts.me(), { user: { email: 'ada@example.com' } }, 'the methods renew as well')
  t.equal(count(REFRESH), 2)
})

t.test('under refresh: "transparent" the guard renews, and the client has nothing to do', async t => {
  const { url, refreshed, count } = await openSite(t)
  const clock = holdClock(t)
  const accounts = createClient({ url, fetch: createBrowserFetch() })
  await accounts.register(ADA)
  clock.advance(HOUR + MINUTE)
  t.equal((await accounts.fetch('/private')).status, 200)
  t.strictSame([refreshed, count(REFRESH)], [['rotated'], 0])
})

t.test('who is not signed in gets the refusal as it is; other refusals renew nothing', async t => {
  const { url, count } = await openSite(t, EXPLICIT, app => {
    app.get('/fresh', { onRequest: app.guard({ fresh: '5m' }) }, async () => 'fresh')
    app.get('/own', async (_request, reply) => await reply.code(401).send({ code: 'MY_OWN' }))
    app.get('/text', async (_request, reply) => await reply.code(401).send('no'))
  })
  const clock = holdClock(t)
  const accounts = createClient({ url, fetch: createBrowserFetch() })
  const refused = await accounts.fetch('/private')
  t.match([refused.status, await refused.json()], [401, { code: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' }], 'its body can still be read')
  await t.rejects(accounts.me(), { statusCode: 401, code: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' })
  await t.rejects(accounts.refresh(), refusal(401))
  await accounts.register(ADA)
  clock.advance(10 * MINUTE)
  const before = count(REFRESH)
  for (const path of ['/fresh', '/own', '/text']) t.equal((await accounts.fetch(path)).status, 401)
  t.equal(count(REFRESH), before)
})

t.test('an outage while renewing is told as what it is, and signs nobody out', async t => {
  const site = await openSite(t, EXPLICIT)
  const clock = holdClock(t)
  const accounts = createClient({ url: site.url, fetch: createBrowserFetch() })
  await accounts.register(ADA)
  clock.advance(HOUR + MINUTE)
  site.isDown = true
  await t.rejects(accounts.fetch('/private'), { name: 'AccountsError', statusCode: 503, code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE', retryAfter: Number })
  await t.rejects(accounts.me(), refusal(503))
  t.equal(site.count(REFRESH), 2, 'nothing is tried again by itself')
  site.isDown = false
  t.equal((await accounts.fetch('/private')).status, 200)
})

t.test('a lost answer to a renewal is made good by the next request', async t => {
  const { url, refreshed } = await openSite(t, EXPLICIT)
  const clock = holdClock(t)
  let isLosing = true
  const accounts = createClient({ url, fetch: createBrowserFetch(loseAnswers(address => isLosing && address.endsWith('/auth/refresh'))) })
  await accounts.register(ADA)
  clock.advance(HOUR + MINUTE)
  await t.rejects(accounts.fetch('/private'), new TypeError('fetch failed'))
  isLosing = false
  t.equal((await accounts.fetch('/private')).status, 200)
  t.strictSame(refreshed, ['rotated', 'window'])
})

t.test('what can be sent twice is repeated with its body; of a stream the refusal is answered, and the next one is let in', async t => {
  const { url, count } = await openSite(t, EXPLICIT)
  const clock = holdClock(t)
  const accounts = createClient({ url, fetch: createBrowserFetch() })
  await accounts.register(ADA)
  const form = new FormData()
  form.set('a', 'b')
  const streamOf = (text: string) => new Blob([text]).stream()
  const post = (body: unknown) => ({ method: 'POST', body, headers: { 'content-type': 'text/csv' } }) as RequestInit
  const cases: Array<[string, () => Promise<Response>, number, string?]> = [
    ['text', async () => await accounts.fetch('/echo', post('a;b')), 200, 'a;b'],
    ['bytes', async () => await accounts.fetch(new URL('/echo', url), post(Buffer.from('a;b'))), 200, 'a;b'],
    ['a blob', async () => await accounts.fetch('/echo', post(new Blob(['a;b']))), 200, 'a;b'],
    ['a query', async () => await accounts.fetch('/echo', { method: 'POST', body: new URLSearchParams({ a: 'b' }) }), 200, 'a=b'],
    ['a form', async () => await accounts.fetch('/echo', { method: 'POST', body: form }), 200],
    ['a request', async () => await accounts.fetch(new Request(`${url}/echo`, post('a;b'))), 200, 'a;b'],
    ['a request without a body', async () => await accounts.fetch(new Request(`${url}/private`, { method: 'POST' })), 200],
    ['a stream', async () => await accounts.fetch('/echo', { ...post(streamOf('a;b')), duplex: 'half' } as RequestInit), 401],
    ['an async iterable', async () => await accounts.fetch('/echo', { ...post((async function * () { yield Buffer.from('a;b') })()), duplex: 'half' } as RequestInit), 401]
  ]
  for (const [title, send, status, body] of cases) {
    clock.advance(HOUR + MINUTE)
    const before = count(REFRESH)
    const response = await send()
    t.equal(response.status, status, title)
    if (body !== undefined) t.strictSame(await response.json(), { body }, title)
    t.equal(count(REFRESH), before + 1, title)
    t.equal((await accounts.fetch('/private')).status, 200, `${title}: renewed`)
  }
})

t.test('a signal ends one request alone, also while it waits for a renewal that others wait for', async t => {
  const { url, count } = await openSite(t, EXPLICIT)
  const clock = holdClock(t)
  let release = () => {}
  const held = new Promise<void>(resolve => { release = resolve })
  let arrived = () => {}
  const arrival = new Promise<void>(resolve => { arrived = resolve })
  const accounts = createClient({
    url,
    fetch: createBrowserFetch(async (input, init) => {
      if (String(input).endsWith('/auth/refresh')) {
        arrived()
        await held
      }
      return await fetch(input, init)
    })
  })
  await accounts.register(ADA)
  await t.rejects(accounts.me({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  clock.advance(HOUR + MINUTE)
  const controller = new AbortController()
  const impatient = accounts.fetch('/private', { signal: controller.signal })
  const other = accounts.fetch(new Request(`${url}/private`, { signal: controller.signal }))
  const patient = accounts.fetch('/private')
  await arrival
  controller.abort(new TypeError('enough'))
  await t.rejects(impatient, new TypeError('enough'))
  await t.rejects(other)
  release()
  t.equal((await patient).status, 200)
  t.equal(count(REFRESH), 1)
})

t.test('X-02 under csrf: "strict" the token of the last answer goes with what changes something', async t => {
  const { url } = await openSite(t, { csrf: 'strict' })
  const send = createBrowserFetch((input, init) => fetch(input, { ...init, headers: { ...Object.fromEntries(new Headers(init?.headers)), ...(String(input).endsWith('/auth/register') ? { origin: 'http://localhost:3000' } : {}) } }))
  const accounts = createClient({ url, fetch: send })
  await accounts.register(ADA)
  t.equal((await accounts.fetch('/private', { method: 'POST' })).status, 200)
  await accounts.sessions.endOthers()
  const reloaded = createClient({ url, fetch: send })
  await t.rejects(reloaded.sessions.endOthers(), { statusCode: 403, code: 'FST_ACCOUNTS_CSRF_TOKEN_INVALID' })
  await reloaded.me()
  await reloaded.sessions.endOthers()
  await reloaded.logout()
})

t.test('nothing is sent to another origin, nor made outside of a page without an address', async t => {
  const sent: unknown[] = []
  const accounts = createClient({ url: 'https://app.example.com', fetch: async input => { sent.push(input); return new Response() } })
  for (const target of ['https://evil.example/private', '//evil.example/private', 'http://app.example.com/', new URL('https://app.example.com:8443/'), new Request('https://evil.example/'), '\\\\evil.example/x', 'data:text/plain,x']) {
    await t.rejects(accounts.fetch(target), { name: 'TypeError', message: /^This client asks https:\/\/app\.example\.com alone/ })
  }
  t.strictSame(sent, [])
  await accounts.fetch('reports?of=2026')
  t.strictSame(sent, ['https://app.example.com/reports?of=2026'])
  const nowhere = createClient()
  await t.rejects(nowhere.me(), new TypeError('Outside of a page the option "url" is needed'))
})
