import type { KeyAlgorithm } from './keys.ts'
import type { RedisInspection, StorageInspection, Stores } from './storage.ts'

/** What came of asking a part of the configuration. */
export type Checked<Answer> =
  | { readonly state: 'answered', readonly answer: Answer }
  | { readonly state: 'failed', readonly reason: string }
  /** The part has no verb that tells. */
  | { readonly state: 'unchecked' }

/** A cookie as a session sets it: the name with its prefix, and what stands behind the value. */
export interface CookieFacts {
  readonly name: string
  readonly path: string
  /** `null`: the host alone. */
  readonly domain: string | null
  readonly secure: boolean
  readonly sameSite: 'lax' | 'strict'
}

export type SecretPurpose = 'access' | 'refresh' | 'hash' | 'session'

/** What can be said of the secrets without saying them. */
export interface SecretFacts {
  /** How many one purpose has at most: of more than one the first signs, and all verify. */
  readonly most: number
  /** Purposes that were each given the same secret. */
  readonly shared: ReadonlyArray<readonly [SecretPurpose, SecretPurpose]>
  /** Options that name one secret twice, such as `secrets.hash`. */
  readonly repeated: readonly string[]
}

/** A key of the option `keys`, but for the key. */
export interface KeyFacts {
  readonly kid: string
  readonly algorithm: KeyAlgorithm
  /** Whether its private part is there. */
  readonly canSign: boolean
}

/** A running configuration as `npx fastify-accounts doctor` looks at it. No secret is in it. */
export interface AccountsFacts {
  /** Without a slash at its end. */
  readonly appUrl: string
  /** The path below which browsers find the plugin's routes; `null`: there are none. */
  readonly routesPath: string | null
  /** Whether the server itself speaks TLS. */
  readonly isHttps: boolean
  /** Whose `x-forwarded-for` says who the client is, by Fastify's `trustProxy`; `hops`: it is a number. */
  readonly trustProxy: 'nobody' | 'hops' | 'some' | 'everybody'
  /** The access and the refresh cookie. */
  readonly cookies: readonly CookieFacts[]
  /** Whether `cookies.insecure` lets them cross a network in clear. */
  readonly isInsecure: boolean
  readonly secrets: SecretFacts
  /** The first signs access tokens, all verify them; none where a secret does. */
  readonly keys: readonly KeyFacts[]
  /** What the database says of itself, and between which moments of this process's clock it was asked. */
  readonly storage: Checked<StorageInspection & { readonly askedAt: Date, readonly answeredAt: Date }>
  /** What Redis says of itself, where stores are kept in it, and which. */
  readonly redis: ReadonlyArray<{ readonly stores: ReadonlyArray<keyof Stores>, readonly inspection: Checked<RedisInspection> }>
  /** Whether mail could be sent; `null`: there is no mailer. */
  readonly mailer: Checked<null> | null
}
