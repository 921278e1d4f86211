import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createChanges } from '../lib/liveness/changes.ts'
import { createLiveness } from '../lib/sessions/liveness.ts'
import { guardStorage } from '../lib/storage.ts'
import type { Change, RevocationFeed, Storage } from '../types/index.ts'
import { createApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR, MINUTE } from './support/clock.ts'
import { tapStorage } from './support/tapped-storage.ts'
import { accessOf, sessionIdOf } from './support/tokens.ts'

/** A storage that can be switched off, with a feed that can be told to have missed something. */
async function createSwitch (hasFeed = true) {
  const inner = await sqliteStorage(':memory:')
  const listeners = new Set<(change: Change) => void>()
  const state = {
    isDown: false,
    tell: (change: Change) => { for (const listener of listeners) listener(change) }
  }
  const feed: RevocationFeed = {
    isCurrent: () => !state.isDown && inner.feed!.isCurrent(),
    subscribe (listener) {
      listeners.add(listener)
      return inner.feed!.subscribe(listener)
    }
  }
  const { feed: _feed, ...tapped } = tapStorage(inner, async (_verb, _args, call) => {
    if (state.isDown) throw new TypeError('down')
    return await call()
  })
  const storage: Storage = hasFeed ? { ...tapped, feed } : tapped
  return { storage, state }
}

const withDoor: Parameters<typeof createApp>[2] = app => {
  app.get('/stateless', { onRequest: app.guard({ liveness: 'stateless' }) }, async () => 'in')
  app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
}

const code = async (browser: Client, url = '/stateless') => (await browser.copy().get(url)).statusCode

t.test('J-11 stateless goes on while the storage is down, until the token expires', async t => {
  const clock = holdClock(t)
  const { storage, state } = await createSwitch()
  const { signedUp } = await createApp(t, { storage }, withDoor)
  const [seen, unseen] = [await signedUp(), await signedUp()]
  t.equal(await code(seen), 200)
  state.isDown = true
  clock.advance(55 * MINUTE)
  t.equal(await code(seen), 200)
  t.equal(await code(seen, '/private'), 503, 'where the check is not stateless the store is asked')
  t.equal(await code(unseen), 503, 'a token that this process has never seen live is not believed')
  clock.advance(5 * MINUTE)
  const expired = await seen.get('/stateless')
  t.equal(expired.statusCode, 503, 'an expired one is not believed either, and nobody is logged out')
  t.strictSame(expired.cookies, [])
  state.isDown = false
  t.equal(await code(seen), 200)
})

t.test('J-11 stateless refuses what this process has revoked itself', async t => {
  for (const hasFeed of [true, false]) {
    const { storage } = await createSwitch(hasFeed)
    const { app, signedUp } = await createApp(t, { storage }, withDoor)
    const ends: Array<[string, (browser: Client) => Promise<unknown>]> = [
      ['logout', async browser => await browser.copy().post('/auth/logout')],
      ['disabled', async browser => await app.accounts.users.update(accessOf(browser).sub, { disabled: true })],
      ['ended by the host', async browser => await app.accounts.sessions.endAll(accessOf(browser).sub)]
    ]
    for (const [title, end] of ends) {
      const browser = await signedUp()
      t.equal(await code(browser), 200)
      await end(browser)
      t.equal(await code(browser), 401, `${title}, ${hasFeed ? 'with' : 'without'} a feed`)
    }
  }
})

t.test('J-11 stateless refuses every token of a session that this process has revoked', async t => {
  const { storage } = await createSwitch()
  const { signedUp } = await createApp(t, { storage }, withDoor)
  const browser = await signedUp()
  t.equal(await code(browser), 200)
  const other = browser.copy()
  await other.post('/auth/refresh')
  t.not(other.cookies.accounts_access, browser.cookies.accounts_access)
  t.equal(await code(other, '/strict'), 200, 'the store was asked for the second token')
  await other.copy().post('/auth/logout')
  t.equal(await code(other), 401)
  t.equal(await code(browser), 401)
})

t.test('J-11 stateless refuses what this process revokes after it has missed some news', async t => {
  const { storage, state } = await createSwitch()
  const { signedUp } = await createApp(t, { storage }, withDoor)
  const browser = await signedUp()
  t.equal(await code(browser), 200)
  state.tell({ kind: 'gap' })
  t.equal(await code(browser), 200)
  await browser.copy().post('/auth/logout')
  t.equal(await code(browser), 401)
})

t.test('V-05 what is remembered is bounded, and what was forgotten is never taken for live', async t => {
  holdClock(t)
  const inner = await sqliteStorage(':memory:')
  const { app, signedUp } = await createApp(t, { storage: inner })
  let reads = 0
  const storage = guardStorage(tapStorage(inner, async (verb, _args, call) => {
    if (verb === 'sessions.find') reads++
    return await call()
  }))
  const CAPACITY = 3
  const changes = createChanges({ storage, users: inner.users, feed: inner.feed, capacity: CAPACITY })
  const liveness = createLiveness(storage, changes, CAPACITY)
  t.teardown(() => { changes.close() })
  const browsers = await Promise.all(Array.from({ length: 5 }, async () => await signedUp()))
  const resolve = async (browser: Client) => (await liveness.resolve(sessionIdOf(browser), accessOf(browser).sub, 'checked'))!
  const standings = []
  for (const browser of browsers) standings.push(await resolve(browser))
  t.equal(reads, 5)
  t.strictSame(standings.map(standing => liveness.isUsable(standing, 'checked', Date.now())), [false, false, true, true, true], 'of five the last three are remembered')
  for (const browser of browsers.slice(2)) await resolve(browser)
  t.equal(reads, 5, 'they cost no call')
  await resolve(browsers[0]!)
  t.equal(reads, 6)

  for (const browser of browsers) await app.accounts.sessions.endAll(accessOf(browser).sub)
  for (const browser of browsers) changes.hear({ kind: 'session', sessionId: sessionIdOf(browser) })
  for (const demand of ['checked', 'strict', 'stateless'] as const) {
    t.strictSame(standings.map(standing => liveness.isUsable(standing, demand, Date.now())), standings.map(() => false), demand)
  }
  for (const browser of browsers) t.equal(await liveness.resolve(sessionIdOf(browser), accessOf(browser).sub, 'stateless'), null)
})

t.test('S-I9 no standing is usable past an end of its session', async t => {
  const clock = holdClock(t)
  const { storage, state } = await createSwitch()
  const { signedUp } = await createApp(t, { storage, accessTokenTtl: '2h', refreshTokenTtl: '2h', sessionTtl: '2h' }, withDoor)
  const browser = await signedUp()
  t.equal(await code(browser), 200)
  state.isDown = true
  clock.advance(HOUR)
  t.equal(await code(browser), 200)
  clock.advance(HOUR)
  t.equal(await code(browser), 401, 'with the storage down too: the token itself has expired')
})
