import { LRUCache } from 'lru-cache'
import type { FastifyRequest } from 'fastify'
import type { PersonalTokenDenial } from '../../types/hooks.ts'
import type { PersonalTokenPrincipal } from '../../types/principal.ts'
import type { PersonalTokenRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_PERSONAL_TOKEN_REFUSED, TOKEN_CHALLENGE } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import type { Changes } from '../liveness/changes.ts'
import type { Signals } from '../liveness/signals.ts'
import { createStandings, type Standing } from '../liveness/standings.ts'
import { canonicalAddress } from '../personal-tokens/addresses.ts'
import { compileRules, decide, denyToken, type Rules } from '../personal-tokens/decide.ts'
import type { TakeFromQuota } from '../personal-tokens/quota.ts'
import type { Uses } from '../personal-tokens/uses.ts'
import { readBearer, readToken, refuseSecondHeaders } from '../requests/authorization.ts'
import { clientAddress } from '../requests/client.ts'
import { toUser } from '../sessions/records.ts'
import type { GuardedStorage } from '../storage.ts'
import type { PersonalTokens } from '../tokens/personal.ts'
import type { Credential } from './credential.ts'

export interface PersonalTokenCredentialDependencies {
  readonly storage: GuardedStorage
  readonly personalTokens: PersonalTokens
  readonly changes: Changes
  readonly signals: Signals
  readonly uses: Uses
  readonly takeFromQuota: TakeFromQuota
  readonly hooks: Hooks
  /** Tokens to remember at most. */
  readonly capacity: number
}

/** A token that is known, good or bad, with what it rests on and what it proves. */
interface Verdict {
  readonly standing: Standing<PersonalTokenRecord>
  readonly rules: Rules
  readonly principal: PersonalTokenPrincipal
}

/** A personal token in the `Authorization` header, as `ApiToken` or `Bearer`. It never becomes a session (CVE-2023-31139). */
export function createPersonalToken (dependencies: PersonalTokenCredentialDependencies): Credential {
  const { storage, personalTokens, changes, signals, uses, takeFromQuota, hooks, capacity } = dependencies
  const standings = createStandings<PersonalTokenRecord>(changes, capacity)
  /**
   * By the whole token. Only what the store knows gets in here, and that once, however the header is spelled: what somebody
   * makes up can't push others out.
   */
  const verdicts = new LRUCache<string, Verdict>({ max: capacity })

  return {
    kind: 'personal-token',
    challenge: () => TOKEN_CHALLENGE,
    isPresent: request => readOurs(request) !== null,
    identify (request, _reply, demand) {
      if (request.headers.authorization === undefined) return null
      refuseSecondHeaders(request)
      const token = readOurs(request)
      if (token === null) return null
      const verdict = verdicts.get(token)
      if (verdict !== undefined && standings.isUsable(verdict.standing, demand)) return accept(verdict, request)
      return examine(token, request)
    },
    refuseForeign (request) {
      if (readBearer(request) !== null) refuseUnknown('malformed', request)
    },
    async noteRefused (request, reason) {
      const presented = readToken(request.headers.authorization ?? '')
      if (presented === null) return
      const kept = verdicts.get(presented.token)
      const verdict = kept !== undefined && standings.isUsable(kept.standing, 'checked') ? kept : await load(presented.token, personalTokens.digestsOf(presented.token))
      if (verdict !== null) tell(verdict.standing.record, denialOf(verdict, request) ?? reason, request)
    }
  }

  /** `Bearer` is the scheme of other tokens too. */
  function readOurs ({ headers: { authorization } }: FastifyRequest): string | null {
    const presented = authorization === undefined ? null : readToken(authorization)
    return presented !== null && (presented.scheme === 'apitoken' || personalTokens.isMeant(presented.token)) ? presented.token : null
  }

  /** Every limit is looked at on every request, also of a token that was let in a moment ago. */
  function accept (verdict: Verdict, request: FastifyRequest): PersonalTokenPrincipal {
    const { standing: { record }, principal } = verdict
    const denial = denialOf(verdict, request)
    if (denial !== null) {
      tell(record, denial, request)
      // The caller learns nothing but that it is refused.
      throw new FST_ACCOUNTS_PERSONAL_TOKEN_REFUSED()
    }
    // Only now: who holds a stolen token and can't use it can't use up what its owner may ask for either.
    takeFromQuota(record.id)
    uses.note(record.id, request.ip)
    return principal
  }

  function denialOf ({ standing: { user }, rules }: Verdict, request: FastifyRequest): PersonalTokenDenial | null {
    const { method, headers: { origin, referer } } = request
    const address = rules.addresses === null ? null : canonicalAddress(request.ip)
    return decide(rules, user, { method, address, origin, referer }, now())
  }

  async function examine (token: string, request: FastifyRequest): Promise<PersonalTokenPrincipal> {
    const digests = personalTokens.digestsOf(token)
    const verdict = await load(token, digests)
    return verdict === null ? refuseUnknown(digests.length === 0 ? 'malformed' : 'unknown', request) : accept(verdict, request)
  }

  function refuseUnknown (reason: 'malformed' | 'unknown', request: FastifyRequest): never {
    hooks.record('personal-token.unknown', { reason, request })
    throw new FST_ACCOUNTS_PERSONAL_TOKEN_REFUSED()
  }

  async function load (token: string, digests: readonly string[]): Promise<Verdict | null> {
    const standing = await find(digests)
    if (standing === null) return null
    const verdict = { standing, rules: compileRules(standing.record), principal: createPrincipal(standing, digests) }
    verdicts.set(token, verdict)
    return verdict
  }

  /** Digest before lookup: the store must never see the secret. */
  async function find (digests: readonly string[]): Promise<Standing<PersonalTokenRecord> | null> {
    for (const digest of digests) {
      const standing = await standings.read(async () => {
        const record = await storage.personalTokens!.findByDigest(digest)
        const user = record === null ? null : await storage.users.find(record.userId)
        return user === null ? null : { record: record!, user }
      })
      if (standing !== null) return standing
    }
    return null
  }

  function tell ({ id, userId }: PersonalTokenRecord, reason: PersonalTokenDenial, request: FastifyRequest): void {
    hooks.record('personal-token.refused', { userId, tokenId: id, reason, request })
    hooks.notify('personalTokenRefused', { userId, tokenId: id, reason, at: new Date(now()), address: clientAddress(request), request })
  }

  /** Shared by all requests with one token, hence frozen. */
  function createPrincipal (standing: Standing<PersonalTokenRecord>, digests: readonly string[]): PersonalTokenPrincipal {
    const { record, user } = standing
    const { id, name, context, expiresAt } = record
    let signal: AbortSignal | undefined
    return Object.freeze<PersonalTokenPrincipal>({
      via: 'personal-token',
      user: toUser(user),
      token: Object.freeze({ id, name, context, expiresAt }),
      scopes: record.scopes === null ? null : Object.freeze([...record.scopes]),
      authenticatedAt: record.createdAt,
      get signal () {
        signal ??= signals.create({ standing, expiresAt: expiresAt.getTime(), goodUntil })
        return signal
      }
    })

    async function goodUntil (): Promise<number | null> {
      const standing = await find(digests)
      return standing !== null && denyToken(standing.record, standing.user, now()) === null ? standing.record.expiresAt.getTime() : null
    }
  }
}
