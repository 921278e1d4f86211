import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { AccountsOptions } from '../types/index.ts'
import { createApp, databaseFile, openStorage, PASSWORD, type TestApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { DAY, holdClock, HOUR, MINUTE } from './support/clock.ts'
import { sessionIdOf } from './support/tokens.ts'

const LIVENESS = ['checked', 'strict', 'stateless'] as const
const LOGIN = { email: 'ada@example.com', password: PASSWORD }

/** Servers that come one after the other on one database, or stand side by side. */
function onOneDatabase (t: Test, options: Partial<AccountsOptions> = {}) {
  const file = databaseFile(t)
  const secret = randomBytes(32)
  const signals: AbortSignal[] = []
  return {
    start: async (): Promise<TestApp> => await createApp(t, { secret, storage: await sqliteStorage(file), expireSessionsOnRestart: true, ...options }, app => {
      for (const liveness of LIVENESS) app.get(`/${liveness}`, { onRequest: app.guard({ liveness }) }, async () => 'in')
      app.get('/watch', { onRequest: app.authenticate }, async ({ principal }) => {
        signals.push(principal!.signal)
        return 'watched'
      })
    }),
    signals
  }
}

/** The cookies of a browser, at another server. */
function take (browser: Client, { client }: TestApp): Client {
  const there = client()
  Object.assign(there.cookies, browser.cookies)
  return there
}

t.test('F9 after a restart no session of before is good: not its access token, not its refresh token, by no way', async t => {
  const clock = holdClock(t)
  const { start } = onOneDatabase(t)
  const first = await start()
  const browser = await first.signedUp(LOGIN.email)
  t.equal((await browser.get('/private')).statusCode, 200)
  await first.app.close()

  const second = await start()
  for (const liveness of LIVENESS) t.equal((await take(browser, second).get(`/${liveness}`)).statusCode, 401, liveness)
  const refused = await take(browser, second).post('/auth/refresh')
  t.match([refused.statusCode, refused.json()], [401, { code: 'FST_ACCOUNTS_TOKEN_INVALID' }])
  const withoutAccess = take(browser, second)
  delete withoutAccess.cookies.accounts_access
  t.equal((await withoutAccess.get('/private')).statusCode, 401, 'the guard renews nothing')
  clock.advance(2 * HOUR)
  t.equal((await take(browser, second).get('/private')).statusCode, 401, 'nor when the access token has expired')
  t.equal((await take(browser, second).request('DELETE', '/auth/sessions')).statusCode, 401)

  const again = take(browser, second)
  t.equal((await again.post('/auth/login', LOGIN)).statusCode, 200)
  t.equal((await again.get('/private')).statusCode, 200)
  clock.advance(DAY)
  t.equal((await again.get('/private')).statusCode, 200, 'a session of this start is renewed as ever')
})

t.test('F9 without the option a restart logs nobody out', async t => {
  const { start } = onOneDatabase(t, { expireSessionsOnRestart: false })
  const first = await start()
  const browser = await first.signedUp(LOGIN.email)
  await first.app.close()
  t.equal((await take(browser, await start()).get('/private')).statusCode, 200)
})

t.test('F9 the list of sessions does not show what is over, and an export still has it', async t => {
  const { start } = onOneDatabase(t)
  const first = await start()
  const before = sessionIdOf(await first.signedUp(LOGIN.email))
  await first.app.close()
  const second = await start()
  const browser = second.client()
  await browser.post('/auth/login', LOGIN)
  const ids = (answer: { json (): unknown }) => (answer.json() as { sessions: Array<{ id: string }> }).sessions.map(({ id }) => id)
  t.strictSame(ids(await browser.get('/auth/sessions')), [sessionIdOf(browser)])
  t.ok(ids(await browser.get('/auth/me/export')).includes(before))
})

t.test('F9 a personal token is no session and stays', async t => {
  const { start } = onOneDatabase(t)
  const first = await start()
  const browser = await first.signedUp(LOGIN.email)
  const { token } = (await browser.post('/auth/tokens', { name: 'reports', context: 'server' })).json<{ token: string }>()
  await first.app.close()
  t.equal((await (await start()).client().get('/private', { authorization: `ApiToken ${token}` })).statusCode, 200)
})

t.test('F9 a stream of before ends with its server, and one of this start lives until its session ends', async t => {
  const { start, signals } = onOneDatabase(t)
  const first = await start()
  const browser = await first.signedUp(LOGIN.email)
  await browser.get('/watch')
  await first.app.close()
  t.equal(signals.at(-1)!.aborted, true)
  const second = await start()
  const watched = signals.length
  t.equal((await take(browser, second).get('/watch')).statusCode, 401)
  t.equal(signals.length, watched, 'it gets no other')
  const again = second.client()
  await again.post('/auth/login', LOGIN)
  await again.get('/watch')
  t.equal(signals.at(-1)!.aborted, false)
  await again.post('/auth/logout')
  t.equal(signals.at(-1)!.aborted, true)
})

t.test('F9 each of several processes goes by its own start; who signs in when all are up is good everywhere', async t => {
  const { start } = onOneDatabase(t)
  const old = await start()
  const browser = await old.signedUp(LOGIN.email)
  const young = await start()
  t.strictSame([(await take(browser, old).get('/private')).statusCode, (await take(browser, young).get('/private')).statusCode], [200, 401])
  const again = young.client()
  await again.post('/auth/login', LOGIN)
  t.strictSame([(await take(again, old).get('/private')).statusCode, (await take(again, young).get('/private')).statusCode], [200, 200])
})

t.test('F9 a clock that was ahead at the start keeps nobody out afterwards, and lets nobody of before in', async t => {
  const clock = holdClock(t)
  const { start } = onOneDatabase(t)
  const first = await start()
  const browser = await first.signedUp(LOGIN.email)
  await first.app.close()
  clock.jump(HOUR)
  const second = await start()
  clock.jump(-HOUR + MINUTE)
  const again = second.client()
  t.equal((await again.post('/auth/login', LOGIN)).statusCode, 200)
  t.equal((await again.get('/private')).statusCode, 200)
  t.equal((await again.get('/auth/sessions')).json<{ sessions: unknown[] }>().sessions.length, 1)
  t.equal((await (await second.signedUp('bob@example.com')).get('/private')).statusCode, 200)
  t.equal((await take(browser, second).get('/private')).statusCode, 401)
})

t.test('F9 sessions begin as ever on a storage without transactions', async t => {
  const { atomically, ...storage } = await openStorage(t)
  const { signedUp, client } = await createApp(t, { storage, expireSessionsOnRestart: true })
  t.equal((await (await signedUp(LOGIN.email)).get('/private')).statusCode, 200)
  t.equal((await client().post('/auth/login', LOGIN)).statusCode, 200)
})
