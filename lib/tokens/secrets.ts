import { createPublicKey, hkdfSync } from 'node:crypto'
import type { Secret, Secrets } from '../../types/options.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../errors.ts'

/** A key for one purpose: bytes, and the name under which tokens refer to it. */
export interface Key {
  readonly id: string
  readonly bytes: Buffer
}

/** Keys by purpose; of each list the first signs and all verify. Access and refresh never share bytes. */
export interface KeyRing {
  readonly access: readonly Key[]
  readonly refresh: readonly Key[]
  readonly hash: readonly Key[]
}

const MIN_BYTES = 32

/** Parts of secrets that stand in documentation, templates and lists of leaked secrets. */
const TELLTALES = ['secret', 'password', 'changeme', 'change-me', 'change_me', 'example', 'default', 'flowise', 'secre$t', 'fastify', 'keyboard', 'auth_token', 'refresh_token', 'abcdef', '123456', 'qwerty', 'placeholder', '-----begin']

/**
 * Derive a key a purpose from the options.
 * @throws {FST_ACCOUNTS_OPTION_INVALID} naming the option: missing, under 32 bytes, predictable
 */
export function createKeyRing (options: { readonly secret?: Secret | undefined, readonly secrets?: Secrets }): KeyRing {
  const { secret, secrets } = options
  if ((secret === undefined) === (secrets === undefined)) {
    throw new FST_ACCOUNTS_OPTION_INVALID('secret', secret === undefined ? 'is missing: give 32 random bytes ("npx fastify-accounts secret" prints some), or "secrets"' : 'and "secrets" exclude each other')
  }
  if (secret !== undefined) {
    const roots = readSecrets(secret, 'secret')
    const derive = (purpose: keyof KeyRing) => roots.map(root => deriveKey(root, purpose))
    return { access: derive('access'), refresh: derive('refresh'), hash: derive('hash') }
  }
  if (typeof secrets !== 'object' || secrets === null || secrets.access === undefined) throw new FST_ACCOUNTS_OPTION_INVALID('secrets.access', 'is missing')
  // The one for sessions is used elsewhere, as it is.
  const taken = secrets.session === undefined ? [] : readSecrets(secrets.session, 'secrets.session')
  /** A text that already serves another purpose is never used as it is for this one too. */
  const ring = (roots: readonly Buffer[], purpose: keyof KeyRing): Key[] => {
    const keys = roots.map(root => taken.some(other => other.equals(root)) ? deriveKey(root, purpose) : asGiven(root))
    taken.push(...roots)
    return keys
  }
  const access = readSecrets(secrets.access, 'secrets.access')
  const [refresh, hash] = (['refresh', 'hash'] as const).map(purpose => secrets[purpose] === undefined ? access : readSecrets(secrets[purpose], `secrets.${purpose}`)) as [Buffer[], Buffer[]]
  return { access: ring(access, 'access'), refresh: ring(refresh, 'refresh'), hash: ring(hash, 'hash') }
}

function readSecrets (given: Secret, option: string): Buffer[] {
  // Array.from fills the holes of a sparse list, which are then refused.
  const list = Array.from(Array.isArray(given) ? given : [given]) as unknown[]
  if (list.length === 0) throw new FST_ACCOUNTS_OPTION_INVALID(option, 'is an empty list')
  return list.map((secret, index) => checkSecret(secret, Array.isArray(given) ? `${option}[${index}]` : option))
}

/** A key that other programs may share, to verify what it signs. */
const asGiven = (bytes: Buffer): Key => ({ id: keyId(bytes), bytes })

/** RFC 5869. One secret serves several purposes without their keys ever being equal (RFC 8725bis, 3.12). */
function deriveKey (root: Buffer, purpose: keyof KeyRing): Key {
  return asGiven(expand(root, purpose, 32))
}

const keyId = (bytes: Buffer) => expand(bytes, 'key id', 6).toString('base64url')

const expand = (bytes: Buffer, info: string, length: number) => Buffer.from(hkdfSync('sha256', bytes, 'fastify-accounts', info, length))

/** @throws {FST_ACCOUNTS_OPTION_INVALID} if anybody could guess it */
export function checkSecret (secret: unknown, option: string): Buffer {
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) throw new FST_ACCOUNTS_OPTION_INVALID(option, `must be text or bytes, not ${secret === null ? 'null' : typeof secret}`)
  const bytes = Buffer.from(secret as string)
  if (bytes.length < MIN_BYTES) throw new FST_ACCOUNTS_OPTION_INVALID(option, `has ${bytes.length} bytes; at least ${MIN_BYTES} random ones are needed ("npx fastify-accounts secret" prints some)`)
  if (isPredictable(bytes)) throw new FST_ACCOUNTS_OPTION_INVALID(option, 'is predictable: give random bytes ("npx fastify-accounts secret" prints some)')
  return bytes
}

function isPredictable (bytes: Buffer): boolean {
  if (isKey(bytes)) return true
  const texts = [bytes.toString('latin1').toLowerCase(), Buffer.from(bytes.toString('latin1'), 'base64').toString('latin1').toLowerCase()]
  if (texts.some(text => TELLTALES.some(word => text.includes(word)))) return true
  const decoded = Buffer.from(bytes.toString('latin1'), 'base64')
  // Base64 of a text is as guessable as the text: random bytes are never all printable at this length.
  const isEncodedText = decoded.length >= 12 && decoded.length * 4 / 3 > bytes.length - 4 && decoded.every(byte => byte >= 0x20 && byte < 0x7f)
  return isEncodedText || shannonBits(bytes) < 96 || hasPeriod(bytes)
}

/** What describes a key, often a public one, must never become a secret (CVE-2023-48223 and its successors). */
function isKey (bytes: Buffer): boolean {
  if (/"(kty|keys)"\s*:/.test(bytes.toString())) return true
  return [bytes, Buffer.from(bytes.toString('latin1'), 'base64')].some(key => {
    try {
      return createPublicKey({ key, format: 'der', type: 'spki' }) !== undefined
    } catch {
      return false
    }
  })
}

/** Shannon entropy of the byte frequencies, times the length: an upper bound of what the secret holds. */
function shannonBits (bytes: Buffer): number {
  const counts = new Map<number, number>()
  for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= count * Math.log2(count / bytes.length)
  return bits
}

/** Whether a shorter piece, written over and over, gives the whole. */
function hasPeriod (bytes: Buffer): boolean {
  for (let period = 1; period <= bytes.length / 2; period++) {
    if (bytes.subarray(period).equals(bytes.subarray(0, -period))) return true
  }
  return false
}
