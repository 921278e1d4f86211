import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import accounts from '../lib/index.ts'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { resolveOptions } from '../lib/options/index.ts'
import type { AccountsOptions, Secret } from '../types/options.ts'
import { createApp, databaseFile, PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { DAY, holdClock } from './support/clock.ts'
import { open } from './support/jwt-corpus.ts'

const ACCESS = 'accounts_access'
const good = () => randomBytes(32)
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
const base64 = (text: string) => Buffer.from(text).toString('base64')

/** Bytes that look random, the same in every run. */
const bytesOf = (label: string) => createHash('sha256').update(`secrets ${label}`).digest()

t.test('A-11 J-03 the plugin does not start without a secret that nobody can guess', async t => {
  const weak: Record<string, unknown> = {
    'no text': '',
    'one byte': 'x',
    '31 bytes': bytesOf('31').subarray(0, 31),
    '31 characters': bytesOf('31').toString('hex').slice(0, 31),
    '31 bytes as base64url, cut to 31 characters': randomBytes(31).toString('base64url').slice(0, 31),
    'no bytes': new Uint8Array(0),
    'zero bytes': Buffer.alloc(32),
    '64 zero bytes': new Uint8Array(64),
    'one letter': 'a'.repeat(64),
    'one letter, and another at the end': `${'a'.repeat(63)}b`,
    'few different letters': 'abbabaabbaababbabaababbaabbabaab',
    'two letters by turns': 'xy'.repeat(20),
    'a random piece, repeated': bytesOf('piece').toString('hex').slice(0, 16).repeat(4),
    'random bytes, twice': Buffer.concat([bytesOf('twice').subarray(0, 20), bytesOf('twice').subarray(0, 20)]),
    'a repetition that is cut': bytesOf('cut').toString('hex').slice(0, 20).repeat(3).slice(0, 50),
    'a well-known default': 'flowise'.repeat(6),
    'another well-known default': 'Secre$t-9f2b7c41e0d85a63-9f2b7c41e0d8',
    'a default with an ending': 'flowise-9f2b7c41e0d85a63-9f2b7c41e0d8',
    'the sample of jwt.io': 'your-256-bit-secret-your-256-bit-secret',
    'the newer sample of jwt.io': 'a-string-secret-at-least-256-bits-long',
    'the longer sample of jwt.io': 'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
    'the sample of Supabase': 'your-super-secret-jwt-token-with-at-least-32-characters-long',
    'the sample of express-session': 'keyboard cat keyboard dog keyboard bird',
    'a placeholder': 'change-me-please-change-it-before-you-deploy',
    'a placeholder in upper case': 'CHANGEME_9F2B7C41E0D85A63_9F2B7C41E0D8',
    'the name of a variable': 'JWT_AUTH_TOKEN_SECRET_GOES_IN_HERE_9f2b7c41',
    'the alphabet': 'abcdefghijklmnopqrstuvwxyz0123456789',
    digits: '12345678901234567890123456789012345678901',
    'a row of hex digits': '0123456789abcdef0123456789abcdef',
    'base64 of a short text': base64('a text that anybody may guess'),
    'base64 of a sentence': base64('we hold these truths to be self-evident'),
    'base64url of a sentence': Buffer.from('we hold these truths to be self-evident').toString('base64url'),
    'base64 of a placeholder': base64(`changeme ${'\x01\x02\x03'.repeat(9)}`),
    'base64 of a public key': base64(pem),
    'a public key': pem,
    'a public key as bytes': Buffer.from(pem),
    'a public key after a space': ` ${pem}`,
    'a public key on one line': pem.replaceAll('\n', '\\n'),
    'a private key': privateKey.export({ type: 'pkcs8', format: 'pem' }),
    'a key as JWK text': JSON.stringify(publicKey.export({ format: 'jwk' })),
    'a key set as text': JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }),
    'base64 of a JWK': base64(JSON.stringify(publicKey.export({ format: 'jwk' })))
  }
  const wrongTypes: Record<string, unknown> = {
    null: null, number: 1e40, boolean: true, object: {}, function: () => good(), bigint: 10n ** 40n, symbol: Symbol('secret of 32 bytes or more, surely'), 'a key object': privateKey, 'an ArrayBuffer': new ArrayBuffer(32), '16-bit words': new Uint16Array(32), 'a boxed text': Object(bytesOf('boxed').toString('hex')), 'a promise': Promise.resolve(good()), 'a JSON buffer': good().toJSON()
  }
  const storage = await memoryStorage(t)
  for (const [title, secret] of Object.entries({ ...weak, ...wrongTypes })) {
    await t.test(title, async t => {
      await refuses(t, storage, { secret }, 'secret', secret)
      await refuses(t, storage, { secret: [secret] }, 'secret[0]', secret)
      await refuses(t, storage, { secret: [good(), secret] }, 'secret[1]', secret)
      await refuses(t, storage, { secrets: { access: secret } }, 'secrets.access', secret)
      await refuses(t, storage, { secrets: { access: good(), refresh: secret } }, 'secrets.refresh', secret)
      await refuses(t, storage, { secrets: { access: good(), hash: secret } }, 'secrets.hash', secret)
      await refuses(t, storage, { secrets: { access: good(), session: secret } }, 'secrets.session', secret)
      await refuses(t, storage, { secrets: { access: [good(), good(), secret], refresh: good() } }, 'secrets.access[2]', secret)
    })
  }
})

