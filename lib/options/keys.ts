import { createPublicKey, type KeyObject } from 'node:crypto'
import type { AccountsKey, KeyAlgorithm } from '../../types/keys.ts'
import type { AccountsOptions } from '../../types/options.ts'
import { isSignedWith, signWith, thumbprint, type KeyPair } from '../tokens/key-pairs.ts'
import { isJwk, readKey } from './key-material.ts'
import { oneOf, refuse } from './members.ts'

const MEMBERS = ['kid', 'algorithm', 'privateKey', 'publicKey']

const KINDS: Readonly<Record<KeyAlgorithm, { readonly type: string, readonly name: string }>> = {
  RS256: { type: 'rsa', name: 'RSA' },
  PS256: { type: 'rsa', name: 'RSA' },
  ES256: { type: 'ec', name: 'EC (P-256)' },
  EdDSA: { type: 'ed25519', name: 'Ed25519' }
}

/** The one that signs first, then those that only verify; `null`: access tokens are signed with a secret. */
export function resolveKeys (keys: AccountsOptions['keys']): readonly KeyPair[] | null {
  if (keys === undefined) return null
  if (!Array.isArray(keys)) return refuse('keys', `must be a list, not ${keys === null ? 'null' : typeof keys}`)
  const pairs = Array.from(keys as unknown[], (key, index) => resolveKey(key, `keys[${index}]`))
  const prints = pairs.map(({ publicKey }) => thumbprint(publicKey))
  for (const [index, { id }] of pairs.entries()) {
    if (prints.indexOf(prints[index]!) < index) refuse(`keys[${index}]`, 'is the key of another one in the list: a key has one name and one algorithm')
    if (pairs.findIndex(other => other.id === id) < index) refuse(`keys[${index}].kid`, 'is the name of another key in the list')
  }
  const signer = pairs.find(({ privateKey }) => privateKey !== null) ?? refuse('keys', 'has no "privateKey", so there is none to sign with')
  return [signer, ...pairs.filter(pair => pair !== signer)]
}

function resolveKey (given: unknown, option: string): KeyPair {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return refuse(option, 'must be an object with "algorithm", and "privateKey" or "publicKey"')
  for (const name of Object.keys(given)) if (!MEMBERS.includes(name)) refuse(`${option}.${name}`, 'is unknown')
  const { algorithm, privateKey: privatePart, publicKey: publicPart } = given as AccountsKey
  oneOf(algorithm, Object.keys(KINDS) as KeyAlgorithm[], `${option}.algorithm`)
  if (privatePart === undefined && publicPart === undefined) refuse(option, 'has neither "privateKey" nor "publicKey"')
  const privateKey = privatePart === undefined ? null : readKey(privatePart, 'private', algorithm, `${option}.privateKey`)
  if (privateKey !== null) checkKey(createPublicKey(privateKey), algorithm, `${option}.privateKey`)
  const publicKey = publicPart === undefined ? createPublicKey(privateKey!) : readKey(publicPart, 'public', algorithm, `${option}.publicKey`)
  checkKey(publicKey, algorithm, `${option}.publicKey`)
  const pair = { id: resolveId(given as AccountsKey, publicKey, option), algorithm, privateKey, publicKey }
  if (privateKey !== null && !belongTogether(pair)) refuse(option, 'has a private and a public part that do not belong together')
  return pair
}

function resolveId ({ kid, privateKey, publicKey }: AccountsKey, key: KeyObject, option: string): string {
  const names = [kid, ...[privateKey, publicKey].map(material => isJwk(material) ? (material as { kid?: unknown }).kid : undefined)].filter(name => name !== undefined)
  if (new Set(names).size > 1) refuse(`${option}.kid`, 'is not the "kid" of the JWK')
  const [name = thumbprint(key)] = names
  // Short, as it stands in every token, and harmless wherever those who verify may look it up.
  return typeof name === 'string' && /^[\w.~:-]{1,64}$/.test(name) && name !== '__proto__' ? name : refuse(`${option}.kid`, 'must be 1 to 64 letters, digits, "_", "-", ".", "~" or ":"')
}

function checkKey (publicKey: KeyObject, algorithm: KeyAlgorithm, option: string): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: { modulusLength = 0, publicExponent = 0n, namedCurve } = {} } = publicKey
  if (type !== KINDS[algorithm].type || (type === 'ec' && namedCurve !== 'prime256v1')) refuse(option, `is no ${KINDS[algorithm].name} key, as ${algorithm} needs it`)
  if (type === 'ed25519' && isOfSmallOrder(publicKey)) refuse(option, 'is a point of small order, under which anybody can sign')
  if (type !== 'rsa') return
  // RFC 7518, 3.3.
  if (modulusLength < 2048) refuse(option, `has ${modulusLength} bits; at least 2048 are needed`)
  // With the longest claims of our own a token of 4096 bits just fits a cookie.
  if (modulusLength > 4096) refuse(option, `has ${modulusLength} bits; with more than 4096 a token does not fit a cookie`)
  if (publicExponent < 65537n || publicExponent % 2n === 0n) refuse(option, 'has a public exponent that is even, or less than 65537')
}

/** RFC 8032, 5.1. */
const PRIME = 2n ** 255n - 19n

/** Of a point whose order is eight, and of its negative. */
const Y_OF_EIGHT = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n

/** All points of order one, two, four and eight have one of these. */
const Y_OF_SMALL_ORDER = [1n, PRIME - 1n, 0n, Y_OF_EIGHT, PRIME - Y_OF_EIGHT]

/** RFC 8032, 8.7 leaves such keys in, and so does OpenSSL. Not every spelling of a point is the shortest: y may exceed the prime. */
function isOfSmallOrder (publicKey: KeyObject): boolean {
  const bytes = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').reverse()
  // The first bit is the sign of x.
  const y = BigInt(`0x${bytes.toString('hex')}`) & (2n ** 255n - 1n)
  return Y_OF_SMALL_ORDER.includes(y % PRIME)
}

function belongTogether (pair: KeyPair): boolean {
  const text = 'do they belong together?'
  try {
    return createPublicKey(pair.privateKey!).equals(pair.publicKey) && isSignedWith(pair, text, signWith(pair, text))
  } catch {
    return false
  }
}
