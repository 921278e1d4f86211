import type { AccountsFacts, Checked, CookieFacts } from '../../types/diagnosis.ts'
import { finding, type Finding } from './finding.ts'

/** What came back from an address. */
export interface Answered {
  readonly url: string
  readonly status: number
  /** Of an error of ours. */
  readonly code: string | null
  /** Where a redirection leads. */
  readonly location: string | null
  readonly setCookies: readonly string[]
}

export interface OutsideFacts {
  readonly url: string
  /** `GET …/me`, without a cookie. */
  readonly me: Checked<Answered>
  /** `POST …/logout` from the origin of `appUrl`, without a cookie: it clears both. */
  readonly logout: Checked<Answered>
}

/** Whether browsers reach this configuration where it says that it is, and get its cookies as they were sent. */
export function examineOutside ({ appUrl, cookies }: Pick<AccountsFacts, 'appUrl' | 'cookies'>, { url, me, logout }: OutsideFacts): Finding[] {
  const differs = new URL(url).origin === new URL(appUrl).origin ? [] : [finding('url-differs', `Browsers that come from ${new URL(url).origin} are refused, as appUrl is ${appUrl}.`)]
  if (me.state === 'unchecked') return [...differs, finding('url-unchecked', `Nothing was asked of ${url}.`)]
  for (const asked of [me, logout]) if (asked.state === 'failed') return [...differs, unreachable(url, asked.reason)]
  if (me.state !== 'answered' || logout.state !== 'answered') return differs
  if (me.answer.code === null) return [...differs, elsewhere(me.answer)]
  if (logout.answer.code === 'FST_ACCOUNTS_ORIGIN_REFUSED') return [...differs, finding('origin-refused', `The server at ${url} refuses the origin of appUrl.`)]
  if (logout.answer.status !== 204) return [...differs, elsewhere(logout.answer)]
  const changes = cookies.flatMap(cookie => describeChange(cookie, logout.answer.setCookies))
  return changes.length === 0 ? differs : [...differs, finding('cookies-changed', `The cookies that arrive from ${url} are not those of this configuration: ${changes.join('; ')}.`)]
}

function unreachable (url: string, reason: string): Finding {
  const what = `${url} could not be reached: ${reason}.`
  // A certificate is not what is wrong with plain http.
  return new URL(url).protocol === 'https:' ? finding('url-unreachable', what) : finding('url-unreachable', what, 'Make the address reachable from here.')
}

function elsewhere ({ url, status, location }: Answered): Finding {
  return finding('url-elsewhere', `${url} is not answered by this plugin, but with ${status}${location === null ? '' : `, which leads to ${location}`}.`)
}

function describeChange ({ name, path, domain, secure, sameSite }: CookieFacts, setCookies: readonly string[]): string[] {
  const [, ...found] = setCookies.find(one => one.startsWith(`${name}=`))?.split(/; */) ?? []
  if (found.length === 0) return [`${name} is missing`]
  const expected = [`Path=${path}`, ...(domain === null ? [] : [`Domain=${domain}`]), 'HttpOnly', ...(secure ? ['Secure'] : []), `SameSite=${sameSite}`].map(one => one.toLowerCase())
  const arrived = found.map(one => one.toLowerCase()).filter(one => !/^(max-age|expires)=/.test(one))
  const [lacks, has] = [expected.filter(one => !arrived.includes(one)), arrived.filter(one => !expected.includes(one))]
  return [...lacks.map(one => `${name} lacks ${one}`), ...has.map(one => `${name} has ${one}`)]
}
