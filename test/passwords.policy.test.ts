import { randomInt } from 'node:crypto'
import Fastify, { type RouteOptions } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts from '../lib/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createCountedPasswords } from './support/counting-hasher.ts'

/** Fifteen code points each; without the first, fourteen. */
const FIFTEEN = [
  ['ASCII', [...'x7!kQ2@mZ9#vB4$']],
  ['astral emoji', [...'🦊🌵🎷🚲🧭🥑🪁🛶🧵🎈🔭🍄🦉🎲🧲']],
  // As received: a letter and its combining accent are two.
  ['combining sequences', [...'a\u0301c\u0327e\u0302i\u0308n\u0303o\u030bs\u030c!']],
  ['Han, Hangul, Cyrillic and Devanagari', [...'密碼비밀번호парольकूट']]
] as const

t.test('P-01 fifteen code points are enough and fourteen are not, whatever they are', async t => {
  const { client } = await createApp(t)
  let count = 0
  for (const [kind, points] of FIFTEEN) {
    t.equal(points.length, 15, `${kind}: a good example`)
    const short = await client().post('/auth/register', { email: `short${count}@example.com`, password: points.slice(1).join('') })
    t.equal(short.statusCode, 422, `${kind}: 14`)
    t.match(short.json(), { code: 'FST_ACCOUNTS_PASSWORD_TOO_SHORT', message: /at least 15 characters/ })
    const enough = await client().post('/auth/register', { email: `enough${count}@example.com`, password: points.join('') })
    t.equal(enough.statusCode, 201, `${kind}: 15`)
    count++
  }
  t.equal((await client().post('/auth/register', { email: 'empty@example.com', password: '' })).statusCode, 422, 'none at all')
})

t.test('P-01 the minimum may be lowered to eight and no further', async t => {
  const { client } = await createApp(t, { passwords: { minLength: 8 } })
  t.equal((await client().post('/auth/register', { email: 'a@example.com', password: 'k7#Qz!m' })).statusCode, 422)
  t.equal((await client().post('/auth/register', { email: 'a@example.com', password: 'k7#Qz!m2' })).statusCode, 201)
  await t.rejects(createApp(t, { passwords: { minLength: 7 } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /"passwords\.minLength"/ })
})

t.test('P-01 the minimum holds for a change too, and for the services behind the routes', async t => {
  const { app, signedUp } = await createApp(t)
  const browser = await signedUp('ada@example.com')
  const changed = await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: 'x7!kQ2@mZ9#vB4' })
  t.match(changed.json(), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_TOO_SHORT' })
  t.equal((await browser.get('/private')).statusCode, 200, 'the session goes on')
  await t.rejects(app.accounts.register({ email: 'b@example.com', password: 'x7!kQ2@mZ9#vB4' }), { code: 'FST_ACCOUNTS_PASSWORD_TOO_SHORT' })
  const { id } = (await app.accounts.users.findByEmail('ada@example.com'))!
  await t.rejects(app.accounts.passwords.change(id, { currentPassword: PASSWORD, newPassword: 'short' }), { code: 'FST_ACCOUNTS_PASSWORD_TOO_SHORT' })
})

/** Text of exactly so many bytes that no blocklist knows. */
const textOf = (bytes: number) => Array.from({ length: bytes }, () => String.fromCharCode(randomInt(0x21, 0x7f))).join('')

