import { isUtf8 } from 'node:buffer'
import type { FastifyRequest } from 'fastify'
import { BASIC_CHALLENGE, FST_ACCOUNTS_HEADER_DUPLICATE } from '../errors.ts'

/**
 * The credentials of the `Authorization` header, if it is of one of two schemes that carry a token (RFC 9110, 11.4: the name
 * in any case, then spaces); `''` where they are missing, `null` for any other scheme.
 */
export function readToken (header: string): { readonly scheme: 'apitoken' | 'bearer', readonly token: string } | null {
  const match = /^(apitoken|bearer)(?: +(.*))?$/is.exec(header)
  return match === null ? null : { scheme: match[1]!.toLowerCase() as 'apitoken' | 'bearer', token: match[2] ?? '' }
}

/** What the request carries as `Authorization: Bearer` (RFC 6750, 2.1), whatever it is; `null`: nothing of that scheme. */
export function readBearer ({ headers: { authorization } }: FastifyRequest): string | null {
  const presented = authorization === undefined ? null : readToken(authorization)
  return presented?.scheme === 'bearer' ? presented.token : null
}

export interface NameAndPassword { readonly username: string, readonly password: string }

/** Longer ones are nobody's. */
const MAX_BASIC = 1024

/**
 * The name and password of an `Authorization` header of the scheme `Basic` (RFC 7617, 2: UTF-8); `'malformed'` for what is
 * not written in the one way that there is, `null` for any other scheme.
 */
export function readBasic (header: string): NameAndPassword | 'malformed' | null {
  const match = /^basic(?: +(.*))?$/is.exec(header)
  if (match === null) return null
  const encoded = match[1] ?? ''
  const bytes = Buffer.from(encoded, 'base64')
  // Node reads alphabets, paddings and breaks of lines that a proxy before us may read in another way.
  if (encoded === '' || encoded.length > MAX_BASIC || bytes.toString('base64') !== encoded || !isUtf8(bytes)) return 'malformed'
  const text = bytes.toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1 || /\p{Cc}/u.test(text)) return 'malformed'
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** What asks for a name and a password; `null` of a script, which has a form of its own: the browser's must not come up over it. */
export function basicChallenge ({ headers: { 'sec-fetch-mode': mode, 'x-requested-with': requestedWith } }: FastifyRequest): string | null {
  return (mode !== undefined && mode !== 'navigate') || requestedWith !== undefined ? null : BASIC_CHALLENGE
}

/** The headers on which it rests whether a token is accepted, by the length of their names. */
const DECISIVE: ReadonlyMap<number, string> = new Map(['authorization', 'origin', 'referer'].map(name => [name.length, name]))

/**
 * Refuse a request in which one of them came twice: Node keeps the first or joins them, a proxy before us may have judged
 * another. Of every token alike, before it is looked at: whether it rests on a referrer is nobody's business.
 * @throws {FST_ACCOUNTS_HEADER_DUPLICATE}
 */
export function refuseSecondHeaders ({ raw: { rawHeaders = [] } }: FastifyRequest): void {
  let seen = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const { length } = rawHeaders[at]!
    const name = DECISIVE.get(length)
    if (name === undefined || rawHeaders[at]!.toLowerCase() !== name) continue
    if ((seen & 1 << length) !== 0) throw new FST_ACCOUNTS_HEADER_DUPLICATE(name)
    seen |= 1 << length
  }
}
