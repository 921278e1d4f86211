import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import cors from '@fastify/cors'
import Fastify, { type FastifyInstance } from 'fastify'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts from '../lib/index.ts'
import type { AccountsOptions } from '../types/index.ts'
import { freePort } from './services/free-port.js'
import { PASSWORD } from './support/app.ts'
import { ROOT } from './support/root.ts'
import { tapStorage } from './support/tapped-storage.ts'

const executablePath = process.env.TEST_CHROMIUM
if (executablePath === undefined) throw new TypeError('TEST_CHROMIUM is not set: run the tests with "npm test"')

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const browser = await chromium.launch({ executablePath, args: FLAGS })
t.teardown(async () => { await browser.close() })

type Build = (options: Partial<AccountsOptions>) => Promise<FastifyInstance>
const { build } = await import(join(ROOT, 'examples/client/server.js')) as { build: Build }
const { readPage } = await import(join(ROOT, 'examples/client/page/routes.js')) as { readPage: (app: FastifyInstance) => Promise<void> }

/** The example opens its file before it is told of another storage. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-client-'))
process.chdir(folder)
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })

interface Site {
  readonly url: string
  /** Of the refreshes that have arrived: how many in all, and how many at the same time at most. */
  readonly refreshes: { count: number, running: number, most: number }
}

/** The example, with a storage that takes its time, so that what comes at once is seen to. */
async function startSite (t: Test): Promise<Site> {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const storage = tapStorage(await sqliteStorage(':memory:'), async (_verb, _args, call) => {
    await new Promise(resolve => setTimeout(resolve, refreshes.running > 0 ? 400 : 0))
    return await call()
  })
  const app = await build({ appUrl: url, secret: randomBytes(32), storage })
  const refreshes = { count: 0, running: 0, most: 0 }
  app.server.on('request', (request, response) => {
    if (request.url !== '/auth/refresh') return
    refreshes.count++
    refreshes.running++
    refreshes.most = Math.max(refreshes.most, refreshes.running)
    response.once('close', () => { refreshes.running-- })
  })
  await app.listen({ port })
  t.teardown(async () => { await app.close() })
  return { url, refreshes }
}

/** A browser of its own, gone before the servers are: they would wait for connections that Chromium opens ahead of need. */
async function openContext (t: Test): Promise<BrowserContext> {
  const context = await browser.newContext()
  t.teardown(async () => { await context.close() })
  return context
}

async function signUp (page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.fill('input[name=email]', 'ada@example.com')
  await page.fill('input[name=password]', PASSWORD)
  await page.click('button[value=register]')
  await page.waitForSelector('#inside:not([hidden])')
}

/** As the browser does itself when the time of the cookie is over, by a clock that can't be moved. */
const endAccessCookie = async (context: BrowserContext) => await context.clearCookies({ name: 'accounts_access' })

/** What a script of the page could take away with it. */
const readable = async (page: Page) => await page.evaluate('({ cookies: document.cookie, local: { ...localStorage }, session: { ...sessionStorage } })')
const NOTHING = { cookies: '', local: {}, session: {} }

/** Ask at once, as often as said, by a client of this page. */
const askAtOnce = async (page: Page, times: number) => await page.evaluate(`(async () => {
  const { createClient } = await import('fastify-accounts/client')
  const accounts = createClient()
  return await Promise.all(Array.from({ length: ${times} }, async () => (await accounts.fetch('/hello')).status))
})()`)

t.test('in a browser: the page of the example signs up, stays signed in, ends sessions and signs out, and scripts find no token', async t => {
  const { url, refreshes } = await startSite(t)
  const context = await openContext(t)
  const page = await context.newPage()
  const problems: string[] = []
  page.on('console', message => { if (message.type() === 'error' && !message.text().includes('401')) problems.push(message.text()) })
  page.on('pageerror', error => problems.push(error.message))

  await page.goto(url)
  await page.waitForSelector('#enter:not([hidden])')
  t.equal(refreshes.count, 1, 'no more than one question whether there is a session')
  await signUp(page, url)
  t.equal(await page.textContent('#hello'), '{"hello":"ada@example.com","via":"cookie"}')
  t.strictSame((await context.cookies()).map(({ name, httpOnly, path }) => ({ name, httpOnly, path })).sort((a, b) => a.name < b.name ? -1 : 1), [
    { name: 'accounts_access', httpOnly: true, path: '/' },
    { name: 'accounts_device', httpOnly: true, path: '/' },
    { name: 'accounts_refresh', httpOnly: true, path: '/auth' }
  ])
  t.strictSame(await readable(page), NOTHING)
  await page.reload()
  await page.waitForSelector('#sessions li')
  t.equal(await page.textContent('#sessions li:only-child'), 'Chrome on Linux (this one)')
  t.strictSame(await page.evaluate(`(async () => {
    const { createBearerClient } = await import('fastify-accounts/client')
    const accounts = createBearerClient({ url: location.origin })
    await accounts.login({ username: 'ada@example.com', password: ${JSON.stringify(PASSWORD)} })
    return (await accounts.fetch('/hello')).json()
  })()`), { hello: 'ada@example.com', via: 'bearer' }, 'tokens beside cookies: a client sends the one or the other')
  await page.click('#others')
  await page.click('#logout')
  await page.waitForSelector('#enter:not([hidden])')
  await page.fill('input[name=email]', 'ada@example.com')
  await page.fill('input[name=password]', 'not the password of Ada')
  await page.click('button[value=login]')
  await page.waitForSelector('#message:not(:empty)')
  t.equal(await page.textContent('#message'), 'Wrong name or password')
  t.strictSame(await readable(page), NOTHING)
  t.strictSame(problems, [], 'nothing broke the content security policy, nothing else went wrong')
})

