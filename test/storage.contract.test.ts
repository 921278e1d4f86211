import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { storageContract } from '../lib/testing/index.ts'
import type { Storage } from '../types/index.ts'
import { databaseFile } from './support/app.ts'

const BACKENDS: ReadonlyArray<readonly [string, (t: Tap) => Promise<Storage>]> = [
  ['SQLite in memory', async () => await sqliteStorage(':memory:')],
  ['SQLite in a file', async t => await sqliteStorage(databaseFile(t))]
]
type Tap = Parameters<typeof databaseFile>[0]

for (const [name, open] of BACKENDS) {
  t.test(`S-I24 the storage contract on ${name}`, async t => {
    const storage = await open(t)
    t.teardown(async () => await storage.close?.())
    for (const { title, run } of storageContract) await t.resolves(run(storage), title)
  })
}

t.test('S-I24 two connections to one SQLite file keep the contract together', async t => {
  const file = databaseFile(t)
  const [one, other] = [await sqliteStorage(file), await sqliteStorage(file)]
  t.teardown(async () => { await Promise.all([one.close(), other.close()]) })
  // Every second verb goes over the other connection, as it does with two processes.
  let turn = 0
  const alternate = <Store extends object>(pick: (storage: Storage) => Store): Store => Object.fromEntries(Object.keys(pick(one)).map(verb =>
    [verb, async (...args: unknown[]) => await (pick(turn++ % 2 === 0 ? one : other) as Record<string, (...args: unknown[]) => Promise<unknown>>)[verb]!(...args)])) as Store
  const both: Storage = { users: alternate(storage => storage.users), sessions: alternate(storage => storage.sessions), feed: one.feed!, atomically: async work => await (turn++ % 2 === 0 ? one : other).atomically!(work) }
  for (const { title, run } of storageContract) await t.resolves(run(both), title)
})
