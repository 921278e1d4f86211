import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { postgresStorage, type PostgresStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, SECOND } from './support/clock.ts'
import { pause, startServer, until, type PrivateServer } from './support/postgres-server.ts'
import { accessOf, claimsOf } from './support/tokens.ts'

const RECOVERY_MS = 5000
const PAST_WINDOW = 31 * SECOND

/** What is killed knows nothing of it; the server, or somebody in its stead, starts again. */
const ENDS: ReadonlyArray<readonly [string, (server: PrivateServer) => Promise<void>]> = [
  ['a restart in order (fast)', async server => {
    await server.halt('SIGINT')
    await server.resume()
  }],
  ['a restart at once (immediate)', async server => {
    await server.halt('SIGQUIT')
    await server.resume()
  }],
  ['a process of the server that is killed', async ({ query }) => {
    const [{ pid }] = await query<{ pid: number }>('select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() limit 1') as [{ pid: number }]
    process.kill(pid, 'SIGKILL')
    await pause(50)
    await until(async () => await query('select 1').then(() => true, () => false))
  }],
  ['all connections ended by an administrator', async ({ query }) => {
    await query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')
  }],
  ['all connections reset by the network', async ({ proxy }) => proxy.cut()]
]

/** Ask for as long as `isDone` says; what was answered, and how often. */
async function load (browser: Client, isDone: () => boolean): Promise<Map<number, number>> {
  const codes = new Map<number, number>()
  await Promise.all(Array.from({ length: 8 }, async (_, index) => {
    while (!isDone()) {
      const { statusCode } = await browser.copy().get(index % 2 === 0 ? '/strict' : '/auth/sessions')
      codes.set(statusCode, (codes.get(statusCode) ?? 0) + 1)
      await new Promise(resolve => setImmediate(resolve))
    }
  }))
  return codes
}

interface Loss {
  readonly title: string
  /** The message that says "now do it". */
  readonly pattern: RegExp
  act (browser: Client, email: string): Promise<LightMyRequestResponse>
  /** What must be so afterwards, whether it was done or not. */
  check (test: Subject, browser: Client, email: string, isDone: boolean): Promise<void>
}
interface Subject extends TestApp { readonly t: Test, readonly alarms: string[], readonly storage: PostgresStorage }

const COMMIT = /^Q[^]{4}commit\0/i
const opens = async ({ client }: TestApp, email: string, password: string) => (await client().post('/auth/login', { email, password })).statusCode === 200

const LOSSES: readonly Loss[] = [
  {
    title: 'sign-up',
    pattern: COMMIT,
    act: async (browser, email) => await browser.post('/auth/register', { email: `new-${email}`, password: PASSWORD }),
    async check (test, browser, email, isDone) {
      test.t.equal((await this.act(browser, email)).statusCode, isDone ? 409 : 201, 'the same again')
      test.t.ok(await opens(test, `new-${email}`, PASSWORD), 'then the account is there')
    }
  },
  {
    title: 'login',
    pattern: /insert into "\w+"."accounts_sessions"/,
    act: async (browser, email) => {
      for (const name of Object.keys(browser.cookies)) delete browser.cookies[name]
      return await browser.post('/auth/login', { email, password: PASSWORD })
    },
    async check ({ t }, browser, email) {
      t.equal((await this.act(browser, email)).statusCode, 200, 'the same again')
      t.equal((await browser.get('/strict')).statusCode, 200)
    }
  },
  {
    title: 'a login in place of another',
    pattern: /update "\w+"."accounts_sessions" set "revoked_at"/,
    act: async (browser, email) => await browser.post('/auth/login', { email, password: PASSWORD }),
    async check ({ t }, browser, email, isDone) {
      t.equal((await browser.copy().get('/strict')).statusCode, isDone ? 401 : 200, 'the old session')
      t.equal((await this.act(browser, email)).statusCode, 200, 'the same again')
    }
  },
  {
    title: 'a rotation',
    pattern: /update "\w+"."accounts_sessions" set "generation"/,
    act: async browser => await browser.post('/auth/refresh'),
    async check ({ t, storage }, browser, _email, isDone) {
      const { sid, gen } = claimsOf(browser.cookies.accounts_refresh)
      const again = await browser.post('/auth/refresh')
      t.strictSame([again.statusCode, again.headers['accounts-refresh']], [200, isDone ? 'window' : 'rotated'], 'the same again')
      t.equal((await storage.sessions.find(sid))?.generation, gen + 1, 'rotated once')
      t.equal((await browser.get('/strict')).statusCode, 200)
    }
  },
  {
    title: 'a new password',
    pattern: COMMIT,
    act: async browser => await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }),
    async check (test, browser, email, isDone) {
      test.t.strictSame([await opens(test, email, PASSWORD), await opens(test, email, OTHER_PASSWORD)], [!isDone, isDone], 'one password opens')
      test.t.equal((await browser.get('/strict')).statusCode, isDone ? 401 : 200, 'sessions from before')
    }
  },
  {
    title: 'logout',
    pattern: /update "\w+"."accounts_sessions" set "revoked_at"/,
    act: async browser => await browser.post('/auth/logout'),
    async check ({ t }, browser, _email, isDone) {
      t.equal((await browser.copy().get('/strict')).statusCode, isDone ? 401 : 200)
      const before = browser.copy()
      t.equal((await browser.post('/auth/logout')).statusCode, 204, 'the same again')
      t.equal((await before.get('/strict')).statusCode, 401)
    }
  },
  {
    title: 'deletion',
    pattern: COMMIT,
    act: async browser => await browser.request('DELETE', '/auth/me', { password: PASSWORD }),
    async check (test, browser, email, isDone) {
      test.t.equal((await browser.get('/strict')).statusCode, isDone ? 401 : 200)
      test.t.equal(await opens(test, email, PASSWORD), !isDone)
    }
  }
]

