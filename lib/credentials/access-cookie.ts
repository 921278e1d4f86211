import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CookiePrincipal } from '../../types/principal.ts'
import type { Liveness as Demand } from '../../types/policy.ts'
import { now } from '../clock.ts'
import { CHALLENGE, FST_ACCOUNTS_TOKEN_EXPIRED, FST_ACCOUNTS_TOKEN_INVALID } from '../errors.ts'
import { isSafe, type OriginGuard } from '../requests/origin.ts'
import type { Signals } from '../liveness/signals.ts'
import type { Activity } from '../sessions/activity.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Liveness, SessionStanding } from '../sessions/liveness.ts'
import { toSession, toUser } from '../sessions/records.ts'
import type { Refresh } from '../sessions/rotation.ts'
import type { AccessClaims } from '../tokens/claims.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { Credential } from './credential.ts'

export interface AccessCookieDependencies {
  readonly cookies: Cookies
  readonly tokens: Tokens
  readonly liveness: Liveness
  readonly activity: Activity
  readonly signals: Signals
  readonly originGuard: OriginGuard
  /** Renews from the refresh cookie; `null`: only `POST /auth/refresh` does. */
  readonly refresh: Refresh | null
  /** Verified tokens to remember at most. */
  readonly capacity: number
}

/** A token that was verified, and what it proves. Keyed by the whole token (CVE-2026-35039: never by a part of it). */
interface Verdict {
  readonly generation: number
  readonly expiresAt: number
  readonly standing: SessionStanding
  readonly principal: CookiePrincipal
}

/** The access cookie of a browser session, renewed from the refresh cookie where that is wanted. */
export function createAccessCookie (dependencies: AccessCookieDependencies): Credential {
  const { cookies, tokens, liveness, activity, signals, originGuard, refresh, capacity } = dependencies
  const verdicts = new Map<string, Verdict>()
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
      const verdict = verdicts.get(token)
      const time = now()
      if (verdict === undefined || time >= verdict.expiresAt || !liveness.isUsable(verdict.standing, demand, time)) return examine(token, refreshToken, request, reply, demand)
      return accept(verdict, request)
    }
  }

  function accept (verdict: Verdict, request: FastifyRequest): CookiePrincipal {
    if (!isSafe(request)) originGuard.checkForSession(request, verdict.standing.record.id)
    activity.note(verdict.standing.record, verdict.generation)
    return verdict.principal
  }

  async function examine (token: string, refreshToken: string | null, request: FastifyRequest, reply: FastifyReply, demand: Demand): Promise<CookiePrincipal | null> {
    const reading = tokens.readAccess(token)
    if (reading.kind === 'invalid') throw new FST_ACCOUNTS_TOKEN_INVALID()
    if (reading.kind === 'valid') {
      const standing = await liveness.resolve(reading.claims.sid, reading.claims.sub, demand)
      if (standing !== null) return accept(remember(token, reading.claims, standing), request)
    }
    // Expired, or of a session that is over: an answer that came late may have left it beside a newer refresh cookie.
    const renewed = await renew(refreshToken, request, reply)
    if (renewed !== null) return renewed
    throw reading.kind === 'expired' ? new FST_ACCOUNTS_TOKEN_EXPIRED() : new FST_ACCOUNTS_TOKEN_INVALID()
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
    const reading = tokens.readAccess(refreshed.access.token)
    if (reading.kind !== 'valid') throw new FST_ACCOUNTS_TOKEN_INVALID()
    const standing = await liveness.resolve(refreshed.session.id, refreshed.user.id, 'checked')
    if (standing === null) throw new FST_ACCOUNTS_TOKEN_INVALID()
    // Only now: an answer that fails touches no cookie.
    cookies.set(reply, refreshed, refreshed.remember)
    reply.header('accounts-refresh', refreshed.outcome)
    return remember(refreshed.access.token, reading.claims, standing).principal
  }

  function checkBeforeTrade (token: string, request: FastifyRequest): void {
    const reading = tokens.readRefresh(token)
    if (reading.kind === 'valid') originGuard.checkForSession(request, reading.claims.sid)
  }

  function remember (token: string, claims: AccessClaims, standing: SessionStanding): Verdict {
    const expiresAt = claims.exp * 1000
    const verdict = { generation: claims.gen, expiresAt, standing, principal: createPrincipal(standing, expiresAt) }
    // The oldest falls out: to verify it again costs less than to keep book of who was seen last.
    if (verdicts.size >= capacity) verdicts.delete(verdicts.keys().next().value!)
    verdicts.set(token, verdict)
    return verdict
  }

  /** Shared by all requests with one token, hence frozen. */
  function createPrincipal (standing: SessionStanding, expiresAt: number): CookiePrincipal {
    const { record: session, user } = standing
    let signal: AbortSignal | undefined
    return Object.freeze<CookiePrincipal>({
      via: 'cookie',
      user: toUser(user),
      session: toSession(session),
      scopes: null,
      authenticatedAt: session.authenticatedAt,
      get signal () {
        signal ??= signals.create({ standing, expiresAt, goodUntil: async () => await liveness.resolve(session.id, user.id, 'strict') === null ? null : expiresAt })
        return signal
      }
    })
  }
}
