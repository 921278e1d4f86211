import type { Change, RedisInspection, Storage, StorageInspection, Stores } from '../types/storage.ts'
import { beforeDeadline } from './clock.ts'
import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNAVAILABLE, isAccountsError } from './errors.ts'
import { untold, type Outages } from './outages.ts'
import { findInspectionFault, findRedisInspectionFault, SHAPES, type FindFault } from './storage-shapes.ts'

type StoreName = keyof Stores

/** What a failure is put down to; `transaction`: to none of the stores in it. */
export type StoragePart = StoreName | 'transaction' | 'feed' | 'inspection'

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
export function guardStorage (storage: Storage, outages: Outages = untold): GuardedStorage {
  requireVerbs(storage)
  const bounded = async <T>(at: Position, call: () => Promise<T>, deadline = DEADLINE_MS): Promise<T> => {
    try {
      const value = await beforeDeadline(call, deadline)
      outages.answered(at.part)
      return value
    } catch (error) {
      if (isAccountsError(error) && !(error instanceof FST_ACCOUNTS_STORAGE_UNAVAILABLE)) throw error
      // An adapter may have said it in our words: what is inside says why.
      outages.failed(at.part, error instanceof FST_ACCOUNTS_STORAGE_UNAVAILABLE ? error.cause ?? error : error)
      throw error instanceof FST_ACCOUNTS_STORAGE_UNAVAILABLE ? error : new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: error })
    }
  }
  const inspect = async <T>(look: () => Promise<T>, findFault: FindFault) => await bounded({ part: 'inspection' }, async () => requireFit(await look(), findFault), INSPECTION_MS)
  const stores = checkedStores(storage, bounded)
  return {
    ...stores,
    async atomically (work) {
      if (storage.atomically === undefined) return await work(stores)
      const at: Position = { part: 'transaction' }
      // Errors inside pass as they are, so that the adapter can tell a conflict and run the work again.
      const run: Run = async ({ part }, call) => {
        at.part = part
        const value = await call()
        at.part = 'transaction'
        outages.answered(part)
        return value
      }
      return await bounded(at, () => storage.atomically!(pick(storage), inner => work(checkedStores(inner, run))), 2 * DEADLINE_MS)
    },
    async publish (change) {
      const feed = (change.kind === 'session' ? storage.sessions.feed : undefined) ?? storage.feed
      const store = storage[STORE_OF[change.kind]]
      if (feed?.publish === undefined || store === undefined || feed.sees?.(store) === true) return
      await bounded({ part: 'feed' }, async () => await feed.publish!(change))
    },
    inspect: storage.inspect === undefined ? null : async () => await inspect(async () => await storage.inspect!(), findInspectionFault),
    places: placesOf(storage).map(place => ({ stores: place.stores, inspect: async () => await inspect(place.inspect, findRedisInspectionFault) })),
    close: async () => await closeStorage(storage)
  }
}

/** Which part of the storage a call is at; a transaction moves from store to store. */
interface Position { part: StoragePart }

type Run = <T>(at: Position, call: () => Promise<T>) => Promise<T>

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

function requireFit<T> (value: T, findFault: FindFault): T {
  const fault = findFault(value, [])
  if (fault !== null) throw new TypeError(`inspect returned ${fault}`)
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

function checkedStores (stores: Stores, run: Run): Stores {
  const checked = (name: StoreName) => {
    const store = stores[name] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
    const at: Position = { part: name }
    return Object.fromEntries(Object.entries<FindFault>(SHAPES[name]).filter(([verb]) => isVerb(store, verb)).map(([verb, findFault]) =>
      [verb, (...args: unknown[]) => run(at, async () => {
        const value = await store[verb]!(...args)
        const fault = findFault(value, args)
        if (fault !== null) throw new TypeError(`${name}.${verb} returned ${fault}`)
        return value
      })]
    ))
  }
  // The table above has every verb of every port, by its type.
  return Object.fromEntries(namesIn(stores).map(name => [name, checked(name)])) as unknown as Stores
}
