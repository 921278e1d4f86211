import { createPrivateKey, createPublicKey, KeyObject, type JsonWebKey } from 'node:crypto'
import type { Jwk, KeyAlgorithm } from '../../types/keys.ts'
import { refuse } from './members.ts'

type Kind = 'private' | 'public'

const LABELS = { private: /^((RSA|EC) )?PRIVATE KEY$/, public: /^(RSA )?PUBLIC KEY$/ }

/** RFC 9864, 2.2 has a second name for it, which Web Crypto writes. */
const NAMES: Readonly<Record<KeyAlgorithm, readonly string[]>> = { RS256: ['RS256'], PS256: ['PS256'], ES256: ['ES256'], EdDSA: ['EdDSA', 'Ed25519'] }

/**
 * Make what an option holds an object that can be used as that kind of key and as nothing else.
 * @throws {FST_ACCOUNTS_OPTION_INVALID} naming the option
 */
export function readKey (material: unknown, kind: Kind, algorithm: KeyAlgorithm, option: string): KeyObject {
  if (material instanceof KeyObject) return material.type === kind ? material : refuse(option, `is a ${NOUNS[material.type]} key`)
  if (typeof material === 'string' || material instanceof Uint8Array) return readPem(Buffer.from(material as string).toString(), kind, option)
  if (isJwk(material)) return readJwk(material, kind, algorithm, option)
  return refuse(option, `must be PEM, a JWK or a KeyObject, not ${material === null ? 'null' : typeof material}`)
}

export const isJwk = (material: unknown): material is Jwk => typeof material === 'object' && material !== null && 'kty' in material

const NOUNS = { private: 'private', public: 'public', secret: 'symmetric' }
const OTHER = { private: 'public', public: 'private' } as const

function readPem (given: string, kind: Kind, option: string): KeyObject {
  // Many an environment file can't hold a line end.
  const pem = given.replaceAll('\\n', '\n')
  const labels = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map(([, label]) => label!).filter(label => label !== 'EC PARAMETERS')
  const [label] = labels
  if (label === undefined) return refuse(option, 'is no PEM text; of a JWK give the object')
  if (labels.length > 1) refuse(option, 'holds more than one key')
  if (label.endsWith('CERTIFICATE')) refuse(option, 'is a certificate, whose end nobody would look at: give its public key ("openssl x509 -pubkey -noout" prints it)')
  if (pem.includes('ENCRYPTED')) refuse(option, 'is encrypted: give what createPrivateKey({ key, passphrase }) of node:crypto makes of it')
  if (LABELS[OTHER[kind]].test(label)) refuse(option, `is a ${OTHER[kind]} key`)
  if (!LABELS[kind].test(label)) refuse(option, 'is PEM of another kind: PKCS #8 is for private keys, SPKI for public ones')
  return parse(() => kind === 'private' ? createPrivateKey(pem) : createPublicKey(pem), option)
}

function readJwk (jwk: Jwk, kind: Kind, algorithm: KeyAlgorithm, option: string): KeyObject {
  const { kty, alg, use, key_ops: operations, d: secret, ...rest } = jwk
  const found = kty === 'oct' ? 'symmetric' : secret === undefined ? 'public' : 'private'
  if (found !== kind) refuse(option, `is a ${found} key`)
  if (alg !== undefined && !NAMES[algorithm].includes(alg as string)) refuse(`${option}.alg`, `is not ${algorithm}`)
  if (use !== undefined && use !== 'sig') refuse(`${option}.use`, 'is not "sig"')
  const operation = kind === 'private' ? 'sign' : 'verify'
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes(operation))) refuse(`${option}.key_ops`, `has no "${operation}"`)
  if (kind === 'public') return parse(() => createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }), option)
  const key = parse(() => createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' }), option)
  // Node takes the public part of an Ed25519 key from the private one, whatever stands beside it.
  const publicKey = parse(() => createPublicKey({ key: { kty, ...rest } as JsonWebKey, format: 'jwk' }), option)
  return createPublicKey(key).equals(publicKey) ? key : refuse(option, 'has a public part that does not belong to it')
}

/** What went wrong is not told: it may repeat the key. */
function parse (make: () => KeyObject, option: string): KeyObject {
  try {
    return make()
  } catch {
    return refuse(option, 'can\'t be read as a key')
  }
}
