import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts from '../lib/index.ts'
import { authAs, createMailbox, holdClock, linkOf, tokenOf } from '../lib/testing/index.ts'
import type { AccountsOptions, BearerPrincipal } from '../types/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'

const EMAIL = 'ada@example.com'

function addRoutes (app: FastifyInstance): void {
  app.post('/publish', { onRequest: app.guard({ roles: ['editor'] }) }, async request => ({ by: request.principal!.user.email }))
  app.delete('/reports', { onRequest: app.guard({ fresh: '5m' }) }, async () => ({ deleted: true }))
  app.get('/reports', { onRequest: app.guard({ scopes: ['reports:read'] }) }, async request => ({ via: request.principal!.via }))
}

const CONFIGURATIONS: Record<string, Partial<AccountsOptions>> = {
  'by default': {},
  'with csrf: "strict"': { csrf: 'strict' },
  'over https': { appUrl: 'https://shop.example.com' },
  'with names of its own, below a path, and explicit refresh': { appUrl: 'https://example.com/shop', refresh: 'explicit', cookies: { names: { access: 'a', refresh: 'r' } } },
  'without routes': { routes: false }
}

for (const [title, options] of Object.entries(CONFIGURATIONS)) {
  t.test(`${title} authAs makes headers with which somebody may do what they may do`, async t => {
    const { app } = await createApp(t, options, addRoutes)
    const act = async (headers: Record<string, string>) => (await app.inject({ method: 'POST', url: '/publish', headers })).statusCode
    const editor = await authAs(app, { email: EMAIL, roles: ['editor'] })
    t.strictSame((await app.inject({ method: 'POST', url: '/publish', headers: editor })).json(), { by: EMAIL })
    t.equal(await act(await authAs(app, { email: 'reader@example.com' })), 403)
    t.equal(await act({ ...editor, 'sec-fetch-site': 'cross-site' }), 403, 'the check of origins is as it is')
    await app.accounts.users.update((await app.accounts.users.findByEmail(EMAIL))!.id, { roles: [] })
    t.equal(await act(editor), 403, 'roles are those of this moment')
  })
}

t.test('authAs finds somebody by id or address, and makes an account where there is none', async t => {
  const { app } = await createApp(t)
  const { users, sessions } = app.accounts
  const ada = await users.create({ email: 'Ada@example.com', name: 'Ada', roles: ['editor'] })
  for (const somebody of [ada, { id: ada.id }, { email: EMAIL }]) await authAs(app, somebody)
  t.equal((await sessions.list(ada.id)).length, 3)
  t.strictSame((await users.find(ada.id))!.roles, ['editor'], 'roles that are not given stay')
  await authAs(app, { email: EMAIL, roles: ['reader'] })
  t.match(await users.find(ada.id), { name: 'Ada', roles: ['reader'] })
  await authAs(app, { email: 'new@example.com', roles: ['editor'] })
  t.match(await users.findByEmail('new@example.com'), { emailVerified: true, roles: ['editor'] })

  await t.rejects(authAs(app, { id: 'nobody' }), { name: 'AssertionError', message: /there is no such user/ })
  await users.update(ada.id, { disabled: true })
  await t.rejects(authAs(app, { email: EMAIL }), { name: 'AssertionError', message: /disabled/ })
})

t.test('authAs takes a server whose plugins are not loaded yet, and its headers work over the network', async t => {
  const app = Fastify()
  app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), csrf: 'strict' })
  app.after(() => { addRoutes(app) })
  t.teardown(async () => { await app.close() })
  const headers = await authAs(app, { email: EMAIL, roles: ['editor'] })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const answer = await fetch(`${address}/publish`, { method: 'POST', headers })
  t.strictSame([answer.status, await answer.json()], [200, { by: EMAIL }])
})

t.test('authAs proves the password now, or when the test says, and goes on like a browser', async t => {
  const clock = holdClock()
  t.teardown(clock.release)
  const { app } = await createApp(t, {}, addRoutes)
  const ada = await app.accounts.users.create({ email: EMAIL })
  const act = async (headers: Record<string, string>) => (await app.inject({ method: 'DELETE', url: '/reports', headers })).statusCode
  t.equal(await act(await authAs(app, ada, { authenticatedAt: new Date(Date.now() - 301_000) })), 401)
  const headers = await authAs(app, ada)
  t.equal(await act(headers), 200)
  clock.advance('6m')
  t.equal(await act(headers), 401)
  for (let round = 0; round < 3; round++) {
    t.equal((await app.inject({ url: '/private', headers })).statusCode, 200, 'the access token may have expired, and a renewed one be thrown away')
    clock.advance('61m')
  }
  clock.advance('91d')
  t.equal((await app.inject({ url: '/private', headers })).statusCode, 401)
})

t.test('authAs makes a bearer token, with claims of the sign-in', async t => {
  const { app } = await createApp(t, {}, app => { app.get('/claims', { onRequest: app.verifyBearer }, async ({ principal }) => (principal as BearerPrincipal).claims) })
  const headers = await authAs(app, { email: EMAIL }, { via: 'bearer', claims: { tenant: 'north' } as object })
  t.strictSame(Object.keys(headers), ['authorization'])
  t.strictSame((await app.inject({ url: '/claims', headers })).json(), { tenant: 'north' })
})

