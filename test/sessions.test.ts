import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, databaseFile, PASSWORD } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { DAY, holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { listen } from './support/events.ts'
import { connect } from './support/sqlite.ts'
import { sessionIdOf } from './support/tokens.ts'

/** Whether anything that this browser holds lets it in, at any door. */
async function isSignedIn (browser: Client): Promise<boolean> {
  const answers = [await browser.copy().get('/private'), await browser.copy().post('/auth/refresh'), await browser.copy().get('/auth/me')]
  const codes = new Set(answers.map(({ statusCode }) => statusCode))
  if (codes.size !== 1) throw new TypeError(`the doors disagree: ${[...codes].join(' ')}`)
  return codes.has(200)
}

t.test('S-I9 a session ends after its idle time without use, and use moves that end', async t => {
  const clock = holdClock(t)
  const { signedUp } = await createApp(t, { refreshTokenTtl: '7d', sessionTtl: '30d' })
  const [used, left] = [await signedUp(), await signedUp()]
  for (let day = 0; day < 3; day++) {
    clock.advance(2 * DAY)
    t.equal((await used.get('/private')).statusCode, 200)
  }
  clock.advance(DAY - MINUTE)
  t.ok(await isSignedIn(left), 'a minute before the seventh day ends')
  clock.advance(2 * MINUTE)
  t.notOk(await isSignedIn(left.copy()), 'a minute after it')
  t.ok(await isSignedIn(used))
  clock.advance(DAY)
  t.notOk(await isSignedIn(left), 'S-I10 more time makes nothing good again')
})

t.test('S-I8 R-05 a session ends at its absolute end, however much it is used', async t => {
  const clock = holdClock(t)
  const { signedUp, storage } = await createApp(t, { refreshTokenTtl: '7d', sessionTtl: '10d' })
  const browser = await signedUp()
  const copies: Client[] = []
  for (let hour = 0; hour < 239; hour += 6) {
    clock.advance(6 * HOUR)
    if (hour < 234) t.equal((await browser.get('/private')).headers['accounts-refresh'], 'rotated')
    copies.push(browser.copy())
    const session = (await storage.sessions.find(sessionIdOf(browser)))!
    t.ok(session.idleExpiresAt <= session.expiresAt, 'the idle end never passes the absolute one')
  }
  clock.advance(SECOND)
  for (const copy of copies.slice(-3)) t.notOk(await isSignedIn(copy))
})

t.test('S-02 the ends are those that are stored, whatever cookie and token say', async t => {
  const clock = holdClock(t)
  for (const column of ['idle_expires_at', 'expires_at']) {
    const file = databaseFile(t)
    const { signedUp } = await createApp(t, { storage: await sqliteStorage(file) })
    const browser = await signedUp()
    t.ok(await isSignedIn(browser))
    connect(t, file).prepare(`UPDATE accounts_sessions SET ${column} = ?`).run(Date.now() - 1)
    clock.advance(SECOND)
    t.notOk(await isSignedIn(browser), column)
  }
})

t.test('S-02 a shorter lifetime in the options logs nobody out who has been promised more', async t => {
  const clock = holdClock(t)
  const file = databaseFile(t)
  const before = await createApp(t, { storage: await sqliteStorage(file) })
  const browser = await before.signedUp()
  await before.app.close()
  const { client } = await createApp(t, { storage: await sqliteStorage(file), secret: before.secret, accessTokenTtl: '5m', refreshTokenTtl: '1d', sessionTtl: '7d' })
  clock.advance(2 * DAY)
  const answer = await client().get('/private', { cookie: `accounts_refresh=${browser.cookies.accounts_refresh}` })
  t.equal(answer.statusCode, 200)
  t.ok(answer.cookies.find(({ name }) => name === 'accounts_refresh')!.maxAge! <= DAY / 1000, 'and from now on the new lifetime holds')
})

t.test('S-I10 a clock that is set back a little changes nothing; set back far, it ends no session', async t => {
  const clock = holdClock(t)
  const { signedUp, storage } = await createApp(t)
  const browser = await signedUp()
  clock.advance(HOUR)
  const old = browser.copy()
  t.equal((await browser.get('/private')).headers['accounts-refresh'], 'rotated')
  clock.jump(-50 * SECOND)
  t.ok(await isSignedIn(browser))
  t.equal((await old.copy().post('/auth/refresh')).headers['accounts-refresh'], 'window', 'no alarm')
  for (const back of [HOUR, DAY, 30 * DAY]) {
    clock.jump(-back)
    for (const client of [browser, old]) {
      const answer = await client.post('/auth/refresh')
      t.ok([200, 401].includes(answer.statusCode))
      t.ok(answer.cookies.every(({ value }) => value !== ''), 'no cookie is cleared')
      await client.get('/private')
    }
    clock.jump(back)
    t.equal((await storage.sessions.find(sessionIdOf(browser)))?.revokedAt, null)
    t.ok(await isSignedIn(browser), 'when the clock is right again, all is as it was')
  }
})

t.test('A-09 S-I12 signing in makes a new session and ends the one that the request came with', async t => {
  const clock = holdClock(t)
  const { client, signedUp, storage } = await createApp(t)
  const attacker = await signedUp('mallory@example.com')
  await signedUp('ada@example.com')
  const signIns: Array<[string, (browser: Client) => Promise<unknown>]> = [
    ['login', async browser => await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })],
    ['sign-up', async browser => await browser.post('/auth/register', { email: 'new@example.com', password: PASSWORD })],
    ['password change', async browser => {
      await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
      return await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: 'silver comet 31 thimble' })
    }]
  ]
  for (const [title, signIn] of signIns) {
    for (const isExpired of [false, true]) {
      if (isExpired && title !== 'login') continue
      const victim = client()
      const planted = client()
      await planted.post('/auth/login', { email: 'mallory@example.com', password: PASSWORD })
      if (isExpired) clock.advance(HOUR)
      Object.assign(victim.cookies, planted.cookies)
      const fixed = sessionIdOf(planted)
      await signIn(victim)
      t.not(sessionIdOf(victim), fixed, `${title}: a new id`)
      t.ok(await isSignedIn(victim))
      t.notOk(await isSignedIn(planted), 'what was planted is dead')
      t.match((await storage.sessions.find(fixed))?.revokeReason, 'replaced')
    }
  }
  clock.advance(MINUTE)
  t.ok(await isSignedIn(attacker), 'other sessions of its owner go on')
})

