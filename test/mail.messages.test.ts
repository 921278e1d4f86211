import fc from 'fast-check'
import t from 'tap'
import { html } from '../lib/index.ts'
import { createLinks } from '../lib/mail/links.ts'
import { createMessages } from '../lib/mail/messages.ts'
import { MAIL_KINDS as KINDS } from '../lib/options/members.ts'
import type { MailContent, MailContext, MailKind, MailOptions } from '../types/index.ts'
import { SAMPLE_APP, SAMPLE_USER, SAMPLES } from './support/sample-mails.js'

type Messages = NonNullable<MailOptions['messages']>

function open (messages: Messages = {}, patience?: number) {
  const failures: string[] = []
  const render = createMessages({ ...SAMPLE_APP, messages }, (kind, reason) => { failures.push(`${kind}: ${reason}`) }, patience)
  return {
    failures,
    render: async (kind: MailKind, { user = SAMPLE_USER, data = SAMPLES[kind], locale = null }: { user?: { name: string | null, email: string }, data?: object, locale?: string | null } = {}) => await render(kind, { user, data: data as never, locale })
  }
}

const urls = (text: string) => [...text.matchAll(/\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi)].map(match => match[0])
const unescape = (text: string) => text.replace(/&(amp|lt|gt|quot|#39);/g, (_match, name: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': '\'' })[name]!)
/** What a reader sees. */
const visible = (markup: string) => unescape(markup.replace(/<title>.*<\/title>/s, '').replace(/<[^>]*>/g, ''))

t.test('every kind of mail has a subject, a text and an HTML that say the same', async t => {
  t.strictSame([...KINDS].sort(), Object.keys(SAMPLES).sort())
  const { render, failures } = open()
  const subjects = new Set<string>()
  for (const kind of KINDS) {
    const { subject, text, html } = await render(kind)
    subjects.add(subject)
    t.match(subject, /^[^\p{C}]{10,78}$/u, kind)
    const words = (one: string) => one.replace(/Or copy this address into your browser:/, '').replace(/:\n?|-- /g, ' ').split(/\s+/).filter(Boolean)
    const [inText, inHtml] = [words(text), words(visible(html))]
    t.strictSame(inText.filter(word => !inHtml.includes(word)), [], kind)
    t.strictSame(inHtml.filter(word => !inText.includes(word)), [], kind)
    t.match(html, /^<!doctype html>\n<html lang="en">/)
  }
  t.equal(subjects.size, KINDS.length)
  t.strictSame(failures, [])
})

t.test('W-07, N-08: every address of a mail is at the origin of appUrl; nothing is loaded, nothing is tracked', async t => {
  const { render } = open()
  for (const kind of KINDS) {
    const { subject, text, html } = await render(kind)
    const found = urls(`${subject} ${text} ${html}`)
    const expected = 'link' in SAMPLES[kind] ? SAMPLES[kind].link : SAMPLE_APP.appUrl
    t.ok(found.length >= 3, kind)
    t.strictSame(found.filter(url => url !== expected), [], kind)
    const attributes = [...html.matchAll(/\s([a-z-]+)="/g)].map(match => match[1]!)
    t.strictSame(attributes.filter(name => !['lang', 'charset', 'name', 'content', 'style', 'href'].includes(name)), [], 'no source, no event, no class')
    t.notMatch(html, /url\(|@import|<(img|script|link|form|iframe|object|svg)/i)
  }
  for (const kind of ['reset-password', 'verify-email', 'change-email'] as const) {
    const { text, html } = await render(kind)
    t.ok(text.split('\n').includes(SAMPLES[kind].link), 'alone on its line')
    t.ok(visible(html).includes(SAMPLES[kind].link), 'shown as text too')
  }
  t.notOk(Object.keys(SAMPLES['email-taken']).length, 'who signs up with the address of somebody else gets them no link')
})

const HOSTILE = [
  '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '</p></div></body>', '\' onmouseover=\'x', '&lt;b&gt;', '<!--', '{{7*7}}', '$' + '{process.env}', '$&$`$1',
  'Ada\r\nBcc: eve@evil.example', 'Ada\nhttps://evil.example/login', 'Ada\rX', 'Ada\u2028X', 'Ada\u2029X', 'Ada\u0085X', 'Ada\0', 'Ada\u001b[31m', 'Ada\u202egnp.exe', 'Ada\u2066x\u2069', 'Ada\u200b\ufeff', 'Ada\ud800', 'x'.repeat(5000), ' ', ''
]

async function checkHostile (kind: MailKind, hostile: string): Promise<void> {
  const { render } = open()
  const data = Object.fromEntries(Object.entries(SAMPLES[kind]).map(([name, value]) => [name, typeof value === 'string' && name !== 'link' ? hostile : value]))
  const plain = await render(kind)
  const { subject, text, html } = await render(kind, { user: { name: hostile, email: hostile }, data })
  const lines = (one: string) => one.split('\n').length
  const tags = (one: string) => one.match(/<[^>]*>/g)
  if (subject !== plain.subject) throw new TypeError(`subject: ${subject}`)
  if (lines(text) !== lines(plain.text)) throw new TypeError(`lines: ${text}`)
  if (JSON.stringify(tags(html)) !== JSON.stringify(tags(plain.html))) throw new TypeError(`markup: ${html}`)
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test((text + html).replaceAll('\n', ''))) throw new TypeError(`characters: ${JSON.stringify(text)}`)
  if (text.length > 4000) throw new TypeError('length')
}

t.test('W-12: what users choose stays text: no markup, no line, no header, no direction of its own', async t => {
  for (const kind of KINDS) {
    for (const hostile of HOSTILE) await t.resolves(checkHostile(kind, hostile), escape(`${kind} ${hostile.slice(0, 40)}`))
  }
  const piece = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary' }), fc.string())
  await t.resolves(fc.assert(fc.asyncProperty(fc.constantFrom(...KINDS), fc.tuple(piece, piece).map(pieces => pieces.join('')), checkHostile), { numRuns: 200 }))
})

t.test('W-12: a stranger\'s words do not go out as a greeting in the name of the application', async t => {
  const { render } = open()
  const first = async (kind: MailKind, name: string | null) => (await render(kind, { user: { name, email: 'ada@example.com' } })).text.split('\n', 1)[0]
  for (const kind of ['verify-email', 'change-email'] as const) {
    const { text } = await render(kind, { user: { name: 'Ada', email: 'stranger@evil.example' } })
    t.notMatch(text, /Ada,|evil/, 'an address that nobody has proved to be theirs gets no words of others')
  }
  for (const name of ['Ada', 'Ada Lovelace', 'J.R.R. Tolkien', 'O’Neil-Smith', 'Zoë', '山田 太郎', 'محمد']) t.equal(await first('password-changed', name), `Hello ${name},`)
  for (const name of ['evil.example', 'Log in at evil.example now', 'https://evil.example', 'Call 0900 123', 'a@b.c', '$100 for you', 'x'.repeat(41), 'Ada!', '', null]) t.equal(await first('password-changed', name), 'Hello,', String(name))
})

t.test('facts that are unknown are left out, times are told in UTC, lifetimes in words', async t => {
  const { render } = open()
  const { text } = await render('password-changed', { data: { at: new Date('2026-01-02T23:04:05Z'), device: null, address: null } })
  t.match(text, '\nWhen: 2 January 2026 at 23:04 UTC\n\n')
  t.notMatch(text, /Device|Network|null/)
  t.match((await render('personal-token-expiring', { data: { ...SAMPLES['personal-token-expiring'], lastUsedAt: null } })).text, 'Last used: never')
  for (const [validMinutes, words] of [[1, '1 minute.'], [30, '30 minutes.'], [60, '1 hour.'], [90, '90 minutes.'], [1440, '1 day.'], [4320, '3 days.']] as const) {
    t.match((await render('verify-email', { data: { ...SAMPLES['verify-email'], validMinutes } })).text, `The link works once, for ${words}`)
  }
})

const OWN: MailContent = { subject: 'Hallo', text: `Hallo, ${SAMPLES['reset-password'].link}`, html: '<p>Hallo</p>' }

t.test('a text of the host\'s own takes the place of the package\'s, by kind and locale', async t => {
  const seen: MailContext[] = []
  const { render, failures } = open({
    'reset-password': context => {
      seen.push(context)
      return context.locale === 'de' ? OWN : null
    },
    'email-taken': async ({ user, appName }) => ({ subject: `${appName}\r\nBcc: eve@evil.example`, text: `Hallo ${user.name}`, html: html`<p>Hallo <b>${user.name}</b></p>` }),
    'password-changed': () => undefined
  })
  t.strictSame(await render('reset-password', { locale: 'de' }), OWN)
  t.match((await render('reset-password', { locale: 'fr' })).subject, /^Reset your password/)
  t.match((await render('password-changed')).subject, /^Your password/)
  t.strictSame(await render('email-taken', { user: { name: '<i>Ada</i>\r\nX: y', email: 'a@b.c' } }), { subject: 'Ada\'s Shop Bcc: eve@evil.example', text: 'Hallo <i>Ada</i> X: y', html: '<p>Hallo <b>&lt;i&gt;Ada&lt;/i&gt; X: y</b></p>' })
  t.match(seen[0], { kind: 'reset-password', data: SAMPLES['reset-password'], user: SAMPLE_USER, locale: 'de', ...SAMPLE_APP })
  t.throws(() => { (seen[0]!.user as { name: string }).name = 'Eve' }, 'it can change nothing')
  t.strictSame(failures, [])
})

t.test('F-20: a text of the host\'s own that fails costs no mail: the package\'s is sent, and it is reported without the link', async t => {
  const secret = new URL(SAMPLES['reset-password'].link).searchParams.get('token')!
  const broken: Array<(context: MailContext) => unknown> = [
    ({ data }) => { throw new Error(`no template for ${(data as { link: string }).link}`) }, async ({ data }) => await Promise.reject(new Error(`token ${new URL((data as { link: string }).link).searchParams.get('token')}`)),
    // eslint-disable-next-line no-throw-literal
    () => { throw 'words' }, () => { throw null }, () => { throw { toString () { throw new Error('no') } } }, async () => await new Promise(() => {}),
    () => 'text', () => 7, () => [], () => ({}), () => ({ ...OWN, subject: '' }), () => ({ ...OWN, subject: '\r\n' }), () => ({ ...OWN, subject: 7 }), () => ({ ...OWN, subject: 'x'.repeat(201) }),
    () => ({ ...OWN, text: '' }), () => ({ ...OWN, text: { path: '/etc/passwd' } }), () => ({ ...OWN, text: 'no link' }), () => ({ ...OWN, html: undefined }), () => ({ ...OWN, html: ' ' }), () => ({ ...OWN, html: { path: '/etc/passwd' } }),
    () => ({ get subject () { throw new Error('no') } })
  ]
  for (const message of broken) {
    const { render, failures } = open({ 'reset-password': message as never }, 50)
    t.match((await render('reset-password')).subject, /^Reset your password/, String(message))
    t.equal(failures.length, 1)
    t.match(failures[0], /^reset-password: ./)
    t.notMatch(failures.join(), secret)
  }
})

t.test('html: values are escaped, wherever they come from; its own fragments and lists are not', async t => {
  const list = ['<a>', html`<b>${'"&\''}</b>`]
  t.equal(String(html`<p title="${'"x"'}">${list}${null}${undefined}${false}${0}</p>`), '<p title="&quot;x&quot;">&lt;a&gt;<b>&quot;&amp;&#39;</b>0</p>')
  t.equal(String(html`${{ toString: () => '<i>', [Symbol.toStringTag]: 'Html' }}${JSON.parse('{"markup":"<i>"}')}`), '&lt;i&gt;[object Object]', 'what looks like a fragment is none')
  t.doesNotThrow(() => fc.assert(fc.property(fc.string(), one => !/[<>"']/.test(String(html`${one}`)))))
})

t.test('W-07, N-08: a link has the origin of appUrl and its token once, also if a path is before it', async t => {
  const token = 'q8_-'.repeat(11)
  for (const [appUrl, start] of [['https://app.example.com', 'https://app.example.com'], ['http://localhost:3000/a/b', 'http://localhost:3000/a/b']] as const) {
    const links = createLinks(appUrl, {})
    t.strictSame([links.resetPassword(token), links.verifyEmail(token), links.changeEmail(token)], ['reset-password', 'verify-email', 'change-email'].map(page => `${start}/${page}?token=${token}`))
  }
  t.equal(createLinks('https://app.example.com', { resetPassword: one => `https://APP.example.com:443/#/r/${one}` }).resetPassword(token), `https://app.example.com/#/r/${token}`)
  for (const odd of ['a b', 'a&b=c', 'ö', '"<>', '../..']) t.match(createLinks('https://app.example.com', {}).resetPassword(odd), /^https:\/\/app\.example\.com\/reset-password\?token=[\w%.-]+$/)
  t.match(createLinks('https://app.example.com', { verifyEmail: one => `https://app.example.com/v/${one}?\r\nBcc: <x>"'` }).verifyEmail(token), /^https:[^\s"'<>]+$/, 'and stays on its line')

  let count = 0
  const late = createLinks('https://app.example.com', { resetPassword: one => count++ === 0 ? `https://app.example.com/${one}` : `https://evil.example/${one}` })
  const error = await (async () => late.resetPassword(token))().then(() => null, (thrown: Error) => thrown)
  t.match(error, { code: 'FST_ACCOUNTS_OPTION_INVALID', message: 'Option "links.resetPassword" must make URLs of the origin of appUrl' }, 'a change of mind is noticed')
  t.notMatch(JSON.stringify([error!.message, error!.stack]), token)
})
