import type { Generated, Selectable } from 'kysely'
import type { RevokeReason, SessionRecord, UserRecord } from '../../../types/storage.ts'

/** Times are milliseconds since 1970, as SQLite has no type for them; booleans are 0 and 1. */
export interface Tables {
  accounts_users: UsersTable
  accounts_sessions: SessionsTable
  accounts_changes: ChangesTable
}

interface UsersTable {
  id: string
  email: string
  email_key: string
  email_verified_at: number | null
  username: string | null
  username_key: string | null
  name: string | null
  /** A JSON list. */
  roles: string
  password_digest: string | null
  epoch: number
  disabled_at: number | null
  created_at: number
}

interface SessionsTable {
  id: string
  user_id: string
  epoch: number
  generation: number
  rotated_at: number
  acknowledged_generation: number
  created_at: number
  authenticated_at: number
  last_seen_at: number
  idle_expires_at: number
  expires_at: number
  remember: number
  user_agent: string | null
  address: string | null
  revoked_at: number | null
  revoke_reason: RevokeReason | null
}

/** What triggers note of revocations and changes of users, for the processes that hold verdicts in memory. */
interface ChangesTable {
  id: Generated<number>
  session_id: string | null
  user_id: string | null
  at: number
}

export function toUserRecord (row: Selectable<UsersTable>): UserRecord {
  return {
    id: row.id,
    email: row.email,
    emailVerified: row.email_verified_at !== null,
    username: row.username,
    name: row.name,
    roles: JSON.parse(row.roles) as string[],
    disabled: row.disabled_at !== null,
    createdAt: new Date(row.created_at),
    passwordDigest: row.password_digest,
    epoch: row.epoch
  }
}

export function toSessionRecord (row: Selectable<SessionsTable>): SessionRecord {
  return {
    id: row.id,
    userId: row.user_id,
    epoch: row.epoch,
    generation: row.generation,
    rotatedAt: new Date(row.rotated_at),
    acknowledgedGeneration: row.acknowledged_generation,
    createdAt: new Date(row.created_at),
    authenticatedAt: new Date(row.authenticated_at),
    lastSeenAt: new Date(row.last_seen_at),
    idleExpiresAt: new Date(row.idle_expires_at),
    expiresAt: new Date(row.expires_at),
    remember: row.remember === 1,
    userAgent: row.user_agent,
    address: row.address,
    revokedAt: row.revoked_at === null ? null : new Date(row.revoked_at),
    revokeReason: row.revoke_reason
  }
}

export function fromSessionRecord (session: SessionRecord): SessionsTable {
  return {
    id: session.id,
    user_id: session.userId,
    epoch: session.epoch,
    generation: session.generation,
    rotated_at: session.rotatedAt.getTime(),
    acknowledged_generation: session.acknowledgedGeneration,
    created_at: session.createdAt.getTime(),
    authenticated_at: session.authenticatedAt.getTime(),
    last_seen_at: session.lastSeenAt.getTime(),
    idle_expires_at: session.idleExpiresAt.getTime(),
    expires_at: session.expiresAt.getTime(),
    remember: session.remember ? 1 : 0,
    user_agent: session.userAgent,
    address: session.address,
    revoked_at: session.revokedAt?.getTime() ?? null,
    revoke_reason: session.revokeReason
  }
}