t.test('S-I12 no cookie that a stranger can make up becomes good by a login', async t => {
  const { client, signedUp } = await createApp(t)
  await signedUp('ada@example.com')
  const browser = client()
  const made = { accounts_access: 'aaaa.bbbb.cccc', accounts_refresh: 'attacker-chosen' }
  Object.assign(browser.cookies, made)
  t.equal((await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
  const planted = client()
  Object.assign(planted.cookies, made)
  t.notOk(await isSignedIn(planted))
})

t.test('S-05 S-I11 users see and end their own sessions alone', async t => {
  const { app, client, signedUp, storage } = await createApp(t)
  const ada = await signedUp('ada@example.com')
  const elsewhere = client()
  await elsewhere.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  const mallory = await signedUp('mallory@example.com')

  const listed = async (browser: Client) => (await browser.get('/auth/sessions')).json().sessions as Array<{ id: string, current: boolean }>
  t.strictSame((await listed(ada)).map(({ id, current }) => [id, current]).sort(), [[sessionIdOf(ada), true], [sessionIdOf(elsewhere), false]].sort())
  t.strictSame((await listed(mallory)).map(({ id }) => id), [sessionIdOf(mallory)])
  for (const value of (await listed(ada)).flatMap(session => Object.values(session).map(String))) {
    t.equal((await client().get('/private', { cookie: `accounts_access=${value}` })).statusCode, 401, 'nothing in the list is a key')
    t.equal((await client().post('/auth/refresh', undefined, { cookie: `accounts_refresh=${value}` })).statusCode, 401)
  }

  const unknown = await mallory.request('DELETE', `/auth/sessions/${'x'.repeat(24)}`)
  for (const id of [sessionIdOf(ada), sessionIdOf(elsewhere), `${sessionIdOf(ada)}%00`, encodeURIComponent("' OR 1=1 --"), '*', '%25', '..']) {
    const answer = await mallory.request('DELETE', `/auth/sessions/${id}`)
    t.equal(answer.statusCode, 404, id)
    if (id.length === 24) t.equal(answer.body, unknown.body, 'like one that never was')
  }
  t.notOk(await app.accounts.sessions.end((await storage.users.findByEmail('mallory@example.com'))!.id, sessionIdOf(ada)))
  t.equal((await mallory.request('DELETE', '/auth/sessions')).statusCode, 204)
  t.ok(await isSignedIn(ada))
  t.ok(await isSignedIn(elsewhere))

  t.equal((await ada.request('DELETE', `/auth/sessions/${sessionIdOf(elsewhere)}`)).statusCode, 204)
  t.notOk(await isSignedIn(elsewhere))
  t.equal((await ada.request('DELETE', `/auth/sessions/${sessionIdOf(elsewhere)}`)).statusCode, 404, 'S-I16 a second time there is nothing to end')
  const ended = await ada.request('DELETE', `/auth/sessions/${sessionIdOf(ada)}`)
  t.equal(ended.statusCode, 204)
  t.strictSame(Object.keys(ada.cookies), ['accounts_device'], 'who ends the current one is signed out')
})

t.test('the address of a client is shown in one form, also by a server that listens on "::"', async t => {
  const { app, storage } = await createApp(t)
  const events = listen(t)
  let count = 0
  for (const [remoteAddress, address] of [['::ffff:192.0.2.7', '192.0.2.7'], ['::FFFF:c000:207', '192.0.2.7'], ['192.0.2.7', '192.0.2.7'], ['2001:db8::7', '2001:db8::7'], ['::1', '::1'], ['/run/app.sock', null]] as const) {
    const email = `user${++count}@example.com`
    const { id } = await app.accounts.users.create({ email, password: PASSWORD })
    const { statusCode } = await app.inject({ method: 'POST', url: '/auth/login', payload: { email, password: PASSWORD }, remoteAddress })
    t.equal(statusCode, 200)
    const event = events.take().find(({ name }) => name === 'login.succeeded')
    t.strictSame([...await storage.sessions.listForUser(id, null), event!].map(shown => shown.address), [address, address], remoteAddress)
  }
})

t.test('S-08 a session is named by its cookie and by nothing else', async t => {
  const { client, signedUp } = await createApp(t)
  const browser = await signedUp()
  const { accounts_access: access, accounts_refresh: refresh } = browser.cookies
  const id = sessionIdOf(browser)
  for (const [name, value] of [['sid', id], ['session', id], ['accounts_access', access], ['accounts_refresh', refresh], ['token', access], ['access_token', access]]) {
    const stranger = client()
    for (const url of ['/private', '/auth/me', '/auth/sessions']) {
      t.equal((await stranger.get(`${url}?${name}=${value}`)).statusCode, 401, `query ${name}`)
      t.equal((await stranger.get(url, { [name!.replace('_', '-')]: value!, [`x-${name}`]: value! })).statusCode, 401, `header ${name}`)
    }
    t.equal((await stranger.post('/private', { [name!]: value })).statusCode, 401, `body ${name}`)
    t.equal((await stranger.post('/auth/refresh', { [name!]: value })).statusCode, 401)
  }
})

t.test('S-03 S-I16 logging out ends the session first, whichever cookie is left, and twice does no harm', async t => {
  const clock = holdClock(t)
  const { signedUp, storage } = await createApp(t)
  for (const left of [['accounts_access', 'accounts_refresh'], ['accounts_access'], ['accounts_refresh']]) {
    const browser = await signedUp()
    const copy = browser.copy()
    const caller = browser.copy()
    for (const name of Object.keys(caller.cookies)) { if (!left.includes(name)) delete caller.cookies[name] }
    clock.advance(2 * HOUR)
    const again = caller.copy()
    t.equal((await caller.post('/auth/logout')).statusCode, 204, left.join(' '))
    t.notOk(await isSignedIn(copy))
    const first = await storage.sessions.find(sessionIdOf(copy))
    t.equal((await again.post('/auth/logout')).statusCode, 204)
    t.strictSame(await storage.sessions.find(sessionIdOf(copy)), first, 'the second changes nothing')
  }
})

t.test('C-09 an answer sets each cookie once (RFC 6265, 4.1.1), also when it renews on the way to something else', async t => {
  const clock = holdClock(t)
  const { signedUp } = await createApp(t)
  const acts: Array<[string, (browser: Client) => Promise<LightMyRequestResponse>]> = [
    ['password change', async browser => await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: 'silver comet 31 thimble' })],
    ['ending this session', async browser => await browser.request('DELETE', `/auth/sessions/${sessionIdOf(browser)}`)]
  ]
  for (const [title, act] of acts) {
    const browser = await signedUp()
    clock.advance(HOUR)
    const answer = await act(browser)
    t.equal(answer.statusCode, 204, title)
    t.strictSame(answer.cookies.map(({ name }) => name).filter(name => name !== 'accounts_device').sort(), ['accounts_access', 'accounts_refresh'], title)
  }
})

