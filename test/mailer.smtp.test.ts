import fc from 'fast-check'
import nodemailer from 'nodemailer'
import t, { type Test } from 'tap'
import { emailKey } from '../lib/accounts/identifiers.ts'
import { parseAddress } from '../lib/adapters/nodemailer/address.ts'
import { nodemailerMailer, type NodemailerOptions, type SmtpOptions } from '../lib/adapters/nodemailer/index.ts'
import { resolveSmtp } from '../lib/adapters/nodemailer/smtp.ts'
import type { Mail } from '../types/index.ts'
import { CERTIFICATE } from './support/certificate.ts'
import { until } from './support/postgres-server.ts'
import { startSmtp, type Smtp } from './support/smtp.ts'

const FROM = 'Ada\'s Shop <shop@example.com>'
const MAIL: Mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello,\n', html: '<p>Hello,</p>' }
const USER = { name: 'shop', password: 'Pa55word-of-the-shop' }
const ANY_CERTIFICATE = { requireTls: true, allowUnauthorizedCerts: true }

// It is asked for below, again and again.
process.removeAllListeners('warning')

/** A mailer of the server's, closed with the test. */
function open (t: Test, { host, port }: Pick<Smtp, 'host' | 'port'>, smtp: Partial<SmtpOptions> = {}, options: Partial<NodemailerOptions> = {}) {
  const mailer = nodemailerMailer({ host, port, ...smtp }, { from: FROM, ...options })
  t.teardown(async () => { await mailer.close() })
  return mailer
}

const attempt = async (sending: Promise<unknown>) => await sending.then(() => 'sent', (error: Error & { permanent?: boolean }) => error)

t.test('a mail arrives as it was given, once, marked as automatic', async t => {
  const smtp = await startSmtp(t)
  const mailer = open(t, smtp, ANY_CERTIFICATE, { replyTo: { name: 'Help, please', address: 'help@example.com' } })
  const text = `Grüße, Ada\n.\n${'x'.repeat(1200)}\nhttp://localhost:3000/reset-password?token=${'A'.repeat(60)}\n`
  await mailer.send({ ...MAIL, id: 'Xy_-9', subject: 'Schöne Grüße, 日本', text, html: '<p>Grüße 🌍</p>' })
  const [mail] = await smtp.received(1)
  t.match(mail, { from: 'shop@example.com', to: ['ada@example.com'], subject: 'Schöne Grüße, 日本', text, html: '<p>Grüße 🌍</p>', secure: true, user: null })
  const { headers } = mail!
  t.strictSame(headers.from, ['"Ada\'s Shop" <shop@example.com>'])
  t.strictSame(headers.to, ['ada@example.com'])
  t.strictSame(headers['reply-to'], ['"Help, please" <help@example.com>'])
  t.strictSame(headers['auto-submitted'], ['auto-generated'])
  t.strictSame(headers['message-id'], ['<Xy_-9@example.com>'], 'the same each time, so that a duplicate can be known')
  t.notOk(headers['x-mailer'])
  await mailer.send(MAIL)
  t.equal(smtp.counts.connections, 1, 'and the connection is used again')
  await t.resolves(mailer.verify())
})