t.test('connections to PostgreSQL are lost', async t => {
  // What is acknowledged is written, so that a crash of the server takes nothing back.
  const server = await startServer(t, { synchronous_commit: 'on' })
  const warnings: string[] = []
  process.on('warning', ({ message }) => { warnings.push(message) })

  async function createSubject (t: Test, schema: string): Promise<Subject> {
    const alarms: string[] = []
    const storage = await postgresStorage(server.proxy.url, { schema })
    const test = await createApp(t, { storage, hooks: { sessionReused: ({ sessionId }) => { alarms.push(sessionId) } } }, app => {
      app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
    })
    return { ...test, t, alarms, storage }
  }

  for (const [index, [title, end]] of ENDS.entries()) {
    t.test(`F-10 V-02 ${title}: what is under way is answered 503, the process lives, and within five seconds all is well`, async t => {
      const { signedUp, alarms, storage } = await createSubject(t, `ended${index}`)
      const browser = await signedUp('ada@example.com')
      let isDone = false
      const loaded = load(browser, () => isDone)
      t.teardown(() => { isDone = true })
      await pause(100)
      await end(server)
      const healed = await until(async () => (await browser.get('/strict')).statusCode === 200)
      const current = healed + await until(() => storage.feed.isCurrent())
      t.ok(current <= RECOVERY_MS)
      isDone = true
      const codes = await loaded
      t.strictSame([...codes.keys()].filter(code => code !== 200 && code !== 503), [], 'nobody is logged out')
      t.ok(codes.get(200)! > 0)
      t.equal((await browser.get('/private')).statusCode, 200)
      t.strictSame(alarms, [])
      t.comment(`well after ${healed.toFixed(0)} ms, the feed after ${current.toFixed(0)} ms; answers: ${[...codes].map(([code, count]) => `${count} × ${code}`).join(', ')}`)
    })
  }

  t.test('F-12 a connection that is lost over a commit: 503, and then it is either done or not', async t => {
    const clock = holdClock(t)
    const test = await createSubject(t, 'commits')
    const known = async () => Number((await server.query<{ count: string }>('select count(*) from commits.accounts_users'))[0]!.count)
    let count = 0
    for (const when of ['on the way', 'when answered'] as const) {
      for (const loss of LOSSES) {
        await t.test(`${loss.title}, lost ${when}`, async t => {
          const email = `somebody${++count}@example.com`
          const browser = await test.signedUp(email)
          clock.advance(PAST_WINDOW)
          const cookies = JSON.stringify(browser.cookies)
          const users = await known()
          const hasLost = server.proxy.lose(loss.pattern, when)
          const answer = await loss.act(browser, email)
          t.ok(hasLost())
          t.equal(answer.statusCode, 503)
          t.match(answer.headers['retry-after'], /^[1-9]$/)
          if (loss.title !== 'login') t.equal(JSON.stringify(browser.cookies), cookies, 'no cookie touched')
          await loss.check({ ...test, t }, browser, email, when === 'when answered')
          if (loss.title === 'sign-up') t.equal(await known(), users + 1, 'once')
        })
      }
    }
    t.strictSame(test.alarms, [], 'nobody is taken for a thief')
  })

  t.strictSame(warnings.filter(message => message.includes('notifications')), [], 'nobody is told of a pooler that is not there')
})

t.test('F-12 a session whose rotations lose their answers again and again lives on', async t => {
  const server = await startServer(t)
  const clock = holdClock(t)
  const alarms: string[] = []
  const storage = await postgresStorage(server.proxy.url)
  const { signedUp } = await createApp(t, { storage, hooks: { sessionReused: ({ sessionId }) => { alarms.push(sessionId) } } })
  const browser = await signedUp()
  const { sid } = accessOf(browser)
  const outcomes: unknown[] = []
  for (let round = 0; round < 12; round++) {
    clock.advance(PAST_WINDOW)
    const hasLost = round % 3 === 2 ? () => false : server.proxy.lose(/update "accounts_sessions" set "(generation|rotated_at)"/, 'when answered')
    const { statusCode, headers } = await browser.post('/auth/refresh')
    outcomes.push(headers['accounts-refresh'] ?? statusCode)
    t.equal(statusCode, hasLost() ? 503 : 200)
  }
  t.equal((await browser.get('/private')).statusCode, 200)
  t.equal((await storage.sessions.find(sid))?.revokedAt, null)
  t.strictSame(alarms, [])
  t.comment(outcomes.join(', '))
})
