import type { FastifyRequest } from 'fastify'
import type { Session, User } from '../../types/principal.ts'
import type { SessionRecord, SessionStore, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { Settings } from '../options/index.ts'
import { randomId } from '../random.ts'
import { clientAddress, clientUserAgent } from '../requests/client.ts'
import type { Minted, Tokens } from '../tokens/tokens.ts'
import type { Presented } from './presented.ts'
import type { CollectClaims } from './claims.ts'
import { toSession, toUser } from './records.ts'

/** A session with the tokens that prove it; `refresh` is `null` where the client has the current one already. */
export interface Issued<Refresh = Minted> {
  readonly user: User
  readonly session: Session
  readonly access: Minted
  readonly refresh: Refresh
  readonly remember: boolean
}

/** What a session has from its sign-in, for all its life. */
export interface SessionTraits {
  readonly remember: boolean
  /** Left out, or a moment to come: now. */
  readonly authenticatedAt?: Date
  /** JSON text. */
  readonly claims?: string | null
}

/** A session that had to go for another. */
interface Ended extends Presented { readonly reason: 'replaced' | 'too-many' }

export interface SignIn {
  /** A new session of `user`, not stored yet. Its id is always new (ASVS 7.2.4), its epoch that of the record whose password was checked. */
  prepare (user: UserRecord, request: FastifyRequest | null, traits: SessionTraits): SessionRecord
  /**
   * Store it, and end the sessions that it replaces and the oldest of those that are too many (ASVS 7.1.2); those that
   * were not over before.
   */
  store (sessions: SessionStore, session: SessionRecord, replaced: readonly Presented[]): Promise<Ended[]>
  /** @throws {FST_ACCOUNTS_CLAIMS_INVALID} or what a hook throws; the same goes for the next */
  issue (user: UserRecord, session: SessionRecord, request: FastifyRequest | null): Promise<Issued>
  /** An access token alone, which shows that the client has the refresh token of `generation`. */
  issueAccess (user: UserRecord, session: SessionRecord, generation: number, request: FastifyRequest | null): Promise<Issued<null>>
}

export function createSignIn (tokens: Tokens, settings: Pick<Settings, 'refreshTokenTtl' | 'sessionTtl' | 'maxSessions'>, collectClaims: CollectClaims): SignIn {
  const issueAccess: SignIn['issueAccess'] = async (userRecord, record, generation, request) => {
    const [user, session] = [toUser(userRecord), toSession(record)]
    const claims = await collectClaims({ user, session, request }, record.claims)
    const access = tokens.mintAccess(toSubject(record, generation), record.idleExpiresAt.getTime(), claims)
    return { user, session, access, refresh: null, remember: record.remember }
  }

  return {
    issueAccess,
    prepare (user, request, { remember, authenticatedAt, claims }) {
      const time = now()
      const at = new Date(time)
      return {
        id: randomId(),
        userId: user.id,
        epoch: user.epoch,
        generation: 0,
        rotatedAt: at,
        acknowledgedGeneration: 0,
        createdAt: at,
        authenticatedAt: authenticatedAt === undefined || authenticatedAt > at ? at : new Date(authenticatedAt),
        lastSeenAt: at,
        idleExpiresAt: new Date(time + settings.refreshTokenTtl),
        expiresAt: new Date(time + settings.sessionTtl),
        remember,
        claims: claims ?? null,
        userAgent: request && clientUserAgent(request),
        address: request && clientAddress(request),
        revokedAt: null,
        revokeReason: null
      }
    },
    async store (sessions, session, replaced) {
      await sessions.create(session)
      const { userId, createdAt: at } = session
      const ended: Ended[] = []
      for (const presented of replaced) {
        if (await sessions.revoke(presented.sessionId, { at, reason: 'replaced', userId: presented.userId })) ended.push({ ...presented, reason: 'replaced' })
      }
      // Not before it is stored: of racers the last one sees them all.
      const oldest = await sessions.revokeOldest(userId, { at, reason: 'too-many', keep: settings.maxSessions })
      return [...ended, ...oldest.map(sessionId => ({ userId, sessionId, reason: 'too-many' as const }))]
    },
    async issue (user, session, request) {
      const refresh = tokens.mintRefresh(toSubject(session, session.generation), session.idleExpiresAt.getTime())
      return { ...await issueAccess(user, session, session.generation, request), refresh }
    }
  }
}

const toSubject = (session: SessionRecord, generation: number) => ({
  sessionId: session.id, userId: session.userId, generation, authenticatedAt: session.authenticatedAt.getTime()
})
