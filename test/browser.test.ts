import { chromium, type BrowserContext, type Page } from 'playwright-core'
import Fastify, { type FastifyPluginAsync } from 'fastify'
import t from 'tap'
import accounts from '../lib/index.ts'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { PASSWORD } from './support/app.ts'
import { ROOT } from './support/root.ts'
import { freePort } from './services/free-port.js'

const { readPage } = await import(join(ROOT, 'examples/quickstart/page/routes.js')) as { readPage: FastifyPluginAsync }
const executablePath = process.env.TEST_CHROMIUM
if (executablePath === undefined) throw new TypeError('TEST_CHROMIUM is not set: run the tests with "npm test"')

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const SHOTS = process.env.SCREENSHOTS

const browser = await chromium.launch({ executablePath, args: FLAGS })
t.teardown(async () => { await browser.close() })

async function startSite (t: Tap, ttl: number): Promise<string> {
  const port = await freePort() as number
  const app = Fastify()
  await app.register(accounts, { appUrl: `http://localhost:${port}`, secret: randomBytes(32), storage: await sqliteStorage(':memory:'), accessTokenTtl: ttl })
  await app.register(readPage)
  app.get('/hello', { onRequest: app.authenticate }, async request => ({ hello: request.principal!.user.email }))
  await app.listen({ port })
  t.teardown(async () => { await app.close() })
  return `http://localhost:${port}`
}
type Tap = Pick<typeof t, 'teardown'>

/** A browser of its own, gone before the servers that were started before it are: they would wait for connections that Chromium opens ahead of need. */
async function openContext (t: Tap): Promise<BrowserContext> {
  const context = await browser.newContext()
  t.teardown(async () => { await context.close() })
  return context
}

async function shoot (page: Page, name: string): Promise<void> {
  if (SHOTS === undefined) return
  mkdirSync(SHOTS, { recursive: true })
  await page.screenshot({ path: `${SHOTS}/${name}.png` })
}

async function signUp (page: Page, site: string): Promise<void> {
  await page.goto(site)
  await page.fill('input[name=email]', 'ada@example.com')
  await page.fill('input[name=password]', PASSWORD)
  await page.click('button[value=register]')
  await page.waitForSelector('#inside:not([hidden])')
}

t.test('in a browser: create an account, stay signed in over reloads and tabs, see and end sessions, sign out', async t => {
  const site = await startSite(t, 3600)
  const context = await openContext(t)
  const page = await context.newPage()
  const problems: string[] = []
  page.on('console', message => { if (message.type() === 'error' && !message.text().includes('401')) problems.push(message.text()) })
  page.on('pageerror', error => problems.push(error.message))

  await page.goto(site)
  await page.waitForSelector('#enter:not([hidden])')
  await shoot(page, 'signed-out')
  await signUp(page, site)
  t.equal(await page.textContent('#hello'), '{"hello":"ada@example.com"}')
  await shoot(page, 'signed-in')
  const cookies = await context.cookies()
  t.strictSame(cookies.map(({ name, httpOnly, sameSite, path }) => ({ name, httpOnly, sameSite, path })).sort((a, b) => a.name < b.name ? -1 : 1), [
    { name: 'accounts_access', httpOnly: true, sameSite: 'Lax', path: '/' },
    { name: 'accounts_device', httpOnly: true, sameSite: 'Lax', path: '/' },
    { name: 'accounts_refresh', httpOnly: true, sameSite: 'Lax', path: '/' }
  ], 'C-01 the cookies are out of reach of scripts')
  t.equal(await page.evaluate('document.cookie'), '')

  const elsewhere = await openContext(t)
  const other = await elsewhere.newPage()
  await other.goto(site)
  await other.fill('input[name=email]', 'ada@example.com')
  await other.fill('input[name=password]', PASSWORD)
  await other.click('button[value=login]')
  await other.waitForSelector('#inside:not([hidden])')

  await page.reload()
  await page.waitForSelector('#sessions li:nth-child(2)')
  await shoot(page, 'two-sessions')
  await page.click('#others')
  await page.waitForSelector('#sessions li:nth-child(2)', { state: 'detached' })
  await other.reload()
  await other.waitForSelector('#enter:not([hidden])')
  t.pass('the other browser is out at once')

  await page.click('#logout')
  await page.waitForSelector('#enter:not([hidden])')
  t.strictSame((await context.cookies()).map(({ name }) => name), ['accounts_device'], 'signing out takes the cookies of the session away')
  await page.goBack().catch(() => null)
  await page.goto(site)
  await page.waitForSelector('#enter:not([hidden])')
  t.strictSame(problems, [])
})

t.test('S-I5 in a browser: several tabs across an expired access token all stay signed in', async t => {
  const site = await startSite(t, 1)
  const context = await openContext(t)
  const page = await context.newPage()
  await signUp(page, site)
  const tabs = await Promise.all(Array.from({ length: 4 }, async () => await context.newPage()))
  // The browser's own clock decides when a cookie ends: it can't be moved.
  await page.waitForTimeout(1100)
  await Promise.all(tabs.map(async tab => await tab.goto(site)))
  await Promise.all(tabs.map(async tab => await tab.waitForSelector('#inside:not([hidden])')))
  t.pass('nobody was logged out')
})

t.test('X-01 in a browser: a page of another origin can neither act nor sign in', async t => {
  const site = await startSite(t, 3600)
  const foreign = await startSite(t, 3600)
  const context = await openContext(t)
  const page = await context.newPage()
  await signUp(page, site)
  await page.goto(foreign)
  const attack = async (path: string, body: string | null) => await page.evaluate(`fetch(${JSON.stringify(site + path)}, { method: 'POST', mode: 'no-cors', credentials: 'include', body: ${JSON.stringify(body)} }).then(() => 'sent', () => 'blocked')`)
  await attack('/auth/logout', null)
  await attack('/auth/login', JSON.stringify({ email: 'ada@example.com', password: PASSWORD }))
  await page.goto(site)
  await page.waitForSelector('#inside:not([hidden])')
  t.equal(await page.textContent('#sessions li:only-child strong'), ' (this one)', 'still signed in, in the one session that there was')
})
