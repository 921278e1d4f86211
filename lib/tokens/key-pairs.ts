import { constants, createHash, sign, verify, type KeyObject, type SignKeyObjectInput } from 'node:crypto'
import type { KeyAlgorithm } from '../../types/keys.ts'

/** A key pair for one algorithm, or its public part alone. */
export interface KeyPair {
  /** Its `kid`. */
  readonly id: string
  readonly algorithm: KeyAlgorithm
  /** `null`: it verifies only. */
  readonly privateKey: KeyObject | null
  readonly publicKey: KeyObject
}

interface Scheme {
  /** `null`: the algorithm has one of its own. */
  readonly digest: 'sha256' | null
  readonly options: Omit<SignKeyObjectInput, 'key'>
}

/** RFC 7518, 3.3 to 3.5; RFC 8037, 3.1. */
const SCHEMES: Readonly<Record<KeyAlgorithm, Scheme>> = {
  RS256: { digest: 'sha256', options: { padding: constants.RSA_PKCS1_PADDING } },
  PS256: { digest: 'sha256', options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } },
  ES256: { digest: 'sha256', options: { dsaEncoding: 'ieee-p1363' } },
  EdDSA: { digest: null, options: {} }
}

/** Bytes of a signature. */
export function signatureLength ({ publicKey: { asymmetricKeyDetails } }: KeyPair): number {
  return Math.ceil((asymmetricKeyDetails?.modulusLength ?? 512) / 8)
}

export function signWith ({ algorithm, privateKey }: KeyPair, input: string): Buffer {
  const { digest, options } = SCHEMES[algorithm]
  // Only what has a private part is ever chosen to sign.
  const signature = sign(digest, Buffer.from(input), { key: privateKey!, ...options })
  return algorithm === 'ES256' && !isLow(signature) ? withOtherS(signature) : signature
}

/** `signature` has the length that it must have. */
export function isSignedWith ({ algorithm, publicKey }: KeyPair, input: string, signature: Buffer): boolean {
  const { digest, options } = SCHEMES[algorithm]
  return (algorithm !== 'ES256' || isLow(signature)) && verify(digest, Buffer.from(input), { key: publicKey, ...options }, signature)
}

/** The name that a public key has by itself (RFC 7638, 3). */
export function thumbprint (publicKey: KeyObject): string {
  const { crv, e, kty, n, x, y } = publicKey.export({ format: 'jwk' })
  // The members that a kind of key must have, in the order of the alphabet; JSON leaves out those of other kinds.
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url')
}

// Who has one ECDSA signature (r, s) has another, (r, n - s). Only the one with the lower s counts, so that one token is one string.
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const HALF = toBytes(ORDER >> 1n)
const isLow = (signature: Buffer) => signature.subarray(32).compare(HALF) <= 0

function withOtherS (signature: Buffer): Buffer {
  const s = BigInt(`0x${signature.toString('hex', 32)}`)
  return Buffer.concat([signature.subarray(0, 32), toBytes(ORDER - s)])
}

function toBytes (number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, '0'), 'hex')
}
