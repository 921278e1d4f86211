import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Locator, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import type { AccountsOptions } from '../../types/index.ts'
import { freePort } from '../services/free-port.js'
import { PASSWORD } from './app.ts'
import { ROOT } from './root.ts'

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const SHOTS = process.env.SCREENSHOTS

const { build } = await import(join(ROOT, 'examples/web/app.js')) as { build: (options: AccountsOptions) => Promise<FastifyInstance> }

export interface WebSite {
  readonly app: FastifyInstance
  readonly url: string
  /** A browser of its own; what it says against its pages is in `problems`. */
  open (options?: BrowserContextOptions): Promise<WebVisitor>
  readonly problems: string[]
}

export interface WebVisitor {
  readonly context: BrowserContext
  readonly page: Page
  /** Open a page of the site. */
  go (path: string): Promise<void>
  /** Fill in the fields by their names, and send the form that has this button. */
  send (fields: Record<string, string>, button: string): Promise<void>
  /** Click on a link. */
  follow (name: string | RegExp): Promise<void>
  /** What the page says at its top. */
  notice (): Promise<string>
  heading (): Promise<string>
  path (): string
  /** Follow the link in the latest mail, as it is shown at /mails. */
  followMail (subject: RegExp): Promise<void>
  /** Register, confirm the address and sign in. */
  join (email: string, name?: string): Promise<void>
  signIn (email: string, password?: string): Promise<void>
}

export async function launch (t: Pick<Test, 'teardown'>): Promise<Browser> {
  const executablePath = process.env.TEST_CHROMIUM
  if (executablePath === undefined) throw new TypeError('TEST_CHROMIUM is not set: run the tests with "npm test"')
  const browser = await chromium.launch({ executablePath, args: FLAGS })
  t.teardown(async () => { await browser.close() })
  return browser
}

/** examples/web on a database of its own. */
export async function startWeb (t: Pick<Test, 'teardown'>, browser: Browser, options: Partial<AccountsOptions> = {}): Promise<WebSite> {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const app = await build({ appUrl: url, secret: randomBytes(32), storage: await sqliteStorage(':memory:'), rateLimit: false, ...options })
  await app.listen({ port })
  t.teardown(async () => { await app.close() })
  const problems: string[] = []
  return {
    app,
    url,
    problems,
    async open (contextOptions = {}) {
      const context = await browser.newContext({ baseURL: url, ...contextOptions })
      // Before the server is: it would wait for connections that Chromium opens ahead of need.
      t.teardown(async () => { await context.close() })
      const page = await context.newPage()
      page.setDefaultTimeout(10_000)
      page.on('console', message => { if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) problems.push(message.text()) })
      page.on('pageerror', error => problems.push(error.message))
      return createVisitor(context, page)
    }
  }
}

function createVisitor (context: BrowserContext, page: Page): WebVisitor {
  /** A click alone does not wait for the page that it leads to. */
  async function leave (control: Locator): Promise<void> {
    const loaded = page.waitForEvent('load')
    await control.click()
    await loaded
  }

  const visitor: WebVisitor = {
    context,
    page,
    go: async path => { await page.goto(path) },
    async send (fields, button) {
      for (const [name, value] of Object.entries(fields)) await page.locator(`[name="${name}"]`).fill(value)
      await leave(page.getByRole('button', { name: button }).first())
    },
    follow: async name => { await leave(page.getByRole('link', { name }).first()) },
    notice: async () => (await page.locator('.notice').textContent())!,
    heading: async () => (await page.locator('h1').textContent())!.trim(),
    path: () => new URL(page.url()).pathname,
    async followMail (subject) {
      await page.goto('/mails')
      const link = page.getByRole('link', { name: subject }).first()
      // Mail is sent after the answer.
      for (let looks = 0; looks < 50 && !await link.isVisible(); looks++) await page.goto('/mails')
      await leave(link)
      await leave(page.locator('.letter a').first())
    },
    async join (email, name = '') {
      await page.goto('/register')
      await visitor.send({ email, name, password: PASSWORD }, 'Create account')
      await visitor.followMail(/Confirm your e-mail address/)
      await visitor.send({}, 'Confirm address')
      await visitor.signIn(email)
    },
    async signIn (email, password = PASSWORD) {
      await visitor.send({ email, password }, 'Sign in')
    }
  }
  return visitor
}

/** Keep a picture of the page, where the environment says that somebody wants to look at it. */
export async function shoot (page: Page, name: string): Promise<void> {
  if (SHOTS === undefined) return
  mkdirSync(SHOTS, { recursive: true })
  await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true })
}
