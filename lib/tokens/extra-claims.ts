import type { AccountsClaims } from 'fastify'
import { FST_ACCOUNTS_CLAIMS_INVALID } from '../errors.ts'
import { countMembers } from '../strict-json.ts'

/** Ours, and those of RFC 7519, 4.1, RFC 9068, 2.2 and RFC 7800, 3.1 by which a verifier decides. */
const RESERVED = new Set(['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'sid', 'gen', 'auth_time', 'client_id', 'scope', 'cnf', 'typ'])

/** Of the 4096 bytes that a cookie holds. */
const MAX_BYTES = 1024

/**
 * What a host wants its access tokens to say, as JSON carries it.
 * @throws {FST_ACCOUNTS_CLAIMS_INVALID}
 */
export function checkExtraClaims (given: unknown): Record<string, unknown> {
  const refuse = (why: string): never => { throw new FST_ACCOUNTS_CLAIMS_INVALID(why) }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return refuse('must be an object')
  const text = stringify(given) ?? refuse('must be what JSON can carry')
  const claims = JSON.parse(text) as Record<string, unknown>
  const reserved = Object.keys(claims).find(name => RESERVED.has(name))
  if (reserved !== undefined) refuse(`can't say "${reserved}", by which tokens are verified`)
  if (countMembers(claims) === null) refuse('are nested too deeply, or have a member "__proto__"')
  if (Buffer.byteLength(text) > MAX_BYTES) refuse(`have more than ${MAX_BYTES} bytes of JSON`)
  return claims
}

/** All that a verified token says beyond our own claims. */
export function extraClaimsOf (claims: object): Readonly<AccountsClaims> {
  return Object.freeze(Object.fromEntries(Object.entries(claims).filter(([name]) => !RESERVED.has(name))))
}

function stringify (value: object): string | null {
  try {
    return JSON.stringify(value) ?? null
  } catch {
    // A cycle, a BigInt, a getter that throws.
    return null
  }
}
