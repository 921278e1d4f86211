import t from 'tap'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { DAY, holdClock, MINUTE } from './support/clock.ts'
import { listen } from './support/events.ts'
import { APP_URL, createMailApp, tokenOf } from './support/mail.ts'
import { countCalls } from './support/tapped-storage.ts'

const LINK_INVALID = 'FST_ACCOUNTS_LINK_INVALID'
const NEW_PASSWORD = 'granite tulip 41 ferry'

const login = (password: string, email = 'ada@example.com') => ({ email, password })

t.test('W-01 W-08 a forgotten password is replaced by the link in a mail, once, and every session ends', async t => {
  const { member, client, takeMail, takeToken } = await createMailApp(t)
  const events = listen(t)
  const ada = await member('ada@example.com')
  events.take()
  const stranger = client()
  const asked = await stranger.post('/auth/password/forgot', { email: 'ADA@example.com' })
  t.match({ status: asked.statusCode, body: asked.json() }, { status: 202, body: {} })
  const mail = await takeMail()
  t.strictSame(mail.to, ['ada@example.com'])
  t.match(mail.text, `${APP_URL}/reset-password?token=`)
  const token = tokenOf(mail)
  t.match(token, /^[\w-]{43}$/)

  await t.test('a password that will not do loses nothing (P-11)', async t => {
    for (const password of ['short', 'qwertyuiopasdfgh', 'ada@example.com', 'a\0'.repeat(20)]) t.equal((await stranger.post('/auth/password/reset', { token, password })).statusCode, 422, password)
    t.equal((await ada.get('/private')).statusCode, 200)
  })

  const reset = await stranger.post('/auth/password/reset', { token, password: NEW_PASSWORD })
  t.equal(reset.statusCode, 204)
  t.strictSame(reset.cookies, [], 'nobody is signed in by it')
  t.equal((await ada.get('/private')).statusCode, 401)
  t.equal((await client().post('/auth/login', login(PASSWORD))).statusCode, 401)
  t.equal((await client().post('/auth/login', login(NEW_PASSWORD))).statusCode, 200)
  t.match(await stranger.post('/auth/password/reset', { token, password: OTHER_PASSWORD }).then(answer => answer.json<object>()), { statusCode: 422, code: LINK_INVALID })
  const notice = await takeMail()
  t.strictSame(notice.to, ['ada@example.com'], 'A-14 the owner is told')
  t.notMatch(notice.text, 'token=')
  t.strictSame(events.takeNames().filter(name => /^(password|session)/.test(name)), ['session.revoked: password-reset', 'password.reset'])

  await t.test('a browser that resets its own password loses its dead cookies', async t => {
    const browser = client()
    await browser.post('/auth/login', login(NEW_PASSWORD))
    await browser.post('/auth/password/forgot', { email: 'ada@example.com' })
    const { statusCode } = await browser.post('/auth/password/reset', { token: await takeToken(), password: PASSWORD })
    t.strictSame([statusCode, Object.keys(browser.cookies).filter(name => /access|refresh/.test(name))], [204, []])
  })
})

