import type { AccountsClaims, FastifyRequest } from 'fastify'
import type { Check } from './policy.ts'
import type { BearerPrincipal, CookiePrincipal, PersonalToken, Session, User } from './principal.ts'
import type { RevokeReason } from './storage.ts'

/** The request behind an event; `null` when a service was called outside of one. */
type MaybeRequest = FastifyRequest | null

export interface RegisterState {
  readonly email: string
  readonly username: string | null
  readonly name: string | null
  readonly request: MaybeRequest
}
export interface LoginState { readonly user: User, readonly request: MaybeRequest }
/** `session` is `null` where the address has to be verified before anybody signs in. */
export interface RegisteredState { readonly user: User, readonly session: Session | null, readonly request: MaybeRequest }
export interface SignedInState { readonly user: User, readonly session: Session, readonly request: MaybeRequest }
/** `session` may not be stored yet. */
export interface ClaimsState { readonly user: User, readonly session: Session, readonly request: MaybeRequest }
/** `user` is `null` where the account is not made yet. */
export interface SigningInState { readonly user: User | null, readonly request: MaybeRequest }
export interface SignedOutState { readonly request: FastifyRequest }
export interface LoginFailedState {
  /** What was submitted; such an account need not exist. */
  readonly identifier: string
  readonly reason: LoginFailure
  readonly request: MaybeRequest
}
export interface SessionState { readonly userId: string, readonly sessionId: string, readonly request: MaybeRequest }
export interface SessionRefreshedState extends SessionState { readonly outcome: RefreshOutcome }
export interface SessionRevokedState extends SessionState { readonly reason: RevokeReason }
export interface MailFailedState {
  readonly kind: string
  readonly userId: string | null
  /** How often it was tried. */
  readonly attempts: number
}
export interface PersonalTokenCreatedState { readonly user: User, readonly token: PersonalToken, readonly request: MaybeRequest }
export interface PersonalTokenRefusedState {
  /** Its owner. */
  readonly userId: string
  readonly tokenId: string
  readonly reason: PersonalTokenDenial
  readonly at: Date
  /** Where it was used from; `null` when unknown. */
  readonly address: string | null
  readonly request: FastifyRequest
}
export interface PasswordChangedState { readonly user: User, readonly request: MaybeRequest }

export type LoginFailure = 'unknown-user' | 'wrong-password' | 'disabled' | 'no-password' | 'unverified' | 'ill-formed' | 'throttled'
/** Why a personal token was not accepted; outside all of them look alike. */
export type PersonalTokenDenial =
  | 'malformed' | 'unknown'
  | 'revoked' | 'expired' | 'owner-gone' | 'owner-disabled' | 'owner-changed'
  | 'method' | 'address' | 'address-unknown' | 'referrer' | 'referrer-missing' | 'referrer-conflict'
  | 'route' | 'scope'
export type RefreshOutcome = 'rotated' | 'window' | 'recovered'

/** A hook that is awaited before the act; a rejection refuses it: 403, or the error's own `statusCode` when it is 4xx, or this package's 503. */
type Before<State> = (state: State) => void | Promise<void>
/** A hook that is awaited after the act; a rejection is logged and changes nothing. */
type After<State> = (state: State) => void | Promise<void>
/** A hook that nobody waits for; a rejection is logged. */
type Notice<State> = (state: State) => void | Promise<void>

/** Every hook, by name. */
export interface AccountsHooks {
  /** The input is well-formed and the password accepted; nothing is stored yet. */
  beforeRegister: Before<RegisterState>
  /** The account exists. Not waited for where `session` is `null`: the time of the answer would tell that it is new. */
  afterRegister: After<RegisteredState>
  /** The password was right; no session exists yet. */
  beforeLogin: Before<LoginState>
  afterLogin: After<SignedInState>
  loginFailed: Notice<LoginFailedState>
  /**
   * A session is about to begin, in whatever way: login, sign-up, a changed password, `reply.signIn`. Nothing of it is stored,
   * and another refusal may still come.
   */
  beforeSignIn: Before<SigningInState>
  /** The session is stored; nobody has its cookies yet. */
  afterSignIn: After<SignedInState>
  /** A browser has ended the session that it came with, by whichever route or by `reply.signOut`. Its answer is not sent yet. */
  afterSignOut: After<SignedOutState>
  /**
   * What an access token is to say beyond our own claims (RFC 7519, 4.3), asked whenever one is made. Awaited; of several hooks the last
   * says. A rejection fails the request, with the error's own status if that is 4xx: a client that was refreshing just tries again.
   */
  claims: (state: ClaimsState) => Partial<AccountsClaims> | null | undefined | Promise<Partial<AccountsClaims> | null | undefined>
  /**
   * An access token has been verified and its session read, which is live: when this process first sees the token, when the session or its user
   * has changed, and on each request that is `strict`. Awaited, anything but `true` is 401. A rejection fails the request. For what may change from request to request there is `authorize`.
   */
  verifyToken: (principal: CookiePrincipal | BearerPrincipal) => boolean | Promise<boolean>
  /** After every guard that found a caller: awaited, anything but `true` (or a rejection) is 403. */
  authorize: Check
  sessionRefreshed: Notice<SessionRefreshedState>
  /** A refresh token that had been traded long ago came again: the session is dead, somebody copied a cookie. */
  sessionReused: Notice<SessionState>
  sessionRevoked: Notice<SessionRevokedState>
  passwordChanged: Notice<PasswordChangedState>
  /** A token was made, also in the place of another. */
  personalTokenCreated: Notice<PersonalTokenCreatedState>
  /** A token that we know was refused, also by a route that takes none (`route`) or other scopes (`scope`): then after the answer. */
  personalTokenRefused: Notice<PersonalTokenRefusedState>
  /** A mail was given up: refused for good, or not accepted for a day. */
  mailFailed: Notice<MailFailedState>
}

export type AccountsHookName = keyof AccountsHooks

/** What `diagnostics_channel` `fastify-accounts` publishes: one object a decision, no secret in it. */
export interface AccountsEvent {
  readonly name: AccountsEventName
  readonly at: Date
  /** Whom it is about. */
  readonly userId?: string
  /** Who did it, when that is another user. */
  readonly actorId?: string
  readonly sessionId?: string
  readonly tokenId?: string
  readonly requestId?: string
  readonly address?: string | null
  /**
   * Why, where the name alone does not say it: a `RevokeReason`, a `LoginFailure`, a `PersonalTokenDenial`, an error code, a route. Of
   * `storage.failed` the store, as the storage names it (`sessions`), or `transaction`, `feed`, `inspection` where it was none of them.
   */
  readonly reason?: string
}

export type AccountsEventName =
  | 'account.registered' | 'account.changed' | 'account.deleted'
  | 'login.succeeded' | 'login.failed' | 'login.throttled' | 'proof.throttled'
  | 'session.rotated' | 'session.window' | 'session.recovered' | 'session.reused' | 'session.revoked'
  | 'password.changed' | 'password.upgraded' | 'password.reset' | 'email.verified' | 'email.changed'
  | 'personal-token.created' | 'personal-token.changed' | 'personal-token.revoked' | 'personal-token.refused' | 'personal-token.unknown'
  | 'basic.used' | 'owner.claimed'
  | 'mail.sent' | 'mail.failed' | 'mail.given-up'
  | 'request.refused' | 'storage.failed'
