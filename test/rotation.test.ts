import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { createApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { holdTimers } from './support/timers.ts'
import { accessOf, claimsOf, refreshOf, sessionIdOf } from './support/tokens.ts'

const WINDOW = 30 * SECOND

/** Signed in a moment ago, generation 0. */
interface World {
  readonly browser: Client
  /** The cookies of before any rotation. */
  readonly old: Client
  pass (milliseconds: number): Promise<void>
}

interface Scenario {
  readonly title: string
  /** What happens first; the answer is that of the trade in question. */
  run (world: World): Promise<LightMyRequestResponse>
  /** `null`: refused. */
  readonly outcome: 'rotated' | 'window' | 'recovered' | null
  /** The generation of the new access token, of the new refresh token if one was sent, and of the stored session. */
  readonly access?: number
  readonly refresh?: number
  readonly stored: number
  readonly revoked?: 'reused'
}

const refresh = async (client: Client) => await client.post('/auth/refresh')

/** Past the window of the sign-in, then one rotation: the browser holds generation 1, `old` holds generation 0. */
async function rotate ({ browser, pass }: World): Promise<void> {
  await pass(WINDOW + SECOND)
  await refresh(browser)
}

const SCENARIOS: readonly Scenario[] = [
  {
    title: 'signing in counts as a rotation: within its window only an access token comes',
    run: async ({ browser, pass }) => { await pass(WINDOW - SECOND); return await refresh(browser) },
    outcome: 'window',
    access: 0,
    stored: 0
  },
  {
    title: 'the current token is traded once its window has passed',
    run: async ({ browser, pass }) => { await pass(WINDOW + SECOND); return await refresh(browser) },
    outcome: 'rotated',
    access: 1,
    refresh: 1,
    stored: 1
  },
  {
    title: 'the successor itself has a window too',
    run: async world => { await rotate(world); await world.pass(WINDOW - SECOND); return await refresh(world.browser) },
    outcome: 'window',
    access: 1,
    stored: 1
  },
  {
    title: 'the parent gets an access token of its own generation within the window',
    run: async world => { await rotate(world); await world.pass(WINDOW - SECOND); return await refresh(world.old) },
    outcome: 'window',
    access: 0,
    stored: 1
  },
  {
    title: 'the parent gets the same successor again when nobody has proved to hold it',
    run: async world => { await rotate(world); await world.pass(WINDOW + SECOND); return await refresh(world.old) },
    outcome: 'recovered',
    access: 1,
    refresh: 1,
    stored: 1
  },
  {
    title: 'a recovery opens the window again',
    run: async world => {
      await rotate(world)
      await world.pass(WINDOW + SECOND)
      await refresh(world.old.copy())
      await world.pass(WINDOW - SECOND)
      return await refresh(world.old)
    },
    outcome: 'window',
    access: 0,
    stored: 1
  },
  {
    title: 'an answer may be lost any number of times',
    run: async world => {
      await rotate(world)
      for (let loss = 0; loss < 5; loss++) {
        await world.pass(HOUR)
        await refresh(world.old.copy())
      }
      await world.pass(HOUR)
      return await refresh(world.old)
    },
    outcome: 'recovered',
    access: 1,
    refresh: 1,
    stored: 1
  },
  {
    title: 'a token of the window, carried on any number of requests, is no proof of the successor',
    run: async world => {
      await rotate(world)
      await refresh(world.old)
      for (let use = 0; use < 3; use++) await world.old.get('/private')
      await world.pass(WINDOW + SECOND)
      return await refresh(world.old)
    },
    outcome: 'recovered',
    access: 1,
    refresh: 1,
    stored: 1
  },
  {
    title: 'the parent is reuse once an access token of the successor was seen',
    run: async world => {
      await rotate(world)
      await world.browser.get('/private')
      await world.pass(WINDOW + SECOND)
      return await refresh(world.old)
    },
    outcome: null,
    stored: 1,
    revoked: 'reused'
  },
  {
    title: 'the parent is reuse once the successor itself was presented',
    run: async world => {
      await rotate(world)
      await refresh(world.browser)
      await world.pass(WINDOW + SECOND)
      return await refresh(world.old)
    },
    outcome: null,
    stored: 1,
    revoked: 'reused'
  },
  {
    title: 'the parent of a proved successor is no reuse within the window',
    run: async world => {
      await rotate(world)
      await world.browser.get('/private')
      await world.pass(WINDOW - SECOND)
      return await refresh(world.old)
    },
    outcome: 'window',
    access: 0,
    stored: 1
  },
  {
    title: 'the grandparent is reuse outside the window',
    run: async world => { await rotate(world); await rotate(world); await world.pass(WINDOW + SECOND); return await refresh(world.old) },
    outcome: null,
    stored: 2,
    revoked: 'reused'
  },
  {
    title: 'the grandparent is reuse even within the window',
    run: async world => { await rotate(world); await rotate(world); return await refresh(world.old) },
    outcome: null,
    stored: 2,
    revoked: 'reused'
  },
  {
    title: 'who recovered and went on is told from the one who lost',
    run: async world => {
      await rotate(world)
      await world.pass(WINDOW + SECOND)
      const thief = world.old.copy()
      await refresh(thief)
      await thief.get('/private')
      await world.pass(WINDOW + SECOND)
      return await refresh(world.old)
    },
    outcome: null,
    stored: 1,
    revoked: 'reused'
  }
]

for (const { title, run, outcome, access, refresh: successor, stored, revoked } of SCENARIOS) {
  t.test(`R-02 R-03 R-04 ${title}`, async t => {
    const clock = holdTimers(t, holdClock(t))
    const reused: string[] = []
    const { storage, signedUp } = await createApp(t, { hooks: { sessionReused: ({ sessionId }) => { reused.push(sessionId) } } })
    const browser = await signedUp()
    const sessionId = sessionIdOf(browser)
    const before = await storage.sessions.find(sessionId)

    const answer = await run({ browser, old: browser.copy(), pass: clock.advance })

    t.equal(answer.statusCode, outcome === null ? 401 : 200)
    t.equal(answer.headers['accounts-refresh'], outcome ?? undefined)
    t.equal(answer.headers['cache-control'], 'no-store')
    const set = Object.fromEntries(answer.cookies.map(({ name, value }) => [name, claimsOf(value).gen]))
    t.strictSame(set, {
      ...(access === undefined ? {} : { accounts_access: access }),
      ...(successor === undefined ? {} : { accounts_refresh: successor })
    }, 'the cookies that are set, and the generations that they carry')
    const after = await storage.sessions.find(sessionId)
    t.equal(after?.generation, stored)
    t.equal(after?.revokeReason, revoked ?? null)
    t.strictSame(reused, revoked === undefined ? [] : [sessionId], 'the host is told of reuse, once')
    if (revoked !== undefined) t.equal((await browser.get('/private')).statusCode, 401, 'and every copy of its cookies is dead at once')
    t.strictSame(after?.expiresAt, before?.expiresAt, 'R-05 the absolute end never moves')
  })
}

t.test('R-05 a rotation moves the idle end; a recovery and the window do not', async t => {
  const clock = holdTimers(t, holdClock(t))
  const { storage, signedUp } = await createApp(t)
  const browser = await signedUp()
  const idleEnd = async () => (await storage.sessions.find(sessionIdOf(browser)))!.idleExpiresAt.getTime()
  const atSignIn = await idleEnd()

  await clock.advance(HOUR)
  const old = browser.copy()
  await refresh(browser)
  const rotated = await idleEnd()
  t.ok(Math.abs(rotated - atSignIn - HOUR) < SECOND)
  t.equal(refreshOf(browser).exp, Math.floor(rotated / 1000), 'the token ends when the session does')

  await clock.advance(SECOND)
  t.equal((await refresh(old)).headers['accounts-refresh'], 'window')
  t.equal(await idleEnd(), rotated)
  await clock.advance(HOUR)
  t.equal((await refresh(old)).headers['accounts-refresh'], 'recovered')
  t.equal(await idleEnd(), rotated)
  t.equal(refreshOf(old).exp, Math.floor(rotated / 1000))
})

t.test('R-12 a client that lost the answer goes on for ever after with the same successor', async t => {
  const clock = holdTimers(t, holdClock(t))
  const { signedUp } = await createApp(t)
  const browser = await signedUp()
  for (let round = 1; round <= 5; round++) {
    await clock.advance(HOUR)
    t.equal((await refresh(browser.copy())).headers['accounts-refresh'], 'rotated', 'the answer to this one is lost')
    await clock.advance(MINUTE)
    t.equal((await browser.get('/private')).headers['accounts-refresh'], 'recovered')
    t.equal(refreshOf(browser).gen, round)
    t.equal((await browser.get('/private')).statusCode, 200)
  }
})

t.test('S-I16 two tabs that renew at once, in whichever order their answers come, stay signed in', async t => {
  const clock = holdTimers(t, holdClock(t))
  const { signedUp } = await createApp(t)
  const browser = await signedUp()
  for (let round = 1; round <= 4; round++) {
    await clock.advance(HOUR)
    const [first, second] = [browser.copy(), browser.copy()]
    const answers = [await first.get('/private'), await second.get('/private')]
    t.strictSame(answers.map(({ headers }) => headers['accounts-refresh']), ['rotated', 'window'])
    Object.assign(browser.cookies, first.cookies)
    browser.cookies.accounts_access = second.cookies.accounts_access!
    t.equal(refreshOf(browser).gen, round)
    t.equal(accessOf(browser).gen, round - 1)
    await clock.advance(MINUTE)
    t.equal((await browser.get('/private')).statusCode, 200)
  }
})

t.test('R-02 requests of one page that come together renew once', async t => {
  const clock = holdTimers(t, holdClock(t))
  const { storage, signedUp } = await createApp(t)
  const browser = await signedUp()
  await clock.advance(HOUR)
  const answers = await Promise.all(Array.from({ length: 24 }, async () => await browser.copy().get('/private')))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  const outcomes = answers.map(({ headers }) => headers['accounts-refresh']).sort()
  t.strictSame(outcomes, ['rotated', ...Array.from({ length: 23 }, () => 'window')])
  t.equal(answers.flatMap(({ cookies }) => cookies).filter(({ name }) => name === 'accounts_refresh').length, 1, 'one successor')
  t.equal((await storage.sessions.find(sessionIdOf(browser)))?.generation, 1)
})

t.test('R-02 guards of one request renew once', async t => {
  const clock = holdTimers(t, holdClock(t))
  const { signedUp } = await createApp(t, {}, app => {
    app.get('/twice', { onRequest: [app.authenticate, app.guard({ via: 'cookie' }), app.guard({ liveness: 'strict' })] }, async () => 'in')
  })
  const browser = await signedUp()
  await clock.advance(HOUR)
  const answer = await browser.get('/twice')
  t.equal(answer.statusCode, 200)
  t.strictSame(answer.cookies.map(({ name }) => name), ['accounts_access', 'accounts_refresh'])
})
