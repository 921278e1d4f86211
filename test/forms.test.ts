import type { FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { AccountsOptions } from '../types/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { listen } from './support/events.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }
const ELSEWHERE = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
const LEGACY = { username: 'admin', password: 'sesame 4711' }

/** A host with pages of its own, whose forms call the services. */
async function createSite (t: Test, options: Partial<AccountsOptions> = {}) {
  return await createApp(t, options, app => {
    type Handler = (body: never, context: { reply: FastifyReply, request: FastifyRequest }) => Promise<unknown>
    const form = (url: string, handle: Handler) => app.post(url, { onRequest: app.checkForm }, async (request, reply) => {
      await handle(request.body as never, { reply, request })
      return reply.redirect('/private', 303)
    })
    const { login, register, owner, passwords } = app.accounts
    form('/login', async (body, { reply }) => await login(body, { reply }))
    form('/sign-up', async (body, { reply }) => await register(body, { reply }))
    form('/claim', async ({ proof, ...account }: { proof: { setupCode: string } } & typeof ADA, { reply, request }) => {
      await owner.checkProof(proof, { request })
      await owner.claim(account, { reply })
    })
    app.post('/password', { onRequest: app.authenticate }, async (request, reply) => {
      await passwords.change(request.principal!.user.id, request.body as never, { reply })
      return reply.redirect('/private', 303)
    })
    app.get('/login', { onRequest: app.checkForm }, async () => 'a form')
    // Without the hook.
    app.post('/bare', async (request, reply) => (await login(request.body as never, { reply })).user)
  })
}

const names = (cookies: Record<string, string>) => Object.keys(cookies).sort()
const SESSION = ['accounts_access', 'accounts_device', 'accounts_refresh']

