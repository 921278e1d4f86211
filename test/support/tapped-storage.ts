import type { Storage, Stores } from '../../types/index.ts'

/**
 * Stands between the plugin and a real storage: `call` is the verb itself, `verb` reads like `sessions.find`, and
 * within a transaction like `atomically sessions.find`.
 */
export type Tap = (verb: string, args: readonly unknown[], call: () => Promise<unknown>) => Promise<unknown>

/** The same storage with a tap on every verb, also on those inside its transactions. */
export function tapStorage (storage: Storage, tap: Tap): Storage {
  const { atomically } = storage
  return {
    ...storage,
    ...tapStores(storage, tap),
    ...(atomically === undefined ? {} : { atomically: async (_stores, work) => await atomically(storage, async stores => await work(tapStores(stores, tap, 'atomically '))) })
  }
}

/** The same storage, and the names of the verbs that were called on it. */
export function countCalls (storage: Storage): { readonly storage: Storage, readonly calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    storage: tapStorage(storage, async (verb, _args, call) => {
      calls.push(verb)
      return await call()
    })
  }
}

function tapStores (stores: Stores, tap: Tap, prefix = ''): Stores {
  const tapped = <Store extends object>(name: string, store: Store) => Object.fromEntries(Object.entries(store).map(([verb, call]) => typeof call !== 'function'
    ? [verb, call]
    : [verb, async (...args: unknown[]) => await tap(`${prefix}${name}.${verb}`, args, async () => await (call as (...args: unknown[]) => Promise<unknown>)(...args))])) as Store
  const names = ['users', 'sessions', 'personalTokens', 'oneTimeTokens', 'throttles', 'outbox', 'basicUses', 'hostSessions'] as const
  return { ...stores, ...Object.fromEntries(names.filter(name => stores[name] !== undefined).map(name => [name, tapped(name, stores[name]!)])) }
}