t.test('W-05: a mail goes to exactly the given address, or nowhere', async t => {
  const smtp = await startSmtp(t)
  const mailer = open(t, smtp, ANY_CERTIFICATE)
  const SENT = ['a@b.c', 'o\'neil+x@example.com', 'a.b.c@sub.example.co.uk', '!#$%&*/?=^_`{|}~-@example.com', 'Ada@EXAMPLE.com', 'ada@münchen.example', 'jõgeva@example.com', 'ада@пример.example', `${'x'.repeat(64)}@example.com`]
  const REFUSED = [
    'a@b.c,d@e.f', 'a@b.c;d@e.f', 'a@b.c d@e.f', 'a@b.c, d@e.f', 'a@b.c\nd@e.f', 'a@b.c\r\nBcc: d@e.f', 'a@b.c\0', '"a@b.c" <x@y.z>', '<a@b.c>', 'A <a@b.c>', 'a@b.c>,<d@e.f',
    'a@b@c', '@b.c', 'a@', 'a', '', '"a b"@c.d', '"a@b.c,d"@e.f', '"a@b.c d@e.f"@g.h', 'a(d@e.f)@b.c', 'a@b.c(d)', '(x)a@b.c', 'group:a@b.c,d@e.f;', 'undisclosed-recipients:;',
    'a\uff20b.c', 'a@b\uff20c.d', 'a\ufe6bb.c', 'a@b\uff0ec', 'dem\u24de@example.com', '\uff41@b.c', '\ufb01@b.c', 'a@b\u3002c', 'a@b.c\u202e', '\u200ba@b.c', '.a@b.c', 'a.@b.c', 'a..b@c.d', 'a@.b', 'a@b..c', 'a@b.', 'a@-b.c',
    'a@[127.0.0.1]', 'a@[x@e.f]', 'a@b.c\\', 'a\\@b.c', 'a@b.c%0d%0a', 'a%00@b.c%', `${'x'.repeat(65)}@example.com`, `a@${'b'.repeat(64)}.c`, `a@${'b.'.repeat(130)}c`, 'x'.repeat(1000), `${'a@'.repeat(500)}b.c`,
    '\ud800@b.c', '=?utf-8?q?a=40b.c=2Cd?=@e.f', 'a@xn--', 'mailto:a@b.c', 'a@b.c?cc=d@e.f', ['a@b.c', 'd@e.f'], { address: 'a@b.c' }, null, undefined, 7
  ]
  for (const to of SENT) await mailer.send({ ...MAIL, to })
  t.strictSame(smtp.messages.map(mail => mail.to), SENT.map(to => [to.replace('EXAMPLE', 'example')]))
  t.strictSame(smtp.messages.map(mail => mail.headers.to?.map(to => Buffer.from(to, 'latin1').toString())), SENT.map(to => [to.replace('EXAMPLE', 'example').replace('münchen', 'xn--mnchen-3ya')]))
  const connections = smtp.counts.connections
  for (const to of REFUSED) {
    const error = await attempt(mailer.send({ ...MAIL, to: to as string }))
    t.match(error, { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent: true, message: 'The mail could not be sent: the address is not a plain one' }, JSON.stringify(to))
  }
  t.equal(smtp.messages.length, SENT.length, 'nothing else was sent')
  t.equal(smtp.counts.connections, connections)
})

t.test('W-05: the adapter takes the addresses that the core takes, and no other', async t => {
  const piece = fc.constantFrom('a', 'B', 'ö', 'ß', 'é', '日', '.', '@', ',', ';', ' ', '"', '<', '>', '(', '\r', '\n', '\\', '-', '_', '+', '\uff20', '\u24de', '\uff41', '\ufb01', 'xn--', '0', '\u0301', '\ud83d\ude00', '\ud800', ':', '[', '%')
  const text = fc.array(piece, { maxLength: 12 }).map(pieces => pieces.join(''))
  const address = fc.oneof(text, fc.tuple(text, text).map(([local, domain]) => `${local}@${domain}`), fc.tuple(text, fc.emailAddress()).map(([prefix, email]) => prefix + email), fc.emailAddress())
  const same = (one: string) => (parseAddress(one)?.toLowerCase().normalize('NFC') ?? null) === emailKey(one)
  t.doesNotThrow(() => fc.assert(fc.property(address, same), { numRuns: 3000 }))
})