t.test('W-02 what is no token of a reset never matches, and null, lists and objects are no tokens', async t => {
  const { member, client, takeToken } = await createMailApp(t)
  const ada = await member('ada@example.com')
  await member('without@example.com')
  await ada.post('/auth/password/forgot', { email: 'ada@example.com' })
  const token = await takeToken()
  const browser = client()
  for (const wrong of [null, [], [token], {}, { $ne: null }, 0, 1, false, true]) t.equal((await browser.post('/auth/password/reset', { token: wrong, password: NEW_PASSWORD })).statusCode, 400, JSON.stringify(wrong))
  for (const wrong of ['', ' ', 'null', 'undefined', 'NaN', '0', '%', '__proto__', token.slice(1), `${token}a`, `${token} `, ` ${token}`, `${token}\n`, token.toLowerCase() === token ? 'x' : token.toLowerCase(), `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`, 'A'.repeat(43), 'A'.repeat(512)]) {
    const answer = await browser.post('/auth/password/reset', { token: wrong, password: NEW_PASSWORD })
    t.match({ status: answer.statusCode, code: answer.json<{ code: string }>().code }, { status: 422, code: LINK_INVALID }, JSON.stringify(wrong))
  }
  for (const body of [{}, { password: NEW_PASSWORD }, { token, password: NEW_PASSWORD, userId: 'x' }, [], null]) t.equal((await browser.post('/auth/password/reset', body)).statusCode, 400)
  t.equal((await browser.post('/auth/email/verify', { token })).statusCode, 422, 'J-06 nor is it good for anything else')
  t.equal((await ada.get('/private')).statusCode, 200, 'nothing has happened')
  t.equal((await browser.post('/auth/password/reset', { token, password: NEW_PASSWORD })).statusCode, 204, 'and the right one still works')
})

