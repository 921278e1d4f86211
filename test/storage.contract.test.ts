import BetterSqlite from 'better-sqlite3'
import { CamelCasePlugin, Kysely, PostgresDialect, SqliteDialect } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { kyselyStorage, postgresStorage, sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { storageContract } from '../lib/testing/index.ts'
import type { Storage, Stores } from '../types/index.ts'
import { databaseFile } from './support/app.ts'
import { databaseUrl, openPostgres, schemaName } from './support/postgres.ts'

const BACKENDS: ReadonlyArray<readonly [string, (t: Tap) => Promise<Storage>]> = [
  ['SQLite in memory', async () => await sqliteStorage(':memory:')],
  ['SQLite in a file', async t => await sqliteStorage(databaseFile(t))],
  ['PostgreSQL by address', async t => await openPostgres(t)],
  ['PostgreSQL by a pool of the host\'s', async t => {
    const pool = new pg.Pool({ connectionString: databaseUrl(), max: 3 })
    const schema = schemaName(t)
    t.teardown(async () => await pool.end())
    return await postgresStorage(pool, { schema, tablePrefix: 'a_' })
  }],
  ['a Kysely of the host\'s on PostgreSQL, with plugins', async t => {
    const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: databaseUrl() }) }), plugins: [new CamelCasePlugin()] })
    const schema = schemaName(t)
    t.teardown(async () => await db.destroy())
    return await kyselyStorage(db, { dialect: 'postgres', schema, tablePrefix: 'members_', listen: databaseUrl() })
  }],
  ['a Kysely of the host\'s on SQLite, with a prefix', async t => {
    const db = new Kysely({ dialect: new SqliteDialect({ database: new BetterSqlite(databaseFile(t)) }) })
    t.teardown(async () => await db.destroy())
    return await kyselyStorage(db, { dialect: 'sqlite', tablePrefix: 'auth_' })
  }]
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
  const next = () => turn++ % 2 === 0 ? one : other
  const alternate = <Store extends object>(pick: (storage: Storage) => Store): Store => Object.fromEntries(Object.keys(pick(one)).map(verb =>
    [verb, async (...args: unknown[]) => await (pick(next()) as Record<string, (...args: unknown[]) => Promise<unknown>>)[verb]!(...args)])) as Store
  const names = ['users', 'sessions', 'personalTokens', 'oneTimeTokens', 'throttles', 'outbox', 'basicUses', 'hostSessions'] as const
  const stores = Object.fromEntries(names.map(name => [name, alternate(storage => storage[name]!)])) as unknown as Stores
  const both: Storage = {
    ...stores,
    feed: one.feed!,
    async atomically (given, work) {
      const storage = next()
      const meant = Object.fromEntries(names.filter(name => given[name] !== undefined).map(name => [name, given[name] === stores[name] ? storage[name] : given[name]])) as unknown as Stores
      return await storage.atomically!(meant, work)
    }
  }
  for (const { title, run } of storageContract) await t.resolves(run(both), title)
})