t.test('W-12: no part of a mail can become a header, another part, a file or a page of the web', async t => {
  const smtp = await startSmtp(t, { tls: 'none' })
  const mailer = open(t, smtp)
  for (const subject of ['Hello\r\nBcc: eve@example.com', 'Hello\nX: y', 'Hello\rX: y', 'a\0b', 'a\u2028b', { path: '/etc/passwd' }, undefined]) {
    t.match(await attempt(mailer.send({ ...MAIL, subject: subject as string })), { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent: true }, escape(JSON.stringify(subject)))
  }
  for (const part of ['text', 'html']) {
    for (const value of [{ path: '/etc/passwd' }, { href: `http://127.0.0.1:${smtp.port}/` }, null]) t.match(await attempt(mailer.send({ ...MAIL, [part]: value })), { permanent: true })
  }
  for (const id of ['a>\r\nBcc: eve@example.com', 'a b', '', 'ö', 'x'.repeat(129)]) t.match(await attempt(mailer.send({ ...MAIL, id })), { permanent: true }, id)
  await mailer.send({ ...MAIL, text: '.\r\nRSET\r\nMAIL FROM:<eve@example.com>\r\n.\n', html: `<p>${'\r\n.\r\n'}QUIT</p>` })
  t.equal(smtp.messages.length, 1)
  t.match(smtp.messages[0], { text: '.\nRSET\nMAIL FROM:<eve@example.com>\n.\n' })
})

t.test('STARTTLS is required where it is said so: without it nothing is sent, not even the password', async t => {
  const plain = await startSmtp(t, { tls: 'none', user: USER })
  const error = await attempt(open(t, plain, { requireTls: true, user: USER.name, password: USER.password }).send(MAIL))
  t.match(error, { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent: false })
  t.equal(plain.messages.length, 0)
  const tls = await startSmtp(t, { tls: 'starttls', user: USER })
  await open(t, tls, { ...ANY_CERTIFICATE, user: USER.name, password: USER.password }).send(MAIL)
  t.match(tls.messages, [{ secure: true, user: 'shop' }])
})

t.test('implicit TLS', async t => {
  const smtp = await startSmtp(t, { tls: 'implicit', user: USER })
  await open(t, smtp, { secure: true, allowUnauthorizedCerts: true, user: USER.name, password: USER.password }).send(MAIL)
  t.match(smtp.messages, [{ secure: true, user: 'shop' }])
})

t.test('without requireTls, TLS is used if the server has it, whatever its certificate', async t => {
  for (const tls of ['none', 'starttls'] as const) {
    const smtp = await startSmtp(t, { tls })
    await open(t, smtp, { requireTls: false }).send(MAIL)
    t.match(smtp.messages, [{ secure: tls === 'starttls' }], tls)
  }
})

t.test('a certificate that nobody vouches for is refused unless allowUnauthorizedCerts is true', async t => {
  for (const [tls, options] of [['starttls', { requireTls: true }], ['implicit', { secure: true }]] as const) {
    const smtp = await startSmtp(t, { tls })
    for (const refusing of [open(t, smtp, options), open(t, smtp, { ...options, allowUnauthorizedCerts: false })]) {
      t.match(await attempt(refusing.send(MAIL)), { message: /self[- ]signed certificate/, permanent: false }, tls)
      t.match(await attempt(refusing.verify()), { message: /self[- ]signed certificate/ })
    }
    t.equal(smtp.messages.length, 0)
  }
})

t.test('a wrong login is refused, not for good, and no error holds the password', async t => {
  const smtp = await startSmtp(t, { user: USER })
  const password = 'wrong-Pa55word'
  const encoded = Buffer.from(`\0${USER.name}\0${password}`).toString('base64')
  smtp.trouble({ refuse: 'login', code: 535, reply: `5.7.8 I was sent ${encoded} which is ${password}` })
  const mailer = open(t, smtp, { ...ANY_CERTIFICATE, user: USER.name, password })
  for (const error of [await attempt(mailer.send(MAIL)), await attempt(mailer.verify())] as Error[]) {
    t.match(error, { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent: false, message: /the login was refused 535/ })
    for (const secret of [password, encoded]) t.notMatch(JSON.stringify([error.message, error.stack, error.cause, Object.entries(error)]), secret)
  }
  const open25 = await startSmtp(t)
  t.match(await attempt(open(t, open25, { ...ANY_CERTIFICATE, user: USER.name, password }).send(MAIL)), { permanent: false }, 'a server that wants no login does not get the mail without one')
  t.equal(open25.messages.length, 0)
})

