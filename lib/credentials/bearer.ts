import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Liveness as Demand } from '../../types/policy.ts'
import type { BearerPrincipal } from '../../types/principal.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_TOKEN_EXPIRED, FST_ACCOUNTS_TOKEN_INVALID, TOKEN_CHALLENGE } from '../errors.ts'
import { readBearer, refuseSecondHeaders } from '../requests/authorization.ts'
import type { Activity } from '../sessions/activity.ts'
import { createAccessVerdicts, type AccessVerdictsDependencies, type Verdict } from './access-verdicts.ts'
import type { Credential } from './credential.ts'

export interface BearerDependencies extends AccessVerdictsDependencies {
  readonly activity: Activity
  /** Those share the scheme. */
  readonly isPersonalToken: (token: string) => boolean
  /** Whether the host has said that this kind goes first: then what is no token of ours is a bad one, also beside a cookie. */
  readonly isFirst: boolean
}

/** An access token in the `Authorization` header (RFC 6750, 2.1). No browser sends it by itself, so pages of other origins can't use it. */
export function createBearer (dependencies: BearerDependencies): Credential {
  const { tokens, activity, isPersonalToken, isFirst } = dependencies
  const verdicts = createAccessVerdicts<BearerPrincipal>('bearer', dependencies)

  return {
    kind: 'bearer',
    challenge: () => TOKEN_CHALLENGE,
    // A gateway before us may send tokens of its own beside our cookie: they are nothing to choose from.
    isPresent: request => readOurs(request) !== null,
    identify (request, reply, demand) {
      const token = readOurs(request)
      if (token === null) return null
      refuseSecondHeaders(request)
      const verdict = verdicts.recall(token, demand, now())
      return verdict === null ? examine(token, reply, demand) : accept(verdict)
    },
    refuseForeign (request, reply) {
      const token = readBearer(request)
      if (token !== null && !isPersonalToken(token)) refuse(reply, 'invalid')
    }
  }

  /** Told by its head, to the byte; whether it is good is another question. */
  function readOurs (request: FastifyRequest): string | null {
    const token = readBearer(request)
    return token !== null && (tokens.isAccess(token) || (isFirst && !isPersonalToken(token))) ? token : null
  }

  function accept ({ standing, generation, principal }: Verdict<BearerPrincipal>): BearerPrincipal {
    activity.note(standing.record, generation)
    return principal
  }

  async function examine (token: string, reply: FastifyReply, demand: Demand): Promise<BearerPrincipal> {
    const found = await verdicts.examine(token, demand)
    return typeof found === 'object' ? accept(found) : refuse(reply, found === 'expired' ? 'expired' : 'invalid')
  }
}

/** RFC 6750, 3.1. Why it is invalid is nobody's business. */
function refuse (reply: FastifyReply, why: 'expired' | 'invalid'): never {
  reply.header('www-authenticate', `${TOKEN_CHALLENGE}, error="invalid_token"${why === 'expired' ? ', error_description="expired"' : ''}`)
  throw why === 'expired' ? new FST_ACCOUNTS_TOKEN_EXPIRED() : new FST_ACCOUNTS_TOKEN_INVALID()
}
