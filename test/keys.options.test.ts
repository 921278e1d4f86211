import { createPublicKey, createSecretKey, generateKeyPairSync, randomBytes, webcrypto, type JsonWebKey, type KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { resolveOptions } from '../lib/options/index.ts'
import type { AccountsOptions, KeyAlgorithm } from '../types/index.ts'
import { CERTIFICATE } from './support/certificate.ts'

const storage = await sqliteStorage(':memory:')
t.teardown(async () => { await storage.close() })
const secret = randomBytes(32)

const resolve = (keys: unknown) => resolveOptions({ appUrl: 'http://localhost:3000', secret, storage, keys } as AccountsOptions).keyPairs!

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 })
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ED = generateKeyPairSync('ed25519')
const OTHER = { RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }), ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }), EdDSA: generateKeyPairSync('ed25519') }
const PAIRS = { RS256: RSA, PS256: RSA, ES256: EC, EdDSA: ED }
const ALGORITHMS = Object.keys(PAIRS) as KeyAlgorithm[]

const jwk = (key: KeyObject): JsonWebKey => key.export({ format: 'jwk' })
const pkcs8 = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()
const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()
const es256 = (privateKey: unknown, more: object = {}) => [{ algorithm: 'ES256', privateKey, ...more }]
const verifying = (algorithm: string, publicKey: unknown) => [...es256(OTHER.ES256.privateKey), { algorithm, publicKey }]

t.test('K1 keys are taken as PEM, JWK and KeyObject, and named after themselves unless they have a name', async t => {
  for (const algorithm of ALGORITHMS) {
    const { privateKey, publicKey } = PAIRS[algorithm]
    const name = await calculateJwkThumbprint(jwk(publicKey) as JWK)
    const forms = [privateKey, pkcs8(privateKey), Buffer.from(pkcs8(privateKey)), pkcs8(privateKey).replaceAll('\n', '\r\n'), pkcs8(privateKey).replaceAll('\n', '\\n'), jwk(privateKey), { ...jwk(privateKey), alg: algorithm, use: 'sig', key_ops: ['sign'] }]
    for (const form of forms) t.match(resolve([{ algorithm, privateKey: form }]), [{ id: name, algorithm }])
    for (const form of [publicKey, spki(publicKey), jwk(publicKey), { ...jwk(publicKey), alg: algorithm, use: 'sig', key_ops: ['verify'] }]) {
      const [signer, verifier, ...others] = resolve(verifying(algorithm, form))
      t.match([signer, verifier, others], [{ algorithm: 'ES256' }, { id: name, algorithm, privateKey: null }, []])
      t.ok(verifier!.publicKey.equals(publicKey))
      t.match(resolve([{ algorithm, privateKey, publicKey: form }]), [{ id: name, algorithm }], 'with its private part beside it')
    }
    t.match(resolve([{ algorithm, privateKey: { ...jwk(privateKey), kid: 'of-the-jwk' } }]), [{ id: 'of-the-jwk' }])
    t.match(resolve([{ kid: 'given', algorithm, privateKey }]), [{ id: 'given' }])
  }
  t.equal(resolve([{ algorithm: 'RS256', privateKey: RSA.privateKey.export({ type: 'pkcs1', format: 'pem' }) }]).length, 1, 'PKCS #1')
  const sec1 = EC.privateKey.export({ type: 'sec1', format: 'pem' }).toString()
  t.equal(resolve(es256(`-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${sec1}`)).length, 1, 'as "openssl ecparam -genkey" prints it')
  const made = await webcrypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']) as webcrypto.CryptoKeyPair
  t.equal(resolve([{ algorithm: 'EdDSA', privateKey: { ...await webcrypto.subtle.exportKey('jwk', made.privateKey), alg: 'Ed25519' } }]).length, 1, 'of Web Crypto')
})

t.test('J-15 the first with a private key signs, wherever it stands; what the caller gave is left as it is', async t => {
  const keys = [{ kid: 'a', algorithm: 'RS256', publicKey: jwk(RSA.publicKey) }, { kid: 'b', algorithm: 'ES256', privateKey: jwk(EC.privateKey) }, { kid: 'c', algorithm: 'EdDSA', privateKey: jwk(ED.privateKey) }]
  const before = inspect(keys, { depth: 9 })
  keys.forEach(key => { Object.freeze(Object.freeze(key).privateKey) })
  t.strictSame(resolve(Object.freeze(keys)).map(({ id }) => id), ['b', 'a', 'c'])
  t.equal(inspect(keys, { depth: 9 }), before)
})

