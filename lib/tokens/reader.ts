import { TextDecoder } from 'node:util'
import { now } from '../clock.ts'
import { countMembers } from '../strict-json.ts'
import { isCount, type TokenClaims } from './claims.ts'
import type { Jwt } from './jwt.ts'

/** What a token turned out to be. Only `valid` proves anything; `expired` is ours, but not of this time. */
export type Reading<Claims> =
  | { readonly kind: 'valid' | 'expired', readonly claims: Claims, /** In milliseconds. */ readonly goodUntil: number }
  | { readonly kind: 'invalid' }

export interface ReaderOptions {
  readonly jwts: readonly Jwt[]
  /** Compared exactly, and so are the audiences. */
  readonly issuers: readonly string[]
  readonly audiences: readonly string[]
  /** Seconds from `iat` to `exp` at most. */
  readonly maxLifetime: number
  /** Milliseconds past `exp`. */
  readonly leeway: number
  /** Seconds that `iat` may be ahead, `WRONG_CLOCK` at most. */
  readonly maxAhead: number
  readonly isClaims: (claims: Record<string, unknown>) => boolean
}

/** Seconds. RFC 7519, 4.1.4 allows "some small leeway"; this one is for clocks of other nodes that run ahead. */
export const FUTURE_TOLERANCE = 60
/** Seconds. No clock of ours is as wrong as that. */
export const WRONG_CLOCK = 86_400
/** What fits a cookie (RFC 6265bis, 5.6). */
const MAX_LENGTH = 4096
const INVALID = { kind: 'invalid' } as const
const PAYLOAD_AND_SIGNATURE = /^[\w-]+\.[\w-]+$/

/**
 * A strict reader that stands around the JWT library: of all strings that a lenient library would take for one
 * token, it takes exactly one. The header must be, to the byte, one that we write (RFC 8725bis 3.1, 3.11; RFC 7515
 * 4.1.11), both other parts canonical base64url, and the payload the JSON text that its own claims serialize to,
 * which leaves no room for duplicate members, other spellings, or numbers that JSON can't carry.
 */
export function createReader<Claims extends TokenClaims> (options: ReaderOptions): (token: string) => Reading<Claims> {
  const byHeader = new Map(options.jwts.map(jwt => [jwt.header, jwt]))
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  return token => {
    if (token.length > MAX_LENGTH) return INVALID
    const dot = token.indexOf('.')
    const jwt = byHeader.get(token.slice(0, dot))
    const rest = token.slice(dot + 1)
    if (jwt === undefined || !PAYLOAD_AND_SIGNATURE.test(rest)) return INVALID
    const [payload, signature] = rest.split('.') as [string, string]
    if (!isCanonical(payload) || !isCanonical(signature, jwt.signatureLength) || !jwt.verify(token)) return INVALID
    const claims = parse(decoder, payload)
    if (claims === null || !options.isClaims(claims)) return INVALID
    return judge(claims as unknown as Claims, options)
  }
}

function judge<Claims extends TokenClaims> (claims: Claims, { issuers, audiences, maxLifetime, leeway, maxAhead }: ReaderOptions): Reading<Claims> {
  const { iss, aud, iat, exp } = claims
  const { nbf = 0 } = claims as { nbf?: unknown }
  if (!issuers.includes(iss) || !audiences.includes(aud)) return INVALID
  if (!isCount(iat) || !isCount(exp) || !isCount(nbf) || exp <= iat) return INVALID
  const time = now() / 1000
  if (iat > time + WRONG_CLOCK || nbf > time + FUTURE_TOLERANCE) return INVALID
  const goodUntil = exp * 1000 + leeway
  // Ahead: a server whose clock was wrong has made it, and whoever has it can get another.
  const isOfThisTime = iat <= time + maxAhead && now() < goodUntil && exp - iat <= maxLifetime
  return { kind: isOfThisTime ? 'valid' : 'expired', claims, goodUntil }
}

function parse (decoder: TextDecoder, payload: string): Record<string, unknown> | null {
  try {
    const text = decoder.decode(Buffer.from(payload, 'base64url'))
    const claims: unknown = JSON.parse(text)
    const isStrict = typeof claims === 'object' && claims !== null && !Array.isArray(claims) && countMembers(claims) !== null && JSON.stringify(claims) === text
    return isStrict ? claims as Record<string, unknown> : null
  } catch {
    return null
  }
}

/** Whether the text is the one base64url spelling of its bytes: no unused bits set, no impossible length; and how many they must be. */
function isCanonical (text: string, length?: number): boolean {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text && (length === undefined || bytes.length === length)
}