t.test('authAs takes nothing that it does not know: a typing error lets no test pass', async t => {
  const { app } = await createApp(t)
  const wrong = authAs as (app: unknown, somebody: unknown, options?: unknown) => Promise<unknown>
  for (const [somebody, options, message] of [
    [{ email: EMAIL, role: 'editor' }, {}, /"role"/], [{ email: EMAIL }, { via: 'bearrer' }, /"bearrer"/], [{ email: EMAIL }, { claim: {} }, /"claim"/], [EMAIL, {}, /objects/], [null, {}, /objects/], [{ email: EMAIL }, null, /objects/]
  ] as const) await t.rejects(wrong(app, somebody, options), { name: 'AssertionError', message })
})

t.test('authAs makes a personal token with the fields that are given', async t => {
  const { app } = await createApp(t, {}, addRoutes)
  const status = async (method: 'GET' | 'DELETE', headers: Record<string, string>) => (await app.inject({ method, url: '/reports', headers })).statusCode
  const all = await authAs(app, { email: EMAIL }, { via: 'personal-token' })
  t.strictSame((await app.inject({ url: '/reports', headers: all })).json(), { via: 'personal-token' })
  t.equal(await status('DELETE', all), 401, 'no token is a fresh proof')
  t.equal(await status('GET', await authAs(app, { email: EMAIL }, { via: 'personal-token', scopes: ['reports:read'] })), 200)
  t.equal(await status('GET', await authAs(app, { email: EMAIL }, { via: 'personal-token', scopes: ['reports:write'] })), 403)
  t.equal(await status('GET', await authAs(app, { email: EMAIL }, { via: 'personal-token', allowedIps: ['192.0.2.1'] })), 401)
  await t.rejects(authAs(app, { email: EMAIL }, { via: 'personal-token', scopes: ['no such\nscope'] }), { code: /^FST_ACCOUNTS_/ })
})

t.test('a held clock moves Date and performance.now, and lets go of them', t => {
  const [HostDate, { now }, monotonic] = [Date, Date, performance.now]
  const clock = holdClock()
  const [time, age] = [Date.now(), performance.now()]
  clock.advance('2h')
  clock.jump(-3600)
  clock.advance(0.5)
  for (const moved of [Date.now(), new Date().getTime(), new (class extends Date {})().getTime()]) t.ok(Math.abs(moved - time - 3_600_500) < 1000)
  t.ok(Math.abs(performance.now() - age - 7_200_500) < 1000, 'no time passes while it is set')
  t.ok(new Date() instanceof Date && new HostDate() instanceof Date && new Date() instanceof HostDate)
  t.equal(new Date(0).toISOString(), '1970-01-01T00:00:00.000Z')
  for (const nonsense of ['61 minutes', '-1h', NaN, Infinity]) t.throws(() => { clock.advance(nonsense) }, { name: 'AssertionError' })

  const inner = holdClock()
  inner.advance('1d')
  inner.release()
  t.ok(Math.abs(Date.now() - time - 3_600_500) < 1000, 'what held it before goes on')
  clock.release()
  const next = holdClock()
  clock.release()
  next.advance('1d')
  t.ok(Date.now() - time > 86_000_000, 'letting go twice does no harm to others')
  next.release()
  t.strictSame([Date === HostDate, Date.now === now, performance.now === monotonic], [true, true, true])
  t.end()
})

t.test('a mailbox keeps what was sent, and waits for what will be', async t => {
  const mailbox = createMailbox()
  const { app, client } = await createApp(t, { mailer: mailbox })
  const browser = client()
  for (const email of [EMAIL, 'bob@example.com']) await browser.post('/auth/register', { email, password: PASSWORD })
  const [second, first] = await Promise.all([mailbox.next({ to: 'bob@example.com' }), mailbox.next()])
  t.match([first, second], [{ to: EMAIL, kind: 'verify-email' }, { to: 'bob@example.com', kind: 'verify-email' }])
  t.equal((await browser.post('/auth/email/verify', { token: tokenOf(first) })).statusCode, 204)
  t.match(linkOf(first), /^http:\/\/localhost:3000\/verify-email\?token=[\w-]{43}$/)

  const reset = mailbox.next({ kind: 'reset-password', within: '2s' })
  await app.accounts.passwords.forgot(EMAIL)
  t.equal((await browser.post('/auth/password/reset', { token: tokenOf(await reset), password: OTHER_PASSWORD })).statusCode, 204)
  await t.rejects(mailbox.next({ to: 'bob@example.com', within: '1s' }), { name: 'AssertionError', message: 'no mail came that fits {"to":"bob@example.com","within":"1s"}; not taken yet: password-changed to ada@example.com' })
  t.strictSame(mailbox.messages.map(({ kind }) => kind), ['verify-email', 'verify-email', 'reset-password', 'password-changed'])
  t.throws(() => tokenOf(mailbox.messages[3]!), { name: 'AssertionError', message: /^0 links/ })
})

t.test('links are found wherever their token stands', t => {
  const token = 'A-_'.repeat(14) + 'z'
  for (const [text, link] of [
    [`Go to https://a.example/r?token=${token}.`, `https://a.example/r?token=${token}`],
    [`(https://a.example/r/${token})`, `https://a.example/r/${token}`],
    [`<https://a.example/#/r/${token}/now>, or see https://a.example/help?of=x.`, `https://a.example/#/r/${token}/now`],
    [`https://a.example/help\nhttps://a.example/r?t=${token}&language=de!`, `https://a.example/r?t=${token}&language=de`]
  ] as const) t.strictSame([linkOf({ text }), tokenOf({ text })], [link, token])
  for (const text of ['', token, `https://a.example/?x=${token}x`, `https://a.example/${token} https://a.example/${token}`]) t.throws(() => linkOf({ text }), { name: 'AssertionError' })
  t.end()
})
