import type { Duration } from '../../types/policy.ts'
import { DURATION_FORMAT, parseDuration } from '../duration.ts'
import type { TokenHeader } from '../tokens/jwt.ts'
import { refuse } from './members.ts'

/** What a token says in `iss` or `aud`, compared exactly. Short, as both stand in every cookie. */
export function claim (value: unknown, option: string): string {
  return typeof value === 'string' && /^[\x20-\x7e]{1,500}$/.test(value) ? value : refuse(option, 'must be a text of 1 to 500 ASCII characters')
}

/** One, or several of which the first is written and all are good. */
export function claimList (value: string | readonly string[] | undefined, byDefault: string, option: string): readonly string[] {
  if (value === undefined) return [byDefault]
  if (!Array.isArray(value)) return [claim(value, option)]
  if (value.length === 0) refuse(option, 'is an empty list')
  return value.map((one: unknown) => claim(one, option))
}

/** RFC 7519, 4.1.4: "usually no more than a few minutes"; a token that has expired is of use to whoever has found it. */
const MAX_LEEWAY = 60_000

/** Milliseconds. */
export function resolveLeeway (value: Duration): number {
  if (value === 0) return 0
  const leeway = parseDuration(value) ?? refuse('leeway', DURATION_FORMAT)
  return leeway <= MAX_LEEWAY ? leeway : refuse('leeway', 'is longer than 60 s')
}

/** By which tokens are verified (RFC 7515, 4.1; RFC 7797, 3; RFC 7516, 4.1), and what no object has of its own. */
const RESERVED = new Set(['alg', 'typ', 'kid', 'cty', 'jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit', 'b64', 'enc', 'zip', '__proto__'])

/** Of the 4096 bytes that a cookie holds. */
const MAX_HEADER = 256

export function resolveTokenHeader (header: TokenHeader): TokenHeader {
  const isObject = typeof header === 'object' && header !== null && !Array.isArray(header)
  if (!isObject || !Object.values(header).every(value => typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value))) refuse('tokenHeader', 'must be an object of texts, numbers and booleans')
  const reserved = Object.keys(header).find(name => RESERVED.has(name))
  if (reserved !== undefined) refuse('tokenHeader', `can't say "${reserved}", by which tokens are verified`)
  if (Buffer.byteLength(JSON.stringify(header)) > MAX_HEADER) refuse('tokenHeader', `has more than ${MAX_HEADER} bytes of JSON`)
  return { ...header }
}