t.test('A-11 a missing, doubled or misnamed secret is refused by name', async t => {
  const storage = await memoryStorage(t)
  await refuses(t, storage, {}, 'secret')
  await refuses(t, storage, { secret: undefined }, 'secret')
  await refuses(t, storage, { secret: good(), secrets: { access: good() } }, 'secret')
  await refuses(t, storage, { secret: [] }, 'secret')
  await refuses(t, storage, { secret: [undefined, good()] }, 'secret[0]')
  await refuses(t, storage, { secret: [[good()]] }, 'secret[0]')
  await refuses(t, storage, { secrets: {} }, 'secrets.access')
  await refuses(t, storage, { secrets: { refresh: good() } }, 'secrets.access')
  await refuses(t, storage, { secrets: { access: [] } }, 'secrets.access')
  await refuses(t, storage, { secrets: { access: good(), refresh: [] } }, 'secrets.refresh')
  await refuses(t, storage, { secrets: { access: good(), hash: null } }, 'secrets.hash')
})

t.test('A-11 a misspelt member of secrets is refused, not passed over', async t => {
  const storage = await memoryStorage(t)
  await refuses(t, storage, { secrets: { access: good(), refesh: good() } }, 'secrets.refesh')
  await refuses(t, storage, { secrets: null }, /^secrets/)
  await refuses(t, storage, { secrets: 'text' }, /^secrets/)
  await refuses(t, storage, { secrets: [good(), good()] }, /^secrets/)
})

t.test('A-11 random secrets are accepted in every form', async t => {
  const storage = await memoryStorage(t)
  const forms: Record<string, (bytes: Buffer) => Secret> = {
    bytes: bytes => bytes,
    'a plain Uint8Array': bytes => Uint8Array.from(bytes),
    hex: bytes => bytes.toString('hex'),
    'hex in upper case': bytes => bytes.toString('hex').toUpperCase(),
    base64: bytes => bytes.toString('base64'),
    base64url: bytes => bytes.toString('base64url'),
    'hex of 16 bytes': bytes => bytes.subarray(0, 16).toString('hex'),
    '64 bytes': bytes => Buffer.concat([bytes, bytesOf(bytes.toString('hex'))]),
    'base64 of 48 bytes': bytes => Buffer.concat([bytes, bytesOf(bytes.toString('hex')).subarray(0, 16)]).toString('base64'),
    'a UUID twice over': bytes => [0, 16].map(at => bytes.toString('hex', at, at + 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')).join('-')
  }
  for (const [form, write] of Object.entries(forms)) {
    const refused = Array.from({ length: 200 }, (_, index) => write(bytesOf(`random ${index}`))).filter(secret => !isAccepted({ secret, storage }) || !isAccepted({ secrets: { access: secret }, storage }))
    t.strictSame(refused, [], form)
  }
})

t.test('A-11 the caller\'s bytes may be wiped after the start, and are never changed', async t => {
  const bytes = { access: good(), refresh: good(), hash: good() }
  const before = Object.values(bytes).map(one => one.toString('hex'))
  const { client } = await createApp(t, { secrets: bytes, csrf: 'strict' })
  t.strictSame(Object.values(bytes).map(one => one.toString('hex')), before)
  const browser = client()
  const registered = await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD }, { origin: 'http://localhost:3000' })
  for (const one of Object.values(bytes)) one.fill(0)
  t.equal((await browser.get('/private')).statusCode, 200, 'the access key')
  t.equal((await browser.post('/private', undefined, { 'accounts-csrf': String(registered.headers['accounts-csrf']) })).statusCode, 200, 'the digest key')
  t.equal((await browser.post('/auth/refresh', undefined, { origin: 'http://localhost:3000' })).statusCode, 200, 'the refresh key')
})

