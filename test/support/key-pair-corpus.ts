import { constants, createHash, privateEncrypt, sign, type KeyObject } from 'node:crypto'
import type { KeyAlgorithm } from '../../types/index.ts'
import { encode, open, seal, sealEncoded, type Forgery, type SigningKey } from './jwt-corpus.ts'

/** A token that is accepted, and the pair that signed it. */
export interface GenuinePair {
  readonly token: string
  readonly algorithm: KeyAlgorithm
  readonly privateKey: KeyObject
  /** Another key of the same set. */
  readonly other: { readonly kid: string, readonly algorithm: KeyAlgorithm, readonly privateKey: KeyObject }
}

type Case = readonly [title: string, token: string]

const OPTIONS = {
  RS256: { padding: constants.RSA_PKCS1_PADDING },
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  ES256: { dsaEncoding: 'ieee-p1363' },
  EdDSA: {}
} as const
const DIGESTS = { RS256: 'sha256', PS256: 'sha256', ES256: 'sha256', EdDSA: null } as const
const ORDERS = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  EdDSA: 2n ** 252n + 27742317777372353535851937790883648493n
}

/** Sign as any program that has the key would. */
export const rawSigner = (algorithm: KeyAlgorithm, key: KeyObject) => (input: string): Buffer => sign(DIGESTS[algorithm], Buffer.from(input), { key, ...OPTIONS[algorithm] })

/** Sign as the package says that it does: of ECDSA's two signatures the one with the lower s. */
export function signer (algorithm: KeyAlgorithm, key: KeyObject): (input: string) => string {
  const raw = rawSigner(algorithm, key)
  return input => {
    for (;;) {
      const signature = raw(input)
      if (algorithm !== 'ES256' || toNumber(signature.subarray(32)) <= ORDERS.ES256 / 2n) return encode(signature)
    }
  }
}

/** Signatures that look like the right one, each over a good header and good claims. */
export function forgeSignatures ({ token, algorithm, privateKey, other }: GenuinePair): Forgery[] {
  const { header, claimsText, parts: [, payload, encoded] } = open(token)
  const input = token.slice(0, token.lastIndexOf('.'))
  const signature = Buffer.from(encoded, 'base64url')
  const own = signer(algorithm, privateKey)
  const forged = (title: string, bytes: Buffer): Case => [title, `${input}.${encode(bytes)}`]
  const named = (title: string, more: object, key: SigningKey = own): Case => [title, seal({ ...header, ...more }, claimsText, key)]
  const cases: Case[] = [
    named('the name of another key', { kid: other.kid }),
    named('name and algorithm of another key', { kid: other.kid, alg: other.algorithm }),
    named('the algorithm of another key', { alg: other.algorithm }, signer(other.algorithm, other.privateKey)),
    named('another key under this one\'s name', {}, signer(other.algorithm, other.privateKey)),
    named('no name', { kid: undefined }),
    named('the other type', { typ: 'rt+jwt' }),
    named('Ed25519, the newer name', { alg: 'Ed25519' }),
    ...[0, 1, 31, 32, signature.length - 1].map(length => forged(`${length} bytes of the signature`, signature.subarray(0, length))),
    forged('a zero before', Buffer.concat([Buffer.alloc(1), signature])), forged('a zero after', Buffer.concat([signature, Buffer.alloc(1)])),
    forged('without its first byte', signature.subarray(1)), forged('twice', Buffer.concat([signature, signature])),
    forged('all zeros', Buffer.alloc(signature.length)), forged('all ones', Buffer.alloc(signature.length, 0xff)),
    forged('the number 1', Buffer.concat([Buffer.alloc(signature.length - 1), Buffer.from([1])])), forged('the number 1, little-endian', Buffer.concat([Buffer.from([1]), Buffer.alloc(signature.length - 1)])),
    forged('backwards', Buffer.from(signature).reverse()), forged('of another payload', Buffer.from(own(`${input.split('.')[0]!}.e30`), 'base64url')),
    ['the algorithm in another place', sealEncoded(`${encode({ typ: header.typ, alg: header.alg, kid: header.kid })}.${payload}`, own)],
    ...(algorithm === 'ES256' ? ofCurve(privateKey, input, signature, forged) : algorithm === 'EdDSA' ? ofEdwards(signature, forged) : ofRsa(algorithm, privateKey, input, forged))
  ]
  return cases.map(([title, token], index) => ({ id: `JW-PAIR-${algorithm}-${String(index + 1).padStart(3, '0')}`, title, token, outcome: 'invalid' }))
}

