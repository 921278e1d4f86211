import { createHmac } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Liveness as Demand } from '../../types/policy.ts'
import type { LoginFailure } from '../../types/hooks.ts'
import type { BasicPrincipal } from '../../types/principal.ts'
import type { UserRecord } from '../../types/storage.ts'
import { SHARED_ID, type Legacy } from '../basic/legacy.ts'
import type { BasicUses } from '../basic/uses.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_BASIC_ENDED, FST_ACCOUNTS_CREDENTIALS_INVALID } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import type { Changes } from '../liveness/changes.ts'
import type { Signals } from '../liveness/signals.ts'
import { createStandings, type Standing } from '../liveness/standings.ts'
import type { BasicSettings } from '../options/basic.ts'
import { randomToken } from '../random.ts'
import { basicChallenge, readBasic, refuseSecondHeaders, type NameAndPassword } from '../requests/authorization.ts'
import { isSafe, type OriginGuard } from '../requests/origin.ts'
import { toUser } from '../sessions/records.ts'
import type { GuardedStorage } from '../storage.ts'
import type { Credential } from './credential.ts'

export interface BasicDependencies {
  readonly settings: Pick<BasicSettings, 'sunset' | 'deprecated'>
  readonly storage: GuardedStorage
  /** `null`: there are none. */
  readonly legacy: Legacy | null
  /** Check a name and password as login does. @throws what login throws; `null`: accounts don't come this way */
  readonly prove: ((presented: NameAndPassword, request: FastifyRequest) => Promise<UserRecord>) | null
  /** Whether this account is kept out, whatever its password. */
  readonly isBarred: (user: UserRecord) => boolean
  readonly changes: Changes
  readonly signals: Signals
  readonly originGuard: OriginGuard
  readonly uses: BasicUses
  readonly hooks: Hooks
  /** Verified pairs to remember at most. */
  readonly capacity: number
}

/** A user whose password was verified, and holds as long as the account has that password. */
type UserStanding = Standing<{ readonly id: string, readonly userId: string }>

/** So long after their last use a name and password have to be hashed again. */
const REMEMBER_MS = 600_000

