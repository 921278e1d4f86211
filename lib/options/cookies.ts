import { isIP } from 'node:net'
import type { CookieOptions } from '../../types/options.ts'
import { boolean, checkMembers, oneOf, refuse } from './members.ts'

export interface CookieSettings { readonly secure: boolean, readonly insecure: boolean, readonly domain: string | undefined, readonly sameSite: 'lax' | 'strict', readonly names: { readonly access: string, readonly refresh: string, readonly device: string } }

const LOCALHOST = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Whether anybody on the network could read the cookies. */
export const isPlainBeyondLocalhost = ({ protocol, hostname }: URL): boolean => protocol === 'http:' && !LOCALHOST.has(hostname)

export function resolveCookies (options: CookieOptions, url: URL): CookieSettings {
  checkMembers(options, 'cookies')
  const { domain, insecure = false, sameSite = 'lax', names: given = {} } = options
  checkMembers(given, 'cookies.names')
  const secure = url.protocol === 'https:'
  const host = url.hostname
  boolean(insecure, 'cookies.insecure')
  if (isPlainBeyondLocalhost(url) && !insecure) refuse('appUrl', 'is plain http beyond localhost: use https, or set cookies.insecure if every network on the way is trusted')
  if (domain !== undefined && isIP(host.replace(/^\[|\]$/g, '')) !== 0) refuse('cookies.domain', 'is of no use: the host of appUrl is an address')
  if (domain !== undefined && (typeof domain !== 'string' || !/^[a-z0-9.-]+\.[a-z0-9-]+$/i.test(domain) || !`.${host}`.endsWith(`.${domain.toLowerCase()}`))) refuse('cookies.domain', 'must be the host of appUrl or a parent domain of it')
  const { access = 'accounts_access', refresh = 'accounts_refresh', device = 'accounts_device' } = given
  const names = { access, refresh, device }
  for (const [kind, name] of Object.entries(names)) {
    // RFC 6265, 4.1.1: a token; the prefixes are ours to set.
    if (typeof name !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(name) || /^__(host|secure)-/i.test(name)) refuse(`cookies.names.${kind}`, 'must be 1 to 64 letters, digits, "_", "." or "-", without a prefix')
  }
  if (new Set(Object.values(names)).size < 3) refuse('cookies.names', 'are equal')
  return { secure, insecure: insecure && !secure, domain: domain?.toLowerCase(), sameSite: oneOf(sameSite, ['lax', 'strict'], 'cookies.sameSite'), names }
}
