import t from 'tap'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { DAY, holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'

t.test('register, log in, stay logged in, log out, and be out at once', async t => {
  const clock = holdClock(t)
  const { client } = await createApp(t)
  const browser = client()
  const registered = await browser.post('/auth/register', { email: 'Ada@Example.com', password: PASSWORD, name: 'Ada' })
  t.equal(registered.statusCode, 201)
  t.match(registered.json(), { user: { email: 'Ada@Example.com', name: 'Ada', roles: [], disabled: false }, session: { id: String } })
  t.strictSame(Object.keys(registered.json().user).sort(), ['createdAt', 'disabled', 'email', 'emailVerified', 'id', 'name', 'roles', 'username'], 'nothing else of the record leaves')
  t.equal((await browser.get('/private')).statusCode, 200)

  await browser.post('/auth/logout')
  t.strictSame(Object.keys(browser.cookies), ['accounts_device'], 'logout clears both cookies of the session; the device stays known')
  t.equal((await browser.get('/private')).statusCode, 401)

  t.equal((await browser.post('/auth/login', { email: 'ada@example.COM', password: PASSWORD })).statusCode, 200, 'the address is compared without regard to case')
  clock.advance(HOUR + SECOND)
  const renewed = await browser.get('/private')
  t.equal(renewed.statusCode, 200, 'an hour later the access token has expired and is renewed')
  t.equal(renewed.headers['accounts-refresh'], 'rotated')
  t.equal((await browser.get('/private')).headers['accounts-refresh'], undefined, 'once')

  const copied = browser.copy()
  t.equal((await browser.post('/auth/logout')).statusCode, 204)
  t.equal((await copied.get('/private')).statusCode, 401, 'S-03: the cookies of before are worth nothing')
  clock.advance(DAY)
  t.equal((await copied.post('/auth/refresh')).statusCode, 401)
})

t.test('log in by user name', async t => {
  const { client } = await createApp(t)
  await client().post('/auth/register', { email: 'ada@example.com', username: 'Ada.L', password: PASSWORD })
  t.equal((await client().post('/auth/login', { username: 'ada.l', password: PASSWORD })).statusCode, 200)
  t.equal((await client().post('/auth/login', { username: 'ada.x', password: PASSWORD })).statusCode, 401)
})

t.test('P-13 a changed password ends every session and signs this client in anew', async t => {
  const { signedUp, client } = await createApp(t)
  const browser = await signedUp('ada@example.com')
  const elsewhere = client()
  await elsewhere.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  const before = browser.copy()

  t.match((await browser.post('/auth/password/change', { currentPassword: OTHER_PASSWORD, newPassword: OTHER_PASSWORD })).json(), { code: 'FST_ACCOUNTS_PASSWORD_WRONG' })
  t.equal((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
  t.equal((await browser.get('/private')).statusCode, 200)
  t.equal((await before.get('/private')).statusCode, 401, 'the old cookies of this client are dead')
  t.equal((await elsewhere.get('/private')).statusCode, 401)
  t.equal((await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 401)
  t.equal((await client().post('/auth/login', { email: 'ada@example.com', password: OTHER_PASSWORD })).statusCode, 200)
})

t.test('change the name, and delete the account with password and a fresh login', async t => {
  const clock = holdClock(t)
  const { signedUp, client } = await createApp(t)
  const browser = await signedUp('ada@example.com')
  t.match((await browser.request('PATCH', '/auth/me', { name: 'Countess' })).json(), { user: { name: 'Countess' } })
  t.match((await browser.get('/auth/me')).json(), { user: { name: 'Countess' } })
  clock.advance(20 * MINUTE)
  const stale = await browser.request('DELETE', '/auth/me', { password: PASSWORD })
  t.equal(stale.statusCode, 401)
  t.match(stale.headers['www-authenticate'], 'error="insufficient_user_authentication", max_age=900', 'RFC 9470')
  await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  t.equal((await browser.request('DELETE', '/auth/me', { password: OTHER_PASSWORD })).statusCode, 403)
  const copied = browser.copy()
  t.equal((await browser.request('DELETE', '/auth/me', { password: PASSWORD })).statusCode, 204)
  t.strictSame(browser.cookies, {})
  t.equal((await copied.get('/private')).statusCode, 401, 'S-04: the sessions go with the account')
  t.equal((await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 401)
})
