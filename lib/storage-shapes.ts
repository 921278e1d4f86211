import type { BasicUseRecord, HostSessionRecord, OneTimeTokenRecord, OutboxRecord, Part, PersonalTokenRecord, RedisInspection, SessionRecord, StorageInspection, Stores, UserRecord } from '../types/storage.ts'

export type Fits = (value: unknown, args: readonly unknown[]) => boolean

/** Verbs of the ports and what each may return: an ill-typed value from an adapter must never pass for a live session or token. */
export const SHAPES: { readonly [Name in keyof Stores]-?: { readonly [Verb in Exclude<keyof NonNullable<Stores[Name]>, 'feed' | keyof Part>]-?: Fits } } = {
  users: {
    find: (value, [id]) => value === null || (isUser(value) && value.id === id),
    findByEmail: value => value === null || isUser(value),
    findByUsername: value => value === null || isUser(value),
    list: value => Array.isArray(value) && value.every(isUser),
    create: value => value === 'email-taken' || value === 'username-taken' || isUser(value),
    hasOwner: isBoolean,
    createFirstOwner: value => value === 'owner-exists' || value === 'email-taken' || value === 'username-taken' || isUser(value),
    update: (value, [id, , , options]) => value === null || value === 'last-owner' || (value === 'is-owner' && options !== undefined) || (isUser(value) && value.id === id),
    changePassword: (value, [id, epoch]) => value === null || (isUser(value) && value.id === id && value.epoch > Number(epoch)),
    upgradePassword: isBoolean,
    confirmEmail: (value, [id]) => value === null || (isUser(value) && value.id === id && value.emailVerified),
    changeEmail: (value, [id, epoch, address]) => value === null || value === 'email-taken' || (isUser(value) && value.id === id && value.epoch === epoch && value.email === (address as { email: string }).email),
    delete: value => value === 'deleted' || value === 'last-owner' || value === 'not-found'
  },
  sessions: {
    create: () => true,
    find: (value, [id]) => value === null || (isSession(value) && value.id === id),
    listForUser: (value, [userId]) => Array.isArray(value) && value.every(one => isSession(one) && one.userId === userId),
    rotate: (value, [id, generation]) => value === null || (isSession(value) && value.id === id && value.generation === Number(generation) + 1),
    recover: (value, [id, generation]) => value === null || (isSession(value) && value.id === id && value.generation === generation),
    revoke: isBoolean,
    revokeAllForUser: isIds,
    revokeOldest: isIds,
    deleteAllForUser: isIds,
    touch: () => true,
    deleteEnded: value => typeof value === 'number'
  },
  personalTokens: {
    create: value => value === 'created' || value === 'limit-reached',
    find: (value, [id]) => value === null || (isPersonalToken(value) && value.id === id),
    findByDigest: (value, [digest]) => value === null || (isPersonalToken(value) && value.digest === digest),
    listForUser: (value, [userId]) => Array.isArray(value) && value.every(one => isPersonalToken(one) && one.userId === userId),
    update: (value, [id, userId]) => value === null || (isPersonalToken(value) && value.id === id && value.userId === userId && value.revokedAt === null),
    revoke: isBoolean,
    revokeAllForUser: isIds,
    replace: value => value === 'replaced' || value === 'limit-reached' || value === 'not-found',
    carryOver: () => true,
    touch: () => true,
    findNoticesDue: value => Array.isArray(value) && value.every(one => isPersonalToken(one) && one.noticeAt !== null && one.revokedAt === null),
    advanceNotice: isBoolean,
    deleteAllForUser: isIds,
    deleteEnded: value => typeof value === 'number'
  },
  oneTimeTokens: {
    issue: () => true,
    find: (value, [digest, purpose]) => value === null || (isOneTimeToken(value) && value.digest === digest && value.purpose === purpose),
    consume: (value, [digest, purpose]) => value === null || (isOneTimeToken(value) && value.digest === digest && value.purpose === purpose),
    listForUser: (value, [userId]) => Array.isArray(value) && value.every(one => isOneTimeToken(one) && one.userId === userId),
    deleteForUser: () => true,
    deleteExpired: () => true
  },
  throttles: {
    attempt: value => isThrottle(value) && typeof (value as { admitted?: unknown }).admitted === 'boolean',
    find: value => value === null || isThrottle(value),
    reset: () => true,
    deleteForgotten: () => true
  },
  outbox: {
    enqueue: () => true,
    claim: value => Array.isArray(value) && value.every(isMail),
    settle: isBoolean,
    count: (value, [most]) => Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= Number(most),
    listForUser: (value, [userId]) => Array.isArray(value) && value.every(one => isMail(one) && one.userId === userId),
    deleteForUser: () => true
  },
  basicUses: {
    note: () => true,
    list: value => Array.isArray(value) && value.every(isBasicUse),
    listForUser: (value, [userId]) => Array.isArray(value) && value.every(one => isBasicUse(one) && one.userId === userId),
    deleteAllForUser: () => true,
    deleteUnused: () => true
  },
  hostSessions: {
    find: (value, [digest]) => value === null || (isHostSession(value) && value.digest === digest),
    save: () => true,
    destroy: () => true,
    listForUser: (value, [userId]) => Array.isArray(value) && value.every(one => isHostSession(one) && one.owner?.userId === userId),
    deleteForSession: () => true,
    deleteForUser: () => true,
    deleteExpired: () => true
  }
}

