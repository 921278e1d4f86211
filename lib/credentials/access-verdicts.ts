import type { Liveness as Demand } from '../../types/policy.ts'
import type { BearerPrincipal, CookiePrincipal } from '../../types/principal.ts'
import type { Hooks } from '../hooks.ts'
import type { Signals } from '../liveness/signals.ts'
import { ask } from '../sessions/claims.ts'
import type { Liveness, SessionStanding } from '../sessions/liveness.ts'
import { toSession, toUser } from '../sessions/records.ts'
import type { AccessClaims } from '../tokens/claims.ts'
import { extraClaimsOf } from '../tokens/extra-claims.ts'
import type { Tokens } from '../tokens/tokens.ts'

type SessionPrincipal = CookiePrincipal | BearerPrincipal

/** An access token that was verified, and what it proves. */
export interface Verdict<Proved extends SessionPrincipal> {
  readonly generation: number
  readonly expiresAt: number
  readonly standing: SessionStanding
  /** Shared by all requests with one token, hence frozen. */
  readonly principal: Proved
}

/** Why an access token proves nothing; `over`: its session has ended, `refused`: by a hook of the host's. */
type Fault = 'invalid' | 'expired' | 'over' | 'refused'

/** What this process knows of access tokens that come in one way. */
export interface AccessVerdicts<Proved extends SessionPrincipal> {
  /** From memory; `null`: it has to be examined. Synchronous: the path of nearly every request. */
  recall (token: string, demand: Demand, time: number): Verdict<Proved> | null
  examine (token: string, demand: Demand): Promise<Verdict<Proved> | Fault>
}

export interface AccessVerdictsDependencies {
  readonly tokens: Tokens
  readonly liveness: Liveness
  readonly signals: Signals
  readonly hooks: Pick<Hooks, 'verifyToken'>
  /** Verified tokens to remember at most. */
  readonly capacity: number
}

export function createAccessVerdicts<Proved extends SessionPrincipal> (via: Proved['via'], { tokens, liveness, signals, hooks, capacity }: AccessVerdictsDependencies): AccessVerdicts<Proved> {
  /** By the whole token (CVE-2026-35039: never by a part of it). */
  const verdicts = new Map<string, Verdict<Proved>>()

  return {
    recall (token, demand, time) {
      const verdict = verdicts.get(token)
      return verdict === undefined || time >= verdict.expiresAt || !liveness.isUsable(verdict.standing, demand, time) ? null : verdict
    },
    async examine (token, demand) {
      const reading = tokens.readAccess(token)
      if (reading.kind !== 'valid') return reading.kind
      const { claims, goodUntil } = reading
      const { sid, sub, gen } = claims
      const standing = await liveness.resolve(sid, sub, demand)
      if (standing === null) return 'over'
      const principal = createPrincipal(standing, claims, goodUntil)
      for (const verify of hooks.verifyToken) if (await ask(() => verify(principal)) !== true) return 'refused'
      const verdict = { generation: gen, expiresAt: goodUntil, standing, principal }
      // The oldest falls out: to verify it again costs less than to keep book of who was seen last.
      if (verdicts.size >= capacity) verdicts.delete(verdicts.keys().next().value!)
      verdicts.set(token, verdict)
      return verdict
    }
  }

  function createPrincipal (standing: SessionStanding, claims: AccessClaims, expiresAt: number): Proved {
    const { record: session, user } = standing
    let signal: AbortSignal | undefined
    return Object.freeze({
      via,
      user: toUser(user),
      session: toSession(session),
      claims: extraClaimsOf(claims),
      scopes: null,
      authenticatedAt: session.authenticatedAt,
      get signal () {
        signal ??= signals.create({ standing, expiresAt, goodUntil: async () => await liveness.resolve(session.id, user.id, 'strict') === null ? null : expiresAt })
        return signal
      }
    }) as unknown as Proved
  }
}
