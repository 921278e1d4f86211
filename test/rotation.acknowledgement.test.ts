import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, databaseFile } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { connect } from './support/sqlite.ts'
import { tapStorage } from './support/tapped-storage.ts'
import { holdTimers } from './support/timers.ts'
import { sessionIdOf } from './support/tokens.ts'

const acknowledgedIn = (sql: ReturnType<typeof connect>) => (browser: Client) =>
  sql.prepare('SELECT acknowledged_generation FROM accounts_sessions WHERE id = ?').pluck().get(sessionIdOf(browser)) as number

for (const age of [1, 5, 9, 11, 15, 19, 21, 25, 29]) {
  t.test(`R-03 an acknowledgement ${age} s after a rotation is known to every process before its window ends`, async t => {
    const clock = holdTimers(t, holdClock(t))
    const file = databaseFile(t)
    const { signedUp } = await createApp(t, { storage: await sqliteStorage(file) })
    const acknowledged = acknowledgedIn(connect(t, file))
    const browser = await signedUp()
    // Seen just before, so that a note and its timer exist already.
    await clock.advance(55 * MINUTE)
    await browser.get('/private')
    await clock.advance(3 * SECOND)
    await browser.post('/auth/refresh')
    await clock.advance(age * SECOND)
    t.equal(acknowledged(browser), 0, 'not before it is seen')
    await browser.get('/private')
    await clock.advance((29.9 - age) * SECOND)
    t.equal(acknowledged(browser), 1)
  })
}

t.test('R-03 requests cost no write each: what they show is written every ten seconds', async t => {
  const clock = holdTimers(t, holdClock(t))
  const batches: unknown[][] = []
  const storage = tapStorage(await sqliteStorage(':memory:'), async (verb, args, call) => {
    if (verb === 'sessions.touch') batches.push(args[0] as unknown[])
    return await call()
  })
  const { signedUp } = await createApp(t, { storage })
  const browsers = await Promise.all(Array.from({ length: 4 }, async () => await signedUp()))
  await clock.advance(MINUTE)
  for (let second = 0; second < 30; second++) {
    for (const browser of browsers) await browser.get('/private')
    await clock.advance(SECOND)
  }
  t.ok(batches.length <= 4 && batches.length >= 2, `${batches.length} writes for 120 requests`)
  t.ok(batches.every(batch => batch.length === browsers.length), 'one statement for all sessions')
})

t.test('R-03 an acknowledgement that comes while a batch is being written is written too', async t => {
  const clock = holdTimers(t, holdClock(t))
  const file = databaseFile(t)
  let release = () => {}
  let hold = false
  const storage = tapStorage(await sqliteStorage(file), async (verb, _args, call) => {
    if (verb === 'sessions.touch' && hold) {
      hold = false
      await new Promise<void>(resolve => { release = resolve })
    }
    return await call()
  })
  const { signedUp } = await createApp(t, { storage })
  const acknowledged = acknowledgedIn(connect(t, file))
  const browser = await signedUp()
  const neighbour = await signedUp()
  await clock.advance(HOUR)
  await browser.post('/auth/refresh')
  await clock.advance(15 * SECOND)

  hold = true
  await neighbour.get('/private')
  await clock.advance(10 * SECOND)
  t.equal(hold, false, 'a batch is on its way')
  await browser.get('/private')
  await clock.advance(SECOND)
  release()
  await clock.advance(3.9 * SECOND)
  t.equal(acknowledged(browser), 1, 'before the window ends')
})

t.test('R-03 what came while the last batch was being written is not lost with the server', async t => {
  const clock = holdTimers(t, holdClock(t))
  const file = databaseFile(t)
  let release = () => {}
  let hold = false
  const storage = tapStorage(await sqliteStorage(file), async (verb, _args, call) => {
    if (verb === 'sessions.touch' && hold) {
      hold = false
      await new Promise<void>(resolve => { release = resolve })
    }
    return await call()
  })
  const { app, signedUp } = await createApp(t, { storage })
  const acknowledged = acknowledgedIn(connect(t, file))
  const browser = await signedUp()
  const neighbour = await signedUp()
  await clock.advance(HOUR)
  await browser.post('/auth/refresh')
  hold = true
  await neighbour.get('/private')
  await clock.advance(10 * SECOND)
  await browser.get('/private')
  setTimeout(() => release(), 50)
  await app.close()
  t.equal(acknowledged(browser), 1)
})

t.test('R-07 what was acknowledged, and what was used up, is so after a restart', async t => {
  const clock = holdTimers(t, holdClock(t))
  const file = databaseFile(t)
  const first = await createApp(t, { storage: await sqliteStorage(file) })
  const browser = await first.signedUp()
  const old = browser.copy()
  await clock.advance(HOUR)
  await browser.post('/auth/refresh')
  await browser.get('/private')
  await first.app.close()
  const second = await createApp(t, { storage: await sqliteStorage(file), secret: first.secret })
  await clock.advance(MINUTE)
  t.equal((await second.client().post('/auth/refresh', undefined, { cookie: `accounts_refresh=${old.cookies.accounts_refresh}` })).statusCode, 401)
  t.equal((await second.storage.sessions.find(sessionIdOf(browser)))?.revokeReason, 'reused')
})

t.test('R-07 an acknowledgement that a crash took away makes nobody a thief', async t => {
  const clock = holdTimers(t, holdClock(t))
  const file = databaseFile(t)
  const first = await createApp(t, { storage: await sqliteStorage(file) })
  const second = await createApp(t, { storage: await sqliteStorage(file), secret: first.secret })
  const browser = await first.signedUp()
  await clock.advance(HOUR)
  await browser.post('/auth/refresh')
  await browser.get('/private')
  // The first server is never heard of again; the window is long gone when the browser comes back.
  Object.assign(first.storage, { sessions: null })
  for (let round = 0; round < 3; round++) {
    await clock.advance(HOUR)
    const answer = await second.client().get('/private', { cookie: `accounts_refresh=${browser.cookies.accounts_refresh}` })
    t.equal(answer.statusCode, 200)
    for (const { name, value } of answer.cookies) browser.cookies[name] = value
  }
})
