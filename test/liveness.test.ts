import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { Storage } from '../types/index.ts'
import { createApp, databaseFile, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { connect } from './support/sqlite.ts'
import { countCalls, tapStorage } from './support/tapped-storage.ts'
import { accessOf, sessionIdOf } from './support/tokens.ts'

/** A revocation that one process has acknowledged is refused by every other after this time. */
const BOUND_MS = 1000

function addDoors (app: FastifyInstance): void {
  app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
  app.get('/stateless', { onRequest: app.guard({ liveness: 'stateless' }) }, async () => 'in')
  app.get('/editors', { onRequest: app.guard({ roles: ['editor'] }) }, async () => 'in')
}

/** Two servers on one file, and how a browser of the one looks to the other. */
async function createPair (t: Test): Promise<{ file: string, first: TestApp, second: TestApp, at: (app: TestApp, browser: Client) => Client }> {
  const file = databaseFile(t)
  const first = await createApp(t, { storage: await sqliteStorage(file) }, addDoors)
  const second = await createApp(t, { storage: await sqliteStorage(file), secret: first.secret }, addDoors)
  return { file, first, second, at: ({ app }, browser) => createClient(app, { ...browser.cookies }) }
}

/** Milliseconds until a door is shut to this browser, which keeps knocking. */
async function msUntilRefused (browser: Client, url = '/private'): Promise<number> {
  const start = performance.now()
  while ((await browser.copy().get(url)).statusCode === 200) {
    if (performance.now() - start > 1.2 * BOUND_MS) return Infinity
    await new Promise(resolve => setImmediate(resolve))
  }
  return performance.now() - start
}

const code = async (browser: Client, url: string) => (await browser.copy().get(url)).statusCode

t.test('J-11 what one server has revoked the other refuses within a second', async t => {
  const { first, second, at } = await createPair(t)
  interface Case { readonly owner: Client, readonly client: Client, readonly userId: string, readonly email: string }
  const { accounts } = first.app
  const ends: Array<[string, (session: Case) => Promise<unknown>]> = [
    ['logout', async ({ client }) => await client.post('/auth/logout')],
    ['ended from another device', async ({ owner, client }) => await owner.request('DELETE', `/auth/sessions/${sessionIdOf(client)}`)],
    ['all others ended', async ({ owner }) => await owner.request('DELETE', '/auth/sessions')],
    ['ended by the host', async ({ userId, client }) => await accounts.sessions.end(userId, sessionIdOf(client))],
    ['all ended by the host', async ({ userId }) => await accounts.sessions.endAll(userId)],
    ['signed in anew', async ({ client, email }) => await client.post('/auth/login', { email, password: PASSWORD })],
    ['password changed', async ({ owner }) => await owner.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })],
    ['user disabled', async ({ userId }) => await accounts.users.update(userId, { disabled: true })],
    ['user deleted', async ({ userId }) => await accounts.users.delete(userId)]
  ]
  const times: number[] = []
  for (const [index, [title, end]] of ends.entries()) {
    const email = `ada${index}@example.com`
    const owner = await first.signedUp(email)
    const client = first.client()
    await client.post('/auth/login', { email, password: PASSWORD })
    const there = at(second, client)
    t.strictSame([await code(there, '/private'), await code(there, '/strict')], [200, 200], title)
    await end({ owner, client, email, userId: accessOf(owner).sub })
    const ms = await msUntilRefused(there)
    times.push(ms)
    t.ok(ms <= BOUND_MS, `${title}: ${ms.toFixed(1)} ms`)
    t.equal(await code(there, '/strict'), 401)
    t.equal((await there.copy().post('/auth/refresh')).statusCode, 401)
    await new Promise(resolve => setTimeout(resolve, 25))
    t.equal(await code(there, '/private'), 401, 'S-06 and it stays shut')
  }
  t.comment(`until the other server refused: ${times.map(ms => ms.toFixed(1)).join(', ')} ms`)
})

