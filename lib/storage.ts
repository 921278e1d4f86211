import type { Change, RedisInspection, Storage, StorageInspection, Stores } from '../types/storage.ts'
import { beforeDeadline } from './clock.ts'
import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNAVAILABLE, isAccountsError } from './errors.ts'
import { isInspection, isRedisInspection, SHAPES, type Fits } from './storage-shapes.ts'

type StoreName = keyof Stores

/** The stores behind their boundary: each call answers in time, with a value of the right shape, or is 503. */
export interface GuardedStorage extends Stores {
  atomically<T> (work: (stores: Stores) => Promise<T>): Promise<T>
  /** Tell the other nodes of a change in one of the stores, unless the feed has seen it by itself. */
  publish (change: Exclude<Change, { kind: 'gap' }>): Promise<void>
  /** How the database is; `null`: the storage does not tell. */
  readonly inspect: (() => Promise<StorageInspection>) | null
  /** How the places are that stores are kept in apart from the database, where they tell. */
  readonly places: readonly Place[]
  close (): Promise<void>
}

/** Where some of the stores are kept. */
interface Place {
  readonly stores: readonly StoreName[]
  inspect (): Promise<RedisInspection>
}

/** Nothing waits for ever: a call that is not answered in this time counts as failed. */
const DEADLINE_MS = 1000

/** For a look at the whole database, which nobody's request waits for. */
const INSPECTION_MS = 10_000

const STORE_NAMES = Object.keys(SHAPES) as StoreName[]

/** Where what changed is kept. */
const STORE_OF = { session: 'sessions', user: 'users', 'personal-token': 'personalTokens' } as const

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
    async publish (change) {
      const feed = (change.kind === 'session' ? storage.sessions.feed : undefined) ?? storage.feed
      const store = storage[STORE_OF[change.kind]]
      if (feed?.publish === undefined || store === undefined || feed.sees?.(store) === true) return
      await bounded(async () => await feed.publish!(change), DEADLINE_MS)
    },
    inspect: storage.inspect === undefined ? null : async () => await bounded(async () => requireFit(await storage.inspect!(), isInspection), INSPECTION_MS),
    places: placesOf(storage).map(({ stores, inspect }) => ({ stores, inspect: async () => await bounded(async () => requireFit(await inspect(), isRedisInspection), INSPECTION_MS) })),
    close: async () => await closeStorage(storage)
  }
}

/** What a store may leave out. */
const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  users: ['findByUsername', 'list', 'upgradePassword', 'confirmEmail', 'changeEmail', 'hasOwner', 'createFirstOwner'],
  sessions: ['deleteEnded'],
  outbox: ['count'],
  oneTimeTokens: ['deleteExpired'],
  throttles: ['deleteForgotten']
}

/** @throws {FST_ACCOUNTS_OPTION_INVALID} at start, for what would be 503 on the first night otherwise */
function requireVerbs (stores: Stores): void {
  for (const name of namesIn(stores)) {
    const missing = Object.keys(SHAPES[name]).find(verb => OPTIONAL[name]?.includes(verb) !== true && !isVerb(stores[name]!, verb))
    if (missing !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID(`storage.${name}.${missing}`, 'is missing')
  }
}

const isVerb = (store: object, verb: string) => typeof (store as Record<string, unknown>)[verb] === 'function'

const namesIn = (stores: Stores) => STORE_NAMES.filter(name => stores[name] !== undefined)

const pick = (stores: Stores) => Object.fromEntries(namesIn(stores).map(name => [name, stores[name]])) as unknown as Stores

function requireFit<T> (value: unknown, fits: (value: unknown) => value is T): T {
  if (!fits(value)) throw new TypeError('inspect returned a value of the wrong shape')
  return value
}

function placesOf (storage: Storage): Place[] {
  const names = namesIn(storage)
  const verbs = new Set(names.map(name => storage[name]!.inspect))
  return [...verbs].filter(inspect => inspect !== undefined).map(inspect => ({ stores: names.filter(name => storage[name]!.inspect === inspect), inspect }))
}

/** Close what a storage opened, and what stores of others that were spread into it did. */
export async function closeStorage (storage: Storage): Promise<void> {
  await Promise.all([storage, ...namesIn(storage).map(name => storage[name]!)].map(async part => await part.close?.()))
}

type Run = <T>(call: () => Promise<T>) => Promise<T>

function checkedStores (stores: Stores, run: Run): Stores {
  const checked = (name: StoreName) => Object.fromEntries(Object.entries<Fits>(SHAPES[name]).filter(([verb]) => isVerb(stores[name]!, verb)).map(([verb, fits]) => {
    const store = stores[name] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
    return [verb, (...args: unknown[]) => run(async () => {
      const value = await store[verb]!(...args)
      if (!fits(value, args)) throw new TypeError(`${name}.${verb} returned a value of the wrong shape`)
      return value
    })]
  }))
  // The table above has every verb of every port, by its type.
  return Object.fromEntries(namesIn(stores).map(name => [name, checked(name)])) as unknown as Stores
}
