import type { PersonalToken } from './principal.ts'

/** What a personal token may do. A list that is left out, or `null`, does not limit; an empty one is refused. */
export interface NewPersonalToken {
  /** 1 to 100 characters, for its owner. */
  readonly name: string
  /** `server`: for scripts, limited by address. `browser`: for pages of other sites, limited by referrer, which is no boundary against anything but browsers. */
  readonly context: 'server' | 'browser'
  /** RFC 3339 if it is a text. @default `defaultTtl` from now */
  readonly expiresAt?: Date | string
  /** Of GET, HEAD, POST, PUT, PATCH, DELETE; GET includes HEAD. */
  readonly allowedMethods?: readonly string[] | null
  /** IPv4 and IPv6 addresses, and networks such as `192.0.2.0/24`. Only for `server`. */
  readonly allowedIps?: readonly string[] | null
  /** Origins as browsers send them, `https://www.example.com`; `https://*.example.com` stands for any one label. Only for `browser`. */
  readonly allowedReferrers?: readonly string[] | null
  /** RFC 6749, 3.3. */
  readonly scopes?: readonly string[] | null
}

/** What to change of a personal token; what is left out stays, `null` lifts a limit. */
export type PersonalTokenUpdate = Partial<Omit<NewPersonalToken, 'context'>>

export interface CreatedPersonalToken {
  /** The secret. It is shown this once. */
  readonly token: string
  readonly personalToken: PersonalToken
}
