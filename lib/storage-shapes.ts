import type { BasicUseRecord, HostSessionRecord, OneTimeTokenRecord, OutboxRecord, Part, PersonalTokenRecord, RedisInspection, SessionRecord, StorageInspection, Stores, ThrottleRecord, UserRecord } from '../types/storage.ts'

/** What is wrong with what a verb returned, as the end of a sentence, without any of it; `null`: nothing. */
export type FindFault = (value: unknown, args: readonly unknown[]) => string | null

/** What a member of a record must be. */
interface Kind {
  readonly name: string
  fits (value: unknown): boolean
}

const text: Kind = { name: 'a string', fits: value => typeof value === 'string' }
const integer: Kind = { name: 'an integer', fits: Number.isSafeInteger }
const number: Kind = { name: 'a number', fits: value => typeof value === 'number' }
const boolean: Kind = { name: 'a boolean', fits: value => typeof value === 'boolean' }
const date: Kind = { name: 'a valid Date', fits: value => value instanceof Date && !Number.isNaN(value.getTime()) }
const object: Kind = { name: 'an object', fits: value => typeof value === 'object' && value !== null }
const texts: Kind = { name: 'an array of strings', fits: value => Array.isArray(value) && value.every(text.fits) }
const context: Kind = { name: '"server" or "browser"', fits: value => value === 'server' || value === 'browser' }
const owner: Kind = { name: 'an object with the strings "userId" and "sessionId"', fits: value => object.fits(value) && text.fits((value as HostSessionRecord['owner'])!.userId) && text.fits((value as HostSessionRecord['owner'])!.sessionId) }
const orUndefined = ({ name, fits }: Kind): Kind => ({ name: `${name} or undefined`, fits: value => value === undefined || fits(value) })
const orNull = ({ name, fits }: Kind): Kind => ({ name: `${name} or null`, fits: value => value === null || fits(value) })

/** The members of a record that the core relies on. */
interface RecordShape<Row> {
  readonly name: string
  readonly members: { readonly [Member in keyof Row]?: Kind }
}

const USER: RecordShape<UserRecord> = {
  name: 'a user',
  members: { id: text, email: text, epoch: integer, disabled: boolean, roles: texts, passwordDigest: orNull(text), createdAt: date }
}
const SESSION: RecordShape<SessionRecord> = {
  name: 'a session',
  members: {
    id: text,
    userId: text,
    epoch: integer,
    generation: integer,
    acknowledgedGeneration: integer,
    rotatedAt: date,
    createdAt: date,
    authenticatedAt: date,
    lastSeenAt: date,
    idleExpiresAt: date,
    expiresAt: date,
    revokedAt: orNull(date),
    remember: boolean,
    claims: orNull(text)
  }
}
const PERSONAL_TOKEN: RecordShape<PersonalTokenRecord> = {
  name: 'a personal token',
  members: {
    id: text,
    userId: text,
    name: text,
    digest: text,
    context,
    epoch: integer,
    allowedMethods: orNull(texts),
    allowedIps: orNull(texts),
    allowedReferrers: orNull(texts),
    scopes: orNull(texts),
    createdAt: date,
    expiresAt: date,
    lastUsedAt: orNull(date),
    noticeAt: orNull(date),
    revokedAt: orNull(date),
    lastUsedAddress: orNull(text),
    successorId: orNull(text)
  }
}
const ONE_TIME_TOKEN: RecordShape<OneTimeTokenRecord> = {
  name: 'a one-time token',
  members: { digest: text, purpose: text, userId: text, email: text, epoch: integer, createdAt: date, expiresAt: date }
}
const THROTTLE: RecordShape<ThrottleRecord> = { name: 'a throttle', members: { count: integer, retryAt: date } }
const ATTEMPT: RecordShape<ThrottleRecord & { admitted: boolean }> = { name: 'an attempt', members: { ...THROTTLE.members, admitted: boolean } }
const MAIL: RecordShape<OutboxRecord> = {
  name: 'a mail',
  members: { id: text, kind: text, userId: orNull(text), recipient: text, data: object, attempts: integer, createdAt: date, dueAt: date }
}
const BASIC_USE: RecordShape<BasicUseRecord> = {
  name: 'a use',
  members: { userId: orNull(text), method: text, route: text, lastUsedAt: date, lastUsedAddress: orNull(text) }
}
const HOST_SESSION: RecordShape<HostSessionRecord> = { name: 'a session', members: { digest: text, owner: orNull(owner), data: text, expiresAt: date } }
const INSPECTION: RecordShape<StorageInspection> = { name: 'a report', members: { now: date, missingMigrations: texts, missingIndexes: texts, missingTriggers: texts, disabledTriggers: orUndefined(texts) } }
const REDIS_INSPECTION: RecordShape<RedisInspection> = { name: 'a report', members: { ms: number, version: orNull(text), evictionPolicy: orNull(text), isPersistent: orNull(boolean) } }

/** Whether a record is what the call asked for, by its arguments. */
type Suits<Row> = (row: Row, args: readonly unknown[]) => boolean

const hasId: Suits<{ readonly id: string }> = ({ id }, [wanted]) => id === wanted
const isOfUser: Suits<{ readonly userId: string | null }> = ({ userId }, [wanted]) => userId === wanted
const isOfPurpose: Suits<OneTimeTokenRecord> = (token, [digest, purpose]) => token.digest === digest && token.purpose === purpose

const changedUser = one(USER, [null, 'last-owner'], hasId)

