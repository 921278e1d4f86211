import type { LightMyRequestResponse } from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import { postgresStorage, type PostgresStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR } from './support/clock.ts'
import { countConnections, describeTimes, realTime, startServer, until, type PrivateServer } from './support/postgres-server.ts'
import { accessOf } from './support/tokens.ts'

/** A call has a second, a transaction two; and a client that waits on a busy machine has this much more patience. */
const CALL_MS = 1000
const TRANSACTION_MS = 2000
const PATIENCE_MS = 400
/** What is over counts no more after this; and after this all is well again. */
const BOUND_MS = 1000
const RECOVERY_MS = 5000

interface Route {
  readonly title: string
  readonly isTransaction?: true
  act (browser: Client): Promise<LightMyRequestResponse>
}

/** Every route that can't answer without the storage. */
const ROUTES: readonly Route[] = [
  { title: 'sign-up', isTransaction: true, act: async browser => await browser.post('/auth/register', { email: `new${Math.random()}@example.com`, password: PASSWORD }) },
  { title: 'login', act: async browser => await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD }) },
  { title: 'a guard', act: async browser => await browser.get('/strict') },
  { title: 'a guard that remembered', act: async browser => await browser.get('/private') },
  { title: 'a trade', act: async browser => await browser.post('/auth/refresh') },
  { title: 'logout', act: async browser => await browser.post('/auth/logout') },
  { title: 'the list of sessions', act: async browser => await browser.get('/auth/sessions') },
  { title: 'ending the others', act: async browser => await browser.request('DELETE', '/auth/sessions') },
  { title: 'ending one', act: async browser => await browser.request('DELETE', `/auth/sessions/${accessOf(browser).sid}`) },
  { title: 'a new name', isTransaction: true, act: async browser => await browser.request('PATCH', '/auth/me', { name: 'Countess' }) },
  { title: 'a new password', isTransaction: true, act: async browser => await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }) },
  { title: 'deletion', isTransaction: true, act: async browser => await browser.request('DELETE', '/auth/me', { password: PASSWORD }) }
]

interface Subject extends TestApp { readonly alarms: string[] }

async function createSubject (t: Test, storage: PostgresStorage): Promise<Subject> {
  const alarms: string[] = []
  const test = await createApp(t, { storage, hooks: { sessionReused: ({ sessionId }) => { alarms.push(sessionId) } } }, app => {
    app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
    app.get('/stateless', { onRequest: app.guard({ liveness: 'stateless' }) }, async () => 'in')
  })
  return { ...test, alarms }
}

/** Answered in time that the storage is unavailable, and no word about who calls. */
function isUnavailable ({ statusCode, headers, cookies }: LightMyRequestResponse): boolean {
  return statusCode === 503 && /^[1-9]\d?$/.test(String(headers['retry-after'])) && cookies.length === 0
}

async function timed (act: () => Promise<LightMyRequestResponse>): Promise<{ answer: LightMyRequestResponse, ms: number }> {
  const start = realTime()
  const answer = await act()
  return { answer, ms: realTime() - start }
}

/** Ask as fast as answers come, for so long; when it was last let in, and what else it was told. */
async function knock (browser: Client, url: string, forMs: number): Promise<{ lastIn: number, codes: Set<number> }> {
  const start = realTime()
  const codes = new Set<number>()
  let lastIn = 0
  while (realTime() - start < forMs) {
    const { statusCode } = await browser.copy().get(url)
    codes.add(statusCode)
    if (statusCode === 200) lastIn = realTime() - start
    await new Promise(resolve => setImmediate(resolve))
  }
  return { lastIn, codes }
}

const SILENCES: ReadonlyArray<readonly [string, (server: PrivateServer, isSilent: boolean) => void]> = [
  ['a server that is frozen', (server, isSilent) => server.signal(isSilent ? 'SIGSTOP' : 'SIGCONT')],
  ['a network that swallows everything', (server, isSilent) => server.proxy.freeze(isSilent)]
]

