import type { FastifyRequest } from 'fastify'
import { FST_ACCOUNTS_HEADER_DUPLICATE } from '../errors.ts'

/**
 * The credentials of the `Authorization` header, if it is of one of two schemes that carry a token (RFC 9110, 11.4: the name
 * in any case, then spaces); `''` where they are missing, `null` for any other scheme.
 */
export function readToken (header: string): { readonly scheme: 'apitoken' | 'bearer', readonly token: string } | null {
  const match = /^(apitoken|bearer)(?: +(.*))?$/is.exec(header)
  return match === null ? null : { scheme: match[1]!.toLowerCase() as 'apitoken' | 'bearer', token: match[2] ?? '' }
}

/** The headers on which it rests whether a token is accepted, by the length of their names. */
const DECISIVE: ReadonlyMap<number, string> = new Map(['authorization', 'origin', 'referer'].map(name => [name.length, name]))

/**
 * Refuse a request in which one of them came twice: Node keeps the first or joins them, a proxy before us may have judged
 * another. Of every token alike, before it is looked at: whether it rests on a referrer is nobody's business.
 * @throws {FST_ACCOUNTS_HEADER_DUPLICATE}
 */
export function refuseSecondHeaders ({ raw: { rawHeaders } }: FastifyRequest): void {
  let seen = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const { length } = rawHeaders[at]!
    const name = DECISIVE.get(length)
    if (name === undefined || rawHeaders[at]!.toLowerCase() !== name) continue
    if ((seen & 1 << length) !== 0) throw new FST_ACCOUNTS_HEADER_DUPLICATE(name)
    seen |= 1 << length
  }
}
