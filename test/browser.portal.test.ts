import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import { chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { ROOT } from './support/root.ts'
import { freePort } from './services/free-port.js'

const executablePath = process.env.TEST_CHROMIUM
if (executablePath === undefined) throw new TypeError('TEST_CHROMIUM is not set: run the tests with "npm test"')

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const SHOTS = process.env.SCREENSHOTS
const REFUSED = 'The figures are not available here. Please visit the portal at its own address, or tell us if this is it.'
const FAILED = 'The figures could not be fetched. Please try again later.'

const browser = await chromium.launch({ executablePath, args: FLAGS })
t.teardown(async () => { await browser.close() })

type Build = (options: object, given?: object) => Promise<FastifyInstance>
const load = async (file: string) => (await import(join(ROOT, `examples/public-portal/${file}.js`)) as { build: Build }).build
const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<object> }

/** The example opens its file before it is told of another storage. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-portal-'))
process.chdir(folder)
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })

interface Sites {
  readonly app: FastifyInstance
  readonly api: string
  /** Where the token may be used. */
  readonly portal: string
  /** The same page at another origin, to which the API answers, but not with this token. */
  readonly mirror: string
  /** The same page at an origin that the API has never heard of. */
  readonly stranger: string
  readonly token: string
}

async function start (t: Test, options: object = {}): Promise<Sites> {
  const [apiPort, portalPort, mirrorPort, strangerPort] = [await freePort(), await freePort(), await freePort(), await freePort()] as number[]
  const [api, portal, mirror, stranger] = [apiPort, portalPort, mirrorPort, strangerPort].map(port => `http://localhost:${port}`) as [string, string, string, string]
  const listen = async (app: FastifyInstance, port: number) => {
    await app.listen({ port })
    t.teardown(async () => { await app.close() })
    return app
  }
  const app = await listen(await (await load('api'))({ appUrl: api, secret: randomBytes(32), storage: await sqliteStorage(':memory:'), ...options }, { portals: [portal, mirror] }), apiPort!)
  const account = createClient(app)
  await account.post('/auth/register', { email: 'portal@example.com', password: PASSWORD })
  const made = await account.post('/auth/tokens', { name: 'Public portal', context: 'browser', allowedMethods: ['GET'], allowedReferrers: [portal], scopes: ['figures:read'] })
  if (made.statusCode !== 201) throw new TypeError(`making the token answered ${made.statusCode} ${made.body}`)
  const { token } = made.json<{ token: string }>()
  for (const port of [portalPort, mirrorPort, strangerPort]) await listen(await (await load('portal'))({ api, token }), port!)
  return { app, api, portal, mirror, stranger, token }
}

/** A browser of its own, gone before the servers are: they would wait for connections that Chromium opens ahead of need. */
async function openPage (t: Test): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 720, height: 480 } })
  t.teardown(async () => { await context.close() })
  return await context.newPage()
}

async function shoot (page: Page, name: string): Promise<void> {
  if (SHOTS === undefined) return
  mkdirSync(SHOTS, { recursive: true })
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await page.screenshot({ path: `${SHOTS}/portal-${name}-${colorScheme}.png` })
  }
}

t.test('D3 T-04 in a browser: the portal shows the figures; its page at another origin is refused, and says so', async t => {
  const { api, portal, mirror, stranger } = await start(t)
  const page = await openPage(t)
  const context = page.context()
  const problems: string[] = []
  const cookies: string[] = []
  const statuses: string[] = []
  page.on('console', message => { if (message.type() === 'error') problems.push(message.text()) })
  page.on('pageerror', error => problems.push(error.message))
  page.on('response', response => {
    if (!response.url().startsWith(api)) return
    statuses.push(`${response.request().method()} ${response.status()}`)
    void response.headersArray().then(headers => cookies.push(...headers.filter(({ name }) => name.toLowerCase() === 'set-cookie').map(({ value }) => value)))
  })

  await page.goto(portal)
  await page.waitForSelector('#figures:not([hidden])')
  t.strictSame((await page.textContent('#figures tbody'))!.match(/\p{L}+\d+ %/gu), ['Bo81 %', 'Kenema77 %', 'Moyamba90 %'])
  t.equal(await page.textContent('#message'), '')
  t.strictSame(problems, [], 'nothing broke the content security policy, nothing else went wrong')
  t.match(statuses, ['GET 200'])
  await shoot(page, 'figures')

  await page.emulateMedia({ colorScheme: 'light' })
  await page.goto(mirror)
  await page.waitForSelector('#message.problem')
  t.equal(await page.textContent('#message'), REFUSED)
  t.equal(await page.isHidden('#figures'), true)
  t.equal(statuses.at(-1), 'GET 401', 'the token was refused, and the page could read that')
  await shoot(page, 'refused')

  await page.goto(stranger)
  await page.waitForSelector('#message.problem')
  t.equal(await page.textContent('#message'), FAILED)
  t.match(problems.join('\n'), /blocked by CORS policy/, 'the browser asked, and the API did not allow it')

  t.strictSame(cookies, [], 'T-06 no answer of the API set a cookie')
  t.strictSame(await context.cookies(), [])
})