t.test('a form of the host\'s signs in: the answer takes the session to the browser, which is known from then on, and the one before ends', async t => {
  const { app, client } = await createSite(t)
  const browser = client()
  t.equal((await browser.post('/sign-up', ADA)).statusCode, 303)
  t.strictSame(names(browser.cookies), SESSION)
  t.equal((await browser.get('/private')).statusCode, 200)
  const before = browser.copy()

  const answer = await browser.post('/login', { ...ADA, remember: false })
  t.match([answer.statusCode, answer.headers['cache-control'], answer.headers.location], [303, 'no-store', '/private'])
  t.ok(answer.cookies.every(({ maxAge }) => maxAge === undefined), 'with `remember: false` they end with the browser')
  t.strictSame([(await browser.get('/private')).statusCode, (await before.get('/private')).statusCode], [200, 401], 'in place of the session that the browser had')

  const { id } = (await app.accounts.users.findByEmail(ADA.email))!
  t.equal((await app.accounts.sessions.list(id)).length, 1, 'one login, one session')
  t.equal((await browser.post('/password', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 303)
  t.equal((await browser.get('/private')).statusCode, 200, 'a changed password signs the browser in anew')
})

t.test('a page ends sessions: the event says from where', async t => {
  const { app, signedUp } = await createSite(t)
  const browser = await signedUp(ADA.email)
  for (let count = 0; count < 3; count++) await browser.copy().post('/auth/login', ADA, { cookie: '' })
  const { id } = (await app.accounts.users.findByEmail(ADA.email))!
  const [one] = await app.accounts.sessions.list(id)
  const events = listen(t)
  const request = { ip: '203.0.113.7', id: 'r1', principal: null, headers: {} } as unknown as FastifyRequest
  t.equal(await app.accounts.sessions.end(id, one!.id, { request }), true)
  t.equal(await app.accounts.sessions.endAll(id, {}, { request }), 3)
  t.match(events.take().filter(({ name }) => name === 'session.revoked'), Array.from({ length: 4 }, () => ({ address: '203.0.113.7', requestId: 'r1', reason: 'ended-by-host' })))
})

t.test('what is refused sets no cookie', async t => {
  const { client } = await createSite(t)
  const browser = client()
  await browser.post('/sign-up', ADA)
  const stranger = client()
  const refused = await stranger.post('/login', { ...ADA, password: OTHER_PASSWORD })
  t.match([refused.statusCode, refused.json()], [401, { code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' }])
  t.strictSame(stranger.cookies, {})
})

t.test('X-03 a page of another origin signs nobody in, with the hook or without it, and no password is looked at', async t => {
  const { client } = await createSite(t)
  await client().post('/sign-up', ADA)
  const events = listen(t)
  for (const url of ['/login', '/bare', '/sign-up', '/claim']) {
    for (const headers of [ELSEWHERE, { origin: 'null' }, { 'sec-fetch-site': 'same-site' }] as Array<Record<string, string>>) {
      const victim = client()
      const refused = await victim.post(url, ADA, headers)
      t.match([refused.statusCode, refused.json()], [403, { code: 'FST_ACCOUNTS_ORIGIN_REFUSED' }], `${url} ${JSON.stringify(headers)}`)
      t.strictSame(victim.cookies, {})
    }
  }
  t.strictSame(events.take(), [])
  t.equal((await client().get('/login', ELSEWHERE)).statusCode, 200, 'a link from elsewhere leads to the form')
  t.equal((await client().post('/login', ADA, { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-origin' })).statusCode, 303)
})

t.test('A-04 a network has as many requests at forms as at the plugin\'s routes, in all', async t => {
  const { app } = await createSite(t, { rateLimit: { max: 10, maxSensitive: 4, window: '1m' } })
  const post = async (url: string, remoteAddress = '203.0.113.1') => (await app.inject({ method: 'POST', url, payload: ADA, remoteAddress })).statusCode
  t.strictSame([await post('/login'), await post('/auth/login'), await post('/login'), await post('/auth/login')], [401, 401, 401, 401])
  t.strictSame([await post('/login'), await post('/auth/login'), await post('/login', '203.0.113.2')], [429, 429, 401])
  t.equal((await app.inject({ url: '/login', remoteAddress: '203.0.113.1' })).statusCode, 200, 'to look at a form is free')
})

t.test('F6 a form of the host\'s makes the first owner: by the setup code, or by the legacy credentials', async t => {
  const byCode = await createSite(t)
  const code = (await byCode.app.accounts.owner.setupCode())!
  for (const proof of [{ setupCode: 'AAAA-AAAA' }, LEGACY]) t.equal((await byCode.client().post('/claim', { ...ADA, proof })).statusCode, 401, JSON.stringify(proof))
  for (const proof of [{}, { setupCode: 1 }, { setupCode: code, username: '' }, null]) t.equal((await byCode.client().post('/claim', { ...ADA, proof })).statusCode, 400, JSON.stringify(proof))
  const browser = byCode.client()
  t.equal((await browser.post('/claim', { ...ADA, proof: { setupCode: code.toLowerCase() } })).statusCode, 303)
  t.strictSame(names(browser.cookies), SESSION)
  t.match((await browser.get('/auth/me')).json(), { user: { roles: ['owner'] } })

  const byLegacy = await createSite(t, { basic: { legacy: LEGACY } })
  t.equal(await byLegacy.app.accounts.owner.setupCode(), null)
  t.equal((await byLegacy.client().post('/claim', { ...ADA, proof: { setupCode: code } })).statusCode, 401)
  t.equal((await byLegacy.client().post('/claim', { ...ADA, proof: LEGACY })).statusCode, 303)

  const guessed = await createSite(t, { basic: { legacy: LEGACY } })
  const statuses = []
  for (let guess = 0; guess < 7; guess++) statuses.push((await guessed.client().post('/claim', { ...ADA, proof: { ...LEGACY, password: `guess ${guess}` } })).statusCode)
  t.strictSame(statuses.slice(-3), [401, 429, 429], 'guesses are counted')
})
