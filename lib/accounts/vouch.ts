import type { FastifyRequest } from 'fastify'
import type { SignInOptions } from '../../types/accounts.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_CREDENTIALS_INVALID, FST_ACCOUNTS_FORBIDDEN, FST_ACCOUNTS_INPUT_INVALID } from '../errors.ts'
import { checkExtraClaims } from '../tokens/extra-claims.ts'
import { isId } from '../shape.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import type { Begin } from './login.ts'
import { readSignInOptions } from './shapes.ts'

/**
 * Begin a session of a user for whom the host vouches: it has authenticated them itself.
 * @throws {FST_ACCOUNTS_CREDENTIALS_INVALID} no such user, or disabled
 * @throws {FST_ACCOUNTS_FORBIDDEN} the request was let in by a personal token
 * @throws {FST_ACCOUNTS_INPUT_INVALID}
 * @throws {FST_ACCOUNTS_CLAIMS_INVALID}
 */
export type Vouch = (userId: string, options: SignInOptions, request: FastifyRequest | null) => Promise<Issued>

export function createVouch ({ storage, hooks }: Pick<AccountsDependencies, 'storage' | 'hooks'>, begin: Begin): Vouch {
  return async function vouch (userId, options, request) {
    refuseTokens(request)
    const { remember = true, authenticatedAt = new Date(now()), claims } = readSignInOptions(options)
    // A typing error must not pass for a proof of this moment.
    if (!(authenticatedAt instanceof Date && authenticatedAt.getTime() >= 0)) throw new FST_ACCOUNTS_INPUT_INVALID('authenticatedAt must be a Date since 1970')
    const user = isId(userId) ? await storage.users.find(userId) : null
    if (user === null || user.disabled) throw new FST_ACCOUNTS_CREDENTIALS_INVALID()
    const issued = await begin(user, request, { remember, authenticatedAt, claims: claims === undefined ? null : JSON.stringify(checkExtraClaims(claims)) })
    hooks.record('login.succeeded', { userId: user.id, sessionId: issued.session.id, request })
    return issued
  }
}

/** A token limited to some requests must not become a session that is limited to none (CVE-2023-31139). */
export function refuseTokens (request: FastifyRequest | null): void {
  if (request?.principal?.via === 'personal-token') throw new FST_ACCOUNTS_FORBIDDEN()
}
