import t from 'tap'
import { createBearerClient, type BearerClientOptions } from '../lib/client/index.ts'
import { OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { HOUR, holdClock, MINUTE, SECOND } from './support/clock.ts'
import { loseAnswers, openSite, type Fetch, type Site } from './support/site.ts'

const ADA = { username: 'ada@example.com', password: PASSWORD }
const TOKEN = 'POST /auth/token'
const OVER = { name: 'AccountsError', statusCode: 401, message: 'The session is over: sign in again' }
const UNAVAILABLE = { name: 'AccountsError', statusCode: 503, retryAfter: Number }

/** A site with Ada's account, and her client, signed in, with what it was told to keep. */
async function signedIn (t: Parameters<typeof openSite>[0], options: Partial<BearerClientOptions> = {}, site?: Site) {
  const opened = site ?? await openSite(t)
  const { app, url } = opened
  await app.accounts.users.create({ email: ADA.username, password: PASSWORD })
  const saved: Array<string | null> = []
  const accounts = createBearerClient({ url, save: token => { saved.push(token) }, ...options })
  await accounts.login(ADA)
  return { site: opened, accounts, saved }
}

t.test('a program signs in, asks, changes its password and signs out; the tokens are to be found nowhere', async t => {
  const { site, accounts, saved } = await signedIn(t)
  t.match(await accounts.me(), { user: { email: 'ada@example.com' } })
  t.strictSame(await (await accounts.fetch('/private')).json(), { email: 'ada@example.com' })
  t.match((await accounts.sessions.list()).sessions, [{ current: true }])
  t.notMatch(JSON.stringify(accounts), /eyJ/)
  const [first] = saved
  t.strictSame(await accounts.passwords.change({ currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }), undefined)
  t.equal((await accounts.fetch('/private')).status, 200, 'signed in anew')
  t.equal(site.count(TOKEN), 1)
  const second = saved[1]
  t.ok(typeof second === 'string' && second !== first)
  t.equal(await accounts.logout(), undefined)
  t.equal(saved[2], null)
  t.strictSame(await site.app.accounts.sessions.list((await site.app.accounts.users.findByEmail(ADA.username))!.id), [])
  const refused = await accounts.fetch('/private')
  t.match([refused.status, await refused.json()], [401, { code: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' }], 'who is nobody asks as a stranger')
  await t.rejects(accounts.refresh(), { name: 'AccountsError', statusCode: 401, message: 'Not signed in' })
  await accounts.logout()
  await t.rejects(accounts.login(ADA), { name: 'AccountsError', statusCode: 401, code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' })
})

t.test('20 requests at expiry make one refresh, before any of them is refused', async t => {
  const { site: { count, refreshed }, accounts, saved } = await signedIn(t)
  const clock = holdClock(t)
  for (const round of [1, 2]) {
    clock.advance(56 * MINUTE)
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await accounts.fetch('/private')))
    t.strictSame(answers.map(({ status }) => status), Array(20).fill(200))
    t.equal(count('GET /private'), 20 * round)
    t.equal(count(TOKEN), 1 + round)
  }
  t.strictSame(refreshed, ['rotated', 'rotated'])
  t.equal(new Set(saved).size, 3)
})

t.test('20 requests that are refused, as the clock of the server is ahead, make one refresh', async t => {
  const { site: { count, refreshed }, accounts } = await signedIn(t)
  holdClock(t).jump(HOUR + MINUTE)
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await accounts.fetch('/private', { method: 'POST' })))
  t.strictSame(answers.map(({ status }) => status), Array(20).fill(200))
  t.equal(count('POST /private'), 40)
  t.equal(count(TOKEN), 2)
  t.strictSame(refreshed, ['rotated'])
})

t.test('an answer without a refresh token leaves the one that there is', async t => {
  const { site: { refreshed }, accounts, saved } = await signedIn(t)
  const clock = holdClock(t)
  await accounts.refresh()
  await accounts.refresh()
  t.equal(saved.length, 1)
  clock.advance(MINUTE)
  await accounts.refresh()
  t.strictSame(refreshed, ['window', 'window', 'rotated'])
  t.equal(saved.length, 2)
  t.equal((await accounts.fetch('/private')).status, 200)
})

for (const [title, later, outcome] of [['at once', SECOND, 'window'], ['after the window', MINUTE, 'recovered']] as const) {
  t.test(`a lost answer is made good by the next request, ${title}`, async t => {
    let isLosing = false
    const { site: { refreshed }, accounts, saved } = await signedIn(t, { fetch: loseAnswers(address => isLosing && address.endsWith('/auth/token')) })
    const clock = holdClock(t)
    clock.advance(HOUR)
    isLosing = true
    await t.rejects(accounts.fetch('/private'), new TypeError('fetch failed'))
    isLosing = false
    clock.advance(later)
    t.equal((await accounts.fetch('/private')).status, 200)
    t.strictSame(refreshed, ['rotated', outcome])
    for (let count = 0; count < 3; count++) {
      clock.advance(HOUR)
      t.equal((await accounts.fetch('/private')).status, 200, 'and so it goes on')
    }
    t.strictSame(saved.filter(token => token === null), [])
  })
}

t.test('an outage keeps the tokens, and what is left of their time is used', async t => {
  const { site, accounts, saved } = await signedIn(t)
  const clock = holdClock(t)
  // Of a life of 57 minutes at least, 60 at most.
  clock.advance(55 * MINUTE)
  site.isDown = true
  await t.rejects(accounts.refresh(), UNAVAILABLE)
  const before = site.count(TOKEN)
  t.equal((await accounts.fetch('/private')).status, 503, 'the route was asked, with the token that is still good')
  t.equal(site.count(TOKEN), before + 1)
  clock.advance(HOUR)
  await t.rejects(accounts.fetch('/private'), UNAVAILABLE)
  await t.rejects(accounts.me(), UNAVAILABLE)
  t.equal(site.count(TOKEN), before + 3, 'once a request, not again and again')
  await t.rejects(accounts.logout(), UNAVAILABLE)
  t.equal(saved.length, 1)
  site.isDown = false
  t.equal((await accounts.fetch('/private')).status, 200)
})

t.test('R-05 a refresh token that somebody has copied ends the session: it is forgotten, and said so', async t => {
  const { site, accounts, saved } = await signedIn(t)
  const clock = holdClock(t)
  const thief = createBearerClient({ url: site.url, refreshToken: saved[0]! })
  clock.advance(HOUR)
  t.match(await thief.me(), { user: { email: 'ada@example.com' } })
  clock.advance(HOUR)
  await Promise.all(Array.from({ length: 5 }, async () => await t.rejects(accounts.fetch('/private'), OVER)))
  t.strictSame(saved.slice(1), [null])
  t.equal(site.count(TOKEN), 3)
  t.equal((await accounts.fetch('/private')).status, 401)
  t.equal(site.count(TOKEN), 3, 'there is nothing left to ask with')
  await t.rejects(thief.me(), OVER)
  await accounts.login(ADA)
  t.equal((await accounts.fetch('/private')).status, 200)
})

t.test('a session that was ended elsewhere is over at the next request', async t => {
  const { site: { app }, accounts, saved } = await signedIn(t)
  await app.accounts.users.update((await app.accounts.users.findByEmail(ADA.username))!.id, { disabled: true })
  await t.rejects(accounts.me(), OVER)
  t.equal(saved.at(-1), null)
})

t.test('a program that keeps the refresh token itself goes on after a restart, wherever it was stopped', async t => {
  let isFull = false
  let kept: string | null = null
  const save = async (token: string | null) => {
    if (isFull) throw new TypeError('disk full')
    kept = token
  }
  const { site, accounts } = await signedIn(t, { save })
  const clock = holdClock(t)
  const { url } = site
  clock.advance(HOUR)
  isFull = true
  await t.rejects(accounts.fetch('/private'), new TypeError('disk full'))
  t.equal(site.count('GET /private'), 0, 'what was not kept is not used')
  clock.advance(MINUTE)
  isFull = false
  const restarted = createBearerClient({ url, save, refreshToken: kept! })
  t.equal((await restarted.fetch('/private')).status, 200)
  t.strictSame(site.refreshed, ['rotated', 'recovered'])
  clock.advance(HOUR)
  t.equal((await createBearerClient({ url, save, refreshToken: kept! }).fetch('/private')).status, 200)
})

t.test('a request that began under one login is not repeated under the next; a late renewal of the one before changes nothing', async t => {
  let release = () => {}
  const held = new Promise<void>(resolve => { release = resolve })
  let arrived = () => {}
  const arrival = new Promise<void>(resolve => { arrived = resolve })
  const slowly: Fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (String(init?.body).includes('grant_type=refresh_token')) {
      arrived()
      await held
    }
    return response
  }
  const { site: { app, count }, accounts, saved } = await signedIn(t, { fetch: slowly })
  await app.accounts.users.create({ email: 'bob@example.com', password: PASSWORD })
  holdClock(t).jump(HOUR + MINUTE)
  const asAda = accounts.fetch('/private')
  await arrival
  await accounts.login({ username: 'bob@example.com', password: PASSWORD })
  release()
  await t.rejects(asAda, { name: 'AccountsError', statusCode: 401 })
  t.equal(count('GET /private'), 1)
  t.equal(saved.length, 2)
  t.match(await accounts.me(), { user: { email: 'bob@example.com' } })
})

t.test('a signal ends one request alone; a stream is not sent before the token is good', async t => {
  const { site, accounts } = await signedIn(t)
  const clock = holdClock(t)
  clock.advance(HOUR)
  const controller = new AbortController()
  const impatient = accounts.fetch('/private', { signal: controller.signal })
  const stream = accounts.fetch('/echo', { method: 'POST', body: new Blob(['a;b']).stream(), headers: { 'content-type': 'text/csv' }, duplex: 'half' } as RequestInit)
  controller.abort()
  await t.rejects(impatient, { name: 'AbortError' })
  t.strictSame(await (await stream).json(), { body: 'a;b' })
  t.equal(site.count(TOKEN), 2)
  await t.rejects(accounts.login(ADA, { signal: controller.signal }), { name: 'AbortError' })
})

t.test('429 is told, with its time, and ends nothing', async t => {
  const site = await openSite(t, { rateLimit: { max: 300, maxSensitive: 2, window: '1m' } })
  const { accounts, saved } = await signedIn(t, {}, site)
  await accounts.refresh()
  await t.rejects(accounts.refresh(), { name: 'AccountsError', statusCode: 429, code: 'FST_ACCOUNTS_RATE_LIMITED', retryAfter: Number })
  t.equal((await accounts.fetch('/private')).status, 200)
  t.equal(saved.length, 1)
})