/** Verbs of the ports and what each may return: an ill-typed value from an adapter must never pass for a live session or token. */
export const SHAPES: { readonly [Name in keyof Stores]-?: { readonly [Verb in Exclude<keyof NonNullable<Stores[Name]>, 'feed' | keyof Part>]-?: FindFault } } = {
  users: {
    find: one(USER, [null], hasId),
    findByEmail: one(USER, [null]),
    findByUsername: one(USER, [null]),
    list: many(USER),
    create: one(USER, ['email-taken', 'username-taken']),
    hasOwner: a(boolean),
    createFirstOwner: one(USER, ['owner-exists', 'email-taken', 'username-taken']),
    update: (value, args) => value === 'is-owner' && args[3] !== undefined ? null : changedUser(value, args),
    changePassword: one(USER, [null], (user, [id, epoch]) => user.id === id && user.epoch > Number(epoch)),
    upgradePassword: a(boolean),
    confirmEmail: one(USER, [null], (user, [id]) => user.id === id && Boolean(user.emailVerified)),
    changeEmail: one(USER, [null, 'email-taken'], (user, [id, epoch, address]) => user.id === id && user.epoch === epoch && user.email === (address as { email: string }).email),
    delete: word('deleted', 'last-owner', 'not-found')
  },
  sessions: {
    create: anything,
    find: one(SESSION, [null], hasId),
    listForUser: many(SESSION, isOfUser),
    rotate: one(SESSION, [null], (session, [id, generation]) => session.id === id && session.generation === Number(generation) + 1),
    recover: one(SESSION, [null], (session, [id, generation]) => session.id === id && session.generation === generation),
    revoke: a(boolean),
    revokeAllForUser: a(texts),
    revokeOldest: a(texts),
    deleteAllForUser: a(texts),
    touch: anything,
    deleteEnded: a(number)
  },
  personalTokens: {
    create: word('created', 'limit-reached'),
    find: one(PERSONAL_TOKEN, [null], hasId),
    findByDigest: one(PERSONAL_TOKEN, [null], (token, [digest]) => token.digest === digest),
    listForUser: many(PERSONAL_TOKEN, isOfUser),
    update: one(PERSONAL_TOKEN, [null], (token, [id, userId]) => token.id === id && token.userId === userId && token.revokedAt === null),
    revoke: a(boolean),
    revokeAllForUser: a(texts),
    replace: word('replaced', 'limit-reached', 'not-found'),
    carryOver: anything,
    touch: anything,
    findNoticesDue: many(PERSONAL_TOKEN, token => token.noticeAt !== null && token.revokedAt === null),
    advanceNotice: a(boolean),
    deleteAllForUser: a(texts),
    deleteEnded: a(number)
  },
  oneTimeTokens: {
    issue: anything,
    find: one(ONE_TIME_TOKEN, [null], isOfPurpose),
    consume: one(ONE_TIME_TOKEN, [null], isOfPurpose),
    listForUser: many(ONE_TIME_TOKEN, isOfUser),
    deleteForUser: anything,
    deleteExpired: anything
  },
  throttles: {
    attempt: one(ATTEMPT, []),
    find: one(THROTTLE, [null]),
    reset: anything,
    deleteForgotten: anything
  },
  outbox: {
    enqueue: anything,
    claim: many(MAIL),
    settle: a(boolean),
    count: (value, [most]) => Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= Number(most) ? null : 'what is no such number',
    listForUser: many(MAIL, isOfUser),
    deleteForUser: anything
  },
  basicUses: {
    note: anything,
    list: many(BASIC_USE),
    listForUser: many(BASIC_USE, isOfUser),
    deleteAllForUser: anything,
    deleteUnused: anything
  },
  hostSessions: {
    find: one(HOST_SESSION, [null], (session, [digest]) => session.digest === digest),
    save: anything,
    destroy: anything,
    listForUser: many(HOST_SESSION, ({ owner }, [userId]) => owner?.userId === userId),
    deleteForSession: anything,
    deleteForUser: anything,
    deleteExpired: anything
  }
}

export const findInspectionFault = one(INSPECTION, [])
export const findRedisInspectionFault = one(REDIS_INSPECTION, [])

/** A record, or one of these words instead. */
function one<Row> (shape: RecordShape<Row>, words: ReadonlyArray<string | null>, suits: Suits<Row> = () => true): FindFault {
  const { name, members } = shape
  const kinds = Object.entries<Kind>(members as Record<string, Kind>)
  return (value, args) => {
    if (words.includes(value as string | null)) return null
    if (!object.fits(value) || Array.isArray(value)) return `what is not ${[name, ...words.map(word => JSON.stringify(word))].join(' or ')}`
    for (const [member, kind] of kinds) {
      if (!kind.fits((value as Record<string, unknown>)[member])) return `${name} whose "${member}" must be ${kind.name}`
    }
    return suits(value as Row, args) ? null : `${name} that does not fit the call`
  }
}

function many<Row> (shape: RecordShape<Row>, suits?: Suits<Row>): FindFault {
  const findFault = one(shape, [], suits)
  return (values, args) => {
    if (!Array.isArray(values)) return 'what is not an array'
    for (const value of values as unknown[]) {
      const fault = findFault(value, args)
      if (fault !== null) return fault
    }
    return null
  }
}

function a ({ name, fits }: Kind): FindFault {
  return value => fits(value) ? null : `what is not ${name}`
}

function word (...words: readonly string[]): FindFault {
  return value => words.includes(value as string) ? null : `what is not ${words.map(word => JSON.stringify(word)).join(' or ')}`
}

function anything (): null {
  return null
}