function isBoolean (value: unknown): boolean {
  return typeof value === 'boolean'
}

function isIds (value: unknown): boolean {
  return Array.isArray(value) && value.every(id => typeof id === 'string')
}

function isUser (value: unknown): value is UserRecord {
  if (typeof value !== 'object' || value === null) return false
  const { id, email, epoch, roles, disabled, passwordDigest, createdAt } = value as UserRecord
  return typeof id === 'string' && typeof email === 'string' && Number.isSafeInteger(epoch) && typeof disabled === 'boolean' &&
    Array.isArray(roles) && roles.every(role => typeof role === 'string') &&
    (passwordDigest === null || typeof passwordDigest === 'string') && isDate(createdAt)
}

function isSession (value: unknown): value is SessionRecord {
  if (typeof value !== 'object' || value === null) return false
  const session = value as SessionRecord
  return typeof session.id === 'string' && typeof session.userId === 'string' &&
    [session.epoch, session.generation, session.acknowledgedGeneration].every(Number.isSafeInteger) &&
    [session.rotatedAt, session.createdAt, session.authenticatedAt, session.lastSeenAt, session.idleExpiresAt, session.expiresAt].every(isDate) &&
    typeof session.remember === 'boolean' && (session.claims === null || typeof session.claims === 'string') && (session.revokedAt === null || isDate(session.revokedAt))
}

function isPersonalToken (value: unknown): value is PersonalTokenRecord {
  if (typeof value !== 'object' || value === null) return false
  const token = value as PersonalTokenRecord
  return [token.id, token.userId, token.name, token.digest].every(text => typeof text === 'string') &&
    (token.context === 'server' || token.context === 'browser') && Number.isSafeInteger(token.epoch) &&
    [token.allowedMethods, token.allowedIps, token.allowedReferrers, token.scopes].every(list => list === null || (Array.isArray(list) && list.every(text => typeof text === 'string'))) &&
    [token.createdAt, token.expiresAt].every(isDate) && [token.lastUsedAt, token.noticeAt, token.revokedAt].every(date => date === null || isDate(date)) &&
    [token.lastUsedAddress, token.successorId].every(text => text === null || typeof text === 'string')
}

function isOneTimeToken (value: unknown): value is OneTimeTokenRecord {
  if (typeof value !== 'object' || value === null) return false
  const { digest, purpose, userId, email, epoch, createdAt, expiresAt } = value as OneTimeTokenRecord
  return [digest, purpose, userId, email].every(text => typeof text === 'string') && Number.isSafeInteger(epoch) && isDate(createdAt) && isDate(expiresAt)
}

function isThrottle (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { count, retryAt } = value as { count?: unknown, retryAt?: unknown }
  return Number.isSafeInteger(count) && isDate(retryAt)
}

function isMail (value: unknown): value is OutboxRecord {
  if (typeof value !== 'object' || value === null) return false
  const { id, kind, userId, recipient, data, attempts, createdAt, dueAt } = value as OutboxRecord
  return [id, kind, recipient].every(text => typeof text === 'string') && (userId === null || typeof userId === 'string') &&
    typeof data === 'object' && data !== null && Number.isSafeInteger(attempts) && isDate(createdAt) && isDate(dueAt)
}

function isBasicUse (value: unknown): value is BasicUseRecord {
  if (typeof value !== 'object' || value === null) return false
  const { userId, method, route, lastUsedAt, lastUsedAddress } = value as BasicUseRecord
  return [userId, lastUsedAddress].every(text => text === null || typeof text === 'string') && [method, route].every(text => typeof text === 'string') && isDate(lastUsedAt)
}

function isHostSession (value: unknown): value is HostSessionRecord {
  if (typeof value !== 'object' || value === null) return false
  const { digest, owner, data, expiresAt } = value as HostSessionRecord
  return [digest, data].every(text => typeof text === 'string') && isDate(expiresAt) &&
    (owner === null || (typeof owner === 'object' && typeof owner.userId === 'string' && typeof owner.sessionId === 'string'))
}

export function isInspection (value: unknown): value is StorageInspection {
  if (typeof value !== 'object' || value === null) return false
  const { now, missingMigrations, missingIndexes, missingTriggers } = value as StorageInspection
  return isDate(now) && [missingMigrations, missingIndexes, missingTriggers].every(isIds)
}

export function isRedisInspection (value: unknown): value is RedisInspection {
  if (typeof value !== 'object' || value === null) return false
  const { ms, version, evictionPolicy, isPersistent } = value as RedisInspection
  return typeof ms === 'number' && [version, evictionPolicy].every(text => text === null || typeof text === 'string') && (isPersistent === null || typeof isPersistent === 'boolean')
}

const isDate = (value: unknown) => value instanceof Date && !Number.isNaN(value.getTime())
