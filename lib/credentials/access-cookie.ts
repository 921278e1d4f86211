import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookiePrincipal } from '../../types/principal.ts'
import type { Liveness as Demand } from '../../types/policy.ts'
import { now } from '../clock.ts'
import { CHALLENGE, FST_ACCOUNTS_STORAGE_UNAVAILABLE, FST_ACCOUNTS_TOKEN_EXPIRED, FST_ACCOUNTS_TOKEN_INVALID } from '../errors.ts'
import { isSafe, type OriginGuard } from '../requests/origin.ts'
import type { Activity } from '../sessions/activity.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Refresh } from '../sessions/rotation.ts'
import { createAccessVerdicts, type AccessVerdictsDependencies, type Verdict } from './access-verdicts.ts'
import type { Credential } from './credential.ts'

export interface AccessCookieDependencies extends AccessVerdictsDependencies {
  readonly cookies: Cookies
  readonly activity: Activity
  readonly originGuard: OriginGuard
  /** Renews from the refresh cookie; `null`: only `POST /auth/refresh` does. */
  readonly refresh: Refresh | null
}

/** The access cookie of a browser session, renewed from the refresh cookie where that is wanted. */
export function createAccessCookie (dependencies: AccessCookieDependencies): Credential {
  const { cookies, tokens, activity, originGuard, refresh } = dependencies
  const verdicts = createAccessVerdicts<CookiePrincipal>('cookie', dependencies)
  /** A route may have several guards; the cookies of one request are renewed once. */
  const renewals = new WeakMap<FastifyRequest, Promise<CookiePrincipal | null>>()

  return {
    kind: 'cookie',
    challenge: () => CHALLENGE,
    isPresent: ({ headers: { cookie } }) => cookie !== undefined && (cookies.readAccess(cookie) !== null || cookies.readRefresh(cookie) !== null),
    identify (request, reply, demand) {
      const token = cookies.takeAccess(request, reply)
      const refreshToken = cookies.takeRefresh(request, reply)
      if (token === null) return renew(refreshToken, request, reply)
      const verdict = verdicts.recall(token, demand, now())
      return verdict === null ? examine(token, refreshToken, request, reply, demand) : accept(verdict, request)
    }
  }

  function accept ({ standing, generation, principal }: Verdict<CookiePrincipal>, request: FastifyRequest): CookiePrincipal {
    if (!isSafe(request)) originGuard.checkForSession(request, standing.record.id)
    activity.note(standing.record, generation)
    return principal
  }

  async function examine (token: string, refreshToken: string | null, request: FastifyRequest, reply: FastifyReply, demand: Demand): Promise<CookiePrincipal | null> {
    const found = await verdicts.examine(token, demand)
    if (typeof found === 'object') return accept(found, request)
    if (found === 'refused') throw new FST_ACCOUNTS_TOKEN_INVALID()
    // Expired, of a session that is over (an answer that came late may have left it beside a newer refresh cookie), or signed with a key
    // that is gone: the refresh cookie says who calls, and changing keys logs nobody out.
    const renewed = await renew(refreshToken, request, reply)
    if (renewed !== null) return renewed
    throw found === 'expired' ? new FST_ACCOUNTS_TOKEN_EXPIRED() : new FST_ACCOUNTS_TOKEN_INVALID()
  }

  function renew (token: string | null, request: FastifyRequest, reply: FastifyReply): Promise<CookiePrincipal | null> | null {
    if (token === null || refresh === null) return null
    const renewal = renewals.get(request) ?? trade(token, request, reply)
    renewals.set(request, renewal)
    return renewal
  }

  async function trade (token: string, request: FastifyRequest, reply: FastifyReply): Promise<CookiePrincipal | null> {
    // Before the trade: a page of another origin must not even make a session rotate.
    if (!isSafe(request)) checkBeforeTrade(token, request)
    const refreshed = await refresh!(token, request)
    const found = await verdicts.examine(refreshed.access.token, 'checked')
    // It was good a moment ago: whoever comes again gets another.
    if (found === 'expired') throw new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: 'the clock has jumped' })
    if (typeof found !== 'object') throw new FST_ACCOUNTS_TOKEN_INVALID()
    // Only now: an answer that fails touches no cookie.
    cookies.set(reply, refreshed, refreshed.remember)
    reply.header('accounts-refresh', refreshed.outcome)
    return found.principal
  }

  function checkBeforeTrade (token: string, request: FastifyRequest): void {
    const reading = tokens.readRefresh(token)
    if (reading.kind === 'valid') originGuard.checkForSession(request, reading.claims.sid)
  }
}
