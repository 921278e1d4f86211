import { canonical, problem, type Reading } from './reading.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])

/** Read one entry of `allowedMethods`; methods are case-sensitive (RFC 9110, 9.1). */
export function readMethod (text: string): Reading {
  if (METHODS.has(text)) return canonical(text)
  const upper = text.toUpperCase()
  return problem(`not one of ${[...METHODS].join(', ')}`, METHODS.has(upper) ? upper : undefined)
}

/** Make a set of methods; GET includes HEAD. Entries that can't be read match nothing. */
export function createMethodSet (entries: readonly string[]): ReadonlySet<string> {
  const known = (Array.isArray(entries) ? entries as readonly string[] : []).filter(entry => METHODS.has(entry))
  return new Set(known.includes('GET') ? [...known, 'HEAD'] : known)
}
