import type { FastifyRequest } from 'fastify'
import type { Check } from '../../types/policy.ts'
import type { Principal } from '../../types/principal.ts'
import { FST_ACCOUNTS_AUTHENTICATION_REQUIRED, FST_ACCOUNTS_FORBIDDEN, FST_ACCOUNTS_POLICY_INVALID, isAccountsError } from '../errors.ts'

/** Make a `preHandler` from a check. Without a known caller it is 401: no check runs for nobody. */
export function createAuthorize (check: Check): (request: FastifyRequest) => Promise<void> {
  if (typeof check !== 'function') throw new FST_ACCOUNTS_POLICY_INVALID('check must be a function')
  return async function authorize (request) {
    if (request.principal === null) throw new FST_ACCOUNTS_AUTHENTICATION_REQUIRED()
    await requireConsent(check, request.principal, request)
  }
}

/** Only `true` is consent: a check that forgets to return, or fails, lets nobody in. */
export async function requireConsent (check: Check, principal: Principal, request: FastifyRequest): Promise<void> {
  let consent: unknown
  try {
    consent = await check(principal, request)
  } catch (cause) {
    if (isAccountsError(cause)) throw cause
    throw new FST_ACCOUNTS_FORBIDDEN({ cause })
  }
  if (consent !== true) throw new FST_ACCOUNTS_FORBIDDEN()
}
