import { createHmac, randomBytes } from 'node:crypto'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, databaseFile } from './support/app.ts'
import { DAY, holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { connect } from './support/sqlite.ts'
import { countCalls } from './support/tapped-storage.ts'
import { accessOf, refreshOf, sessionIdOf } from './support/tokens.ts'

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

t.test('R-08 no token stands in for another kind', async t => {
  const { client, signedUp } = await createApp(t)
  const { cookies: { accounts_access: access, accounts_refresh: refresh } } = await signedUp()
  const asked: Array<[string, string, Record<string, string>]> = [
    ['an access token as refresh cookie', '/auth/refresh', { cookie: `accounts_refresh=${access}` }],
    ['an access token as the only cookie that could be renewed from', '/private', { cookie: `accounts_refresh=${access}` }],
    ['a refresh token as access cookie', '/private', { cookie: `accounts_access=${refresh}` }],
    ['a refresh token as bearer', '/private', { authorization: `Bearer ${refresh}` }],
    ['a refresh token under the name of neither', '/private', { cookie: `accounts=${refresh}; refresh=${refresh}` }]
  ]
  for (const [title, url, headers] of asked) {
    const answer = await client().request(url === '/private' ? 'GET' : 'POST', url, undefined, headers)
    t.equal(answer.statusCode, 401, title)
    t.strictSame(answer.cookies, [], 'and sets nothing')
  }
  t.equal((await client().get('/private', { cookie: `accounts_access=${access}; accounts_refresh=${refresh}` })).statusCode, 200, 'each in its own place is good')
})

t.test('R-09 a trade is a POST of our own origin, and is never stored by a cache', async t => {
  const clock = holdClock(t)
  const { signedUp, storage } = await createApp(t)
  const browser = await signedUp()
  clock.advance(HOUR)
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']) t.equal((await browser.request(method, '/auth/refresh')).statusCode, 404, method)
  const foreign: Array<Record<string, string>> = [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'http://localhost:3000', 'sec-fetch-site': 'cross-site' }]
  for (const headers of foreign) {
    t.equal((await browser.post('/auth/refresh', undefined, headers)).statusCode, 403, JSON.stringify(headers))
    t.equal((await browser.post('/private', undefined, headers)).statusCode, 403, 'nor may such a page renew on the way')
  }
  t.equal((await storage.sessions.find(sessionIdOf(browser)))?.generation, 0, 'none of them rotated anything')
  const answer = await browser.post('/auth/refresh', undefined, { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-origin' })
  t.equal(answer.headers['accounts-refresh'], 'rotated')
  t.equal(answer.headers['cache-control'], 'no-store')
})

t.test('R-10 a trade reads the account anew', async t => {
  const clock = holdClock(t)
  const file = databaseFile(t)
  const { app, signedUp } = await createApp(t, { storage: await sqliteStorage(file) }, app => {
    app.get('/roles', { onRequest: app.authenticate }, async ({ principal }) => principal!.user.roles)
  })
  const sql = connect(t, file)
  const ends: Array<[string, (userId: string) => Promise<unknown> | unknown]> = [
    ['disabled', async id => await app.accounts.users.update(id, { disabled: true })],
    ['deleted', async id => await app.accounts.users.delete(id)],
    ['disabled and enabled again', async id => { await app.accounts.users.update(id, { disabled: true }); await app.accounts.users.update(id, { disabled: false }) }],
    ['disabled at a SQL prompt', id => sql.prepare('UPDATE accounts_users SET disabled_at = 1 WHERE id = ?').run(id)],
    ['of another epoch', id => sql.prepare('UPDATE accounts_users SET epoch = epoch + 1 WHERE id = ?').run(id)],
    ['revoked at a SQL prompt', id => sql.prepare('UPDATE accounts_sessions SET revoked_at = 1 WHERE user_id = ?').run(id)],
    ['removed from the table', id => sql.prepare('DELETE FROM accounts_sessions WHERE user_id = ?').run(id)]
  ]
  for (const [title, end] of ends) {
    const browser = await signedUp()
    clock.advance(HOUR)
    await end(accessOf(browser).sub)
    for (const answer of [await browser.copy().post('/auth/refresh'), await browser.copy().get('/private')]) {
      t.equal(answer.statusCode, 401, title)
      t.strictSame(answer.cookies, [])
    }
  }
  const browser = await signedUp()
  await app.accounts.users.update(accessOf(browser).sub, { roles: ['editor'] })
  clock.advance(HOUR)
  t.strictSame((await browser.post('/auth/refresh')).json().user.roles, ['editor'], 'roles are those of now')
  t.strictSame((await browser.get('/roles')).json(), ['editor'])
})

t.test('R-11 what is no refresh token of ours costs no storage call and touches no session', async t => {
  const clock = holdClock(t)
  const { storage, calls } = countCalls(await sqliteStorage(':memory:'))
  const { signedUp, secret } = await createApp(t, { storage })
  const other = await createApp(t)
  const browser = await signedUp()
  const foreign = (await other.signedUp()).cookies.accounts_refresh!
  const good = browser.cookies.accounts_refresh!
  const [header = '', payload = '', signature = ''] = good.split('.')
  const claims = refreshOf(browser)
  const signed = (head: object, body: object, key: Buffer) => {
    const text = `${base64url(head)}.${base64url(body)}`
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  const malformed: Array<[string, string]> = [
    ['a word', 'x'],
    ['dots', '..'],
    ['two parts', `${header}.${payload}`],
    ['four parts', `${good}.${signature}`],
    ['a cut signature', good.slice(0, -1)],
    ['no signature', `${header}.${payload}.`],
    ['padding', `${good}=`],
    ['another signature', `${header}.${payload}.${randomBytes(32).toString('base64url')}`],
    ['its last bit changed', good.slice(0, -1) + (good.endsWith('A') ? 'B' : 'A')],
    ['a newer generation under the old signature', `${header}.${base64url({ ...claims, gen: claims.gen + 1 })}.${signature}`],
    ['signed by another server', foreign],
    ['signed with the root secret itself', signed({ alg: 'HS256', typ: 'rt+jwt' }, claims, secret)],
    ['signed by nobody', `${base64url({ alg: 'none', typ: 'rt+jwt' })}.${payload}.`],
    ['far too long', `${header}.${payload.repeat(40)}.${signature}`]
  ]
  clock.advance(HOUR)
  for (const [title, token] of malformed) {
    calls.length = 0
    t.equal((await browser.copy().post('/auth/refresh', undefined, { cookie: `accounts_refresh=${token}` })).statusCode, 401, title)
    t.equal((await browser.copy().get('/private', { cookie: `accounts_refresh=${token}` })).statusCode, 401, `${title}, at a guard`)
    t.strictSame(calls, [], 'no storage call')
  }
  t.equal((await browser.post('/auth/refresh')).headers['accounts-refresh'], 'rotated', 'the session knows nothing of it')
})

t.test('S-I10 a generation that was never issued is refused, and ends nothing: the database was set back', async t => {
  const clock = holdClock(t)
  const file = databaseFile(t)
  const { signedUp, storage } = await createApp(t, { storage: await sqliteStorage(file) })
  const sql = connect(t, file)
  const browser = await signedUp()
  clock.advance(HOUR)
  await browser.post('/auth/refresh')
  sql.prepare('UPDATE accounts_sessions SET generation = 0').run()
  clock.advance(HOUR)
  t.equal((await browser.post('/auth/refresh')).statusCode, 401)
  t.equal((await storage.sessions.find(sessionIdOf(browser)))?.revokedAt, null)
})

t.test('R-08 explicit: only the refresh route renews, and the refresh cookie goes nowhere else', async t => {
  const clock = holdClock(t)
  const { signedUp, storage, client } = await createApp(t, { throttle: false, refresh: 'explicit' })
  const registered = await client().post('/auth/register', { email: 'paths@example.com', password: 'violet harbor 92 lantern' })
  t.strictSame(registered.cookies.map(({ name, path }) => [name, path]), [['accounts_access', '/'], ['accounts_refresh', '/auth']])
  const browser = await signedUp()
  clock.advance(HOUR)
  const expired = await browser.get('/private')
  t.equal(expired.statusCode, 401)
  t.match(expired.headers['www-authenticate'], 'error="invalid_token", error_description="expired"')
  t.equal(expired.headers['accounts-refresh'], undefined)
  t.strictSame(expired.cookies, [])
  t.equal((await storage.sessions.find(sessionIdOf(browser)))?.generation, 0)
  const renewed = await browser.post('/auth/refresh')
  t.equal(renewed.headers['accounts-refresh'], 'rotated')
  t.equal(renewed.cookies.find(({ name }) => name === 'accounts_refresh')?.path, '/auth')
  t.equal((await browser.get('/private')).statusCode, 200)
  const logout = await browser.post('/auth/logout')
  t.strictSame(logout.cookies.map(({ name, path, value }) => [name, path, value]), [['accounts_access', '/', ''], ['accounts_refresh', '/auth', '']], 'cleared where they were set')
})

t.test('R-08 the names over https say where a cookie is good', async t => {
  const names = async (options: object) => {
    const { client } = await createApp(t, { throttle: false, appUrl: 'https://app.example', ...options })
    return (await client().post('/auth/register', { email: 'a@example.com', password: 'violet harbor 92 lantern' })).cookies.map(({ name, secure }) => [name, secure])
  }
  t.strictSame(await names({}), [['__Host-accounts_access', true], ['__Host-accounts_refresh', true]])
  t.strictSame(await names({ refresh: 'explicit' }), [['__Host-accounts_access', true], ['__Secure-accounts_refresh', true]], '__Host- needs the path /')
})

t.test('R-04 cookies that were to end with the browser still do after every kind of renewal', async t => {
  const clock = holdClock(t)
  const { client } = await createApp(t, { throttle: false })
  await client().post('/auth/register', { email: 'ada@example.com', password: 'violet harbor 92 lantern' })
  for (const remember of [true, false]) {
    const browser = client()
    const answers = [await browser.post('/auth/login', { email: 'ada@example.com', password: 'violet harbor 92 lantern', remember })]
    clock.advance(HOUR)
    const old = browser.copy()
    answers.push(await browser.get('/private'))
    clock.advance(SECOND)
    answers.push(await old.copy().post('/auth/refresh'))
    clock.advance(MINUTE)
    answers.push(await old.post('/auth/refresh'))
    t.strictSame(answers.map(({ headers }) => headers['accounts-refresh']), [undefined, 'rotated', 'window', 'recovered'])
    const cookies = answers.flatMap(answer => answer.cookies)
    t.equal(cookies.length, 7)
    t.ok(cookies.every(({ maxAge }) => (maxAge !== undefined) === remember), `remember: ${remember}`)
    if (remember) t.ok(answers[3]!.cookies.every(({ name, maxAge }) => maxAge! <= (name === 'accounts_access' ? HOUR : 90 * DAY) / 1000))
  }
})
