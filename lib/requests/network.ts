import { BlockList, isIP, isIPv4 } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** The network of the client: of what Fastify takes for its address if that is one, else of the peer. */
export function clientNetwork (request: FastifyRequest): string {
  return networkOf(request.ip) ?? networkOf(request.socket.remoteAddress) ?? 'unknown'
}

/**
 * The network that counts as one client: an IPv4 address, or the /64 of an IPv6 one, as whoever has one address there
 * has them all. An IPv4 address that is mapped into IPv6 (RFC 4291, 2.5.5.2) is itself; translated and tunnelled ones
 * (`64:ff9b::`, `2002::`) are not, as they come by another way. `null` for what is no address.
 */
export function networkOf (address: string | undefined): string | null {
  if (address === undefined || isIP(address) === 0) return null
  if (isIPv4(address)) return address
  const groups = groupsOf(address)
  return mappedIn(groups) ?? `${groups.slice(0, 4).map(group => group.toString(16)).join(':')}::/64`
}

/** An address as it is shown and kept: an IPv4 address that is mapped into IPv6, as servers on `::` see it, is itself. `null` for what is no address. */
export function plainAddress (address: string): string | null {
  const family = isIP(address)
  if (family === 0) return null
  return family === 4 ? address : mappedIn(groupsOf(address)) ?? address
}

/** The IPv4 address that is mapped into the eight groups of an IPv6 one; `null`: none is. */
export function mappedIn (groups: readonly number[]): string | null {
  if (groups[5] !== 0xffff || groups.slice(0, 5).some(group => group !== 0)) return null
  return groups.slice(6).flatMap(group => [group >> 8, group & 0xff]).join('.')
}

/** The eight groups of what is an IPv6 address; its zone names an interface of this machine, not a client. */
export function groupsOf (address: string): number[] {
  const [head = '', tail] = address.replace(/%.*$/s, '').split('::') as [string, string?]
  const [left, right] = [read(head), read(tail ?? '')]
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right]
}

function read (part: string): number[] {
  return part === '' ? [] : part.split(':').flatMap(group => group.includes('.') ? readDotted(group) : [parseInt(group, 16)])
}

function readDotted (text: string): number[] {
  const [a, b, c, d] = text.split('.').map(Number) as [number, number, number, number]
  return [a * 256 + b, c * 256 + d]
}

const LOCAL = new BlockList()
for (const [network, prefix, family] of [
  ['127.0.0.0', 8, 'ipv4'], ['10.0.0.0', 8, 'ipv4'], ['172.16.0.0', 12, 'ipv4'], ['192.168.0.0', 16, 'ipv4'], ['169.254.0.0', 16, 'ipv4'],
  ['::1', 128, 'ipv6'], ['fc00::', 7, 'ipv6'], ['fe80::', 10, 'ipv6']
] as const) LOCAL.addSubnet(network, prefix, family)

/** Whether all clients are likely to look like one: the peer is a proxy of ours that `trustProxy` does not know. */
export function isBehindUnknownProxy (request: FastifyRequest): boolean {
  // Fastify offers the list of addresses only under `trustProxy`.
  if (request.ips !== undefined || request.headers['x-forwarded-for'] === undefined) return false
  const [address = ''] = request.ip.split('%')
  const family = isIP(address)
  return family !== 0 && LOCAL.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** Addresses that are nobody's (RFC 5737, RFC 3849): who trusts these trusts everybody. */
const STRANGERS = ['203.0.113.7', '2001:db8::7']

export type TrustedProxies = 'nobody' | 'hops' | 'some' | 'everybody'

/** Whose `x-forwarded-for` says who the client is, by `trustProxy`, which Fastify tells to nobody but itself. */
export function trustedProxies (app: FastifyInstance): TrustedProxies {
  const trusted = readTrustProxy(app)
  if (trusted === undefined || trusted === null || trusted === false || trusted === '') return 'nobody'
  if (trusted === true) return 'everybody'
  if (typeof trusted === 'number') return trusted === 0 ? 'nobody' : 'hops'
  // A list can't hold all addresses: Fastify refuses a network that has them.
  return typeof trusted === 'function' && STRANGERS.some(address => isTrusted(trusted, address)) ? 'everybody' : 'some'
}

/** Far behind the first proxy: a function may count hops. */
function isTrusted (trust: Function, address: string): boolean {
  try {
    return Boolean(trust(address, 99))
  } catch {
    return false
  }
}

function readTrustProxy (app: FastifyInstance): unknown {
  for (let instance: object | null = app; instance !== null; instance = Object.getPrototypeOf(instance) as object | null) {
    const options = Object.getOwnPropertySymbols(instance).find(({ description }) => description === 'fastify.options')
    if (options !== undefined) return (instance as Record<symbol, { readonly trustProxy?: unknown } | undefined>)[options]?.trustProxy
  }
  return undefined
}
