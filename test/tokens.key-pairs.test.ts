import crypto, { generateKeyPairSync, randomBytes } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import Fastify from 'fastify'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { resolveOptions } from '../lib/options/index.ts'
import { createJwts, createKeyPairJwts } from '../lib/tokens/jwt.ts'
import { createKeySet } from '../lib/tokens/key-set.ts'
import { createTokens } from '../lib/tokens/tokens.ts'
import type { AccountsKey, KeyAlgorithm } from '../types/index.ts'
import { createApp } from './support/app.ts'
import { SECOND, stopClock } from './support/clock.ts'
import { forge, open, seal, type Genuine } from './support/jwt-corpus.ts'
import { forgeSignatures, rawSigner, signer } from './support/key-pair-corpus.ts'

const APP_URL = 'http://localhost:3000'
const ACCESS = 'accounts_access'
const TTL = 3600
const PAIRS = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: generateKeyPairSync('rsa', { modulusLength: 3072 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519')
}
const ALGORITHMS = Object.keys(PAIRS) as KeyAlgorithm[]

/** This algorithm signs, and the others verify as well. */
const keysFor = (algorithm: KeyAlgorithm): AccountsKey[] => [algorithm, ...ALGORITHMS.filter(other => other !== algorithm)].map(one => ({ kid: `key-${one}`, algorithm: one, privateKey: PAIRS[one].privateKey }))

for (const algorithm of ALGORITHMS) {
  t.test(`J-01 to J-09 of all forgeries of an ${algorithm} token none is accepted, whatever its form and although the right key signed it`, async t => {
    stopClock(t)
    const { tokens, genuine, pair } = await setUp(t, algorithm)
    const { headerText, claimsText } = open(genuine.token)
    t.equal(headerText, `{"alg":"${algorithm}","typ":"at+jwt","kid":"key-${algorithm}"}`)
    t.equal(tokens.readAccess(genuine.token).kind, 'valid')
    t.equal(tokens.readAccess(seal(headerText, claimsText, genuine.key)).kind, 'valid', 'the forger signs as the package does')
    const forgeries = [...forge(genuine), ...forgeSignatures(pair)]
    t.ok(forgeries.length >= 780, `the corpus has ${forgeries.length} tokens`)
    const wrong = forgeries.filter(({ token, outcome }) => tokens.readAccess(token).kind !== { invalid: 'invalid', absent: 'invalid', expired: 'expired', over: 'valid' }[outcome])
    t.strictSame(wrong.map(({ id, title }) => `${id} ${title}`), [])
  })
}

t.test('K1 what each algorithm signs another library verifies by the key set, and the key set has public parts only', async t => {
  for (const algorithm of ALGORITHMS) {
    const { tokens, keySet, mint } = await setUp(t, algorithm)
    const set = createLocalJWKSet(keySet as unknown as Parameters<typeof createLocalJWKSet>[0])
    const token = mint()
    const { payload, protectedHeader } = await jwtVerify(token, set, { issuer: APP_URL, audience: APP_URL, typ: 'at+jwt', algorithms: [algorithm] })
    t.equal(protectedHeader.alg, algorithm)
    const reading = tokens.readAccess(token)
    t.strictSame(reading.kind === 'valid' && reading.claims, payload)
    t.strictSame(keySet.keys.map(({ kid, alg, use }) => [kid, alg, use]), keysFor(algorithm).map(({ kid, algorithm }) => [kid, algorithm, 'sig']))
    const members = new Set(keySet.keys.flatMap(key => Object.keys(key)))
    t.strictSame([...members].sort(), ['alg', 'crv', 'e', 'kid', 'kty', 'n', 'use', 'x', 'y'])
  }
})

t.test('J-12 of the two signatures that ECDSA has for one token only one is made, and only that is taken', async t => {
  const { tokens, mint } = await setUp(t, 'ES256')
  const half = Buffer.from('7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8', 'hex')
  const raw = rawSigner('ES256', PAIRS.ES256.privateKey)
  const counts = { low: 0, high: 0 }
  for (let index = 0; index < 200; index++) {
    const token = mint()
    t.ok(Buffer.from(token.split('.')[2]!, 'base64url').subarray(32).compare(half) <= 0)
    const input = token.slice(0, token.lastIndexOf('.'))
    const signature = raw(input)
    const isLow = signature.subarray(32).compare(half) <= 0
    counts[isLow ? 'low' : 'high']++
    t.equal(tokens.readAccess(`${input}.${signature.toString('base64url')}`).kind, isLow ? 'valid' : 'invalid')
  }
  t.ok(counts.low > 50 && counts.high > 50, 'by itself the library makes either')
})

t.test('J-02 with keys no token that a secret signed is accepted, be it the secret of this server', async t => {
  const secret = randomBytes(32)
  const before = await createApp(t, { secrets: { access: secret } })
  const browser = await before.signedUp()
  const { app } = await createApp(t, { secrets: { access: secret }, keys: keysFor('ES256'), storage: before.storage })
  const send = async (token: string) => (await app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${token}` } })).statusCode
  const { header, claims } = open(browser.cookies[ACCESS]!)
  t.equal(await send(seal(header, claims, secret)), 401)
  t.equal(await send(seal({ ...header, kid: 'key-ES256' }, claims, secret)), 401)
  t.equal(await send(seal({ ...header, kid: 'key-ES256', alg: 'ES256' }, claims, secret)), 401)
  t.equal(await send(seal({ ...header, kid: 'key-ES256', alg: 'ES256' }, claims, signer('ES256', PAIRS.ES256.privateKey))), 200, 'signed by the key it is')
})

t.test('J-12 a token whose session has ended is refused in every spelling', async t => {
  const { app, signedUp } = await createApp(t, { keys: keysFor('ES256') })
  const browser = await signedUp()
  const token = browser.cookies[ACCESS]!
  const send = async (token: string) => (await app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${token}` } })).statusCode
  const twins = forgeSignatures({ token, algorithm: 'ES256', privateKey: PAIRS.ES256.privateKey, other: { kid: 'key-RS256', algorithm: 'RS256', privateKey: PAIRS.RS256.privateKey } })
  const { headerText, claimsText } = open(token)
  const resigned = seal(headerText, claimsText, signer('ES256', PAIRS.ES256.privateKey))
  t.not(resigned, token)
  t.strictSame([await send(token), await send(resigned)], [200, 200])
  for (const twin of twins) t.equal(await send(twin.token), 401, twin.title)
  await browser.post('/auth/logout')
  for (const spelling of [token, resigned, ...twins.map(({ token }) => token)]) t.equal(await send(spelling), 401)
})

