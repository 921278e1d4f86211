import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, databaseFile, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { holdClock, HOUR, SECOND } from './support/clock.ts'
import { claimsOf, sessionIdOf } from './support/tokens.ts'

const RACERS = 16
const PAST_WINDOW = 31 * SECOND

/** Two servers on one file, and hooks that count alarms. */
async function createPair (t: Test): Promise<{ apps: [TestApp, TestApp], alarms: string[] }> {
  const file = databaseFile(t)
  const alarms: string[] = []
  const hooks = { sessionReused: ({ sessionId }: { sessionId: string }) => { alarms.push(sessionId) } }
  const first = await createApp(t, { storage: await sqliteStorage(file), hooks })
  const second = await createApp(t, { storage: await sqliteStorage(file), secret: first.secret, hooks })
  return { apps: [first, second], alarms }
}

/** The same cookies presented by many at once, at both servers in turn. */
async function race (apps: readonly TestApp[], { cookies }: Client, url: '/auth/refresh' | '/private') {
  return await Promise.all(Array.from({ length: RACERS }, async (_, index) =>
    await createClient(apps[index % apps.length]!.app, { ...cookies }).request(url === '/private' ? 'GET' : 'POST', url)))
}

const outcomes = (answers: Awaited<ReturnType<typeof race>>) => answers.map(({ statusCode, headers }) => String(headers['accounts-refresh'] ?? statusCode)).sort()
const others = (outcome: string) => Array.from({ length: RACERS - 1 }, () => outcome)

for (const servers of [1, 2]) {
  t.test(`R-02 F-22 of ${RACERS} racers at ${servers} server${servers === 1 ? '' : 's'} one rotates, and there is one successor`, async t => {
    const clock = holdClock(t)
    const { apps, alarms } = await createPair(t)
    const browser = await apps[0].signedUp()
    const racing = apps.slice(0, servers)
    let faults = 0
    for (let round = 1; round <= 40; round++) {
      clock.advance(round % 2 === 0 ? PAST_WINDOW : HOUR)
      const answers = await race(racing, browser, round % 4 < 2 ? '/auth/refresh' : '/private')
      const successors = answers.flatMap(({ cookies }) => cookies).filter(({ name }) => name === 'accounts_refresh')
      const session = await apps[0].storage.sessions.find(sessionIdOf(browser))
      // Within the life of an access token a guard has nothing to renew.
      const isIdle = round % 4 === 2
      const expected = isIdle ? ['200', ...others('200')] : ['rotated', ...others('window')]
      const isFaultless = String(outcomes(answers)) === String(expected) && successors.length === (isIdle ? 0 : 1) && session?.revokedAt === null
      if (!isFaultless) faults++
      const winner = answers.find(({ headers }) => headers['accounts-refresh'] === 'rotated')
      if (winner !== undefined) {
        const before = claimsOf(browser.cookies.accounts_refresh).gen
        for (const { name, value } of winner.cookies) browser.cookies[name] = value
        if (claimsOf(browser.cookies.accounts_refresh).gen !== before + 1 || session?.generation !== before + 1) faults++
      }
    }
    t.equal(faults, 0)
    t.strictSame(alarms, [])
    t.equal((await apps[0].storage.sessions.find(sessionIdOf(browser)))?.generation, 30)
  })
}

t.test('R-04 of racers who lost the answer one recovers, and the others share its window', async t => {
  const clock = holdClock(t)
  const { apps, alarms } = await createPair(t)
  const browser = await apps[0].signedUp()
  clock.advance(PAST_WINDOW)
  await browser.copy().post('/auth/refresh')
  for (let round = 0; round < 10; round++) {
    clock.advance(PAST_WINDOW)
    t.strictSame(outcomes(await race(apps, browser, '/auth/refresh')), ['recovered', ...others('window')])
  }
  t.equal((await apps[0].storage.sessions.find(sessionIdOf(browser)))?.generation, 1)
  t.strictSame(alarms, [])
})

t.test('R-03 of racers with a stolen token none gets anything, and the alarm sounds once', async t => {
  const clock = holdClock(t)
  const { apps, alarms } = await createPair(t)
  const browser = await apps[0].signedUp()
  const stolen = browser.copy()
  for (let rotation = 0; rotation < 2; rotation++) {
    clock.advance(PAST_WINDOW)
    await browser.post('/auth/refresh')
  }
  const answers = await race(apps, stolen, '/auth/refresh')
  t.strictSame(outcomes(answers), ['401', ...others('401')])
  t.strictSame(answers.flatMap(({ cookies }) => cookies), [])
  t.strictSame(alarms, [sessionIdOf(browser)])
  t.equal((await browser.get('/private')).statusCode, 401)
})

