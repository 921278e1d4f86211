import t from 'tap'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { DAY, holdClock, HOUR } from './support/clock.ts'
import { listen } from './support/events.ts'
import { APP_URL, createMailApp, tokenOf } from './support/mail.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }
const LINK_INVALID = { statusCode: 422, code: 'FST_ACCOUNTS_LINK_INVALID' }

t.test('a new account waits for the proof of its address', async t => {
  const { client, takeMail, app } = await createMailApp(t)
  const events = listen(t)
  const states: unknown[] = []
  app.accounts.addHook('afterRegister', ({ user, session }) => { states.push([user.email, session]) })
  const browser = client()
  const registered = await browser.post('/auth/register', { ...ADA, email: 'Ada@Example.com', name: 'Ada' })
  t.match({ status: registered.statusCode, body: registered.json(), cookies: registered.cookies }, { status: 202, body: {}, cookies: [] })
  const login = async () => await browser.post('/auth/login', ADA)
  t.match(await login().then(answer => answer.json<object>()), { statusCode: 401, code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' })
  t.match(events.take().find(({ name }) => name === 'login.failed'), { reason: 'unverified' })
  const mail = await takeMail()
  t.strictSame(mail.to, ['Ada@example.com'], 'W-05 one recipient, the stored one')
  t.match(mail.text, `${APP_URL}/verify-email?token=`)
  t.equal((await browser.post('/auth/email/verify', { token: tokenOf(mail) })).statusCode, 204)
  t.equal((await login()).statusCode, 200)
  t.match(await browser.get('/auth/me').then(answer => answer.json<object>()), { user: { emailVerified: true } })
  t.match(await browser.post('/auth/email/verify', { token: tokenOf(mail) }).then(answer => answer.json<object>()), LINK_INVALID, 'once')
  t.strictSame(states, [['Ada@Example.com', null]])
})

t.test('a mail is told which language was asked for, if it is one', async t => {
  const locales: unknown[] = []
  const { client, takeMail } = await createMailApp(t, { mail: { messages: { 'verify-email': ({ locale }) => { locales.push(locale) } } } })
  const asked = { 'de-AT,de;q=0.8': 'de-AT', en: 'en', ' fr ; q=1': 'fr', '*': null, '': null, 'evil.example"><script>': null, '../../etc': null, 'de-AT\tx': null, [`de-${'a'.repeat(99)}`]: null }
  for (const [index, [language, locale]] of Object.entries(asked).entries()) {
    await client().post('/auth/register', { email: `user${index}@example.com`, password: PASSWORD }, { 'accept-language': language })
    await takeMail()
    t.equal(locales.at(-1), locale, language)
  }
  t.equal(locales.length, Object.keys(asked).length)
})

t.test('W-01 a link to verify is void after the password was set anew', async t => {
  const { app, client, takeToken } = await createMailApp(t)
  await client().post('/auth/register', ADA)
  const token = await takeToken()
  await app.accounts.passwords.set((await app.accounts.users.findByEmail(ADA.email))!.id, OTHER_PASSWORD)
  t.match(await client().post('/auth/email/verify', { token }).then(answer => answer.json<object>()), LINK_INVALID)
})

t.test('A-12 A-02 signing up with a taken address answers the same, and tells its owner alone', async t => {
  const { client, member, takeMail, takeAll, app } = await createMailApp(t)
  await member('ada@example.com')
  const outcome = async (body: object) => {
    const { statusCode, body: text, headers: { date, ...headers } } = await client().post('/auth/register', body)
    return { statusCode, text, headers }
  }
  t.strictSame(await outcome({ ...ADA, email: 'ADA@example.com', password: OTHER_PASSWORD }), await outcome({ email: 'new@example.com', password: OTHER_PASSWORD }))
  const mails = [await takeMail(), await takeMail()]
  const notice = mails.find(({ to }) => to[0] === 'ada@example.com')!
  t.notMatch(notice.text, 'token=')
  t.ok(mails.some(({ to }) => to[0] === 'new@example.com'))
  t.equal((await client().post('/auth/login', { ...ADA, password: OTHER_PASSWORD })).statusCode, 401, 'and nothing of the account has changed')

  await t.test('a taken user name is told, whatever the address', async t => {
    await client().post('/auth/register', { email: 'named@example.com', username: 'grace', password: PASSWORD })
    for (const email of ['ada@example.com', 'other@example.com']) t.equal((await client().post('/auth/register', { email, username: 'Grace', password: PASSWORD })).statusCode, 409)
    t.equal(await app.accounts.users.findByEmail('other@example.com'), null)
  })

  await t.test('A-12 of 32 racers with one address one gets the account, and all the same answer', async t => {
    await takeAll()
    const answers = await Promise.all(Array.from({ length: 32 }, async (_, index) => (await client().post('/auth/register', { email: 'race@example.com', password: `${PASSWORD} ${index}` })).statusCode))
    t.strictSame(new Set(answers), new Set([202]))
    t.equal((await app.accounts.users.list({ search: 'race@example.com' })).users.length, 1)
  })
})

t.test('A-13 an address that nobody has proved goes to who can: signing up again brings a link that sets the password', async t => {
  const { client, takeMail, app } = await createMailApp(t)
  await client().post('/auth/register', { email: 'victim@example.com', password: OTHER_PASSWORD })
  await takeMail()
  t.equal((await client().post('/auth/register', { email: 'victim@example.com', password: PASSWORD })).statusCode, 202)
  const mail = await takeMail()
  t.match(mail.text, `${APP_URL}/reset-password?token=`)
  t.equal((await client().post('/auth/password/reset', { token: tokenOf(mail), password: PASSWORD })).statusCode, 204)
  t.equal((await client().post('/auth/login', { email: 'victim@example.com', password: OTHER_PASSWORD })).statusCode, 401, 'who was first is out')
  t.equal((await client().post('/auth/login', { email: 'victim@example.com', password: PASSWORD })).statusCode, 200)
  t.equal((await app.accounts.users.findByEmail('victim@example.com'))?.emailVerified, true)
})

t.test('a link to verify is sent again, ends by its time, and is voided by the next', async t => {
  const clock = holdClock(t)
  const { client, takeToken, takeAll } = await createMailApp(t, { throttle: false })
  const browser = client()
  await browser.post('/auth/register', ADA)
  const first = await takeToken()
  t.equal((await browser.post('/auth/email/resend', { email: 'ada@example.com' })).statusCode, 202)
  const second = await takeToken()
  t.match(await browser.post('/auth/email/verify', { token: first }).then(answer => answer.json<object>()), LINK_INVALID)
  clock.advance(DAY)
  t.match(await browser.post('/auth/email/verify', { token: second }).then(answer => answer.json<object>()), LINK_INVALID)
  await browser.post('/auth/email/resend', { email: 'ADA@example.com' })
  t.equal((await browser.post('/auth/email/verify', { token: await takeToken() })).statusCode, 204)
  await browser.post('/auth/email/resend', { email: 'ada@example.com' })
  t.strictSame(await takeAll(), [], 'who is verified is not written to')
})

t.test('W-11 A-14 another address: proved by its owner, and told to the old one, before and after', async t => {
  const { member, client, takeAll, takeToken, app } = await createMailApp(t)
  const ada = await member('ada@example.com')
  const { id } = (await app.accounts.users.findByEmail('ada@example.com'))!
  await ada.post('/auth/password/forgot', { email: 'ada@example.com' })
  const toOldAddress = await takeToken()
  t.equal((await client().post('/auth/email/change', { email: 'countess@example.com', password: PASSWORD })).statusCode, 401)
  t.match(await ada.post('/auth/email/change', { email: 'countess@example.com', password: OTHER_PASSWORD }).then(answer => answer.json<object>()), { statusCode: 403, code: 'FST_ACCOUNTS_PASSWORD_WRONG' })
  t.equal((await ada.post('/auth/email/change', { email: 'Countess@example.com', password: PASSWORD })).statusCode, 202)
  t.match(await ada.get('/auth/me').then(answer => answer.json<object>()), { user: { email: 'ada@example.com' } }, 'not yet')
  const asked = await takeAll()
  t.strictSame(asked.map(({ to }) => to[0]).toSorted(), ['Countess@example.com', 'ada@example.com'])
  t.match(asked.find(({ to }) => to[0] === 'ada@example.com')!.text, 'Countess@example.com')
  t.notMatch(asked.find(({ to }) => to[0] === 'ada@example.com')!.text, 'token=')
  const token = tokenOf(asked.find(({ to }) => to[0] === 'Countess@example.com')!)
  t.match(await client().post('/auth/password/reset', { token, password: OTHER_PASSWORD }).then(answer => answer.json<object>()), LINK_INVALID, 'J-06 it resets nothing')
  t.equal((await client().post('/auth/email/verify', { token })).statusCode, 204, 'on another device')
  t.match(await ada.get('/auth/me').then(answer => answer.json<object>()), { user: { id, email: 'Countess@example.com', emailVerified: true } }, 'J-10 the same user, the same session')
  t.equal((await client().post('/auth/login', { email: 'countess@example.com', password: PASSWORD })).statusCode, 200)
  t.equal((await client().post('/auth/login', ADA)).statusCode, 401)
  t.strictSame((await takeAll()).map(({ to, text }) => [to, /Countess@example\.com/.test(text)]), [[['ada@example.com'], true]])
  t.match(await client().post('/auth/password/reset', { token: toOldAddress, password: OTHER_PASSWORD }).then(answer => answer.json<object>()), LINK_INVALID, 'a link to the old address is void')
})

t.test('W-11 a link proves exactly the address that it was sent to, and the last asked for wins', async t => {
  const { member, client, takeAll, app } = await createMailApp(t)
  const ada = await member('ada@example.com')
  const tokens: string[] = []
  for (const email of ['first@example.com', 'second@example.com']) {
    await ada.post('/auth/email/change', { email, password: PASSWORD })
    tokens.push(tokenOf((await takeAll()).find(({ to }) => to[0] === email)!))
  }
  t.match(await client().post('/auth/email/verify', { token: tokens[0] }).then(answer => answer.json<object>()), LINK_INVALID)
  const answers = await Promise.all(Array.from({ length: 16 }, async () => (await client().post('/auth/email/verify', { token: tokens[1] })).statusCode))
  t.strictSame(answers.toSorted(), [204, ...Array<number>(15).fill(422)], 'W-01 once, of 16 racers')
  t.ok(await app.accounts.users.findByEmail('second@example.com'))
  t.equal(await app.accounts.users.findByEmail('first@example.com'), null)
})

t.test('W-11 a new address that is taken, then or later, goes to nobody else', async t => {
  const { member, client, takeAll, app } = await createMailApp(t)
  const [ada, grace] = [await member('ada@example.com'), await member('grace@example.com')]
  const change = async (browser: typeof ada, email: string) => await browser.post('/auth/email/change', { email, password: PASSWORD })
  const taken = await change(ada, 'GRACE@example.com')
  const free = await change(ada, 'free@example.com')
  t.strictSame([taken.statusCode, taken.body], [free.statusCode, free.body])
  const mails = await takeAll()
  t.strictSame(mails.map(({ to, text }) => [to[0], /token=/.test(text)]).toSorted(), [['ada@example.com', false], ['ada@example.com', false], ['free@example.com', true], ['grace@example.com', false]])
  await change(grace, 'free@example.com')
  const tokens = [mails, await takeAll()].map(mails => tokenOf(mails.find(({ to }) => to[0] === 'free@example.com')!))
  const answers = await Promise.all(tokens.map(async token => (await client().post('/auth/email/verify', { token })).statusCode))
  t.strictSame(answers.toSorted(), [204, 409], 'of two who ask for one address one gets it')
  const owners = (await app.accounts.users.list({ search: 'free@example.com' })).users
  t.equal(owners.length, 1)
})

t.test('W-11 a change of the password voids a new address that waits for its proof', async t => {
  const clock = holdClock(t)
  const { member, client, takeAll } = await createMailApp(t)
  const ada = await member('ada@example.com')
  await ada.post('/auth/email/change', { email: 'thief@example.com', password: PASSWORD })
  const token = tokenOf((await takeAll()).find(({ to }) => to[0] === 'thief@example.com')!)
  await ada.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  t.match(await client().post('/auth/email/verify', { token }).then(answer => answer.json<object>()), LINK_INVALID)
  clock.advance(HOUR)
})

/** For a title: line ends of any kind would end it. */
const escape = (text: string) => text.replace(/[^ -~]/g, character => `\\u${character.charCodeAt(0).toString(16)}`)

const MALFORMED = [
  '', ' ', 'ada', '@', 'ada@', '@example.com', 'ada@@example.com', 'ada@example.com@evil.example', 'ada@example.com,evil@evil.example', 'ada@example.com;evil@evil.example',
  'ada@example.com evil@evil.example', 'evil@evil.example,ada@example.com', '"ada@example.com" <evil@evil.example>', '<ada@example.com>', 'Ada <ada@example.com>', 'ada@example.com>', 'group: ada@example.com;',
  'ada@example.com\r\nBcc: evil@evil.example', 'ada@example.com\nevil', 'ada@example.com\r', 'ada\0@example.com', 'ada@example.com\0', 'ada@example.com%0aBcc:evil@evil.example', 'ada@example\u3002com',
  'ada\uff20example.com', 'ada\ufe6bexample.com', 'ⓐda@example.com', 'ada@ⓔxample.com', 'ada@example.com\u2028', 'a\u200bda@example.com', '"a b"@example.com', '"ada"@example.com', 'ada(comment)@example.com', 'ada@(comment)example.com',
  'ada@[127.0.0.1]', 'ada@-example.com', 'ada@example..com', '.ada@example.com', 'ada.@example.com', 'a..da@example.com', 'ada\ud800@example.com', 'mailto:ada@example.com', 'ada@example.com?subject=x', 'ada@example.com/', `${'a'.repeat(65)}@example.com`, `ada@${'a'.repeat(64)}.com`, `ada@${'a.'.repeat(130)}com`, '\tada@example.com', 'ada@example.com ', '"=?utf-8?q?ada@example.com?="@evil.example', '=?x?q?=41=42?=<ada@example.com>@evil.example', 'ada@example.com\u202e'
]

t.test('W-05 a malformed address is refused wherever one is given, and nobody is written to', async t => {
  const { member, client, takeAll } = await createMailApp(t, { throttle: false })
  const ada = await member('ada@example.com')
  for (const email of MALFORMED) {
    for (const [route, body, browser] of [['/auth/password/forgot', { email }, client()], ['/auth/email/resend', { email }, client()], ['/auth/email/change', { email, password: PASSWORD }, ada], ['/auth/register', { email, password: PASSWORD }, client()]] as const) {
      const { statusCode } = await browser.post(route, body)
      t.ok(statusCode === 422 || statusCode === 400, `${route} ${escape(email).slice(0, 60)}: ${statusCode}`)
    }
  }
  for (const email of [null, [], ['ada@example.com'], ['ada@example.com', 'evil@evil.example'], {}, { to: 'ada@example.com' }, 1, true]) {
    for (const route of ['/auth/password/forgot', '/auth/email/resend']) t.equal((await client().post(route, { email })).statusCode, 400)
  }
  t.strictSame(await takeAll(), [])
})

t.test('W-05 W-12 hostile but usable names and addresses: one recipient, no header of theirs, nothing unescaped', async t => {
  const { client, takeMail } = await createMailApp(t, { throttle: false })
  for (const [email, name] of [["o'brien+x=%s@example.com", '<script>alert(1)</script>'], ['{{7*7}}@example.com', '"><img src=x onerror=alert(1)>'], ['jörg@bücher.example', '$' + '{jndi:ldap://evil.example}'], ['a&b@example.com', 'Bcc: evil@evil.example']] as const) {
    t.equal((await client().post('/auth/register', { email, name, password: PASSWORD })).statusCode, 202)
    const mail = await takeMail()
    t.equal(mail.to.length, 1)
    t.strictSame(Object.keys(mail.headers).filter(header => /^(bcc|cc)$/.test(header)), [])
    t.notMatch(mail.html, /<script|<img/)
    for (const [url] of (mail.text + mail.html).matchAll(/https?:\/\/[^\s"<>]+/g)) t.equal(new URL(url.replaceAll('&amp;', '&')).origin, APP_URL)
  }
})

t.test('verifyEmail needs a mailer, and a mailer what it needs', async t => {
  await t.rejects(createApp(t, { registration: { verifyEmail: true } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /registration\.verifyEmail/ })
  await t.rejects(createApp(t, { registration: { verifyEmail: 1 as unknown as boolean } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /registration\.verifyEmail/ })
  const { storage } = await createApp(t)
  const mailer = { send: async () => {} }
  for (const [missing, broken] of [['storage.outbox', { ...storage, outbox: undefined }], ['storage.oneTimeTokens', { ...storage, oneTimeTokens: undefined }], ['storage.users.confirmEmail', { ...storage, users: { ...storage.users, confirmEmail: undefined } }], ['storage.users.changeEmail', { ...storage, users: { ...storage.users, changeEmail: undefined } }]] as const) {
    await t.rejects(createApp(t, { mailer, storage: broken as unknown as typeof storage }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(missing.replaceAll('.', '\\.')) })
  }
  for (const [name, ttl] of [['resetPassword', '31m'], ['resetPassword', '59s'], ['verifyEmail', '8d'], ['changeEmail', '25h'], ['changeEmail', 'soon'], ['verifyMail', '1h']] as const) {
    await t.rejects(createApp(t, { mailer, storage, mail: { linkTtl: { [name]: ttl } } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`mail\\.linkTtl\\.${name}`) })
  }
})
