import type { FastifyRequest } from 'fastify'
import type { Session, User } from '../../types/principal.ts'
import { clientStatus, FST_ACCOUNTS_INTERNAL, isAccountsError } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import { checkExtraClaims } from '../tokens/extra-claims.ts'

/** What the next access token of a session is to say beyond our own claims: `own` of its sign-in, and what hooks say now. */
export type CollectClaims = (state: { readonly user: User, readonly session: Session, readonly request: FastifyRequest | null }, own: string | null) => Promise<object>

export function createCollectClaims ({ claims: hooks }: Pick<Hooks, 'claims'>): CollectClaims {
  return async function collect (state, own) {
    let claims = own === null ? {} : JSON.parse(own) as object
    for (const hook of hooks) {
      const said = await ask(() => hook(state))
      if (said !== null && said !== undefined) claims = { ...claims, ...checkExtraClaims(said) }
    }
    return hooks.length === 0 ? claims : checkExtraClaims(claims)
  }
}

/** What a hook of the host's answers; what it throws for a client is the client's, all else is a fault of the server. */
export async function ask<Answer> (hook: () => Answer | Promise<Answer>): Promise<Answer> {
  try {
    return await hook()
  } catch (error) {
    throw clientStatus(error) !== null || isAccountsError(error) ? error : new FST_ACCOUNTS_INTERNAL({ cause: error })
  }
}
