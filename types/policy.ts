import type { FastifyRequest } from 'fastify'
import type { CredentialKind, Principal } from './principal.ts'

/** Seconds, or a number with a unit: `'30s'`, `'15m'`, `'12h'`, `'90d'`. */
export type Duration = number | string

/**
 * How current a verdict on a credential must be.
 * - `checked`: from memory while the revocation feed has proved itself alive within the last second, else from the store.
 * - `strict`: the store is asked every time.
 * - `stateless`: a token once seen live is believed by this process until it expires, even while the store is down.
 */
export type Liveness = 'checked' | 'strict' | 'stateless'

/** Decide on a known caller; anything but `true` refuses with 403. */
export type Check = (principal: Principal, request: FastifyRequest) => boolean | Promise<boolean>

/** What a route demands of its caller. */
export interface Policy {
  /** The credentials that the route accepts; left out: every kind that is enabled, but for `basic`. */
  readonly via?: CredentialKind | readonly CredentialKind[]
  /** Let a caller without any credential in, as `principal: null`. A bad credential is still 401. */
  readonly optional?: boolean
  /** Demand a password proof that is at most this old, which no personal token is; the store is asked (`strict`). RFC 9470. */
  readonly fresh?: Duration
  /** The user must have one of these roles now. */
  readonly roles?: readonly string[]
  /**
   * A credential that is narrowed to scopes must have all of these; others pass. Left out: no narrowed credential passes.
   * `[]`: any does, and the route itself looks at `principal.scopes`.
   */
  readonly scopes?: readonly string[]
  /** @default 'checked' */
  readonly liveness?: Liveness
  readonly check?: Check
}

/** A policy with nothing left out. */
export interface CompletePolicy {
  readonly via: readonly CredentialKind[]
  readonly optional: boolean
  /** Seconds. */
  readonly fresh: number | null
  readonly roles: readonly string[] | null
  readonly scopes: readonly string[] | null
  readonly liveness: Liveness
  /** The name of the function. */
  readonly check: string | null
}

/** One line of the matrix: what guards this method of this route. */
export interface RoutePolicy {
  /** `*` stands for all methods. */
  readonly method: string
  /** The pattern of the route, or in parentheses what is no single route of this list. */
  readonly url: string
  /** `public`: it says `false`. `none`: it says nothing. What hooks of a whole scope do is not seen. A list: all of them, in this order. */
  readonly policy: 'public' | 'none' | CompletePolicy | readonly CompletePolicy[]
}
