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
  /** The credentials that the route accepts; left out: every kind that is enabled. */
  readonly via?: CredentialKind | readonly CredentialKind[]
  /** Let a caller without any credential in, as `principal: null`. A bad credential is still 401. */
  readonly optional?: boolean
  /** Demand a password proof that is at most this old; the store is asked (`strict`). RFC 9470. */
  readonly fresh?: Duration
  /** The user must have one of these roles now. */
  readonly roles?: readonly string[]
  /** @default 'checked' */
  readonly liveness?: Liveness
  readonly check?: Check
}
