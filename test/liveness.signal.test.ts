import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { AccountsOptions } from '../types/index.ts'
import { createApp, databaseFile, PASSWORD, type TestApp } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { holdClock, HOUR, MINUTE } from './support/clock.ts'
import { accessOf, sessionIdOf } from './support/tokens.ts'

const BOUND_MS = 1000

/** A server with a door behind which the signal of each caller is kept. */
async function createWatcher (t: Test, options: Partial<AccountsOptions>): Promise<TestApp & { watch: (browser: Client) => Promise<AbortSignal> }> {
  const signals: AbortSignal[] = []
  const test = await createApp(t, options, (app: FastifyInstance) => {
    app.get('/watch', { onRequest: app.authenticate }, async ({ principal }) => signals.push(principal!.signal))
  })
  return {
    ...test,
    async watch (browser) {
      const answer = await createClient(test.app, { ...browser.cookies }).get('/watch')
      if (answer.statusCode !== 200) throw new TypeError(`answered ${answer.statusCode}`)
      return signals.at(-1)!
    }
  }
}

/** Milliseconds until it aborts. */
async function aborted (signal: AbortSignal): Promise<number> {
  const start = performance.now()
  return await Promise.race([
    new Promise<number>(resolve => {
      if (signal.aborted) resolve(0)
      else signal.addEventListener('abort', () => resolve(performance.now() - start))
    }),
    new Promise<number>(resolve => setTimeout(() => resolve(Infinity), 1.2 * BOUND_MS))
  ])
}

async function createPair (t: Test) {
  const file = databaseFile(t)
  const first = await createWatcher(t, { storage: await sqliteStorage(file) })
  const second = await createWatcher(t, { storage: await sqliteStorage(file), secret: first.secret })
  return { first, second }
}

t.test('J-11 the signal of a stream aborts when its session ends, here or on another server', async t => {
  const { first, second } = await createPair(t)
  const times: number[] = []
  for (const server of [first, second]) {
    const ends: Array<[string, (browser: Client) => Promise<unknown>]> = [
      ['logout', async browser => await browser.copy().post('/auth/logout')],
      ['disabled', async browser => await first.app.accounts.users.update(accessOf(browser).sub, { disabled: true })],
      ['deleted', async browser => await first.app.accounts.users.delete(accessOf(browser).sub)],
      ['signed in anew', async browser => await browser.copy().post('/auth/login', { email: 'nobody@example.com', password: PASSWORD }) && await first.app.accounts.sessions.endAll(accessOf(browser).sub)]
    ]
    for (const [title, end] of ends) {
      const [browser, neighbour] = [await first.signedUp(), await first.signedUp()]
      const [signal, other] = [await server.watch(browser), await server.watch(neighbour)]
      t.notOk(signal.aborted)
      await end(browser)
      const ms = await aborted(signal)
      times.push(ms)
      t.ok(ms <= BOUND_MS, `${title}, ${server === first ? 'here' : 'elsewhere'}: ${ms.toFixed(0)} ms`)
      t.equal((signal.reason as Error).name, 'AbortError')
      t.notOk(other.aborted, 'nobody else\'s')
    }
  }
  t.comment(`until the signal aborted: ${times.map(ms => ms.toFixed(0)).join(', ')} ms`)
})

t.test('J-11 a signal lives through changes that leave its session live', async t => {
  const { first, second } = await createPair(t)
  const browser = await first.signedUp()
  const signal = await second.watch(browser)
  await browser.request('PATCH', '/auth/me', { name: 'Countess' })
  await first.app.accounts.users.update(accessOf(browser).sub, { roles: ['editor'] })
  await new Promise(resolve => setTimeout(resolve, 400))
  t.notOk(signal.aborted)
  await browser.post('/auth/logout')
  t.ok(await aborted(signal) <= BOUND_MS, 'and is still watched')
})

t.test('J-11 a signal aborts when the token expires', async t => {
  const clock = holdClock(t)
  const { watch, signedUp } = await createWatcher(t, {})
  const signal = await watch(await signedUp())
  clock.advance(56 * MINUTE)
  await new Promise(resolve => setTimeout(resolve, 300))
  t.notOk(signal.aborted)
  clock.advance(4 * MINUTE)
  t.ok(await aborted(signal) <= BOUND_MS)
})

t.test('J-11 a signal aborts when the server closes', async t => {
  const { app, watch, signedUp } = await createWatcher(t, {})
  const signal = await watch(await signedUp())
  await app.close()
  t.ok(signal.aborted)
})

t.test('J-11 a signal that is first read after the session has ended aborts too', async t => {
  for (const where of ['here', 'elsewhere']) {
    const file = databaseFile(t)
    let reached = () => {}
    let go = () => {}
    const first = await createApp(t, { storage: await sqliteStorage(file) }, app => {
      app.get('/late', { onRequest: app.authenticate }, async ({ principal }) => {
        reached()
        await new Promise<void>(resolve => { go = resolve })
        const { signal } = principal!
        return { aborted: await aborted(signal) <= BOUND_MS }
      })
    })
    const second = await createApp(t, { storage: await sqliteStorage(file), secret: first.secret })
    const browser = await first.signedUp()
    const arrived = new Promise<void>(resolve => { reached = resolve })
    const answer = browser.copy().get('/late')
    await arrived
    await createClient((where === 'here' ? first : second).app, { ...browser.cookies }).post('/auth/logout')
    // Another request brings the news, before anybody watches.
    await new Promise(resolve => setTimeout(resolve, 30))
    t.equal((await browser.copy().get('/private')).statusCode, 401)
    go()
    t.strictSame((await answer).json(), { aborted: true }, where)
  }
})

t.test('J-11 without a feed the signal still hears of the session\'s end', async t => {
  const file = databaseFile(t)
  const { feed, ...storage } = await sqliteStorage(file)
  const first = await createWatcher(t, { storage })
  const second = await createApp(t, { storage: await sqliteStorage(file), secret: first.secret })
  for (const server of [first, second]) {
    const browser = await first.signedUp(`${server === first ? 'here' : 'elsewhere'}@example.com`)
    const signal = await first.watch(browser)
    await server.app.accounts.sessions.end(accessOf(browser).sub, sessionIdOf(browser))
    t.ok(await aborted(signal) <= 1.1 * BOUND_MS, server === first ? 'here' : 'elsewhere')
  }
})

t.test('V-05 signals of tokens that have expired are let go', async t => {
  const clock = holdClock(t)
  const { watch, signedUp, app } = await createWatcher(t, {})
  const browsers = await Promise.all(Array.from({ length: 5 }, async () => await signedUp()))
  const signals: AbortSignal[] = []
  for (const browser of browsers) signals.push(await watch(browser))
  t.equal(new Set(signals).size, 5)
  t.equal(await watch(browsers[0]!), signals[0], 'requests with one token share one')
  clock.advance(HOUR)
  for (const signal of signals) t.ok(await aborted(signal) <= BOUND_MS)
  await app.close()
})
