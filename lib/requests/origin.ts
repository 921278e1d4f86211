import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { FST_ACCOUNTS_CSRF_TOKEN_INVALID, FST_ACCOUNTS_HEADER_DUPLICATE, FST_ACCOUNTS_ORIGIN_REFUSED } from '../errors.ts'
import { randomId } from '../random.ts'
import type { Key } from '../tokens/secrets.ts'

/** Protects what a browser does with a user's cookies from pages of other origins. */
export interface OriginGuard {
  /**
   * Check what the browser says of a request that may change something. `true`: it vouches for our own origin;
   * `false`: it says nothing, so it is no browser, or one from before 2020.
   * @throws {FST_ACCOUNTS_ORIGIN_REFUSED}
   */
  check (request: FastifyRequest): boolean
  /** The same for a request that a session's cookie authenticates; under `csrf: 'strict'` silence needs a token. */
  checkForSession (request: FastifyRequest, sessionId: string): void
  /** A CSRF token of this session for the `accounts-csrf` header, `null` unless `csrf: 'strict'`. */
  mintToken (sessionId: string): string | null
  /** The same as `check` for a request without a session; under `csrf: 'strict'` silence is refused. */
  checkWithoutSession (request: FastifyRequest): void
}

/** RFC 9110, 9.2.1. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * Whether a request changes nothing. One that asks to become a socket may change anything by what it says there, and browsers let
 * every page open one, with the user's cookies (RFC 6455, 10.2).
 */
export const isSafe = ({ method, headers }: Pick<FastifyRequest, 'method' | 'headers'>): boolean => SAFE_METHODS.has(method) && headers.upgrade === undefined

/** What other origins can't forge: `Sec-Fetch-Site` (Fetch Metadata) and `Origin` (RFC 6454, 7). Both must agree. */
export function createOriginGuard (origin: string, csrf: 'standard' | 'strict', keys: readonly Key[]): OriginGuard {
  const check = (request: FastifyRequest): boolean => {
    refuseDuplicates(request, ['origin', 'sec-fetch-site'])
    const { origin: from, 'sec-fetch-site': site } = request.headers
    const isOurs = (site === undefined || site === 'same-origin' || site === 'none') && (from === undefined || from === origin)
    if (!isOurs) throw new FST_ACCOUNTS_ORIGIN_REFUSED()
    return site !== undefined || from !== undefined
  }
  const sign = (key: Key, sessionId: string, nonce: string) => createHmac('sha256', key.bytes).update(`csrf:${sessionId}:${nonce}`).digest('base64url')
  const isToken = (token: unknown, sessionId: string) => {
    const match = typeof token === 'string' ? /^([\w-]{24})\.([\w-]{43})$/.exec(token) : null
    return match !== null && keys.some(key => timingSafeEqual(Buffer.from(sign(key, sessionId, match[1]!)), Buffer.from(match[2]!)))
  }
  return {
    check,
    checkForSession (request, sessionId) {
      if (check(request) || csrf === 'standard') return
      if (!isToken(request.headers['accounts-csrf'], sessionId)) throw new FST_ACCOUNTS_CSRF_TOKEN_INVALID()
    },
    checkWithoutSession (request) {
      if (!check(request) && csrf === 'strict') throw new FST_ACCOUNTS_ORIGIN_REFUSED()
    },
    mintToken (sessionId) {
      if (csrf === 'standard') return null
      const nonce = randomId()
      return `${nonce}.${sign(keys[0]!, sessionId, nonce)}`
    }
  }
}

/**
 * Refuse a header that came twice: Node keeps the first or joins them, a proxy before us may have judged another.
 * @throws {FST_ACCOUNTS_HEADER_DUPLICATE}
 */
export function refuseDuplicates (request: FastifyRequest, names: readonly string[]): void {
  const seen = new Set<string>()
  // A handshake that `injectWS` of @fastify/websocket makes up for a test has none.
  const { rawHeaders = [] } = request.raw
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    if (!names.includes(name)) continue
    if (seen.has(name)) throw new FST_ACCOUNTS_HEADER_DUPLICATE(name)
    seen.add(name)
  }
}