t.test('W-01 a link ends: by its time, by a newer one, by a change of the password, with the account', async t => {
  const clock = holdClock(t)
  const { app, member, client, takeMail, takeToken, takeAll } = await createMailApp(t, { throttle: false })
  const ada = await member('ada@example.com')
  const ask = async () => {
    await client().post('/auth/password/forgot', { email: 'ada@example.com' })
    return await takeToken()
  }
  const use = async (token: string) => (await client().post('/auth/password/reset', { token, password: NEW_PASSWORD })).statusCode

  const late = await ask()
  clock.advance(15 * MINUTE)
  t.equal(await use(late), 422, 'after a quarter of an hour')

  const [older, newer] = [await ask(), await ask()]
  t.equal(await use(older), 422, 'the newest wins')
  t.equal((await ada.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
  await takeMail()
  t.equal(await use(newer), 422, 'after a change of the password')

  const disabled = await ask()
  const { id } = (await app.accounts.users.findByEmail('ada@example.com'))!
  await app.accounts.users.update(id, { disabled: true })
  t.equal(await use(disabled), 422, 'of a disabled account')
  await client().post('/auth/password/forgot', { email: 'ada@example.com' })
  t.strictSame(await takeAll(), [], 'which is sent no other')
  await app.accounts.users.update(id, { disabled: false })
  t.equal(await use(disabled), 422, 'nor once it is enabled again')

  const last = await ask()
  await app.accounts.users.delete(id)
  t.equal(await use(last), 422, 'of an account that is gone')
  t.equal((await client().post('/auth/register', login(PASSWORD))).statusCode, 202)
  t.equal(await use(last), 422, 'and not of its successor')
  clock.advance(DAY)
})

t.test('W-01 of 16 racers with one link exactly one sets its password', async t => {
  const { member, client, takeToken } = await createMailApp(t)
  await member('ada@example.com')
  await client().post('/auth/password/forgot', { email: 'ada@example.com' })
  const token = await takeToken()
  const passwords = Array.from({ length: 16 }, (_, index) => `${NEW_PASSWORD} ${index}`)
  const answers = await Promise.all(passwords.map(async password => (await client().post('/auth/password/reset', { token, password })).statusCode))
  t.strictSame(answers.toSorted(), [204, ...Array<number>(15).fill(422)])
  t.equal((await client().post('/auth/login', login(passwords[answers.indexOf(204)]!))).statusCode, 200)
})

t.test('W-04 A-02 whatever the address, the storage is asked for the same', async t => {
  const { storage, calls } = countCalls(await openStorage(t))
  const { app, member, client, takeAll } = await createMailApp(t, { storage, throttle: false })
  const ada = await member('ada@example.com')
  const { id } = await app.accounts.users.create({ email: 'disabled@example.com', password: PASSWORD })
  await app.accounts.users.update(id, { disabled: true })
  await app.accounts.users.create({ email: 'unverified@example.com', password: PASSWORD })
  // The worker's own, and the guard's, which come at any time.
  const OF_WORKER = ['sessions.find', 'outbox.claim', 'outbox.settle', 'outbox.listForUser', 'users.list', 'users.find', 'oneTimeTokens.issue', 'sessions.touch']
  const workOf = async (act: () => Promise<{ statusCode: number }>) => {
    await takeAll()
    calls.length = 0
    t.equal((await act()).statusCode, 202)
    return calls.filter(verb => !OF_WORKER.includes(verb))
  }
  for (const [route, expected] of [['/auth/password/forgot', ['users.findByEmail', 'outbox.enqueue']], ['/auth/email/resend', ['users.findByEmail', 'outbox.enqueue']]] as const) {
    for (const name of ['ada', 'nobody', 'disabled', 'unverified']) t.strictSame(await workOf(async () => await client().post(route, { email: `${name}@example.com` })), expected, `${route} ${name}`)
  }
  for (const name of ['ada', 'new', 'disabled', 'unverified']) t.strictSame(await workOf(async () => await client().post('/auth/register', login(PASSWORD, `${name}@example.com`))), ['atomically users.create', 'atomically users.findByEmail', 'atomically outbox.enqueue'], `/auth/register ${name}`)
  for (const name of ['disabled', 'free']) t.strictSame(await workOf(async () => await ada.post('/auth/email/change', { email: `${name}@example.com`, password: PASSWORD })), ['users.findByEmail', 'atomically outbox.enqueue', 'atomically outbox.enqueue'], `/auth/email/change ${name}`)
})

t.test('W-04 A-01 the answer to a known, unknown, disabled or unverified address is the same, and so is the work', async t => {
  const { app, member, client, takeAll, storage } = await createMailApp(t)
  await member('ada@example.com')
  const { id } = await app.accounts.users.create({ email: 'disabled@example.com', password: PASSWORD })
  await app.accounts.users.update(id, { disabled: true })
  await app.accounts.users.create({ email: 'unverified@example.com', password: PASSWORD })
  await takeAll()
  for (const route of ['/auth/password/forgot', '/auth/email/resend']) {
    const answers = []
    for (const name of ['ada', 'nobody', 'disabled', 'unverified']) {
      const { statusCode, body, headers: { date, ...headers } } = await client().post(route, { email: `${name}@example.com` })
      answers.push({ statusCode, body, headers })
    }
    for (const answer of answers) t.strictSame(answer, answers[0], route)
  }
  const mails = await takeAll()
  t.strictSame(mails.map(({ to, subject }) => [to[0], /password/i.test(subject)]).toSorted(), [['ada@example.com', true], ['unverified@example.com', false], ['unverified@example.com', true]].toSorted())
  t.strictSame(await storage.outbox!.claim(new Date('2100-01-01'), new Date('2100-01-02'), 100), [], 'mail to nobody is thrown away')
})

t.test('A-13 a reset drops what a stranger had set on an address before it was proved', async t => {
  const { client, takeAll, takeToken, app } = await createMailApp(t, { registration: { verifyEmail: false } })
  const thief = client()
  t.equal((await thief.post('/auth/register', login(PASSWORD, 'victim@example.com'))).statusCode, 201)
  await takeAll()
  await client().post('/auth/password/forgot', { email: 'victim@example.com' })
  await client().post('/auth/password/reset', { token: await takeToken(), password: NEW_PASSWORD })
  t.equal((await thief.get('/private')).statusCode, 401)
  t.equal((await client().post('/auth/login', login(PASSWORD, 'victim@example.com'))).statusCode, 401)
  t.equal((await app.accounts.users.findByEmail('victim@example.com'))?.emailVerified, true)
})

t.test('W-09 mail to one address is bounded, without a word to who asks', async t => {
  const clock = holdClock(t)
  const { member, client, takeAll } = await createMailApp(t)
  const ada = await member('ada@example.com')
  const ask = async (browser = client()) => (await browser.post('/auth/password/forgot', { email: 'ada@example.com' })).statusCode
  for (let times = 0; times < 12; times++) t.equal(await ask(), 202)
  t.equal((await takeAll()).length, 3)
  t.equal(await ask(ada), 202)
  t.equal((await takeAll()).length, 1, 'a device that has logged in before is not kept out by strangers')
  clock.advance(61 * MINUTE)
  await ask()
  t.equal((await takeAll()).length, 1, 'an hour later')
})

t.test('N-08 W-07 no header of a request flows into a link', async t => {
  const { member, app, takeMail } = await createMailApp(t, { throttle: false })
  await member('ada@example.com')
  const evil = 'evil.example'
  for (const headers of [{ host: evil }, { 'x-forwarded-host': evil }, { forwarded: `host=${evil};proto=https` }, { 'x-forwarded-proto': 'https' }, { 'x-original-host': evil }, { 'x-host': evil }, { 'x-forwarded-server': evil }, { 'x-original-url': `https://${evil}/` }, { 'x-rewrite-url': `https://${evil}/` }, { referer: `https://${evil}/` }, { 'x-forwarded-prefix': '/evil' }, { 'accept-language': `${evil}"><script>` }]) {
    t.equal((await app.inject({ method: 'POST', url: '/auth/password/forgot', headers, payload: { email: 'ada@example.com' } })).statusCode, 202)
    const { raw, text, html } = await takeMail()
    t.notMatch(raw + text + html, 'evil', JSON.stringify(headers))
    for (const [url] of (text + html).matchAll(/https?:\/\/[^\s"<>]+/g)) t.equal(new URL(url).origin, APP_URL)
  }
})

t.test('X-03 X-05 links are asked for and used by POST from our own origin alone', async t => {
  const { client } = await createMailApp(t)
  const browser = client()
  for (const [url, body] of [['/auth/password/forgot', { email: 'a@example.com' }], ['/auth/password/reset', { token: 'A'.repeat(43), password: NEW_PASSWORD }], ['/auth/email/verify', { token: 'A'.repeat(43) }], ['/auth/email/resend', { email: 'a@example.com' }]] as const) {
    t.equal((await browser.post(url, body, { origin: 'https://evil.example' })).statusCode, 403, url)
    t.equal((await browser.get(`${url}?token=${'A'.repeat(43)}`)).statusCode, 404, `GET ${url}`)
  }
})

t.test('X-03 under csrf: "strict" who says nothing of itself asks for no mail and uses no link', async t => {
  const strict = await createMailApp(t, { csrf: 'strict' })
  for (const [url, body] of [['/auth/password/forgot', { email: 'a@example.com' }], ['/auth/password/reset', { token: 'A'.repeat(43), password: NEW_PASSWORD }], ['/auth/email/verify', { token: 'A'.repeat(43) }], ['/auth/email/resend', { email: 'a@example.com' }]] as const) {
    t.equal((await strict.client().post(url, body)).statusCode, 403, url)
    t.not((await strict.client().post(url, body, { origin: APP_URL })).statusCode, 403, url)
  }
})

t.test('without a mailer there are no routes that need one, and the services say so', async t => {
  const { app, client } = await createApp(t)
  for (const url of ['/auth/password/forgot', '/auth/password/reset', '/auth/email/verify', '/auth/email/resend', '/auth/email/change']) t.equal((await client().post(url, {})).statusCode, 404, url)
  const code = { code: 'FST_ACCOUNTS_MAIL_UNSUPPORTED' }
  await t.rejects(app.accounts.passwords.forgot('ada@example.com'), code)
  await t.rejects(app.accounts.passwords.reset('token', NEW_PASSWORD), code)
  await t.rejects(app.accounts.emails.verify('token'), code)
  await t.rejects(app.accounts.emails.resend('ada@example.com'), code)
  await t.rejects(app.accounts.emails.change('id', { email: 'ada@example.com', password: PASSWORD }), code)
})
