import { FST_ACCOUNTS_INPUT_INVALID } from '../errors.ts'

/**
 * Read the query of a URL as strictly as a body, whatever parser the host has: no parameter twice, none whose encoding
 * is broken (RFC 3986, 2.1; `+` is a space). What looks like a whole number is one where `numbers` names it.
 * @throws {FST_ACCOUNTS_INPUT_INVALID}
 */
export function parseQuery (url: string, numbers: readonly string[]): Record<string, string | number> {
  const start = url.indexOf('?')
  const query: Record<string, string | number> = Object.create(null)
  const pairs = start === -1 || start === url.length - 1 ? [] : url.slice(start + 1).split('&')
  for (const pair of pairs) {
    const [, name, value] = /^([^=]*)=?(.*)$/s.exec(pair)!.map(decode) as [string, string, string]
    // Which of the two would a proxy before us have judged?
    if (name in query) throw new FST_ACCOUNTS_INPUT_INVALID('query has a parameter twice')
    query[name] = numbers.includes(name) && /^\d{1,9}$/.test(value) ? Number(value) : value
  }
  return query
}

function decode (text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new FST_ACCOUNTS_INPUT_INVALID('query is not properly encoded')
  }
}
