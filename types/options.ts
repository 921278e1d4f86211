import type { AccountsHooks } from './hooks.ts'
import type { AccountsKey } from './keys.ts'
import type { Mailer, MailKind, MailMessage } from './mailer.ts'
import type { Duration } from './policy.ts'
import type { CredentialKind } from './principal.ts'
import type { Storage } from './storage.ts'
import type { TokenOptions } from './token-options.ts'

/** A secret of at least 32 random bytes, as text or bytes; of an array the first signs and all verify. */
export type Secret = string | Uint8Array | ReadonlyArray<string | Uint8Array>

/** One secret a purpose, each used as given. */
export interface Secrets {
  /** Signs access tokens, unless `keys` do. */
  readonly access: Secret
  /** Signs refresh tokens. @default access */
  readonly refresh?: Secret
  /** Keys every digest. @default access */
  readonly hash?: Secret
  /** Signs the cookie of `@fastify/session`. The plugin checks it and leaves it to you to hand it on. */
  readonly session?: Secret
}

/** Verify and make password digests (PHC strings). */
export interface PasswordHasher {
  hash (password: string): Promise<string>
  verify (digest: string, password: string): Promise<boolean>
}

/**
 * Verify a digest of another system: one that is neither an argon2id PHC string nor bcrypt. Do it asynchronously. It has
 * 2 seconds; a later answer, a throw or anything but `true` is a password that does not fit.
 * @param password in Unicode NFC; if that does not fit and was not what came, the function is called again with what came
 */
export type VerifyForeign = (digest: string, password: string) => boolean | Promise<boolean>

export interface PasswordOptions {
  /** Unicode code points; 8 is the floor. NIST SP 800-63B-4, 3.1.1.2. @default 15 */
  readonly minLength?: number
  /** UTF-8 bytes; at least 64. With `algorithm: 'bcrypt'` a new password has at most 72, whatever stands here. @default 1024 */
  readonly maxBytes?: number
  /** Words refused beside the built-in list of common passwords; `false`: no list at all. */
  readonly blocklist?: readonly string[] | false
  /** What new digests are made with. Others are verified as well, and made anew at login. `bcrypt` needs the package of that name. @default 'argon2id' */
  readonly algorithm?: 'argon2id' | 'bcrypt'
  /** bcrypt's cost, 10 to 15; only with `algorithm: 'bcrypt'`. @default 12 */
  readonly rounds?: number
  readonly verifyForeign?: VerifyForeign
  /**
   * The slowest old digests that there may be, so that from the first request on a refused login takes as long for every
   * account. Left out: from the first such digest on that this process has met.
   */
  readonly legacy?: {
    /** The highest cost of an old bcrypt digest, 4 to 15. Needs the package `bcrypt`. */
    readonly bcryptRounds?: number
    /** What `verifyForeign` takes at most, in milliseconds, 1 to 2000. */
    readonly foreignMs?: number
  }
  /**
   * What ends the personal tokens of a user: a password that was set anew by mail or by an operator, every change, or none but the
   * one that proves an address for the first time.
   * @default 'reset'
   */
  readonly revokeTokens?: 'reset' | 'always' | 'never'
  /** argon2id costs; never under the OWASP floor. @default { memoryKiB: 19456, iterations: 2, parallelism: 1 } */
  readonly argon2?: { readonly memoryKiB?: number, readonly iterations?: number, readonly parallelism?: number }
  /** Hashes that may wait for a free core before a login is answered 503. @default 256 */
  readonly maxQueue?: number
}

export interface CookieOptions {
  /** Share the cookies with sub-domains: names then start with `__Secure-`. */
  readonly domain?: string
  /** @default 'lax' */
  readonly sameSite?: 'lax' | 'strict'
  /** Names without their prefix. @default { access: 'accounts_access', refresh: 'accounts_refresh', device: 'accounts_device' } */
  readonly names?: { readonly access?: string, readonly refresh?: string, readonly device?: string }
  /** Accept a plain-http `appUrl` that is not localhost. Warns at every start. @default false */
  readonly insecure?: boolean
}

