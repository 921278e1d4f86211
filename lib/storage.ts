import type { SessionRecord, Storage, Stores, UserRecord } from '../types/storage.ts'
import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNAVAILABLE, isAccountsError } from './errors.ts'

/** The stores behind their boundary: each call answers in time, with a value of the right shape, or is 503. */
export interface GuardedStorage {
  readonly users: Stores['users']
  readonly sessions: Stores['sessions']
  atomically<T> (work: (stores: Pick<Stores, 'users' | 'sessions'>) => Promise<T>): Promise<T>
  /** Tell the other nodes of a changed user, unless the feed has seen it by itself. */
  publishUser (userId: string): Promise<void>
}

/** Nothing waits for ever: a call that is not answered in this time counts as failed. */
const DEADLINE_MS = 1000

type Fits = (value: unknown, args: readonly unknown[]) => boolean

/** Verbs of the ports and what each may return: an ill-typed value from an adapter must never pass for a live session. */
const SHAPES: { readonly [Name in keyof Pick<Stores, 'users' | 'sessions'>]: { readonly [Verb in keyof Stores[Name]]-?: Fits } } = {
  users: {
    find: (value, [id]) => value === null || (isUser(value) && value.id === id),
    findByEmail: value => value === null || isUser(value),
    findByUsername: value => value === null || isUser(value),
    list: value => Array.isArray(value) && value.every(isUser),
    create: value => value === 'email-taken' || value === 'username-taken' || isUser(value),
    update: (value, [id, , , options]) => value === null || value === 'last-owner' || (value === 'is-owner' && options !== undefined) || (isUser(value) && value.id === id),
    changePassword: (value, [id, epoch]) => value === null || (isUser(value) && value.id === id && value.epoch > Number(epoch)),
    upgradePassword: isBoolean,
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
  }
}

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
      return await bounded(() => storage.atomically!({ users: storage.users, sessions: storage.sessions }, inner => work(checkedStores(inner, call => call()))), 2 * DEADLINE_MS)
    },
    async publishUser (userId) {
      const { feed, users } = storage
      if (feed?.publish === undefined || feed.sees?.(users) === true) return
      await bounded(async () => await feed.publish!({ kind: 'user', userId }), DEADLINE_MS)
    }
  }
}

/** What a host's own store may leave out. */
const OPTIONAL = new Set(['findByUsername', 'list', 'upgradePassword'])

/** @throws {FST_ACCOUNTS_OPTION_INVALID} at start, for what would be 503 on the first night otherwise */
function requireVerbs (stores: Stores): void {
  for (const name of ['users', 'sessions'] as const) {
    const missing = Object.keys(SHAPES[name]).find(verb => !OPTIONAL.has(verb) && !isVerb(stores[name], verb))
    if (missing !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID(`storage.${name}.${missing}`, 'is missing')
  }
}

const isVerb = (store: object, verb: string) => typeof (store as Record<string, unknown>)[verb] === 'function'

type Run = <T>(call: () => Promise<T>) => Promise<T>

function checkedStores (stores: Stores, run: Run): Pick<Stores, 'users' | 'sessions'> {
  const checked = (name: 'users' | 'sessions') => Object.fromEntries(Object.entries<Fits>(SHAPES[name]).filter(([verb]) => isVerb(stores[name], verb)).map(([verb, fits]) => {
    const store = stores[name] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
    return [verb, (...args: unknown[]) => run(async () => {
      const value = await store[verb]!(...args)
      if (!fits(value, args)) throw new TypeError(`${name}.${verb} returned a value of the wrong shape`)
      return value
    })]
  }))
  // The table above has every verb of both ports, by its type.
  return { users: checked('users'), sessions: checked('sessions') } as unknown as Pick<Stores, 'users' | 'sessions'>
}

async function beforeDeadline<T> (call: () => Promise<T>, deadline: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TypeError(`no answer within ${deadline} ms`)), deadline)
  })
  try {
    return await Promise.race([call(), late])
  } finally {
    clearTimeout(timer)
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
    typeof session.remember === 'boolean' && (session.revokedAt === null || isDate(session.revokedAt))
}

const isDate = (value: unknown) => value instanceof Date && !Number.isNaN(value.getTime())