t.test('J-13 a token that was verified costs the same from then on, whatever signed it', async t => {
  const { verify } = crypto
  let count = 0
  crypto.verify = ((...args: Parameters<typeof verify>) => {
    count++
    return verify(...args)
  }) as typeof verify
  syncBuiltinESMExports()
  t.teardown(() => {
    crypto.verify = verify
    syncBuiltinESMExports()
  })
  for (const algorithm of ALGORITHMS) {
    const { signedUp } = await createApp(t, { keys: keysFor(algorithm) })
    const browser = await signedUp()
    count = 0
    for (let index = 0; index < 50; index++) t.equal((await browser.get('/private')).statusCode, 200)
    t.equal(count, 1, `${algorithm}: one verification for 50 requests`)
    const { headerText, claims } = open(browser.cookies[ACCESS]!)
    const other = await signedUp()
    t.equal((await other.get('/private')).json().email, 'user2@example.com', 'and nobody is taken for another')
    browser.cookies[ACCESS] = seal(headerText, { ...claims, sid: open(other.cookies[ACCESS]!).claims.sid }, signer(algorithm, PAIRS[algorithm].privateKey))
    t.equal((await browser.get('/private', { cookie: `${ACCESS}=${browser.cookies[ACCESS]}` })).statusCode, 401)
  }
})

t.test('C-02 the longest token of the largest key fits a cookie, without claims of the host\'s', async t => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 4096 })
  const appUrl = `https://app.example.com/${'x'.repeat(1000 - 24)}`
  const { mint } = await setUp(t, 'RS256', { appUrl, keys: [{ kid: 'k'.repeat(64), algorithm: 'PS256', privateKey }] })
  const token = mint('u'.repeat(128), 2 ** 31)
  t.ok(token.length + '__Secure-accounts_access'.length <= 4096, `${token.length} bytes`)
})

async function setUp (t: Test, algorithm: KeyAlgorithm, options: object = {}) {
  const app = Fastify()
  const storage = await sqliteStorage(':memory:')
  t.teardown(async () => {
    await app.close()
    await storage.close()
  })
  const settings = resolveOptions({ appUrl: APP_URL, secret: randomBytes(32), keys: keysFor(algorithm), storage, ...options })
  const jwts = { access: createKeyPairJwts(settings.keyPairs!, 'at+jwt'), refresh: await createJwts(app, settings.keys.refresh, 'rt+jwt') }
  const tokens = createTokens(jwts, settings)
  const subject = (userId: string, generation: number) => ({ sessionId: randomBytes(18).toString('base64url'), userId, generation, authenticatedAt: Date.now() })
  const mint = (userId = randomBytes(18).toString('base64url'), generation = 0) => tokens.mintAccess(subject(userId, generation), Infinity, {}).token
  const refresh = { token: tokens.mintRefresh(subject('user', 0), Date.now() + 1e6).token, key: settings.keys.refresh[0]!.bytes }
  const stranger = createKeyPairJwts([{ id: 'stranger', algorithm: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) }], 'at+jwt')[0]!
  const token = mint()
  const { privateKey, publicKey } = PAIRS[algorithm]
  const other = ALGORITHMS.find(one => one !== algorithm)!
  const genuine: Genuine = {
    token,
    key: signer(algorithm, privateKey),
    publicKey,
    time: Date.now() / SECOND,
    maxLifetime: TTL,
    sibling: refresh,
    foreign: { token: stranger.sign(open(token).claims), key: input => stranger.sign({ input }).split('.')[2]! },
    otherUser: { sid: randomBytes(18).toString('base64url'), sub: randomBytes(18).toString('base64url') }
  }
  const pair = { token, algorithm, privateKey, other: { kid: `key-${other}`, algorithm: other, privateKey: PAIRS[other].privateKey } }
  return { tokens, mint, genuine, pair, keySet: createKeySet(settings.keyPairs!) }
}