t.test('a refusal of the address is permanent, any other is not', async t => {
  const smtp = await startSmtp(t)
  const mailer = open(t, smtp, ANY_CERTIFICATE)
  for (const [refuse, code, reply, permanent] of [
    ['connect', 421, 'too busy', false], ['connect', 554, 'not you', false], ['sender', 550, 'not you', false], ['sender', 451, 'later', false],
    ['recipient', 550, '5.1.1 no such user', true], ['recipient', 550, 'no such user', true], ['recipient', 552, '5.2.2 full', true], ['recipient', 451, '4.7.1 greylisted', false],
    ['recipient', 554, '5.7.1 relay access denied', false], ['recipient', 503, 'bad sequence', false],
    ['data', 451, 'later', false], ['data', 554, '5.7.1 spam', false], ['data', 554, 'transaction failed', false], ['data', 550, '5.1.1 no such user', true]
  ] as const) {
    smtp.trouble({ refuse, code, reply })
    const error = await attempt(mailer.send(MAIL))
    t.match(error, { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent, message: new RegExp(`^The mail could not be sent: the server answered ${code} `) }, `${refuse} ${code} ${reply}`)
  }
  smtp.trouble({ refuse: 'recipient', code: 421 })
  t.match(await attempt(mailer.send(MAIL)), { permanent: false }, 'goodbye is not for good')
  t.equal(smtp.messages.length, 0)
  smtp.trouble(null)
  await t.resolves(mailer.send(MAIL), 'and the mailer is none the worse for it')
})

t.test('L-03: what a server says can not forge a line of a log', async t => {
  const smtp = await startSmtp(t)
  smtp.trouble({ refuse: 'recipient', code: 550, reply: `no\u001b[31m\u202e ${'x'.repeat(5000)}` })
  const { message } = await attempt(open(t, smtp, ANY_CERTIFICATE).send(MAIL)) as Error
  t.notMatch(message, /\p{C}/u)
  t.ok(message.length < 400)
})

t.test('F-18: while the server is away mail is refused at once; when it is back the same mailer sends', async t => {
  const smtp = await startSmtp(t)
  const mailer = open(t, smtp, ANY_CERTIFICATE)
  await mailer.send(MAIL)
  await smtp.stop()
  t.match(await attempt(mailer.send(MAIL)), { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent: false })
  t.match(await attempt(mailer.verify()), { message: /ECONNREFUSED/ })
  await smtp.start()
  await t.resolves(mailer.send(MAIL))
  t.equal(smtp.messages.length, 2)
})

t.test('V-01, F-19: a server that says nothing, or a byte now and then, is dropped in time', async t => {
  const stuck = nodemailerMailer({ sendMail: async () => await new Promise(() => {}) }, { from: FROM, timeout: 1 })
  const stuckSending = attempt(stuck.send(MAIL))
  await Promise.all((['silence', 'tarpit'] as const).flatMap(trouble => [true, false].map(async pool => {
    const smtp = await startSmtp(t)
    smtp.trouble(trouble)
    const mailer = open(t, smtp, { ...ANY_CERTIFICATE, pool, maxConnections: 1 }, { timeout: '1s' })
    const started = performance.now()
    const outcomes = await Promise.all([mailer.send(MAIL), mailer.send(MAIL), mailer.verify()].map(attempt))
    for (const outcome of outcomes) t.match(outcome, { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent: false }, `${trouble}, pool ${pool}`)
    t.ok(performance.now() - started < 1500, 'those that waited for the one connection too')
    await t.resolves(until(() => smtp.open() === 0, 1000), 'no connection is left behind')
    smtp.trouble(null)
    await t.resolves(mailer.send(MAIL))
  })))
  t.match(await stuckSending, { message: /it took more than 1 s/, permanent: false }, 'and so is a transport of the host\'s')
})

t.test('a connection that is lost over a mail: rejected, and never sent twice by itself', async t => {
  for (const pool of [true, false]) {
    const smtp = await startSmtp(t)
    const mailer = open(t, smtp, { ...ANY_CERTIFICATE, pool })
    await mailer.send(MAIL)
    for (const [count, trouble] of (['cut in data', 'cut after data'] as const).entries()) {
      smtp.trouble(trouble)
      t.match(await attempt(mailer.send(MAIL)), { permanent: false })
      t.equal(smtp.counts.begun, 2 + 2 * count, trouble)
      smtp.trouble(null)
      await mailer.send(MAIL)
    }
  }
})