t.test('P-02 passwords of 64 and 1024 bytes count to their last byte; 1025 are refused, not cut', async t => {
  const { client } = await createApp(t)
  for (const bytes of [64, 1024]) {
    const email = `with${bytes}@example.com`
    const password = textOf(bytes)
    t.equal((await client().post('/auth/register', { email, password })).statusCode, 201, `${bytes} bytes`)
    t.equal((await client().post('/auth/login', { email, password })).statusCode, 200)
    const other = password.slice(0, -1) + (password.endsWith('x') ? 'y' : 'x')
    t.equal((await client().post('/auth/login', { email, password: other })).statusCode, 401, 'the last byte counts')
    t.equal((await client().post('/auth/login', { email, password: password.slice(0, -1) })).statusCode, 401)
    t.equal((await client().post('/auth/login', { email, password: `${password}x` })).statusCode, 401)
  }
  const long = await client().post('/auth/register', { email: 'long@example.com', password: textOf(1025) })
  t.match(long.json(), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_TOO_LONG', message: /at most 1024 bytes/ })
  const wide = '密'.repeat(2) + textOf(1019)
  t.equal((await client().post('/auth/register', { email: 'wide@example.com', password: wide })).statusCode, 422, 'bytes are counted, not characters')
  t.equal((await client().post('/auth/register', { email: 'huge@example.com', password: textOf(1_000_000) })).statusCode, 413, 'a megabyte is not even read')
})

t.test('P-02 P-05 P-11 no hash is spent on a password that is refused', async t => {
  const { passwords, hasher } = await createCountedPasswords()
  const refused = { SHORT: textOf(14), LONG: textOf(1025), COMMON: 'passwordpassword', ILL_FORMED: `${PASSWORD}\0` }
  for (const [why, password] of Object.entries(refused)) {
    t.throws(() => passwords.check(password, []), { code: new RegExp(`^FST_ACCOUNTS_PASSWORD_(TOO_)?${why}$`) })
  }
  t.strictSame(hasher.take(), { hash: 0, verify: 0 })
  passwords.check(PASSWORD, [])
  await passwords.hash(PASSWORD)
  t.strictSame(hasher.take(), { hash: 1, verify: 0 }, 'the counter counts')
})

t.test('P-02 a refused password does not wait for a hash, even while every place in the queue is taken', async t => {
  const { client, signedUp } = await createApp(t, { passwords: { maxQueue: 1 }, throttle: false })
  const browser = await signedUp('ada@example.com')
  // Each knocks at the queue, and whatever the number of cores some find it full.
  const storm = Array.from({ length: 60 }, async () => await client().post('/auth/login', { email: 'ada@example.com', password: OTHER_PASSWORD }))
  const email = 'late@example.com'
  const [full, long, short, broken, changed] = await Promise.all([
    client().post('/auth/register', { email, password: PASSWORD }),
    client().post('/auth/register', { email, password: textOf(1025) }),
    client().post('/auth/register', { email, password: 'short' }),
    client().post('/auth/register', { email, password: `${PASSWORD}\0` }),
    browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: textOf(1025) })
  ])
  t.equal(full.statusCode, 503, 'the queue is full')
  for (const answer of [long, short, broken, changed]) t.equal(answer.statusCode, 422)
  await Promise.all(storm)
})

t.test('P-03 two hundred random Unicode passwords register and log in', async t => {
  const { app } = await createApp(t)
  const text = fc.string({ unit: 'binary', minLength: 15, maxLength: 40 }).filter(password => [...password].length >= 15 && !password.includes('\0') && new Set(password).size > 7)
  const failures: string[] = []
  await Promise.all(fc.sample(text, 200).map(async (password, index) => {
    const email = `user${index}@example.com`
    try {
      await app.accounts.register({ email, password })
      await app.accounts.login({ email, password })
    } catch (error) {
      failures.push(`${JSON.stringify(password)}: ${String(error)}`)
    }
  }))
  t.strictSame(failures, [])
})

t.test('P-03 no kind of character is demanded or forbidden, and spaces at both ends count', async t => {
  const { client } = await createApp(t)
  const all = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index)).join('')
  const kinds = { all, lower: 'vhwqmzkpxjrtnbg', upper: 'VHWQMZKPXJRTNBG', digits: '905172846350918', spaces: '  two at each end  ', tab: '\ttab and newline\n' }
  for (const [name, password] of Object.entries(kinds)) {
    const email = `${name}@example.com`
    t.equal((await client().post('/auth/register', { email, password })).statusCode, 201, name)
    t.equal((await client().post('/auth/login', { email, password })).statusCode, 200, name)
  }
  for (const password of [kinds.spaces.trim(), kinds.spaces.trimStart(), kinds.spaces.trimEnd(), ` ${kinds.spaces}`]) {
    t.equal((await client().post('/auth/login', { email: 'spaces@example.com', password })).statusCode, 401, JSON.stringify(password))
  }
})

