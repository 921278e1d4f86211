import type { FastifyRequest } from 'fastify'
import type { Tokens } from '../tokens/tokens.ts'
import type { Cookies } from './cookies.ts'

/** A session that a request names. Proves nothing but that the names were once ours. */
export interface Presented { readonly userId: string, readonly sessionId: string }

export type ReadPresented = (request: FastifyRequest | null) => Presented[]

/** Which session a token names, be it of either kind, expired, or its session long over; `null`: it is none of ours. */
export type ReadSession = (token: string) => Presented | null

/** Which sessions the cookies of a request name, be the tokens expired or their sessions long over. */
export function createReadPresented (cookies: Cookies, tokens: Tokens): ReadPresented {
  return request => {
    const header = request?.headers.cookie
    const found = [
      read(cookies.readAccess(header), tokens.readAccess),
      read(cookies.readRefresh(header), tokens.readRefresh)
    ].filter(presented => presented !== null)
    return found.filter(({ sessionId }, index) => found.findIndex(other => other.sessionId === sessionId) === index)
  }
}

export function createReadSession (tokens: Tokens): ReadSession {
  return token => read(token, tokens.readAccess) ?? read(token, tokens.readRefresh)
}

function read (token: string | null | symbol, readToken: Tokens['readAccess' | 'readRefresh']): Presented | null {
  const reading = typeof token === 'string' ? readToken(token) : null
  return reading === null || reading.kind === 'invalid' ? null : { userId: reading.claims.sub, sessionId: reading.claims.sid }
}
