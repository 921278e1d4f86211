import type { AccountsClaims, FastifyReply, FastifyRequest } from 'fastify'
import type { Session, User } from './principal.ts'

/** The request on whose behalf a service acts: its address, user agent and presented session. */
export interface ServiceContext { readonly request?: FastifyRequest | null }

/** The same for what begins a session. */
export interface SigningInContext extends ServiceContext {
  /**
   * The answer to the request, in place of that: it takes the session to the browser, in the cookies that the routes set, so that nobody has to
   * handle its tokens. What a page of another origin has sent is refused then. @throws {FST_ACCOUNTS_ORIGIN_REFUSED}
   */
  readonly reply?: FastifyReply | null
}

export type LoginInput = ({ readonly email: string } | { readonly username: string }) & {
  readonly password: string
  readonly remember?: boolean
}

export interface SignInOptions {
  /** `false`: the cookies end with the browser. @default true */
  readonly remember?: boolean
  /**
   * When they proved who they are, if that was not just now: policies with `fresh` go by it. A moment to come counts as now.
   * @default now
   */
  readonly authenticatedAt?: Date
  /** What all access tokens of this session say beyond our own claims, until it ends; those of the hook `claims` go before. */
  readonly claims?: Partial<AccountsClaims>
}

/** A session just begun, with the tokens that prove it. The tokens are secrets. */
export interface SignedIn {
  readonly user: User
  readonly session: Session
  readonly accessToken: string
  readonly refreshToken: string
}