t.test('J-11 strict does not wait for the news', async t => {
  const { first, second, at } = await createPair(t)
  const browser = await first.signedUp()
  const there = at(second, browser)
  t.equal(await code(there, '/strict'), 200)
  const { now } = performance
  const frozen = performance.now()
  // While this clock stands still no server looks for news.
  performance.now = () => frozen
  try {
    await browser.copy().post('/auth/logout')
    t.equal(await code(there, '/strict'), 401)
  } finally {
    performance.now = now
  }
})

t.test('S-I6 a logout that a server has acknowledged it refuses itself, even if another was first', async t => {
  const { first, second, at } = await createPair(t)
  const browser = await first.signedUp()
  const there = at(second, browser)
  t.equal(await code(there, '/private'), 200)
  const { now } = performance
  const frozen = performance.now()
  performance.now = () => frozen
  try {
    t.equal((await browser.copy().post('/auth/logout')).statusCode, 204)
    t.equal((await there.copy().post('/auth/logout')).statusCode, 204)
    t.equal(await code(there, '/private'), 401)
  } finally {
    performance.now = now
  }
})

t.test('J-11 a change of the account is seen by the other server within a second', async t => {
  const { first, second, at, file } = await createPair(t)
  const sql = connect(t, file)
  const browser = await first.signedUp()
  const there = at(second, browser)
  const id = accessOf(browser).sub
  const soon = async (check: () => Promise<boolean>) => {
    const start = performance.now()
    while (!await check()) { if (performance.now() - start > BOUND_MS) return false }
    return true
  }
  t.equal(await code(there, '/editors'), 403)
  await first.app.accounts.users.update(id, { roles: ['editor'] })
  t.ok(await soon(async () => await code(there, '/editors') === 200), 'roles given')
  await first.app.accounts.users.update(id, { roles: [] })
  t.ok(await soon(async () => await code(there, '/editors') === 403), 'and taken')
  await browser.request('PATCH', '/auth/me', { name: 'Countess' })
  t.ok(await soon(async () => (await there.get('/auth/me')).json().user.name === 'Countess'), 'a name')
  sql.prepare('UPDATE accounts_users SET roles = \'["editor"]\' WHERE id = ?').run(id)
  t.ok(await soon(async () => await code(there, '/editors') === 200), 'roles given at a SQL prompt')
  t.equal(await code(at(first, browser), '/editors'), 200)
})

const EDITS = [
  'UPDATE accounts_sessions SET revoked_at = 1 WHERE id = $sid',
  'DELETE FROM accounts_sessions WHERE id = $sid',
  'UPDATE accounts_sessions SET epoch = epoch + 1 WHERE id = $sid',
  'UPDATE accounts_sessions SET expires_at = 1 WHERE id = $sid',
  'UPDATE accounts_sessions SET idle_expires_at = 1 WHERE id = $sid',
  'UPDATE accounts_users SET disabled_at = 1 WHERE id = $sub',
  'UPDATE accounts_users SET epoch = epoch + 1 WHERE id = $sub',
  'DELETE FROM accounts_users WHERE id = $sub'
]
for (const edit of EDITS) {
  t.test(`J-11 what a person types at a SQL prompt is seen: ${edit.replace(/ WHERE.*/, '')}`, async t => {
    const file = databaseFile(t)
    const { signedUp } = await createApp(t, { storage: await sqliteStorage(file) })
    const [browser, neighbour] = [await signedUp(), await signedUp()]
    t.equal(await code(browser, '/private'), 200)
    const { sid, sub } = accessOf(browser)
    const statement = connect(t, file).prepare(edit)
    t.equal(statement.run(edit.includes('$sid') ? { sid } : { sub }).changes, 1)
    const ms = await msUntilRefused(browser)
    t.ok(ms <= BOUND_MS, `${ms.toFixed(1)} ms`)
    t.equal(await code(neighbour, '/private'), 200, 'S-I11 and concerns nobody else')
  })
}

