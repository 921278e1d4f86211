import type { FastifyRequest } from 'fastify'
import type { Session, User } from '../../types/principal.ts'
import type { SessionRecord, SessionStore, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { Settings } from '../options/index.ts'
import { randomId } from '../random.ts'
import { clientAddress, clientUserAgent } from '../requests/client.ts'
import type { Minted, Tokens } from '../tokens/tokens.ts'
import type { Presented } from './presented.ts'
import { toSession, toUser } from './records.ts'

/** A session with the tokens that prove it; `refresh` is `null` where the client has the current one already. */
export interface Issued<Refresh = Minted> {
  readonly user: User
  readonly session: Session
  readonly access: Minted
  readonly refresh: Refresh
  readonly remember: boolean
}

/** A session that had to go for another. */
interface Ended extends Presented { readonly reason: 'replaced' | 'too-many' }

export interface SignIn {
  /** A new session of `user`, not stored yet. Its id is always new (ASVS 7.2.4), its epoch that of the record whose password was checked. */
  prepare (user: UserRecord, request: FastifyRequest | null, remember: boolean, authenticatedAt?: Date): SessionRecord
  /**
   * Store it, and end the sessions that it replaces and the oldest of those that are too many (ASVS 7.1.2); those that
   * were not over before.
   */
  store (sessions: SessionStore, session: SessionRecord, replaced: readonly Presented[]): Promise<Ended[]>
  issue (user: UserRecord, session: SessionRecord): Issued
}

export function createSignIn (tokens: Tokens, settings: Pick<Settings, 'refreshTokenTtl' | 'sessionTtl' | 'maxSessions'>): SignIn {
  return {
    prepare (user, request, remember, authenticatedAt) {
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
    issue (user, session) {
      const subject = toSubject(session, session.generation)
      return {
        user: toUser(user),
        session: toSession(session),
        access: tokens.mintAccess(subject, session.idleExpiresAt.getTime()),
        refresh: tokens.mintRefresh(subject, session.idleExpiresAt.getTime()),
        remember: session.remember
      }
    }
  }
}

export const toSubject = (session: SessionRecord, generation: number) => ({
  sessionId: session.id, userId: session.userId, generation, authenticatedAt: session.authenticatedAt.getTime()
})