/** HTTP Basic (RFC 7617), for routes that ask for it by name. It never becomes a session. */
export function createBasic (dependencies: BasicDependencies): Credential {
  const { settings, storage, legacy, prove, isBarred, changes, signals, originGuard, uses, hooks, capacity } = dependencies
  const standings = createStandings<UserStanding['record']>(changes, capacity)
  const key = randomToken()
  const shared = legacy === null ? null : sharedBy(legacy.username)
  const verified = new LRUCache<string, UserStanding>({ max: capacity, ttl: REMEMBER_MS, updateAgeOnGet: true })
  const examinations = new Map<string, Promise<UserStanding>>()
  const hasEnded = () => settings.sunset !== null && now() >= settings.sunset

  return {
    kind: 'basic',
    // A browser that was given it once sends it along with everything until it is closed: beside a session it does not count.
    isPresent: () => false,
    challenge: request => hasEnded() ? null : basicChallenge(request),
    identify (request, reply, demand) {
      const { authorization } = request.headers
      if (authorization === undefined) return null
      const presented = readBasic(authorization)
      if (presented === null) return null
      refuseSecondHeaders(request)
      announceEnd(reply)
      return identify(presented, request, reply, demand)
    }
  }

  async function identify (presented: NameAndPassword | 'malformed', request: FastifyRequest, reply: FastifyReply, demand: Demand): Promise<BasicPrincipal> {
    if (hasEnded()) throw new FST_ACCOUNTS_BASIC_ENDED()
    // Browsers send it by themselves, whoever's page it is that asks.
    if (!isSafe(request)) originGuard.checkWithoutSession(request)
    try {
      if (presented === 'malformed') throw refuse('', 'ill-formed', request)
      const standing = await recall(presented, demand) ?? await examine(presented, request)
      noteUse(standing, request)
      return toPrincipal(standing)
    } catch (error) {
      const challenge = basicChallenge(request)
      if (error instanceof FST_ACCOUNTS_CREDENTIALS_INVALID && challenge !== null) reply.header('www-authenticate', challenge)
      throw error
    }
  }

  /** RFC 9745, 2; RFC 8594, 3. */
  function announceEnd (reply: FastifyReply): void {
    reply.header('deprecation', `@${Math.floor(settings.deprecated / 1000)}`)
    if (settings.sunset !== null) reply.header('sunset', new Date(settings.sunset).toUTCString())
  }

  function noteUse (standing: UserStanding, request: FastifyRequest): void {
    const userId = standing === shared ? null : standing.user.id
    if (!uses.note(userId, request)) return
    hooks.record('basic.used', { ...(userId === null ? {} : { userId }), reason: `${request.method} ${request.routeOptions.url}`, request })
  }

  async function recall (presented: NameAndPassword, demand: Demand): Promise<UserStanding | null> {
    const name = nameOf(presented)
    const known = verified.get(name)
    if (known === undefined || known === shared || standings.isUsable(known, demand)) return known ?? null
    const standing = await findGood(known.user)
    if (standing === null) verified.delete(name)
    else verified.set(name, standing)
    return standing
  }

  /** Of many requests that come at once with one new pair, one does the work. */
  async function examine (presented: NameAndPassword, request: FastifyRequest): Promise<UserStanding> {
    const name = nameOf(presented)
    const examination = examinations.get(name) ?? verify(presented, request).finally(() => { examinations.delete(name) })
    examinations.set(name, examination)
    const standing = await examination
    verified.set(name, standing)
    return standing
  }

  async function verify (presented: NameAndPassword, request: FastifyRequest): Promise<UserStanding> {
    if (legacy !== null && (prove === null || legacy.isNamed(presented)) && await legacy.fits(presented, request)) return shared!
    if (prove === null) throw refuse(presented.username, 'wrong-password', request)
    const { id, epoch } = await prove(presented, request)
    const standing = await find(id)
    // Its digest may have been made anew meanwhile; another password would have raised the epoch.
    if (standing === null || standing.user.epoch !== epoch || isBarred(standing.user)) throw new FST_ACCOUNTS_CREDENTIALS_INVALID()
    return standing
  }

  /** The memory must not hold what it is about. */
  function nameOf ({ username, password }: NameAndPassword): string {
    return createHmac('sha256', key).update(`${username}:${password}`).digest('base64url')
  }

  async function find (id: string): Promise<UserStanding | null> {
    return await standings.read(async () => {
      const user = await storage.users.find(id)
      return user === null ? null : { record: { id, userId: id }, user }
    })
  }

  /** The user as it is now, if it still has the password that was verified. */
  async function findGood ({ id, passwordDigest }: UserRecord): Promise<UserStanding | null> {
    const standing = await find(id)
    return standing === null || standing.user.passwordDigest !== passwordDigest || isBarred(standing.user) ? null : standing
  }

  function refuse (identifier: string, reason: LoginFailure, request: FastifyRequest): Error {
    hooks.record('login.failed', { reason, request })
    hooks.notify('loginFailed', { identifier, reason, request })
    return new FST_ACCOUNTS_CREDENTIALS_INVALID()
  }

  function toPrincipal (standing: UserStanding): BasicPrincipal {
    let signal: AbortSignal | undefined
    const expiresAt = settings.sunset ?? Infinity
    const goodUntil = async () => standing === shared || await findGood(standing.user) !== null ? expiresAt : null
    return Object.freeze<BasicPrincipal>({
      via: 'basic',
      isShared: standing === shared,
      user: toUser(standing.user),
      scopes: null,
      // It comes with every request.
      authenticatedAt: new Date(now()),
      get signal () {
        signal ??= signals.create({ standing, expiresAt, goodUntil })
        return signal
      }
    })
  }
}

/** Those who share a name are no account, and nothing that is heard of accounts concerns them. */
function sharedBy (username: string): UserStanding {
  const user = { id: SHARED_ID, email: '', emailVerified: false, username, name: null, roles: [], disabled: false, createdAt: new Date(0), passwordDigest: null, epoch: 0 }
  return { record: { id: user.id, userId: user.id }, user, readAt: 0, usableUntil: Infinity, watched: true }
}