t.test('PostgreSQL does not answer', async t => {
  const server = await startServer(t)

  for (const [title, silence] of SILENCES) {
    t.test(`V-01 V-02 F-15 ${title}: 503 in time, no cookie, nobody who can't be asked about is let in, and then all is well again`, async t => {
      const clock = holdClock(t)
      const storage = await postgresStorage(server.proxy.url, { schema: title.split(' ').at(-1)! })
      const subject = await createSubject(t, storage)
      const { client, signedUp, alarms } = subject
      const ada = await signedUp('ada@example.com')
      const browsers = []
      for (const route of ROUTES) browsers.push({ route, browser: route.title === 'sign-up' ? client() : await signedUp(), cookies: '' })
      for (const one of browsers) one.cookies = JSON.stringify(one.browser.cookies)
      const before = server.proxy.count()
      await until(() => storage.feed.isCurrent())
      for (const { browser } of [{ browser: ada }, ...browsers.slice(1)]) await browser.get('/private')

      silence(server, true)
      const watched = knock(ada, '/private', 2 * BOUND_MS)
      const stateless = knock(ada, '/stateless', 2 * BOUND_MS)
      const { lastIn, codes } = await watched
      t.ok(lastIn <= BOUND_MS && lastIn > 0, `let in from memory for ${lastIn.toFixed(0)} ms`)
      t.strictSame([...codes], [200, 503], 'and nothing but 503 then')
      t.strictSame([...(await stateless).codes], [200], 'who does not want to know is not bothered')

      const times = { calls: [] as number[], transactions: [] as number[] }
      await Promise.all(browsers.map(async ({ route, browser, cookies }) => {
        const { answer, ms } = await timed(async () => await route.act(browser))
        t.ok(isUnavailable(answer), `${route.title}: ${answer.statusCode}`)
        t.equal(JSON.stringify(browser.cookies), cookies, `${route.title}: no cookie touched`)
        // What hashes or reads first makes two calls; each has its own deadline.
        t.ok(ms <= (route.isTransaction === true ? TRANSACTION_MS : CALL_MS) + PATIENCE_MS, `${route.title}: ${ms.toFixed(0)} ms`)
        times[route.isTransaction === true ? 'transactions' : 'calls'].push(ms)
      }))
      t.comment(`calls: ${describeTimes(times.calls)}; transactions: ${describeTimes(times.transactions)}`)

      const crowd = await Promise.all(Array.from({ length: 300 }, async () => await timed(async () => await ada.copy().get('/strict'))))
      t.ok(crowd.every(({ answer }) => isUnavailable(answer)))
      // To be sent takes them a while.
      t.ok(crowd.every(({ ms }) => ms <= CALL_MS + 2 * PATIENCE_MS))
      const open = server.proxy.count()
      t.ok(open <= 22, `${open} connections, ${before} before`)
      t.comment(`a crowd: ${describeTimes(crowd.map(({ ms }) => ms))}; ${open} connections`)

      silence(server, false)
      const healed = await until(async () => (await ada.get('/strict')).statusCode === 200)
      const current = healed + await until(() => storage.feed.isCurrent())
      t.ok(current <= RECOVERY_MS)
      t.comment(`all well after ${healed.toFixed(0)} ms, the feed after ${current.toFixed(0)} ms`)
      t.ok(await countConnections(server) <= 12)

      // What was asked for in vain may have been done late, as the list says; nothing else may have.
      for (const { route, browser } of browsers) {
        const { statusCode } = await browser.get('/strict')
        const mayHaveEnded = ['sign-up', 'logout', 'ending one', 'a new password', 'deletion', 'login'].includes(route.title)
        t.ok(statusCode === 200 || (mayHaveEnded && statusCode === 401), `${route.title}: then ${statusCode}`)
      }
      clock.advance(HOUR)
      const trader = browsers.find(({ route }) => route.title === 'a trade')!.browser
      t.equal((await trader.get('/private')).statusCode, 200, 'a trade whose answer was lost can be made again')
      t.equal((await ada.get('/private')).statusCode, 200)
      t.strictSame(alarms, [], 'nobody is taken for a thief')
    })
  }

  t.test('F-15 a network that has forgotten its connections: each is given up after a second, and new ones do', async t => {
    const storage = await postgresStorage(server.proxy.url, { schema: 'forgotten' })
    const { signedUp, alarms } = await createSubject(t, storage)
    const browser = await signedUp()
    await Promise.all(Array.from({ length: 20 }, async () => await browser.copy().get('/strict')))
    await until(() => storage.feed.isCurrent())
    server.proxy.abandon()
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await timed(async () => await browser.copy().get('/strict'))))
    t.ok(answers.every(({ answer, ms }) => isUnavailable(answer) && ms <= CALL_MS + PATIENCE_MS))
    const healed = await until(async () => {
      const again = await Promise.all(Array.from({ length: 20 }, async () => await browser.copy().get('/strict')))
      return again.every(({ statusCode }) => statusCode === 200)
    })
    const current = healed + await until(() => storage.feed.isCurrent())
    t.ok(current <= RECOVERY_MS)
    t.strictSame(alarms, [])
    t.comment(`${describeTimes(answers.map(({ ms }) => ms))}; well after ${healed.toFixed(0)} ms more, the feed after ${current.toFixed(0)} ms`)
    server.proxy.cut()
  })

  t.test('F-14 a pool of the host\'s whose connections are all lent out: 503 in time, and late ones go back', async t => {
    const pool = new pg.Pool({ connectionString: server.url, max: 2 })
    t.teardown(async () => await pool.end())
    const storage = await postgresStorage(pool, { schema: 'lent' })
    const { signedUp } = await createSubject(t, storage)
    const browser = await signedUp()
    const lent = [await pool.connect(), await pool.connect()]
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await timed(async () => await browser.copy().get('/strict'))))
    t.ok(answers.every(({ answer, ms }) => isUnavailable(answer) && ms <= CALL_MS + PATIENCE_MS))
    t.comment(`nobody waited for longer than it takes: ${describeTimes(answers.map(({ ms }) => ms))}`)
    for (const client of lent) client.release()
    t.ok(await until(async () => (await browser.get('/strict')).statusCode === 200) <= RECOVERY_MS)
    await until(() => pool.waitingCount === 0 && pool.idleCount === pool.totalCount)
    t.strictSame({ total: pool.totalCount, idle: pool.idleCount }, { total: 2, idle: 2 }, 'all are back')
  })

  t.test('F-14 rows and tables that somebody else keeps locked: 503 in time, no connection is left behind, and it heals', async t => {
    const storage = await postgresStorage(server.url, { schema: 'locked' })
    const { signedUp } = await createSubject(t, storage)
    const browser = await signedUp()
    const before = await countConnections(server)
    const holder = new pg.Client(server.url)
    await holder.connect()
    t.teardown(async () => await holder.end())
    await holder.query('begin')
    await holder.query('lock table locked.accounts_sessions in access exclusive mode')
    const times = []
    let most = 0
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(Array.from({ length: 30 }, async () => await timed(async () => await browser.copy().get('/strict'))))
      t.ok(answers.every(({ answer, ms }) => isUnavailable(answer) && ms <= CALL_MS + PATIENCE_MS))
      times.push(...answers.map(({ ms }) => ms))
      most = Math.max(most, await countConnections(server))
    }
    t.ok(most <= before + 12, `${most} connections at the server, ${before} before`)
    await holder.query('rollback')
    t.ok(await until(async () => (await browser.get('/strict')).statusCode === 200) <= RECOVERY_MS)
    await until(async () => await countConnections(server) <= 12)
    t.comment(`${describeTimes(times)}; ${most} connections at most`)
  })
})
