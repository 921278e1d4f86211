import { domainToASCII, domainToUnicode } from 'node:url'
import { FST_ACCOUNTS_OPTION_INVALID } from '../../errors.ts'

/** Who sends: an address, `Name <address>`, or both apart. */
export type Sender = string | { readonly name?: string, readonly address: string }

export interface NamedAddress { readonly name: string, readonly address: string }

const LOCAL_PART = /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u
const DOMAIN = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * The address with its domain in ASCII; `null` for what any reader between here and the mailbox could take for two, or for
 * another one: RFC 5321, 4.1.2 dot-strings (RFC 6531 letters too) alone are let through, as the core does.
 */
export function parseAddress (text: unknown): string | null {
  if (typeof text !== 'string' || !text.isWellFormed() || text.normalize('NFKC') !== text.normalize('NFC')) return null
  const [local = '', domain = '', ...more] = text.split('@')
  const ascii = domainToASCII(domain)
  const written = domain.normalize('NFC').toLowerCase()
  // An encoded word (RFC 2047) is made of permitted letters, but some readers decode it, and find another address in it.
  if (more.length > 0 || local.includes('=?') || !LOCAL_PART.test(local) || Buffer.byteLength(local) > 64) return null
  if (!DOMAIN.test(ascii) || (written !== ascii && written !== domainToUnicode(ascii))) return null
  const address = `${local}@${ascii}`
  return Math.max(Buffer.byteLength(text), Buffer.byteLength(address)) <= 254 ? address : null
}

/** @throws {FST_ACCOUNTS_OPTION_INVALID} */
export function readSender (sender: unknown, option: string): NamedAddress {
  const { name, address: text } = typeof sender === 'string' ? splitSender(sender) : { name: '', ...(sender as Partial<NamedAddress> | null | undefined) }
  const address = parseAddress(text)
  if (address === null) throw new FST_ACCOUNTS_OPTION_INVALID(option, 'must be an address, "Name <address>" or { name, address }')
  if (typeof name !== 'string' || !/^[^\p{C}\p{Zl}\p{Zp}]{0,100}$/u.test(name)) throw new FST_ACCOUNTS_OPTION_INVALID(option, 'must have a name of at most 100 characters in one line')
  return { name, address }
}

function splitSender (sender: string): Partial<NamedAddress> {
  const [, name, address] = /^([^<>]*?)\s*<([^<>]+)>$/u.exec(sender) ?? [undefined, '', sender]
  return { name: name!.replace(/^"(.*)"$/s, '$1'), address: address! }
}
