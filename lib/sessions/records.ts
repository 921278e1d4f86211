import type { ListedSession, Session, User } from '../../types/principal.ts'
import type { SessionRecord, UserRecord } from '../../types/storage.ts'
import { describeDevice } from '../requests/client.ts'

/** Whether a session is good at `time`: neither ended nor revoked, and its user active and of the same epoch. */
export function isLive (session: SessionRecord | null, user: UserRecord | null, time: number): boolean {
  return session !== null && user !== null &&
    session.revokedAt === null &&
    session.userId === user.id &&
    session.epoch === user.epoch &&
    !user.disabled &&
    time < session.idleExpiresAt.getTime() &&
    time < session.expiresAt.getTime()
}

/** What may be shown of a user: everything but the digest and the epoch. */
export function toUser (record: UserRecord): User {
  const { passwordDigest, epoch, ...user } = record
  return Object.freeze({ ...user, roles: Object.freeze([...user.roles]) })
}

export function toSession (record: SessionRecord): Session {
  const { id, createdAt, authenticatedAt, idleExpiresAt, expiresAt } = record
  return Object.freeze({ id, createdAt, authenticatedAt, idleExpiresAt, expiresAt })
}

export function toListedSession (record: SessionRecord, currentId: string | undefined): ListedSession {
  const { lastSeenAt, address, userAgent } = record
  return { ...toSession(record), lastSeenAt, device: describeDevice(userAgent), address, current: record.id === currentId }
}
