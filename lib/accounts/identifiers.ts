import { domainToASCII, domainToUnicode } from 'node:url'
import type { LoginInput } from '../../types/accounts.ts'
import { FST_ACCOUNTS_EMAIL_INVALID, FST_ACCOUNTS_NAME_INVALID, FST_ACCOUNTS_USERNAME_INVALID } from '../errors.ts'

/** A name as its owner writes it, and the canonical form under which it is unique and found. */
export interface Identifier { readonly text: string, readonly key: string }

const LOCAL_PART = /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u
const DOMAIN = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const USERNAME = /^[a-z0-9][a-z0-9._-]{2,31}$/

/**
 * Read an address: RFC 5321, 4.1.2 dot-string (RFC 6531 letters too) at a domain; 254 bytes at most. Quoted local
 * parts, comments, lists and look-alikes of `@` are refused, and so is what only compatibility mapping (NFKC) would
 * turn into another address.
 * @throws {FST_ACCOUNTS_EMAIL_INVALID}
 */
export function parseEmail (email: string): Identifier {
  const key = emailKey(email)
  if (key === null) throw new FST_ACCOUNTS_EMAIL_INVALID()
  return { text: email, key }
}

/**
 * The canonical form of an address, under which it is unique and found: for a host that fills the key column of a users
 * table of its own. `null` for what is no usable address.
 */
export function emailKey (email: string): string | null {
  if (!email.isWellFormed() || email.normalize('NFKC') !== email.normalize('NFC')) return null
  const parts = email.split('@')
  const [local = '', domain = ''] = parts
  const ascii = canonicalDomain(domain)
  // An encoded word (RFC 2047) is made of permitted letters, but some readers decode it, and find another address in it.
  if (parts.length !== 2 || ascii === null || local.includes('=?') || !LOCAL_PART.test(local) || Buffer.byteLength(local) > 64) return null
  const key = `${local.normalize('NFC').toLowerCase()}@${ascii}`
  return Buffer.byteLength(email) > 254 || Buffer.byteLength(key) > 254 ? null : key
}

/** The ASCII form of a domain that is written in its one Unicode form or in that; mapping (UTS 46) would let others in. */
function canonicalDomain (domain: string): string | null {
  const ascii = domainToASCII(domain)
  const written = domain.normalize('NFC').toLowerCase()
  return DOMAIN.test(ascii) && (written === ascii || written === domainToUnicode(ascii)) ? ascii : null
}

/** @throws {FST_ACCOUNTS_USERNAME_INVALID} */
export function parseUsername (username: string): Identifier {
  const key = username.toLowerCase()
  if (!USERNAME.test(key)) throw new FST_ACCOUNTS_USERNAME_INVALID()
  return { text: username, key }
}

/** @throws {FST_ACCOUNTS_NAME_INVALID} */
export function checkName (name: string): void {
  if (!name.isWellFormed() || [...name].length > 200 || /[\p{Cc}\u2028\u2029]/u.test(name)) throw new FST_ACCOUNTS_NAME_INVALID()
}

/** Under which key a login is looked up; `null` for what can't be anybody's, which is answered like an unknown one. */
export function loginKey (input: Pick<LoginInput & { email?: string, username?: string }, 'email' | 'username'>): { readonly by: 'email' | 'username', readonly key: string } | null {
  if (input.email !== undefined) {
    const key = emailKey(input.email)
    return key === null ? null : { by: 'email', key }
  }
  const key = (input.username ?? '').toLowerCase()
  return USERNAME.test(key) ? { by: 'username', key } : null
}
