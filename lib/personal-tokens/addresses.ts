import { BlockList, isIP, isIPv4 } from 'node:net'
import { groupsOf, mappedIn } from '../requests/network.ts'
import { canonical, problem, type Reading } from './reading.ts'

export interface AddressSet {
  /** Whether an address, in whatever spelling, is one of them; `null`, the unknown one, never is. */
  has (address: string | null): boolean
}

/**
 * Read one entry of `allowedIps`: an IP address or a network (CIDR), canonical as in RFC 5952. What is ambiguous between
 * parsers (leading zeros, short and hexadecimal forms) or names an interface (zones) is refused.
 */
export function readAddress (text: string): Reading {
  const [address = '', prefix, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return problem('not an IP address or network, such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32')
  if (address.includes('%')) return problem('an address with a zone, which means nothing to other machines')
  const bits = family === 4 ? 32 : 128
  // IPv4 is counted as what it is within IPv6, so that one arithmetic serves both.
  const groups = groupsOf(family === 4 ? `::ffff:${address}` : address)
  if (prefix === undefined) return canonical(format(groups))
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(prefix) || Number(prefix) > bits) return problem(`after the "/" stands the length of the prefix, a number from 1 to ${bits}`)
  if (prefix === '0') return problem('a network of all addresses: leave the list out instead')
  const length = Number(prefix) + 128 - bits
  const network = groups.map((group, index) => group & maskOf(length - index * 16))
  const plain = length === 128 ? format(network) : `${format(network)}/${mappedIn(network) === null ? length : length - 96}`
  if (family === 6 && mappedIn(groups) !== null) return problem('a network of IPv4 addresses is written as such', length > 96 ? plain : undefined)
  if (network.some((group, index) => group !== groups[index])) return problem('bits after the prefix must be zero', plain)
  return canonical(plain)
}

/**
 * The form in which a client's address is compared: an IPv4 address that is mapped into IPv6 is itself, translated and
 * tunnelled ones (`64:ff9b::`, `2002::`) are not. `null` for what is no address, or one with a zone.
 */
export function canonicalAddress (address: string | null): string | null {
  const family = address === null ? 0 : isIP(address)
  if (address === null || family === 0 || address.includes('%')) return null
  return family === 4 ? address : format(groupsOf(address))
}

/** Make a set of canonical addresses and networks. Entries that can't be read match nothing. */
export function createAddressSet (entries: readonly string[]): AddressSet {
  // Apart, as one list would let an IPv6 network (`::/1`) match the IPv4 addresses that are mapped into it.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const entry of Array.isArray(entries) ? entries as readonly unknown[] : []) {
    const reading = typeof entry === 'string' ? readAddress(entry) : null
    if (reading?.kind !== 'canonical') continue
    const [address, prefix] = reading.text.split('/') as [string, string?]
    const family = familyOf(address)
    if (prefix === undefined) lists[family].addAddress(address, family)
    else lists[family].addSubnet(address, Number(prefix), family)
  }
  const find = (address: string | null) => address !== null && lists[familyOf(address)].check(address, familyOf(address))
  // A script calls from one address, and a check costs more than all else that is decided of its request.
  let last: string | null = null
  let verdict = false
  return {
    has (address) {
      if (address !== last) {
        verdict = find(canonicalAddress(address))
        last = address
      }
      return verdict
    }
  }
}

const familyOf = (address: string) => isIPv4(address) ? 'ipv4' : 'ipv6'

/** Sixteen bits of which the first `count` are set; of less than none, none. */
const maskOf = (count: number): number => 0xffff & ~(0xffff >> Math.min(Math.max(count, 0), 16))

/** RFC 5952, 4: lower case, no leading zeros, "::" for the longest run of zeros (the first of equals) if it has two groups. */
function format (groups: readonly number[]): string {
  const dotted = mappedIn(groups)
  if (dotted !== null) return dotted
  let [start, length] = [0, 1]
  for (let from = 0; from < 8; from++) {
    const end = groups.findIndex((group, index) => index >= from && group !== 0)
    const run = (end === -1 ? 8 : end) - from
    if (run > length) [start, length] = [from, run]
  }
  const hex = (part: readonly number[]) => part.map(group => group.toString(16)).join(':')
  return length === 1 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}
