import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CredentialKind, Principal } from '../../types/principal.ts'
import type { Liveness } from '../../types/policy.ts'

export type PolicyDenial = 'route' | 'scope'

/**
 * One kind of proof of who calls. `null` means "nothing of my kind here, ask the next"; a throw or rejection means
 * "mine, and bad: stop". It answers at once where memory suffices: a promise costs as much as the whole check.
 */
export interface Credential {
  readonly kind: CredentialKind
  /** Whether the request carries one that is beyond doubt of this kind, be it good or bad. */
  isPresent (request: FastifyRequest): boolean
  /** How it is asked for (RFC 9110, 11.6.1); `null`: this caller is not asked for it. */
  challenge (request: FastifyRequest): string | null
  identify (request: FastifyRequest, reply: FastifyReply, demand: Liveness): Principal | null | Promise<Principal | null>
  /** Asked when nobody was found: throws where the request carries what looks like one of this kind, and is nobody's. */
  refuseForeign? (request: FastifyRequest, reply: FastifyReply): void
  /**
   * Told, when the answer is out, of a request that carried one of this kind and was refused by the policy: its kind is not
   * taken there, or its scopes do not suffice.
   */
  noteRefused? (request: FastifyRequest, reason: PolicyDenial): Promise<void>
}