export interface MailOptions {
  /** What the application calls itself in subjects and texts. @default the host of appUrl */
  readonly appName?: string
  /** Texts in place of the package's own, by kind. One that fails is logged, and the package's own text sent. */
  readonly messages?: { readonly [Kind in MailKind]?: MailMessage<Kind> }
  /**
   * For how long links work, from when they are sent: at least a minute; at most 30 minutes, 7 days and a day.
   * @default { resetPassword: '15m', verifyEmail: '1d', changeEmail: '1h' }
   */
  readonly linkTtl?: { readonly resetPassword?: Duration, readonly verifyEmail?: Duration, readonly changeEmail?: Duration }
}

/**
 * The pages of the host where links in mail end; each makes a URL at the origin of `appUrl`, in which the token stands once.
 * The page sends the token back; no GET ever consumes it.
 */
export interface LinkOptions {
  /** @default token => `${appUrl}/reset-password?token=${token}` */
  readonly resetPassword?: (token: string) => string
  /** @default token => `${appUrl}/verify-email?token=${token}` */
  readonly verifyEmail?: (token: string) => string
  /** @default token => `${appUrl}/change-email?token=${token}` */
  readonly changeEmail?: (token: string) => string
}

/** How often in a row a password may be guessed, by account. Counted in `storage.throttles`, so for all processes together. */
export interface ThrottleOptions {
  /** Attempts in a row that wait for nothing; then 30 seconds, a minute, … an hour between any two. @default 5 */
  readonly free?: number
  /**
   * Failures in a row after which no password is taken any more until it is set anew, or 30 days have passed; at most 100
   * (NIST SP 800-63B-4, 3.2.2). @default 100
   */
  readonly limit?: number
}

/** How much one network (IPv4 address, IPv6 /64) may ask of the plugin's routes, by process. */
export interface RateLimitOptions {
  /** Requests in a window to routes that take no body. @default 300 */
  readonly max?: number
  /** Requests in a window to routes that take a body, counted apart: those check a secret, hash or send mail. @default 30 */
  readonly maxSensitive?: number
  /** @default '1m' */
  readonly window?: Duration
  /**
   * `true`: all processes count together, in `storage.throttles`, by windows of the clock. Each request to the plugin's routes then writes there: meant for
   * Redis. While the store is down each process counts for itself, as it does with `false`.
   * @default false
   */
  readonly shared?: boolean
}

/** Personal access tokens. They are kept in `storage.personalTokens`. */
export interface PersonalTokenOptions {
  /** What each begins with, before an underscore: 2 to 32 letters, digits, underscores. @default 'pat' */
  readonly prefix?: string
  /** The life of one whose end is not said. @default '30d', or `maxTtl` if that is shorter */
  readonly defaultTtl?: Duration
  /** The longest life. @default '366d' */
  readonly maxTtl?: Duration
  /** Live tokens of one user at most. @default 50 */
  readonly maxPerUser?: number
  /** Requests that one token may make, counted by each process for itself; `false`: as many as it likes. @default false */
  readonly rateLimit?: false | { readonly max: number, readonly window?: Duration }
  /** The scopes that there are, so that a misspelt one is refused in tokens and policies. Left out: any. */
  readonly scopes?: readonly string[]
}

/**
 * HTTP Basic (RFC 7617) for clients of the past, and the way out of it. A route takes it only if its policy names `basic`.
 * At least one of `users` and `legacy` is there.
 */
export interface BasicOptions {
  /** Accounts, with address or user name, and password, as at login. @default false */
  readonly users?: boolean
  /** A name and a password that several share, from before there were accounts. They also prove who may claim the first account. */
  readonly legacy?: { readonly username: string, readonly password: string }
  /** When it ends: answers say so (`Sunset`, RFC 8594), and from then on it is refused. */
  readonly sunset?: Date
  /** Since when it is deprecated: answers say so (`Deprecation`, RFC 9745). @default 1970, all along */
  readonly deprecated?: Date
}

