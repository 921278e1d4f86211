import type { AccountsFacts } from '../../types/diagnosis.ts'
import { finding, type Finding } from './finding.ts'

/** Whether the address of a client is its own, as all limits by address suppose. */
export function examineProxy ({ appUrl, isHttps, trustProxy }: Pick<AccountsFacts, 'appUrl' | 'isHttps' | 'trustProxy'>): Finding[] {
  if (trustProxy === 'everybody') return [finding('proxy-trusts-everybody', 'trustProxy trusts every address: whoever sends x-forwarded-for chooses the address that limits are about.')]
  if (trustProxy === 'hops') return [finding('proxy-hops', 'trustProxy is a number, which tells no proxy from a client: by its release Fastify trusts nobody then, or whoever connects.')]
  if (trustProxy === 'some' || isHttps || !appUrl.startsWith('https:')) return []
  return [finding('proxy-unknown', 'appUrl is https, the server itself speaks http and trusts no proxy: every client has the address of the proxy, and requests look like plain http.')]
}