t.test('closing lets the mail go out that is under way, and drops what will not end', async t => {
  const smtp = await startSmtp(t)
  const mailer = nodemailerMailer({ host: smtp.host, port: smtp.port, ...ANY_CERTIFICATE }, { from: FROM })
  const sending = mailer.send(MAIL)
  await mailer.close()
  await t.resolves(sending)
  await mailer.close()
  t.match(await attempt(mailer.send(MAIL)), { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent: false }, 'a closed one sends nothing')
  t.equal(smtp.messages.length, 1)

  const silent = await startSmtp(t)
  silent.trouble('silence')
  const stuck = nodemailerMailer({ host: silent.host, port: silent.port }, { from: FROM })
  const outcome = attempt(stuck.send(MAIL))
  const started = performance.now()
  await stuck.close()
  t.match(await outcome, { permanent: false })
  t.ok(performance.now() - started < 2000)
})

t.test('a transport of the host\'s is used as it is, and left open', async t => {
  const smtp = await startSmtp(t, { tls: 'implicit' })
  const transport = nodemailer.createTransport({ pool: true, host: smtp.host, port: smtp.port, secure: true, tls: { ca: CERTIFICATE } }, { bcc: 'archive@example.com', headers: { 'X-Host': 'yes' } })
  t.teardown(() => { transport.close() })
  const mailer = nodemailerMailer(transport, { from: { address: 'shop@example.com' } })
  await mailer.verify()
  await mailer.send(MAIL)
  await mailer.close()
  t.strictSame(smtp.messages.map(({ to, secure }) => [to, secure]), [[['ada@example.com'], true]], 'W-05: one recipient, whatever its defaults')
  await t.resolves(transport.sendMail({ from: 'a@b.c', to: 'd@e.f', text: 'x' }))

  for (const thrown of ['words', undefined, new Error('a\nb'), { code: 7 }]) {
    const broken = nodemailerMailer({ sendMail: async () => { throw thrown } }, { from: FROM })
    t.match(await attempt(broken.send(MAIL)), { code: 'FST_ACCOUNTS_MAIL_FAILED', permanent: false })
  }
})

t.test('TLS follows from port, host and password', async t => {
  const resolve = (smtp: Partial<SmtpOptions>) => {
    const { port, secure, requireTLS, opportunisticTLS, tls } = resolveSmtp({ host: 'mail.example.com', ...smtp }, 1000)
    return `${port} ${secure ? 'implicit' : requireTLS ? 'required' : opportunisticTLS ? 'if offered' : 'none'}, ${tls.rejectUnauthorized ? 'verified' : 'any'}`
  }
  const login = { user: 'u', password: 'p' }
  for (const [smtp, expected] of [
    [{}, '587 required, verified'], [{ port: 587 }, '587 required, verified'], [{ port: 2525 }, '2525 required, verified'], [{ port: 465 }, '465 implicit, verified'], [{ secure: true }, '465 implicit, verified'],
    [{ port: 25 }, '25 if offered, any'], [{ port: 25, ...login }, '25 required, verified'], [{ port: 25, requireTls: true }, '25 required, verified'], [{ port: 587, requireTls: false }, '587 if offered, any'],
    [{ port: 465, secure: false }, '465 required, verified'], [{ allowUnauthorizedCerts: true }, '587 required, any'], [{ port: 465, allowUnauthorizedCerts: true }, '465 implicit, any'],
    ...['localhost', '127.0.0.1', '::1'].flatMap(host => [[{ host, port: 1025 }, '1025 if offered, any'], [{ host, port: 25, ...login }, '25 if offered, any'], [{ host }, '587 required, verified']] as const),
    [{ host: '127.0.0.1.example.com', port: 1025 }, '1025 required, verified']
  ] as const) t.equal(resolve(smtp), expected, JSON.stringify(smtp))
})

