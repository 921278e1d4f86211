import type { OneTimeTokenRecord, OutboxRecord, SessionRecord, Storage, Stores, UserRecord } from '../types/storage.ts'
import { beforeDeadline } from './clock.ts'
import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNAVAILABLE, isAccountsError } from './errors.ts'

/** The stores that the core uses. */
type Used = Omit<Stores, 'personalTokens'>
type StoreName = keyof Used

/** The stores behind their boundary: each call answers in time, with a value of the right shape, or is 503. */
export interface GuardedStorage extends Used {
  atomically<T> (work: (stores: Used) => Promise<T>): Promise<T>
  /** Tell the other nodes of a changed user, unless the feed has seen it by itself. */
  publishUser (userId: string): Promise<void>
}

/** Nothing waits for ever: a call that is not answered in this time counts as failed. */
const DEADLINE_MS = 1000

type Fits = (value: unknown, args: readonly unknown[]) => boolean

/** Verbs of the ports and what each may return: an ill-typed value from an adapter must never pass for a live session. */
const SHAPES: { readonly [Name in StoreName]-?: { readonly [Verb in keyof NonNullable<Used[Name]>]-?: Fits } } = {
  users: {
    find: (value, [id]) => value === null || (isUser(value) && value.id === id),
    findByEmail: value => value === null || isUser(value),
    findByUsername: value => value === null || isUser(value),
    list: value => Array.isArray(value) && value.every(isUser),
    create: value => value === 'email-taken' || value === 'username-taken' || isUser(value),
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
    listForUser: (value, [userId]) => Array.isArray(value) && value.every(one => isMail(one) && one.userId === userId),
    deleteForUser: () => true
  }
}

const STORE_NAMES = Object.keys(SHAPES) as StoreName[]

/**
 * Stand between the core and an adapter.
 * @throws {FST_ACCOUNTS_STORAGE_UNAVAILABLE} from every verb, for a rejection, a wrong shape or silence; the cause inside
 */
export function guardStorage (storage: Storage, onFailure: (error: unknown) => void): GuardedStorage {
  const bounded = async <T>(call: () => Promise<T>, deadline: number): Promise<T> => {
    try {
      return await beforeDeadline(call, deadline)
    } catch (cause) {
      if (isAccountsError(cause) && !(cause instanceof FST_ACCOUNTS_STORAGE_UNAVAILABLE)) throw cause
      onFailure(cause)
      throw new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause })
    }
  }
  requireVerbs(storage)
  const stores = checkedStores(storage, call => bounded(call, DEADLINE_MS))
  return {
    ...stores,
    async atomically (work) {
      if (storage.atomically === undefined) return await work(stores)
      // Errors inside pass as they are, so that the adapter can tell a conflict and run the work again.
      return await bounded(() => storage.atomically!(pick(storage), inner => work(checkedStores(inner, call => call()))), 2 * DEADLINE_MS)
    },
    async publishUser (userId) {
      const { feed, users } = storage
      if (feed?.publish === undefined || feed.sees?.(users) === true) return
      await bounded(async () => await feed.publish!({ kind: 'user', userId }), DEADLINE_MS)
    }
  }
}

/** What a host's own store may leave out. */
const OPTIONAL = new Set(['findByUsername', 'list', 'upgradePassword', 'confirmEmail', 'changeEmail'])

/** @throws {FST_ACCOUNTS_OPTION_INVALID} at start, for what would be 503 on the first night otherwise */
function requireVerbs (stores: Stores): void {
  for (const name of namesIn(stores)) {
    const missing = Object.keys(SHAPES[name]).find(verb => !OPTIONAL.has(verb) && !isVerb(stores[name]!, verb))
    if (missing !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID(`storage.${name}.${missing}`, 'is missing')
  }
}

const isVerb = (store: object, verb: string) => typeof (store as Record<string, unknown>)[verb] === 'function'

const namesIn = (stores: Stores) => STORE_NAMES.filter(name => stores[name] !== undefined)

const pick = (stores: Stores) => Object.fromEntries(namesIn(stores).map(name => [name, stores[name]])) as unknown as Used

type Run = <T>(call: () => Promise<T>) => Promise<T>

function checkedStores (stores: Stores, run: Run): Used {
  const checked = (name: StoreName) => Object.fromEntries(Object.entries<Fits>(SHAPES[name]).filter(([verb]) => isVerb(stores[name]!, verb)).map(([verb, fits]) => {
    const store = stores[name] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
    return [verb, (...args: unknown[]) => run(async () => {
      const value = await store[verb]!(...args)
      if (!fits(value, args)) throw new TypeError(`${name}.${verb} returned a value of the wrong shape`)
      return value
    })]
  }))
  // The table above has every verb of every port, by its type.
  return Object.fromEntries(namesIn(stores).map(name => [name, checked(name)])) as unknown as Used
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
    typeof session.remember === 'boolean' && (session.revokedAt === null || isDate(session.revokedAt))
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

const isDate = (value: unknown) => value instanceof Date && !Number.isNaN(value.getTime())
