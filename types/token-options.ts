import type { Duration } from './policy.ts'

/** What tokens say, for other programs that verify them. */
export interface TokenOptions {
  /**
   * The `iss` of every token, as a text of at most 500 ASCII characters. A list: the first is written, all are good, so that nobody is
   * logged out by a new one. @default appUrl
   */
  readonly issuer?: string | readonly string[]
  /** The `aud` of every token, likewise. @default appUrl */
  readonly audience?: string | readonly string[]
  /** How long an access token is still taken after its end (RFC 7519, 4.1.4); at most a minute. @default 0 */
  readonly leeway?: Duration
  /**
   * Further members of the header of access tokens (RFC 7515, 4.3), texts, numbers and booleans, such as a hint for a gateway. With others no access token
   * of before is good; sessions go on. @default {}
   */
  readonly tokenHeader?: Readonly<Record<string, string | number | boolean>>
}