t.test('D3 in a browser: a portal that sends no Referer is known by its Origin', async t => {
  const { api, portal, token } = await start(t)
  const page = await openPage(t)
  await page.goto(portal)
  // What the page itself asks for is over.
  await page.waitForSelector('#figures:not([hidden])')
  const [request, status] = await Promise.all([
    page.waitForRequest(request => request.url() === `${api}/figures` && request.method() === 'GET'),
    page.evaluate(`fetch(${JSON.stringify(`${api}/figures`)}, { referrerPolicy: 'no-referrer', headers: { authorization: ${JSON.stringify(`ApiToken ${token}`)} } }).then(response => response.status)`)
  ])
  t.equal(status, 200)
  const { origin, referer } = await request.allHeaders()
  t.strictSame({ origin, referer }, { origin: portal, referer: undefined })
})

for (const protect of ['none', 'all']) {
  t.test(`T-11 with protect: '${protect}' the preflight needs no token, and its answer is for the portals alone`, async t => {
    const { api, portal, stranger } = await start(t, { protect })
    const ask = async (origin: string) => await fetch(`${api}/figures`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization, content-type' } })
    const allowed = await ask(portal)
    t.equal(allowed.status, 204)
    t.strictSame(['origin', 'methods', 'headers'].map(name => allowed.headers.get(`access-control-allow-${name}`)), [portal, 'GET', 'authorization'], 'no more than the page needs')
    t.notOk(allowed.headers.has('access-control-allow-credentials'))
    t.strictSame(allowed.headers.getSetCookie(), [])
    t.notOk((await ask(stranger)).headers.has('access-control-allow-origin'))
    const refused = await fetch(`${api}/figures`, { headers: { origin: portal } })
    t.strictSame([refused.status, refused.headers.get('access-control-allow-origin')], [401, portal], 'a refusal can be read by the page')
  })
}

t.test('D3 T-04 without a browser: who sends no referrer is refused, who forges one is not, as it is no boundary; the scopes are one', async t => {
  const { api, portal, mirror, token } = await start(t)
  const ask = async (headers: Record<string, string>, path = '/figures', method = 'GET') => (await fetch(api + path, { method, headers: { authorization: `ApiToken ${token}`, ...headers } })).status
  t.equal(await ask({}), 401, 'neither Referer nor Origin')
  t.equal(await ask({ referer: `${mirror}/` }), 401)
  t.equal(await ask({ referer: `${portal}/`, origin: mirror }), 401, 'they disagree')
  t.equal(await ask({ referer: `${portal}.evil.example/` }), 401)
  t.equal(await ask({ referer: `${portal}/` }), 200, 'forged')
  t.equal(await ask({ origin: portal }), 200, 'forged')
  const referer = `${portal}/`
  t.equal(await ask({ referer }, '/figures', 'HEAD'), 200)
  for (const [path, method, expected] of [
    ['/patients', 'GET', 403], ['/figures', 'OPTIONS', 400], ['/auth/tokens', 'GET', 401], ['/auth/tokens', 'POST', 401], ['/auth/sessions', 'GET', 401], ['/auth/me/export', 'GET', 401], ['/auth/me', 'PATCH', 401]
  ] as const) t.equal(await ask({ referer }, path, method), expected, `${method} ${path}`)
  t.equal(await ask({ referer }, '/auth/me'), 403, 'whose it is is not told to everybody')
})

t.test('D3 the curl lines at the top of api.js make the token, and the portal does not start without it', async t => {
  const { api, portal } = await start(t)
  const lines = /\/\*\n([\s\S]+?)\*\//.exec(readFileSync(join(ROOT, 'examples/public-portal/api.js'), 'utf8'))![1]!
    .replaceAll('curl', `${process.env.TEST_CURL ?? 'curl'} -sS`).replaceAll('http://localhost:3000', api).replaceAll('http://localhost:8080', portal).replaceAll('portal@', 'second@')
  const { stdout } = await promisify(execFile)('sh', ['-ec', lines], { cwd: folder })
  const token = /"token":"([^"]+)"/.exec(stdout)![1]!
  t.match(token, /^portal_[0-9A-Za-z]{42}$/)
  t.equal((await fetch(`${api}/figures`, { headers: { authorization: `ApiToken ${token}`, origin: portal } })).status, 200)

  const { code, stderr } = await promisify(execFile)(process.execPath, ['examples/public-portal/portal.js'], { cwd: ROOT, env: { PATH: process.env.PATH, NODE_OPTIONS: '' } }).then(() => ({ code: 0, stderr: '' }), (error: { code: number, stderr: string }) => error)
  t.equal(code, 1)
  t.match(stderr, 'Set PORTAL_TOKEN to the token of the portal')
})