t.test('S-09 with one session more than maxSessions the one that began first ends, and racers leave exactly that many', async t => {
  const clock = holdClock(t)
  const { app, client, signedUp } = await createApp(t, { maxSessions: 3 })
  const reasons: string[] = []
  app.accounts.addHook('sessionRevoked', ({ reason }) => { reasons.push(reason) })
  const browsers = [await signedUp('ada@example.com')]
  const stranger = await signedUp('bob@example.com')
  for (let count = 1; count < 5; count++) {
    clock.advance(SECOND)
    const browser = client()
    t.equal((await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
    browsers.push(browser)
  }
  t.strictSame(await Promise.all(browsers.map(async browser => (await browser.copy().get('/private')).statusCode)), [401, 401, 200, 200, 200])
  t.strictSame(reasons, ['too-many', 'too-many'])
  await Promise.all(Array.from({ length: 16 }, async () => await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })))
  const ada = await app.accounts.users.findByEmail('ada@example.com')
  t.equal((await app.accounts.sessions.list(ada!.id)).length, 3)
  t.equal((await stranger.get('/private')).statusCode, 200)
})

t.test('A-09 sessions.begin begins a session where there is no reply: its tokens are those of the cookies', async t => {
  const asked: Array<string | null> = []
  const { app, client } = await createApp(t, { appUrl: 'https://shop.example.com', hooks: { beforeSignIn: ({ user }) => { asked.push(user!.email) } } }, app => {
    app.post('/begin/:id', async request => await app.accounts.sessions.begin((request.params as { id: string }).id, { remember: false }, { request }))
    app.get('/transfer', { onRequest: app.guard({ fresh: '5m' }) }, async () => ({}))
  })
  const { cookies: { access, refresh }, sessions, users } = app.accounts
  const { id } = await users.create({ email: 'ada@example.com' })
  const enter = ({ accessToken, refreshToken }: { readonly accessToken: string, readonly refreshToken: string }) => createClient(app, { [access.name]: accessToken, [refresh.name]: refreshToken })
  const first = await sessions.begin(id)
  t.strictSame([first.user.email, first.session.id], ['ada@example.com', (await sessions.list(id))[0]!.id])
  t.equal((await enter(first).get('/transfer')).statusCode, 200)
  t.equal((await enter(await sessions.begin(id, { authenticatedAt: new Date(Date.now() - 6 * MINUTE) })).get('/transfer')).statusCode, 401)
  t.ok(await isSignedIn(enter(first)))

  const answer = await enter(first).post(`/begin/${id}`)
  t.equal(answer.headers['set-cookie'], undefined, 'where the tokens go is for the host to say')
  t.notOk(await isSignedIn(enter(first)), 'it is in the place of the one that the request brought')
  t.ok(await isSignedIn(enter(answer.json())))
  t.strictSame(asked, Array(3).fill('ada@example.com'))

  const begin = sessions.begin as (id: unknown, options?: unknown) => Promise<unknown>
  await users.update(id, { disabled: true })
  for (const nobody of [id, 'nobody', '', 'a\0', null, undefined, { id }]) await t.rejects(begin(nobody), { code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' })
  for (const authenticatedAt of ['yesterday', 0, null, new Date(NaN), new Date(-1)]) await t.rejects(begin(id, { authenticatedAt }), { code: 'FST_ACCOUNTS_INPUT_INVALID' })

  const login = client()
  await users.create({ email: 'bob@example.com', password: PASSWORD })
  const { cookies } = await login.post('/auth/login', { email: 'bob@example.com', password: PASSWORD })
  for (const { name, path, domain, secure, sameSite } of [access, refresh]) t.match(cookies.find(cookie => cookie.name === name), { path, secure, sameSite: new RegExp(sameSite, 'i'), ...(domain === null ? {} : { domain }) })
})
