/** The same cookie came more than once, as when a sub-domain tosses one of its own at us (RFC 6265bis, 8.6). */
export const DUPLICATE = Symbol('duplicate cookie')

export type ReadCookie = (header: string | undefined) => string | null | typeof DUPLICATE

/**
 * Make a reader of one cookie of the `cookie` header, as sent: nothing is decoded, names are compared to the letter,
 * and a second cookie of the name is reported instead of passed over. `null` without one, or with an empty value.
 */
export function createReadCookie (name: string): ReadCookie {
  const needle = `${name}=`
  return header => {
    if (header === undefined) return null
    let value: string | null = null
    for (let at = header.indexOf(needle); at !== -1; at = header.indexOf(needle, at + needle.length)) {
      if (!isStartOfPair(header, at)) continue
      if (value !== null) return DUPLICATE
      const end = header.indexOf(';', at)
      value = header.slice(at + needle.length, end === -1 ? undefined : end)
    }
    return value === '' ? null : value
  }
}

function isStartOfPair (header: string, at: number): boolean {
  let before = at - 1
  while (header.charCodeAt(before) === 0x20 || header.charCodeAt(before) === 0x09) before--
  return before < 0 || header.charCodeAt(before) === 0x3b
}