t.test('P-04 composed and decomposed letters are one password; other letters are others', async t => {
  const { client } = await createApp(t)
  const composed = 'caf\u00e9 \u1e69ilent \u00c5land \ud55c'.normalize('NFC')
  const decomposed = composed.normalize('NFD')
  t.not(composed, decomposed)
  const registered = { composed, decomposed, ligature: 'the \ufb01sh of Iceland', latin: 'the fish of Iceland' }
  for (const [name, password] of Object.entries(registered)) {
    t.equal((await client().post('/auth/register', { email: `${name}@example.com`, password })).statusCode, 201)
  }
  const expected: ReadonlyArray<readonly [keyof typeof registered, string, number]> = [
    ['composed', composed, 200], ['composed', decomposed, 200],
    ['decomposed', decomposed, 200], ['decomposed', composed, 200],
    ['composed', composed.toUpperCase(), 401], ['composed', composed.replace('\u00e9', 'e'), 401],
    ['ligature', registered.ligature, 200], ['ligature', registered.latin, 401], ['latin', registered.ligature, 401],
    ['latin', registered.latin.toLowerCase(), 401], ['latin', registered.latin.replaceAll(' ', '\u00a0'), 401]
  ]
  for (const [name, password, statusCode] of expected) {
    t.equal((await client().post('/auth/login', { email: `${name}@example.com`, password })).statusCode, statusCode, `${name}: ${JSON.stringify(password)}`)
  }
})

const ILL_FORMED = {
  'a NUL at the end': `${PASSWORD}\0`,
  'a NUL inside': PASSWORD.replace(' ', '\0'),
  'a high surrogate alone': `${PASSWORD}\ud800`,
  'a low surrogate alone': `\udfff${PASSWORD}`,
  'surrogates in the wrong order': `${PASSWORD}\udc00\ud800`
}

t.test('P-05 a NUL or a lone surrogate is refused when a password is set, and is a wrong password when one is proved', async t => {
  const { client, signedUp } = await createApp(t, { throttle: false })
  const browser = await signedUp('ada@example.com')
  for (const [what, password] of Object.entries(ILL_FORMED)) {
    const registered = await client().post('/auth/register', { email: 'new@example.com', password })
    t.match(registered.json(), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_ILL_FORMED' }, `sign-up with ${what}`)
    const changed = await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: password })
    t.match(changed.json(), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_ILL_FORMED' }, `change to ${what}`)
    t.equal((await client().post('/auth/login', { email: 'ada@example.com', password })).statusCode, 401, `login with ${what}`)
    const proved = await browser.post('/auth/password/change', { currentPassword: password, newPassword: OTHER_PASSWORD })
    t.match(proved.json(), { statusCode: 403, code: 'FST_ACCOUNTS_PASSWORD_WRONG' }, `change from ${what}`)
    t.match((await browser.request('DELETE', '/auth/me', { password })).json(), { statusCode: 403, code: 'FST_ACCOUNTS_PASSWORD_WRONG' }, `delete with ${what}`)
  }
  t.equal((await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200, 'the account and its password are as they were')
})

t.test('P-14 no route knows of hints, secret questions or expiring passwords', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const routes: RouteOptions[] = []
  app.addHook('onRoute', route => { routes.push(route) })
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret: crypto.getRandomValues(new Uint8Array(32)), storage: await sqliteStorage(':memory:') })
  await app.ready()

  t.ok(routes.length >= 10, 'there are routes to look at')
  const names = new Set(routes.flatMap(({ url, schema }) => [...url.split('/'), ...memberNames(schema)]))
  t.ok(names.has('newPassword') && names.has('register'), 'paths and members of bodies and answers are among the names')
  // RFC 7009, 2.1: of tokens.
  names.delete('token_type_hint')
  t.strictSame([...names].filter(name => /hint|question|answer|secret|maiden|pet|expire.*password|password.*(expire|age|changed)|mustchange/i.test(name)), [])
  t.strictSame([...names].filter(name => /expire/i.test(name)).sort(), ['expiresAt', 'expires_in', 'idleExpiresAt'], 'only sessions and tokens expire')
})

/** Every name of a member that a JSON schema describes, at whatever depth. */
function memberNames (schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([key, value]) => [...(key === 'properties' ? Object.keys(value as object) : []), ...memberNames(value)])
}