t.test('J-06 no two purposes share a key, whatever the options', async t => {
  const storage = await memoryStorage(t)
  const [one, two, three] = [good(), good(), good()]
  const cases: Record<string, Partial<AccountsOptions>> = {
    'one secret': { secret: one },
    'a list': { secret: [one, two] },
    'access alone': { secrets: { access: one } },
    'a list for access': { secrets: { access: [one, two] } },
    'each its own': { secrets: { access: one, refresh: two, hash: three } },
    'no digest key': { secrets: { access: one, refresh: two } }
  }
  for (const [title, options] of Object.entries(cases)) {
    const { keys } = resolveOptions({ appUrl: 'http://localhost:3000', storage, ...options })
    const all = [...keys.access, ...keys.refresh, ...keys.hash]
    t.equal(new Set(all.map(({ bytes }) => bytes.toString('hex'))).size, all.length, title)
    t.equal(new Set(all.map(({ id }) => id)).size, all.length, `${title}: names`)
    t.ok(all.every(({ bytes }) => bytes.length >= 32))
    t.ok(all.every(({ id, bytes }) => !bytes.toString('base64url').includes(id)), 'the public name is no part of the key')
  }
})

t.test('J-06 one text given for two purposes is refused, or never used as it is for both', async t => {
  const storage = await memoryStorage(t)
  const [one, two, three] = [good(), good(), good()]
  for (const secrets of [{ access: one, refresh: one }, { access: [two, one], refresh: [three, one] }, { access: one, refresh: two, hash: one }, { access: one, refresh: two, hash: two }, { access: one, refresh: two, hash: three, session: one }, { access: one, session: two, hash: two }]) {
    if (!isAccepted({ secrets, storage })) continue
    const { keys } = resolveOptions({ appUrl: 'http://localhost:3000', storage, secrets })
    const session = 'session' in secrets ? [{ bytes: secrets.session! }] : []
    const purposes = [keys.access, keys.refresh, keys.hash, session].map(list => new Set(list.map(({ bytes }) => bytes.toString('hex'))))
    const shared = purposes.flatMap((set, index) => purposes.slice(index + 1).flatMap(other => [...set].filter(key => other.has(key))))
    t.equal(shared.length, 0, Object.keys(secrets).join(', '))
  }
})

for (const [title, optionsFor] of [
  ['secret', (list: readonly Buffer[]) => ({ secret: list.length === 1 ? list[0]! : list })],
  ['secrets', (list: readonly Buffer[]) => ({ secrets: { access: list, refresh: list.map(bytes => createHash('sha256').update(bytes).digest()) } })]
] as const) {
  t.test(`J-15 keys are rotated by lists under "${title}": nobody is logged out, until a key is removed`, async t => {
    const clock = holdClock(t)
    const file = databaseFile(t)
    const [old, current] = [good(), good()]
    const start = async (...list: Buffer[]) => await createApp(t, { ...optionsFor(list), storage: await sqliteStorage(file) })
    const before = await start(old)
    const browser = await before.signedUp('ada@example.com')
    const idle = await before.signedUp('bob@example.com')
    const oldKey = keyOf(browser.cookies[ACCESS]!)

    // The new key is known everywhere before anyone signs with it.
    const prepared = await start(old, current)
    const onPrepared = prepared.client()
    await onPrepared.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
    t.equal(keyOf(onPrepared.cookies[ACCESS]!), oldKey, 'the first of the list signs')

    const rotated = await start(current, old)
    const use = async (to: typeof rotated, cookies: Record<string, string>) => {
      const client = to.client()
      Object.assign(client.cookies, cookies)
      return { client, statusCode: (await client.get('/private')).statusCode }
    }
    t.equal((await use(rotated, { [ACCESS]: browser.cookies[ACCESS]! })).statusCode, 200, 'an old access token goes on')
    t.equal((await use(prepared, browser.cookies)).statusCode, 200)
    clock.advance(DAY)
    const renewed = await use(rotated, browser.cookies)
    t.equal(renewed.statusCode, 200, 'an old refresh token is traded')
    t.not(keyOf(renewed.client.cookies[ACCESS]!), oldKey, 'for one that the first key signed')
    t.notSame(renewed.client.cookies, browser.cookies)
    t.equal((await use(prepared, renewed.client.cookies)).statusCode, 200, 'a node that signs with the old key verifies the new one')
    t.equal((await use(before, renewed.client.cookies)).statusCode, 401, 'a node that was not prepared does not')

    const removed = await start(current)
    t.equal((await use(removed, renewed.client.cookies)).statusCode, 200)
    t.equal((await use(removed, idle.cookies)).statusCode, 401, 'the key that was removed is worth nothing')
    t.equal((await use(rotated, idle.cookies)).statusCode, 200, 'where it is still listed it is')
  })
}

