import type { FastifyRequest } from 'fastify'
import { plainAddress } from './network.ts'

/** The client's address under the host's `trustProxy`, or `null`: what a proxy header claims need not be an address. */
export function clientAddress (request: FastifyRequest): string | null {
  return plainAddress(request.ip)
}

/** The user agent, cut to what is worth keeping. */
export function clientUserAgent (request: FastifyRequest): string | null {
  const agent = request.headers['user-agent']
  // Control characters would be repeated wherever the list of sessions is shown or logged.
  return agent === undefined ? null : agent.replace(/[^\x20-\x7e]/g, '').slice(0, 256)
}

const BROWSERS: ReadonlyArray<readonly [RegExp, string]> = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|CriOS|HeadlessChrome)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
  [/^curl\//, 'curl']
]

const SYSTEMS: ReadonlyArray<readonly [RegExp, string]> = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux']
]

/** A short name for the list of sessions, such as `Firefox on Windows`. */
export function describeDevice (userAgent: string | null): string {
  const find = (table: typeof BROWSERS) => table.find(([pattern]) => pattern.test(userAgent ?? ''))?.[1]
  const browser = find(BROWSERS)
  const system = find(SYSTEMS)
  if (browser !== undefined && system !== undefined) return `${browser} on ${system}`
  return browser ?? system ?? 'Unknown device'
}