t.test('J-01 J-02 J-03 a list of keys that is wrong stops the start', async t => {
  const [one, two] = [EC.privateKey, OTHER.ES256.privateKey]
  const key = { algorithm: 'ES256', privateKey: one }
  refuseAll(t, [
    ['keys', null], ['keys', {}], ['keys', key], ['keys', pkcs8(one)], ['keys', true], ['keys', []], ['keys', [{ algorithm: 'ES256', publicKey: EC.publicKey }]],
    ['keys[0]', [null]], ['keys[0]', [undefined]], ['keys[0]', [pkcs8(one)]], ['keys[0]', [[key]]], ['keys[0]', [, key]], ['keys[0]', [{ algorithm: 'ES256' }]], // eslint-disable-line no-sparse-arrays
    ['keys[0].kty', [jwk(one)]], ['keys[0].privatekey', [{ algorithm: 'ES256', privatekey: one }]], ['keys[1].passphrase', [key, { ...key, passphrase: 'x' }]],
    ...[undefined, null, '', 'none', 'HS256', 'RS384', 'ES384', 'ES256K', 'es256', 'ES256 ', ['ES256'], 256, 'RS1', 'toString'].map(algorithm => ['keys[0].algorithm', [{ ...key, algorithm }]] as const),
    ...['', 'a b', 'x'.repeat(65), '../../dev/null', "' OR 1=1--", 'a"b', 'ä', 'a\n', '__proto__', 1, null, ['a'], {}].map(kid => ['keys[0].kid', es256(one, { kid })] as const),
    ['keys[0].kid', es256({ ...jwk(one), kid: 'a' }, { kid: 'b' })], ['keys[0].kid', es256({ ...jwk(one), kid: 7 })],
    ['keys[1].kid', [...es256(one, { kid: 'a' }), ...es256(two, { kid: 'a' })]],
    ['keys[1]', [key, key]], ['keys[1]', [...es256(one, { kid: 'a' }), ...es256(pkcs8(one), { kid: 'b' })]], ['keys[1]', [key, { kid: 'b', algorithm: 'ES256', publicKey: EC.publicKey }]],
    ['keys[1]', [{ kid: 'a', algorithm: 'RS256', privateKey: RSA.privateKey }, { kid: 'b', algorithm: 'PS256', privateKey: RSA.privateKey }]]
  ])
})