t.test('S-I5 in a browser: two tabs that ask often at once across the end of the access cookie refresh once each at most, one after the other', async t => {
  const { url, refreshes } = await startSite(t)
  const context = await openContext(t)
  const first = await context.newPage()
  await signUp(first, url)
  const second = await context.newPage()
  await second.goto(url)
  await second.waitForSelector('#inside:not([hidden])')
  await endAccessCookie(context)
  Object.assign(refreshes, { count: 0, most: 0 })
  t.strictSame(await Promise.all([askAtOnce(first, 20), askAtOnce(second, 20)]), [Array(20).fill(200), Array(20).fill(200)])
  t.match(refreshes, { running: 0, most: 1 })
  t.ok(refreshes.count <= 2)
  t.strictSame([await readable(first), await readable(second)], [NOTHING, NOTHING])
})

t.test('in a browser: a tab that never comes back with its turn does not keep the others from theirs', async t => {
  const { url } = await startSite(t)
  const context = await openContext(t)
  const page = await context.newPage()
  await signUp(page, url)
  await endAccessCookie(context)
  await page.evaluate(`void navigator.locks.request('fastify-accounts ${url}/auth/refresh', () => new Promise(() => {}))`)
  t.strictSame(await askAtOnce(page, 1), [200])
})

t.test('in a browser: a page of another origin that the host allows works with tokens in memory, and without cookies', async t => {
  const [port, elsewherePort] = [await freePort(), await freePort()] as [number, number]
  const [url, elsewhere] = [`http://localhost:${port}`, `http://127.0.0.1:${elsewherePort}`]
  const app = Fastify()
  await app.register(cors, { origin: elsewhere, allowedHeaders: ['authorization', 'content-type'], exposedHeaders: ['retry-after'] })
  await app.register(accounts, { appUrl: url, secret: randomBytes(32), storage: await sqliteStorage(':memory:'), throttle: { free: 1 } })
  app.get('/hello', { onRequest: app.authenticate }, async request => ({ via: request.principal!.via }))
  await app.accounts.users.create({ email: 'ada@example.com', password: PASSWORD })
  let trades = 0
  app.server.on('request', ({ method, url }) => { if (method === 'POST' && url === '/auth/token') trades++ })
  const other = Fastify()
  await other.register(async scope => {
    // As the page of the example, but for the policy that keeps it at home.
    scope.addHook('onSend', async (_request, reply) => { reply.removeHeader('content-security-policy') })
    await readPage(scope)
  })
  for (const [server, at, host] of [[app, port, 'localhost'], [other, elsewherePort, '127.0.0.1']] as const) {
    await server.listen({ port: at, host })
    t.teardown(async () => { await server.close() })
  }
  const context = await openContext(t)
  const page = await context.newPage()
  await page.goto(elsewhere)
  const run = async (work: string) => await page.evaluate(`(async () => {
    const { createBearerClient } = await import('fastify-accounts/client')
    globalThis.accounts ??= createBearerClient({ url: '${url}' })
    const told = error => ({ name: error.name, statusCode: error.statusCode, code: error.code, hasRetryAfter: error.retryAfter > 0 })
    ${work}
  })()`)
  t.equal(await run("return (await accounts.login({ username: 'ada@example.com', password: " + JSON.stringify(PASSWORD) + ' })) ?? null'), null)
  t.strictSame(await run("return (await accounts.fetch('/hello')).json()"), { via: 'bearer' })
  t.match(await run('return accounts.me()'), { user: { email: 'ada@example.com' } })
  const before = trades
  await run('const now = performance.now.bind(performance); performance.now = () => now() + 3_600_000')
  t.strictSame(await run("return Promise.all(Array.from({ length: 20 }, async () => (await accounts.fetch('/hello')).status))"), Array(20).fill(200))
  t.equal(trades, before + 1)
  t.match(await run("return accounts.passwords.change({ currentPassword: 'x', newPassword: 'y' }).catch(told)"), { statusCode: 403, code: 'FST_ACCOUNTS_ORIGIN_REFUSED' }, 'what changes an account is for pages of the application')
  t.strictSame(await readable(page), NOTHING)
  t.strictSame(await context.cookies(), [])
  t.equal(await run('return (await accounts.logout()) ?? null'), null)
  t.equal(await run("return (await accounts.fetch('/hello')).status"), 401)
  const wrong = "accounts.login({ username: 'ada@example.com', password: 'not the password of Ada' }).catch(told)"
  t.strictSame(await run(`return [await ${wrong}, await ${wrong}]`), [
    { name: 'AccountsError', statusCode: 401, code: 'FST_ACCOUNTS_CREDENTIALS_INVALID', hasRetryAfter: false },
    { name: 'AccountsError', statusCode: 429, code: 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', hasRetryAfter: true }
  ])
})
