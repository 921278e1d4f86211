import type { Generated, Selectable } from 'kysely'
import type { HostSessionRecord, OneTimePurpose, OneTimeTokenRecord, OutboxRecord, RevokeReason, SessionRecord, UserRecord } from '../../../types/storage.ts'
import type { Dialect } from './dialects.ts'
import type { PersonalTokensTable } from './personal-token-row.ts'

/**
 * What a database holds of a value. SQLite: times are milliseconds since 1970, booleans 0 and 1, lists JSON text.
 * PostgreSQL: `timestamptz(3)`, `boolean`, `jsonb`, as whichever type its driver makes of them.
 */
export interface Stored {
  time: number | Date | string
  boolean: number | boolean
  list: string | readonly string[]
}

export interface Tables {
  accounts_users: UsersTable
  accounts_sessions: SessionsTable
  accounts_personal_tokens: PersonalTokensTable
  accounts_one_time_tokens: OneTimeTokensTable
  accounts_throttles: ThrottlesTable
  accounts_outbox: OutboxTable
  accounts_basic_uses: BasicUsesTable
  accounts_host_sessions: HostSessionsTable
  /** SQLite only. */
  accounts_changes: ChangesTable
}

interface UsersTable {
  id: string
  email: string
  email_key: string
  email_verified_at: Stored['time'] | null
  username: string | null
  username_key: string | null
  name: string | null
  roles: Stored['list']
  password_digest: string | null
  epoch: number
  disabled_at: Stored['time'] | null
  created_at: Stored['time']
}

interface SessionsTable {
  id: string
  user_id: string
  epoch: number
  generation: number
  rotated_at: Stored['time']
  acknowledged_generation: number
  created_at: Stored['time']
  authenticated_at: Stored['time']
  last_seen_at: Stored['time']
  idle_expires_at: Stored['time']
  expires_at: Stored['time']
  remember: Stored['boolean']
  claims: string | null
  user_agent: string | null
  address: string | null
  revoked_at: Stored['time'] | null
  revoke_reason: RevokeReason | null
}

interface OneTimeTokensTable {
  digest: string
  purpose: OneTimePurpose
  user_id: string
  email: string
  epoch: number
  created_at: Stored['time']
  expires_at: Stored['time']
}

interface ThrottlesTable {
  key: string
  count: number
  retry_at: Stored['time']
  forget_at: Stored['time']
}

interface OutboxTable {
  id: string
  kind: string
  user_id: string | null
  recipient: string
  /** JSON text, also in PostgreSQL: nobody searches in it. */
  data: string
  locale: string | null
  attempts: number
  created_at: Stored['time']
  due_at: Stored['time']
}

export interface BasicUsesTable {
  /** `''`: the credentials that several share. */
  user_id: string
  method: string
  route: string
  last_used_at: Stored['time']
  last_used_address: string | null
}

interface HostSessionsTable {
  digest: string
  user_id: string | null
  session_id: string | null
  /** `null`: destroyed. */
  data: string | null
  expires_at: Stored['time']
}

/** What triggers note of revocations and changes of users, for the processes that hold verdicts in memory. */
interface ChangesTable {
  id: Generated<number>
  session_id: string | null
  user_id: string | null
  token_id: string | null
  at: number
}

export function toUserRecord (row: Selectable<UsersTable>): UserRecord {
  return {
    id: row.id,
    email: row.email,
    emailVerified: row.email_verified_at !== null,
    username: row.username,
    name: row.name,
    roles: typeof row.roles === 'string' ? JSON.parse(row.roles) as string[] : row.roles,
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
    remember: row.remember === 1 || row.remember === true,
    claims: row.claims,
    userAgent: row.user_agent,
    address: row.address,
    revokedAt: row.revoked_at === null ? null : new Date(row.revoked_at),
    revokeReason: row.revoke_reason
  }
}

export function fromSessionRecord (session: SessionRecord, { toTime, toBoolean }: Dialect): SessionsTable {
  return {
    id: session.id,
    user_id: session.userId,
    epoch: session.epoch,
    generation: session.generation,
    rotated_at: toTime(session.rotatedAt),
    acknowledged_generation: session.acknowledgedGeneration,
    created_at: toTime(session.createdAt),
    authenticated_at: toTime(session.authenticatedAt),
    last_seen_at: toTime(session.lastSeenAt),
    idle_expires_at: toTime(session.idleExpiresAt),
    expires_at: toTime(session.expiresAt),
    remember: toBoolean(session.remember),
    claims: session.claims,
    user_agent: session.userAgent,
    address: session.address,
    revoked_at: session.revokedAt === null ? null : toTime(session.revokedAt),
    revoke_reason: session.revokeReason
  }
}

export function toOneTimeTokenRecord (row: Selectable<OneTimeTokensTable>): OneTimeTokenRecord {
  return {
    digest: row.digest,
    purpose: row.purpose,
    userId: row.user_id,
    email: row.email,
    epoch: row.epoch,
    createdAt: new Date(row.created_at),
    expiresAt: new Date(row.expires_at)
  }
}

export function toOutboxRecord (row: Selectable<OutboxTable>): OutboxRecord {
  return {
    id: row.id,
    kind: row.kind,
    userId: row.user_id,
    recipient: row.recipient,
    data: JSON.parse(row.data) as OutboxRecord['data'],
    locale: row.locale,
    attempts: row.attempts,
    createdAt: new Date(row.created_at),
    dueAt: new Date(row.due_at)
  }
}

/** Of a row that is not destroyed. */
export function toHostSessionRecord (row: Selectable<HostSessionsTable>): HostSessionRecord {
  const { digest, user_id: userId, session_id: sessionId, data } = row
  return { digest, owner: userId === null || sessionId === null ? null : { userId, sessionId }, data: data!, expiresAt: new Date(row.expires_at) }
}