t.test('J-15 an access key that is removed at once ends its tokens, and logs no browser out', async t => {
  const file = databaseFile(t)
  const [removed, current, refresh] = [good(), good(), good()]
  const before = await createApp(t, { secrets: { access: removed, refresh }, storage: await sqliteStorage(file) })
  const browser = await before.signedUp()
  const { [ACCESS]: access } = browser.cookies
  const { app } = await createApp(t, { secrets: { access: current, refresh }, storage: await sqliteStorage(file) })
  const alone = await app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${access}` } })
  t.match(alone, { statusCode: 401, headers: { 'set-cookie': undefined } })
  t.equal(alone.json().code, 'FST_ACCOUNTS_TOKEN_INVALID')
  const renewing = createClient(app, { ...browser.cookies })
  t.equal((await renewing.get('/private')).statusCode, 200, 'the refresh cookie says who calls')
  t.not(renewing.cookies[ACCESS], access)
  t.equal((await renewing.get('/private')).headers['accounts-refresh'], undefined, 'once')
  const explicit = await createApp(t, { secrets: { access: current, refresh }, refresh: 'explicit', storage: await sqliteStorage(file) })
  t.equal((await createClient(explicit.app, { ...browser.cookies }).get('/private')).statusCode, 401)
})

const keyOf = (token: string) => open(token).header.kid

async function memoryStorage (t: Test) {
  const storage = await sqliteStorage(':memory:')
  t.teardown(async () => { await storage.close() })
  return storage
}

function isAccepted (options: Omit<AccountsOptions, 'appUrl'>): boolean {
  try {
    resolveOptions({ appUrl: 'http://localhost:3000', ...options })
    return true
  } catch {
    return false
  }
}

/** Registering fails, names the option, and shows nothing of the value, in no way of printing the error. */
async function refuses (t: Test, storage: AccountsOptions['storage'], options: object, option: string | RegExp, value?: unknown): Promise<void> {
  const app = Fastify()
  const error: Error & { code?: string } = await app.register(accounts, { appUrl: 'http://localhost:3000', storage, ...options } as AccountsOptions).then(
    () => new TypeError('it was accepted'),
    (error: Error) => error
  )
  await app.close()
  t.equal(error.code, 'FST_ACCOUNTS_OPTION_INVALID', `${String(option)}: ${error.message}`)
  const named = /^Option "([^"]+)" /.exec(error.message)?.[1] ?? ''
  t.ok(typeof option === 'string' ? named === option : option.test(named), error.message)
  const text = typeof value === 'string' ? value : value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : ''
  if (text.length < 8) return
  const printed = `${inspect(error, { depth: 9 })} ${JSON.stringify(error)}`
  for (const spelling of [text, Buffer.from(text, 'latin1').toString('hex'), base64(text), text.slice(0, 12), text.slice(-12)]) t.notOk(printed.includes(spelling), 'the value is not shown')
}

t.test('J-02 what describes a key is refused as a secret, in whatever wrapping, and so is a hole in a list', async t => {
  const storage = await memoryStorage(t)
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = publicKey.export({ format: 'der', type: 'spki' })
  const jwk = JSON.stringify(publicKey.export({ format: 'jwk' }))
  for (const secret of [der, der.toString('base64'), `\ufeff${jwk}`, `${jwk}\0`]) await refuses(t, storage, { secret }, 'secret')
  const sparse: Buffer[] = []
  sparse[1] = good()
  await refuses(t, storage, { secret: sparse }, 'secret[0]')
})
