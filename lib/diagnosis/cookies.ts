import { getPublicSuffix } from 'tldts'
import type { AccountsFacts } from '../../types/diagnosis.ts'
import { finding, type Finding } from './finding.ts'

export function examineCookies ({ appUrl, cookies, isInsecure }: Pick<AccountsFacts, 'appUrl' | 'cookies' | 'isInsecure'>): Finding[] {
  const domain = cookies.find(cookie => cookie.domain !== null)?.domain ?? null
  return [
    ...(domain === null || !isPublicSuffix(domain) ? [] : [finding('cookie-domain-public-suffix', `cookies.domain is ${domain}, below which anybody can have a site: browsers refuse such cookies, so nobody can log in.`)]),
    ...(isInsecure ? [finding('cookies-insecure', `Cookies of ${appUrl} go over plain http: whoever can listen on the network can take over sessions.`)] : [])
  ]
}

/** RFC 6265bis, 5.7; the private part of the list counts as well, as it does in browsers. */
const isPublicSuffix = (domain: string) => getPublicSuffix(domain, { allowPrivateDomains: true }) === domain