t.test('F-23 S-I6 whatever a rotation races with: what was acknowledged as ended lets nobody in', async t => {
  const clock = holdClock(t)
  const { apps, alarms } = await createPair(t)
  const [first, second] = apps
  const ends: Array<[string, (browser: Client) => Promise<unknown>]> = [
    ['logout', async browser => await browser.post('/auth/logout')],
    ['password change', async browser => await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })],
    ['disabling', async browser => await first.app.accounts.users.update(claimsOf(browser.cookies.accounts_refresh).sub, { disabled: true })],
    ['deletion', async browser => await first.app.accounts.users.delete(claimsOf(browser.cookies.accounts_refresh).sub)]
  ]
  let violations = 0
  for (let round = 0; round < 24; round++) {
    const [, end] = ends[round % ends.length]!
    const browser = await first.signedUp()
    const before = browser.copy()
    clock.advance(PAST_WINDOW)
    const ending = browser.copy()
    const racers = Array.from({ length: 6 }, (_, index) => createClient(apps[index % 2]!.app, { ...browser.cookies }))
    const rotations = racers.map(async (racer, index) => {
      for (let turn = 0; turn < (index + round) % 5; turn++) await null
      await racer.post('/auth/refresh')
    })
    await end(ending)
    // Acknowledged: from here on nothing of before is good, not even what a racer gets only now.
    clock.advance(SECOND)
    for (const { app } of [first, second]) {
      if ((await createClient(app, { ...before.cookies }).get('/private')).statusCode !== 401) violations++
    }
    await Promise.all(rotations)
    for (const racer of [...racers, before]) {
      for (const { app } of [first, second]) {
        const codes = [await createClient(app, { ...racer.cookies }).get('/private'), await createClient(app, { ...racer.cookies }).post('/auth/refresh')].map(({ statusCode }) => statusCode)
        if (codes.some(code => code !== 401)) violations++
      }
    }
  }
  t.equal(violations, 0)
  t.strictSame(alarms, [], 'and nobody is taken for a thief')
})

t.test('S-I16 of logins, logouts and changes that come twice at once each happens once', async t => {
  const { apps } = await createPair(t)
  const [first, second] = apps
  const revoked: string[] = []
  for (const { app } of apps) app.accounts.addHook('sessionRevoked', ({ sessionId }) => { revoked.push(sessionId) })
  const browser = await first.signedUp('ada@example.com')
  const at = (app: TestApp) => createClient(app.app, { ...browser.cookies })
  await Promise.all(Array.from({ length: 8 }, async (_, index) => await at(index % 2 === 0 ? first : second).post('/auth/logout')))
  t.strictSame(revoked, [sessionIdOf(browser)])

  await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  const changes = await Promise.all(Array.from({ length: 4 }, async (_, index) => await at(index % 2 === 0 ? first : second).post('/auth/password/change', { currentPassword: PASSWORD, newPassword: `${OTHER_PASSWORD} ${index}` })))
  t.equal(changes.filter(({ statusCode }) => statusCode === 204).length, 1, 'one change wins')
  const winner = changes.findIndex(({ statusCode }) => statusCode === 204)
  t.ok(changes.every(({ statusCode }) => [204, 401, 403].includes(statusCode)))
  t.equal((await first.client().post('/auth/login', { email: 'ada@example.com', password: `${OTHER_PASSWORD} ${winner}` })).statusCode, 200)

  const signUps = await Promise.all(Array.from({ length: 6 }, async (_, index) => await (index % 2 === 0 ? first : second).client().post('/auth/register', { email: 'new@example.com', password: PASSWORD })))
  t.strictSame(signUps.map(({ statusCode }) => statusCode).sort(), [201, 409, 409, 409, 409, 409])
})

for (const on of [process.env.TEST_STORAGE ?? 'sqlite', 'redis']) {
  t.test(`F-22 processes that race on one database rotate once a round (${on})`, async t => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'soak', 'races.js'), '--on', on, '--rounds', '20', '--processes', '3', '--json'], { env: { ...process.env, NODE_OPTIONS: '' } })
    const [figure] = JSON.parse(stdout) as Array<Record<string, number>>
    t.match(figure, { on, processes: 3, rounds: 20, trades: 960, rotations: 20, windows: 940, recoveries: 0, refused: 0, unavailable: 0, alarms: 0, forks: 0, strays: 0 })
    t.comment(`${on}: ${figure!.trades} trades in ${figure!.seconds} s`)
  })
}
