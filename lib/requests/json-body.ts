import { TextDecoder } from 'node:util'
import { FST_ACCOUNTS_JSON_INVALID, FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED } from '../errors.ts'
import { countMembers } from '../strict-json.ts'

const MEDIA_TYPE = /^application\/json(?:; ?charset=(?:utf-8|"utf-8"))?$/i

/**
 * Parse a body as strict JSON: UTF-8 without a byte order mark, no member twice, no `__proto__`, at most eight
 * levels. Forms and `text/plain` need no preflight, so they are not looked into at all.
 * @throws {FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED} saying what is `accepted`
 * @throws {FST_ACCOUNTS_JSON_INVALID}
 */
export function parseJsonBody (contentType: string | undefined, body: Buffer, accepted = 'application/json'): unknown {
  if (body.length === 0 && contentType === undefined) return undefined
  if (!MEDIA_TYPE.test(contentType ?? '')) throw new FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED(accepted)
  if (body.length === 0) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
    const value: unknown = JSON.parse(text)
    // Each member of the text has one colon outside of its strings; a member that came twice is in the value once.
    if (countMembers(value) === countColons(text)) return value
  } catch {
    // Fall through: all that is wrong with a body is answered alike.
  }
  throw new FST_ACCOUNTS_JSON_INVALID()
}

const countColons = (text: string) => text.replace(/"(?:[^"\\]|\\.)*"/g, '').split(':').length - 1
