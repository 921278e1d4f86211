import type { FastifyRequest } from 'fastify'
import type { Check } from '../../types/policy.ts'
import type { Principal } from '../../types/principal.ts'
import type { Hooks } from '../hooks.ts'
import { FST_ACCOUNTS_AUTHENTICATION_REQUIRED, FST_ACCOUNTS_FORBIDDEN, FST_ACCOUNTS_POLICY_INVALID, isAccountsError } from '../errors.ts'

/** Make a maker of `preHandler`s from checks. Without a known caller it is 401: no check runs for nobody. */
export function createAuthorize (hooks: Hooks): (check: Check) => (request: FastifyRequest) => Promise<void> {
  return check => {
    if (typeof check !== 'function') throw new FST_ACCOUNTS_POLICY_INVALID('Policy', 'check must be a function')
    return async function authorize (request) {
      try {
        if (request.principal === null) throw new FST_ACCOUNTS_AUTHENTICATION_REQUIRED()
        await requireConsent(check, request.principal, request)
      } catch (error) {
        if (isAccountsError(error)) hooks.refused(error, request)
        throw error
      }
    }
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