t.test('J-11 who slept through the pruning of the log believes nothing that it read before', async t => {
  const clock = holdClock(t)
  const { file, first } = await createPair(t)
  const late = await createApp(t, { storage: await sqliteStorage(file), secret: first.secret, accessTokenTtl: '12h' }, addDoors)
  const browser = await late.signedUp()
  const neighbour = await late.signedUp()
  const other = await first.signedUp('other@example.com')
  t.equal(await code(browser, '/private'), 200)
  t.equal(await code(neighbour, '/private'), 200)
  await first.app.accounts.sessions.endAll(accessOf(browser).sub)
  await first.app.accounts.users.update(accessOf(other).sub, { name: 'Somebody' })
  await first.app.accounts.users.update(accessOf(other).sub, { name: 'Somebody else' })
  clock.advance(3 * HOUR)
  await first.storage.sessions.deleteEnded!(new Date(0))
  t.equal(connect(t, file).prepare('SELECT count(*) FROM accounts_changes').pluck().get(), 1, 'only the newest entry is left')
  t.equal(await code(browser, '/private'), 401)
  t.equal(await code(neighbour, '/private'), 200, 'who is still live is found to be so')
})

t.test('J-13 repeated requests with a verdict in memory make no storage call', async t => {
  const { storage, calls } = countCalls(await sqliteStorage(':memory:'))
  const { signedUp } = await createApp(t, { storage }, addDoors)
  const browser = await signedUp()
  await browser.get('/private')
  calls.length = 0
  for (let request = 0; request < 200; request++) {
    for (const url of ['/private', '/stateless', '/auth/me']) await browser.get(url)
    await browser.post('/private')
  }
  t.strictSame(calls, [])
  await browser.get('/strict')
  t.strictSame(calls.sort(), ['sessions.find', 'users.find'], 'strict asks')
})

t.test('J-11 without a feed every check asks the store', async t => {
  const { storage: counted, calls } = countCalls(await sqliteStorage(':memory:'))
  const { feed, ...storage } = counted
  const { signedUp } = await createApp(t, { storage }, addDoors)
  const browser = await signedUp()
  calls.length = 0
  for (let request = 0; request < 3; request++) await browser.get('/private')
  t.equal(calls.length, 6)
})

t.test('S-06 a change that overtakes a read is not undone by it', async t => {
  let held: Array<() => void> | null = null
  const storage = tapStorage(await sqliteStorage(':memory:'), async (verb, _args, call) => {
    const value = await call()
    const gate = held
    if (gate !== null && verb === 'sessions.find') await new Promise<void>(resolve => gate.push(resolve))
    return value
  })
  const { app, signedUp } = await createApp(t, { storage }, addDoors)
  for (const url of ['/private', '/strict', '/stateless']) {
    const browser = await signedUp()
    const { sub, sid } = accessOf(browser)
    held = []
    const reading = browser.copy().get(url)
    while (held.length === 0) await new Promise(resolve => setImmediate(resolve))
    const read = held
    held = null
    // The row was read while it was live, and is on its way to who asked.
    await app.accounts.sessions.end(sub, sid)
    for (const release of read) release()
    t.equal((await reading).statusCode, 401, url)
    t.equal(await code(browser, url), 401)
  }
})

t.test('V-02 a checked verdict outlives the feed by a second at most, then the store is asked', async t => {
  const clock = holdClock(t)
  let isDown = false
  const inner = await sqliteStorage(':memory:')
  const tapped = tapStorage(inner, async (_verb, _args, call) => {
    if (isDown) throw new TypeError('down')
    return await call()
  })
  let isFeedDown = false
  let provedAt = 0
  const storage: Storage = {
    ...tapped,
    feed: { ...inner.feed!, isCurrent: () => (isFeedDown ? performance.now() - provedAt < BOUND_MS : inner.feed!.isCurrent()) }
  }
  const { signedUp } = await createApp(t, { storage }, addDoors)
  const browser = await signedUp()
  t.equal(await code(browser, '/private'), 200)
  provedAt = performance.now()
  isDown = isFeedDown = true
  t.equal(await code(browser, '/private'), 200)
  clock.advance(SECOND)
  const answer = await browser.get('/private')
  t.equal(answer.statusCode, 503)
  t.match(answer.headers['retry-after'], /^[1-9]$/)
  t.strictSame(answer.cookies, [])
  isDown = isFeedDown = false
  t.equal(await code(browser, '/private'), 200)
  clock.advance(MINUTE)
  t.equal(await code(browser, '/private'), 200)
})
