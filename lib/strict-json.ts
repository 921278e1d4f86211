/** RFC 8725bis: a parser that goes deeper than any honest text does can be made to fall. */
const MAX_DEPTH = 8

/**
 * How many members the objects of a parsed JSON value have, all levels together; `null` when it is nested more than
 * eight levels deep or has a member `__proto__` anywhere.
 */
export function countMembers (value: unknown, depth = 0): number | null {
  if (typeof value !== 'object' || value === null) return 0
  if (depth >= MAX_DEPTH || Object.hasOwn(value, '__proto__')) return null
  const items = Object.values(value)
  let count = Array.isArray(value) ? 0 : items.length
  for (const item of items) {
    const inner = countMembers(item, depth + 1)
    if (inner === null) return null
    count += inner
  }
  return count
}