t.test('J-02 what is not a key of that kind stops the start', async t => {
  const pem = pkcs8(EC.privateKey)
  const der = EC.privateKey.export({ type: 'pkcs8', format: 'der' })
  const cryptoKey = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']) as webcrypto.CryptoKeyPair
  const encrypted = EC.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' })
  const legacy = EC.privateKey.export({ type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' })
  const lines = pem.split('\n')
  const wrong = {
    privateKey: [
      null, true, 1, '', 'text', [], [pem], {}, () => pem, Promise.resolve(pem), der, der.toString('base64'), JSON.stringify(jwk(EC.privateKey)), createSecretKey(randomBytes(32)), cryptoKey.privateKey,
      EC.publicKey, spki(EC.publicKey), jwk(EC.publicKey), CERTIFICATE, encrypted, legacy, pem + pem, pem + spki(EC.publicKey), CERTIFICATE + pem, pem.slice(0, 90), lines.toSpliced(1, 1).join('\n'), pem.replace('M', 'N'),
      pem.replaceAll('PRIVATE KEY', 'OPENSSH PRIVATE KEY'), pem.replaceAll('PRIVATE KEY', 'private key'), { kty: 'oct', k: randomBytes(32).toString('base64url') }, { kty: 'EC' }, { kty: 'EC', d: 1 }, { ...jwk(EC.privateKey), kty: 'RSA' },
      { ...jwk(EC.privateKey), x: undefined }, { ...jwk(EC.privateKey), crv: 'P-521' }
    ],
    publicKey: [null, 1, '', [], createSecretKey(randomBytes(32)), EC.privateKey, pem, jwk(EC.privateKey), CERTIFICATE, spki(EC.publicKey) + spki(OTHER.ES256.publicKey), cryptoKey.publicKey, { ...jwk(EC.publicKey), y: jwk(EC.publicKey).x }, { kty: 'oct', k: 'AAAA' }]
  }
  refuseAll(t, wrong.privateKey.map(material => ['keys[0].privateKey', es256(material)] as const))
  refuseAll(t, wrong.publicKey.map(material => ['keys[1].publicKey', verifying('ES256', material)] as const))
  refuseAll(t, [
    ['keys[0].privateKey.alg', es256({ ...jwk(EC.privateKey), alg: 'ES384' })], ['keys[0].privateKey.alg', es256({ ...jwk(EC.privateKey), alg: ['ES256'] })],
    ['keys[0].privateKey.use', es256({ ...jwk(EC.privateKey), use: 'enc' })], ['keys[0].privateKey.key_ops', es256({ ...jwk(EC.privateKey), key_ops: ['verify'] })],
    ['keys[0].privateKey.key_ops', es256({ ...jwk(EC.privateKey), key_ops: 'sign' })], ['keys[1].publicKey.key_ops', verifying('EdDSA', { ...jwk(ED.publicKey), key_ops: ['sign'] })],
    ['keys[1].publicKey.alg', verifying('PS256', { ...jwk(RSA.publicKey), alg: 'RS256' })]
  ])
})

t.test('J-01 J-03 a key that is weak, too large, or of another algorithm stops the start', async t => {
  const rsa = (modulusLength: number, publicExponent = 65537) => generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey
  const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey
  const n = (bits: number) => Buffer.concat([Buffer.from([0xc1]), randomBytes(bits / 8 - 2), Buffer.from([1])]).toString('base64url')
  const point = (hex: string) => ({ kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hex, 'hex').toString('base64url') })
  // Every spelling of the eight points of small order: RFC 8032, 5.1.3, and "Taming the many EdDSAs", table 1.
  const small = [
    '0100000000000000000000000000000000000000000000000000000000000000', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000080', '0000000000000000000000000000000000000000000000000000000000000000',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '0100000000000000000000000000000000000000000000000000000000000080', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'
  ]
  refuseAll(t, [
    ...[rsa(1024), rsa(2040), rsa(2048, 3), rsa(2048, 17)].flatMap(key => (['RS256', 'PS256'] as const).flatMap(algorithm => [
      ['keys[0].privateKey', [{ algorithm, privateKey: key }]], ['keys[1].publicKey', verifying(algorithm, jwk(createPublicKey(key)))]
    ] as const)),
    ...[4104, 8192, 16384].map(bits => ['keys[1].publicKey', verifying('RS256', { kty: 'RSA', n: n(bits), e: 'AQAB' })] as const),
    ['keys[1].publicKey', verifying('RS256', { kty: 'RSA', n: n(2048), e: 'AQAC' })],
    ...['P-384', 'P-521', 'secp256k1'].map(curve => ['keys[0].privateKey', es256(ec(curve))] as const),
    ...[generateKeyPairSync('ed448'), generateKeyPairSync('x25519'), generateKeyPairSync('rsa-pss', { modulusLength: 2048 })].flatMap(({ privateKey }) => ALGORITHMS.map(algorithm => ['keys[0].privateKey', [{ algorithm, privateKey }]] as const)),
    ...ALGORITHMS.flatMap(algorithm => ALGORITHMS.filter(other => PAIRS[other] !== PAIRS[algorithm]).map(other => ['keys[0].privateKey', [{ algorithm, privateKey: PAIRS[other].privateKey }]] as const)),
    ...small.map(hex => ['keys[1].publicKey', verifying('EdDSA', point(hex))] as const)
  ])
})

t.test('J-02 parts that do not belong together stop the start', async t => {
  const mixed = (one: KeyObject, other: KeyObject, ...members: string[]) => ({ ...jwk(one), ...Object.fromEntries(members.map(member => [member, jwk(other)[member]])) })
  refuseAll(t, [
    ...(['RS256', 'ES256', 'EdDSA'] as const).map(algorithm => ['keys[0]', [{ algorithm, privateKey: PAIRS[algorithm].privateKey, publicKey: OTHER[algorithm].publicKey }]] as const),
    ['keys[0]', es256({ ...jwk(EC.privateKey), d: '' })],
    [/^keys\[0\]/, es256(mixed(EC.privateKey, OTHER.ES256.privateKey, 'x', 'y'))],
    [/^keys\[0\]/, [{ algorithm: 'EdDSA', privateKey: mixed(ED.privateKey, OTHER.EdDSA.privateKey, 'x') }]],
    [/^keys\[0\]/, [{ algorithm: 'RS256', privateKey: mixed(RSA.privateKey, OTHER.RS256.privateKey, 'n') }]]
  ])
})

t.test('a refusal tells what to give instead', t => {
  const encrypted = EC.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' })
  const tells = (keys: unknown, message: RegExp) => t.throws(() => resolve(keys), { message })
  tells(verifying('ES256', CERTIFICATE), /is a certificate.*openssl x509 -pubkey/)
  tells(es256(encrypted), /is encrypted.*createPrivateKey\(\{ key, passphrase \}\)/)
  tells(es256(JSON.stringify(jwk(EC.privateKey))), /of a JWK give the object/)
  tells(es256(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey), /is no EC \(P-256\) key, as ES256 needs it/)
  tells([{ algorithm: 'RS256', privateKey: generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey }], /has 1024 bits; at least 2048/)
  t.end()
})

/** Each is refused by the name of the option, and no way of printing the error shows anything of a key. */
function refuseAll (t: Test, cases: ReadonlyArray<readonly [option: string | RegExp, keys: unknown]>): void {
  for (const [option, keys] of cases) {
    try {
      resolve(keys)
      t.fail(`${String(option)}: ${inspect(keys, { depth: 3 }).slice(0, 200)} was accepted`)
    } catch (error) {
      const { code, message } = error as Error & { code?: string }
      const named = /^Option "([^"]+)" /.exec(message)?.[1] ?? ''
      if (code !== 'FST_ACCOUNTS_OPTION_INVALID' || (typeof option === 'string' ? named !== option : !option.test(named))) t.fail(`${String(option)}: ${message}`)
      const printed = `${inspect(error, { depth: 9 })} ${JSON.stringify(error)}`
      const longTexts = [...`${inspect(keys, { depth: 9, maxStringLength: null })} ${JSON.stringify(keys)}`.matchAll(/[\w+/-]{20,}/g)].map(([text]) => text)
      if (longTexts.some(text => printed.includes(text))) t.fail(`${message} shows a key`)
    }
  }
  t.pass(`${cases.length} were refused`)
}