type Forge = (title: string, bytes: Buffer) => Case

/** J-12, CVE-2022-21449. */
function ofCurve (key: KeyObject, input: string, signature: Buffer, forged: Forge): Case[] {
  const n = ORDERS.ES256
  const [r, s] = [toNumber(signature.subarray(0, 32)), toNumber(signature.subarray(32))]
  const der = sign('sha256', Buffer.from(input), key)
  return [
    ...([[r, n - s], [n - r, s], [r, s + n], [r + n, s], [0n, 0n], [0n, 1n], [1n, 0n], [1n, 1n], [n, n], [n, 1n], [n - 1n, n - 1n], [r, 0n], [0n, s], [s, r]] as const)
      .map(([one, two], index) => forged(`pair ${index + 1} of numbers`, Buffer.concat([toBytes(one, 32), toBytes(two, 32)]))),
    forged('DER', der), forged('DER, cut', der.subarray(0, 64)), forged('DER, padded', Buffer.concat([der.subarray(0, 60), Buffer.alloc(4)])),
    ...['sha1', 'sha384', 'sha512'].map(digest => forged(digest, sign(digest, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })))
  ]
}

/** RFC 8032, 5.1.7: S has to be below the order. */
function ofEdwards (signature: Buffer, forged: Forge): Case[] {
  const [r, s] = [signature.subarray(0, 32), toNumber(Buffer.from(signature.subarray(32)).reverse())]
  const withS = (number: bigint) => Buffer.concat([r, toBytes(number, 32).reverse()])
  return [
    ...[1n, 2n, 8n].map(times => forged(`S + ${times} L`, withS(s + times * ORDERS.EdDSA))), forged('L - S', withS(ORDERS.EdDSA - s)),
    ...['01', '00', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'].map(point =>
      forged(`R of small order, ${point.slice(0, 2)}`, Buffer.concat([Buffer.from(point.padEnd(64, '0'), 'hex'), Buffer.alloc(32)])))
  ]
}

/** RFC 8017, 8.1 and 8.2. */
function ofRsa (algorithm: 'RS256' | 'PS256', key: KeyObject, input: string, forged: Forge): Case[] {
  const bytes = key.asymmetricKeyDetails!.modulusLength! / 8
  const hash = createHash('sha256').update(input).digest()
  const encrypted = (title: string, block: Buffer) => forged(title, privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, Buffer.concat([Buffer.alloc(bytes - block.length), block])))
  const info = Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), hash])
  const withoutNull = Buffer.concat([Buffer.from('302f300b0609608648016503040201' + '0420', 'hex'), hash])
  const padded = (length: number, content: Buffer, rest = bytes - 3 - length - content.length) => Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(length, 0xff), Buffer.from([0]), content, Buffer.alloc(rest, 7)])
  const full = (content: Buffer) => bytes - 3 - content.length
  return [
    forged('the other RSA scheme', rawSigner(algorithm === 'RS256' ? 'PS256' : 'RS256', key)(input)),
    ...['sha1', 'sha384', 'sha512'].map(digest => forged(digest, sign(digest, Buffer.from(input), { key, ...OPTIONS[algorithm] }))),
    ...[0, 20, 31, 33, bytes - 32 - 2].map(saltLength => forged(`PSS with a salt of ${saltLength}`, sign('sha256', Buffer.from(input), { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }))),
    encrypted('the hash alone', hash), encrypted('DigestInfo without padding', info), encrypted('short padding, garbage behind (CVE-2006-4339)', padded(8, info)),
    encrypted('DigestInfo without NULL', padded(full(withoutNull), withoutNull)), encrypted('padding of zeros', Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(full(info)), Buffer.from([0]), info])),
    encrypted('block type 2', Buffer.concat([Buffer.from([0, 2]), Buffer.alloc(full(info), 0xff), Buffer.from([0]), info]))
  ]
}

const toNumber = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`)
const toBytes = (number: bigint, length: number) => Buffer.from(BigInt.asUintN(length * 8, number).toString(16).padStart(length * 2, '0'), 'hex')
