import { FST_ACCOUNTS_INPUT_INVALID } from '../errors.ts'
import { parseJsonBody } from './json-body.ts'

const FORM = /^application\/x-www-form-urlencoded(?:; ?charset=(?:utf-8|"utf-8"))?$/i
const ACCEPTED = 'application/x-www-form-urlencoded or application/json'

/**
 * Parse what an OAuth client sends: a form (RFC 6749, appendix B), or strict JSON with the same members. An empty value
 * counts as left out (RFC 6749, 3.2).
 * @throws {FST_ACCOUNTS_INPUT_INVALID} a parameter came twice, or the form is not written as one
 * @throws {FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED}
 * @throws {FST_ACCOUNTS_JSON_INVALID}
 */
export function parseTokenRequest (contentType: string | undefined, body: Buffer): unknown {
  const value = FORM.test(contentType ?? '') ? parseForm(body.toString('latin1')) : parseJsonBody(contentType, body, ACCEPTED)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== ''))
}

/** `URLSearchParams` makes the best of whatever comes; of two spellings only one may be a password. */
function parseForm (text: string): Record<string, string> {
  if (/[^\x21-\x7e]/.test(text)) throw new FST_ACCOUNTS_INPUT_INVALID('The form holds what must be percent-encoded')
  const members = new Map<string, string>()
  for (const pair of text.split('&').filter(pair => pair !== '')) {
    const [name, ...value] = pair.split('=')
    if (members.has(decode(name!))) throw new FST_ACCOUNTS_INPUT_INVALID('A parameter came twice')
    members.set(decode(name!), decode(value.join('=')))
  }
  return Object.fromEntries(members)
}

function decode (text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new FST_ACCOUNTS_INPUT_INVALID('The form is not in UTF-8')
  }
}