export interface AccountsOptions extends TokenOptions {
  /** The public URL of the application: cookie security, allowed origin, links in mail. Never taken from a header. */
  readonly appUrl: string
  /**
   * Of several credentials in one request the first kind of this list counts, and the others are not looked at; kinds that are not on
   * it come after. Left out: such a request is refused, as a proxy in front may have judged another one.
   */
  readonly credentialOrder?: readonly CredentialKind[]
  /** One root secret, from which a key for each purpose is derived (HKDF, RFC 5869); or use `secrets`. */
  readonly secret?: Secret | undefined
  readonly secrets?: Secrets
  /**
   * Key pairs that sign access tokens in place of a secret, so that others can verify them and none can make them; the first
   * with a private key signs, all verify. Refresh tokens and digests stay with `secret` or `secrets`, as nobody else reads them.
   */
  readonly keys?: readonly AccountsKey[]
  readonly storage: Storage
  /** @default '60m' */
  readonly accessTokenTtl?: Duration
  /** End of a session without use. @default '90d' */
  readonly refreshTokenTtl?: Duration
  /** End of a session in any case. @default '365d' */
  readonly sessionTtl?: Duration
  /** Live sessions of one user at most; with one more, the one that began first ends. ASVS 7.1.2. @default 100 */
  readonly maxSessions?: number
  /**
   * `transparent`: a guard renews an expired access cookie from a good refresh cookie.
   * `explicit`: only `POST /auth/refresh` does, and the refresh cookie goes to the plugin's routes alone.
   * @default 'transparent'
   */
  readonly refresh?: 'transparent' | 'explicit'
  readonly cookies?: CookieOptions
  /** `strict`: a request with neither `Sec-Fetch-Site` nor `Origin` needs a CSRF token. @default 'standard' */
  readonly csrf?: 'standard' | 'strict'
  readonly passwords?: PasswordOptions
  /** Sends mail, for instance `nodemailerMailer` of `fastify-accounts/nodemailer`. The server closes it. */
  readonly mailer?: Mailer
  /** Only with a `mailer`. */
  readonly mail?: MailOptions
  /** Only with a `mailer`. */
  readonly links?: LinkOptions
  /**
   * `open: false`: nobody signs up. `verifyEmail`: an address must be proved by the link in a mail before anybody logs in
   * with it, and signing up answers the same whether the address has an account or not.
   * @default { open: true, verifyEmail: true if there is a mailer }
   */
  readonly registration?: { readonly open?: boolean, readonly verifyEmail?: boolean }
  /**
   * Whether clients without cookies get access tokens from `POST /auth/token`, and routes take them from the `Authorization`
   * header. `false`: cookies alone hold them. @default true
   */
  readonly bearer?: boolean
  /** `false`: none is taken or made, which revokes none: switched on again, they work. @default {} if the storage keeps them */
  readonly personalTokens?: false | PersonalTokenOptions
  /** HTTP Basic; its uses are kept in `storage.basicUses`. @default false */
  readonly basic?: false | BasicOptions
  /** Limit guesses, by account; `false`: don't. @default { free: 5, limit: 100 } */
  readonly throttle?: false | ThrottleOptions
  /** Limit requests to the plugin's routes, by network; `false`: don't. @default { max: 300, maxSensitive: 30, window: '1m', shared: false } */
  readonly rateLimit?: false | RateLimitOptions
  /** `false`: decorators only. `health`: whether there is a public route `GET {prefix}/health`. @default { prefix: '/auth', health: false } */
  readonly routes?: false | { readonly prefix?: string, readonly health?: boolean }
  /**
   * `all`: every route of the scope demands any credential, and so does what is not found, unless the route says otherwise
   * by `config.accounts` or a guard of its own. `none`: routes are open unless they say otherwise.
   * @default 'none'
   */
  readonly protect?: 'none' | 'all'
  /**
   * Sessions that began before this registration are over, with all their tokens. Each process has a start of its own: see
   * docs/environment.md. Personal tokens stay.
   * @default false
   */
  readonly expireSessionsOnRestart?: boolean
  readonly hooks?: { readonly [Name in keyof AccountsHooks]?: AccountsHooks[Name] | ReadonlyArray<AccountsHooks[Name]> }
}