t.test('options that make no sense are refused at start, by name, without their value', async t => {
  const MARK = 'zQ7marker'
  const smtp = { host: 'mail.example.com' }
  const MISTAKES: ReadonlyArray<readonly [string, unknown, unknown]> = [
    ...[undefined, null, 7, MARK, `smtp://u:${MARK}@mail.example.com`].map(value => ['smtp', value, { from: FROM }] as const),
    ['smtp.sendMail', { sendMail: MARK }, { from: FROM }],
    ...['', MARK + '/', 'a b', 'a\r\nb', 7, undefined, null, `u:${MARK}@host`].map(host => ['smtp.host', { host }, { from: FROM }] as const),
    ...['587', 0, -1, 65_536, 1.5, NaN, null].map(port => ['smtp.port', { ...smtp, port }, { from: FROM }] as const),
    ...(['secure', 'requireTls', 'allowUnauthorizedCerts', 'pool'] as const).flatMap(name => ['true', 'false', 1, 0, null, MARK].map(value => [`smtp.${name}`, { ...smtp, [name]: value }, { from: FROM }] as const)),
    ['smtp.user', { ...smtp, user: '', password: MARK }, { from: FROM }], ['smtp.password', { ...smtp, user: MARK, password: 7 }, { from: FROM }],
    ['smtp.user', { ...smtp, password: MARK }, { from: FROM }], ['smtp.password', { ...smtp, user: MARK }, { from: FROM }],
    ['smtp.requireTls', { ...smtp, user: MARK, password: MARK, requireTls: false }, { from: FROM }], ['smtp.requireTls', { ...smtp, port: 465, requireTls: false }, { from: FROM }],
    ['smtp.maxConnections', { ...smtp, maxConnections: 0 }, { from: FROM }], ['smtp.auth', { ...smtp, auth: { user: MARK, pass: MARK } }, { from: FROM }], ['smtp.tls', { ...smtp, tls: {} }, { from: FROM }],
    ...[undefined, null, '', MARK, 'a@b.c, d@e.f', 'A <a@b.c>, B <d@e.f>', 'A <a@b.c', 'a\r\nBcc: x <a@b.c>', '<>', 'a@b@c', { name: 'x' }, { name: 7, address: 'a@b.c' }, { name: 'x\ny', address: 'a@b.c' }, 7].map(from => ['from', smtp, { from }] as const),
    ['from', smtp, undefined], ['replyTo', smtp, { from: FROM, replyTo: MARK }], ['timeout', smtp, { from: FROM, timeout: 0 }], ['timeout', smtp, { from: FROM, timeout: '20 s' }], ['form', smtp, { from: FROM, form: MARK }]
  ]
  for (const [option, smtp, options] of MISTAKES) {
    let error: Error | null = null
    try {
      nodemailerMailer(smtp as SmtpOptions, options as NodemailerOptions)
    } catch (thrown) {
      error = thrown as Error
    }
    t.match(error, { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`^Option "${option.replace('.', '\\.')}" `) }, `${option} ${JSON.stringify([smtp, options])}`)
    t.notMatch(error?.message, MARK)
  }
  for (const from of ['a@b.c', 'A B <a@b.c>', '"Ada, of the Shop" <a@b.c>', '<a@b.c>', { address: 'a@b.c' }, { name: 'Ada, of the Shop', address: 'a@b.c' }]) t.doesNotThrow(() => nodemailerMailer(smtp, { from }))
})

t.test('allowUnauthorizedCerts warns at every start', async t => {
  const warnings: Error[] = []
  const listener = (warning: Error) => { warnings.push(warning) }
  process.on('warning', listener)
  t.teardown(() => { process.off('warning', listener) })
  const smtp = { host: 'mail.example.com' }
  for (const allowUnauthorizedCerts of [true, false, true]) nodemailerMailer({ ...smtp, allowUnauthorizedCerts }, { from: FROM })
  await new Promise(resolve => setImmediate(resolve))
  t.match(warnings, [{ name: 'FastifyAccountsWarning', message: /allowUnauthorizedCerts/ }, { name: 'FastifyAccountsWarning' }])
  t.equal(warnings.length, 2)
})
