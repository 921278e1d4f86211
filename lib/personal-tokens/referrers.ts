import { isIPv4 } from 'node:net'
import { getDomain } from 'tldts'
import { canonical, problem, type Reading } from './reading.ts'

export interface OriginSet {
  /** Whether an origin, as the browser spelled it, is one of them. */
  has (origin: string): boolean
}

const LABEL = '[a-z0-9_-]{1,63}'
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`)
/** RFC 1035, 2.3.4, without the dot at its end. */
const LONGEST_NAME = 253
/** RFC 6454, 6.2, of a scheme that browsers load pages by; more of a referrer may follow. */
const SERIALIZATION = new RegExp(`^https?://(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-f:]+\\])(?::(?:0|[1-9][0-9]{0,4}))?(?=/|$)`)
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': ':80', 'https:': ':443' }
const EXAMPLE = 'https://app.example.com'
const WILDCARD_EXAMPLE = 'https://*.example.com'

/**
 * Read one entry of `allowedReferrers`: an origin as browsers send it (RFC 6454, 6.2), without the default port, or one
 * with `*` for the whole left-most label.
 */
export function readReferrer (text: string): Reading {
  if (/^(?:https?:\/\/)?\*$/i.test(text)) return problem('every site would be allowed: leave the list out instead')
  const bare = text.replace(/^(https?:\/\/)\*\./i, '$1')
  if (bare.includes('*')) return problem(`"*" stands for nothing but the whole left-most label, as in ${WILDCARD_EXAMPLE}`)
  const url = parse(bare)
  if (url === null) return problem(`not an origin that begins with http:// or https://, such as ${EXAMPLE}`)
  if (url.username !== '' || url.password !== '') return problem('an origin has no user name')
  const host = url.hostname.replace(/\.$/, '')
  const star = bare === text ? '' : '*.'
  const fault = findFault(star + host) ?? (star === '' ? null : findWildcardFault(host))
  if (fault !== null) return problem(fault)
  const port = url.port === '' ? '' : `:${url.port}`
  const origin = `${url.protocol}//${star}${host}${port}`
  if (text === origin || (port === '' && text === origin + DEFAULT_PORTS[url.protocol])) return canonical(origin)
  return problem(hasMore(url, text) ? 'an origin ends with its host or port, no "/" or more follows' : 'not spelled as browsers send it', origin)
}

/**
 * The origin of a `Referer` header, cut off as it stands; `null` if it does not begin with one in serialized form that ends
 * there or at a "/". Nothing is normalized, as what needs that was not written by a browser: it is fit to be compared, no more.
 */
export const originOfReferer = (referer: string): string | null => SERIALIZATION.exec(referer)?.[0] ?? null

/** Make a set of canonical origins, compared to the letter. Entries that can't be read match nothing. */
export function createOriginSet (entries: readonly string[]): OriginSet {
  const origins = new Set<string>()
  const wildcards: Array<{ readonly start: string, readonly end: string }> = []
  for (const entry of Array.isArray(entries) ? entries as readonly unknown[] : []) {
    const reading = typeof entry === 'string' ? readReferrer(entry) : null
    if (reading?.kind !== 'canonical') continue
    const [start, end] = reading.text.split('*') as [string, string?]
    if (end === undefined) origins.add(start)
    else wildcards.push({ start, end })
  }
  return {
    has (origin) {
      if (origins.has(origin)) return true
      for (const { start, end } of wildcards) {
        if (origin.startsWith(start) && origin.endsWith(end) && isLabel(origin, start.length, origin.length - end.length)) return true
      }
      return false
    }
  }
}

function parse (text: string): URL | null {
  const url = URL.canParse(text) ? new URL(text) : null
  return url !== null && url.protocol in DEFAULT_PORTS ? url : null
}

/** What is wrong with the letters of a host; of the addresses `URL` has seen to it that there is nothing. */
function findFault (host: string): string | null {
  const name = host.replace(/^\*/, 'x')
  return /\[[^[]+\]$/.test(host) || (NAME.test(name) && name.length <= LONGEST_NAME) ? null : `the host is a name of at most ${LONGEST_NAME} characters: letters, digits, "-" and "_" between its dots`
}

function findWildcardFault (host: string): string | null {
  if (host.startsWith('[') || isIPv4(host)) return '"*" stands for a part of a name, not of an IP address'
  if (!host.includes('.')) return `"*" is followed by at least two more labels, as in ${WILDCARD_EXAMPLE}`
  // Private domains as well: under github.io everybody is somebody else.
  const domain = getDomain(host, { allowPrivateDomains: true, extractHostname: false, detectIp: false, validateHostname: false })
  return domain === null ? 'under a public suffix anybody can have a name: put your own between it and "*", as in https://*.example.co.uk' : null
}

/** Whether more than an origin was written: a path, a query or a fragment. */
const hasMore = (url: URL, text: string) => url.pathname !== '/' || /[/?#]$/.test(text) || url.search !== '' || url.hash !== ''

/** As `LABEL`, of a part of a text; on every request, so that nothing is cut out of it. */
function isLabel (text: string, start: number, end: number): boolean {
  if (end <= start || end - start > 63) return false
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    const isLetterOrDigit = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39)
    if (!isLetterOrDigit && code !== 0x2d && code !== 0x5f) return false
  }
  return true
}
