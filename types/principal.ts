import type { AccountsClaims, AccountsUser } from 'fastify'

/** An account, as it may be shown to its owner. Never holds a secret or a digest. */
export interface User extends AccountsUser {
  readonly id: string
  /** As the user wrote it; compared without regard to case. */
  readonly email: string
  readonly emailVerified: boolean
  readonly username: string | null
  readonly name: string | null
  readonly roles: readonly string[]
  readonly disabled: boolean
  readonly createdAt: Date
}

/** One login of a user: a row on the server that every token of that login names. */
export interface Session {
  /** 144 random bits, base64url. Names the session, proves nothing. */
  readonly id: string
  readonly createdAt: Date
  /** When the password (or the host's own proof) was last given. */
  readonly authenticatedAt: Date
  /** End without use; moved by each rotation, never past `expiresAt`. */
  readonly idleExpiresAt: Date
  /** End in any case, fixed at sign-in. */
  readonly expiresAt: Date
}

/** A session in the list that its owner sees. */
export interface ListedSession extends Session {
  /** Batched: at most ten seconds behind. */
  readonly lastSeenAt: Date
  /** Such as `Firefox on Windows`, from the user agent at sign-in. */
  readonly device: string
  /** The client's IP address at sign-in, `null` when unknown. */
  readonly address: string | null
  readonly current: boolean
}

/** A personal access token, as its owner sees it: never the secret, nor a digest of it. */
export interface PersonalToken {
  readonly id: string
  readonly name: string
  /** Where it is used: by scripts (limited by address) or in the pages of other sites (limited by referrer). Never changes. */
  readonly context: 'server' | 'browser'
  /** `null`: not limited; the same goes for the lists that follow. `GET` includes `HEAD`. */
  readonly allowedMethods: readonly string[] | null
  /** Addresses and networks (CIDR). */
  readonly allowedIps: readonly string[] | null
  /** Origins, such as `https://www.example.com` or `https://*.example.com`. */
  readonly allowedReferrers: readonly string[] | null
  readonly scopes: readonly string[] | null
  readonly createdAt: Date
  readonly expiresAt: Date
  /** Batched: at most ten seconds behind. */
  readonly lastUsedAt: Date | null
  readonly lastUsedAddress: string | null
  /** The token that was made in its place, by which it ends, at once or after an overlap; `null`: none. There is at most one. */
  readonly successorId: string | null
}

/** The ways in which a request can prove who calls. */
export type CredentialKind = Principal['via']

interface AnyPrincipal {
  readonly user: User
  /** `null`: not narrowed, all that the user may do. Else only routes whose policy names scopes are open, and all that it names are needed. */
  readonly scopes: readonly string[] | null
  /** When the password (or the host's own proof) was last given; of a personal token when it was made; of HTTP Basic right now. */
  readonly authenticatedAt: Date
  /** Aborts when the credential is revoked or expires, so that streams and sockets can be closed. Made when first read. */
  readonly signal: AbortSignal
}

interface SessionPrincipal extends AnyPrincipal {
  readonly session: Session
  /** What the access token says beyond our own claims: true when it was made. */
  readonly claims: Readonly<AccountsClaims>
}

export interface CookiePrincipal extends SessionPrincipal { readonly via: 'cookie' }

export interface BearerPrincipal extends SessionPrincipal { readonly via: 'bearer' }

export interface PersonalTokenPrincipal extends AnyPrincipal {
  readonly via: 'personal-token'
  readonly token: Pick<PersonalToken, 'id' | 'name' | 'context' | 'expiresAt'>
}

export interface BasicPrincipal extends AnyPrincipal {
  readonly via: 'basic'
  /**
   * Whether it is the name and password that several share (`basic.legacy`). Then `user` is no account: its id is `legacy`,
   * it has no roles, and its address is empty.
   */
  readonly isShared: boolean
}

/** Who is calling and how they proved it, told apart by `via`. */
export type Principal = CookiePrincipal | BearerPrincipal | PersonalTokenPrincipal | BasicPrincipal
