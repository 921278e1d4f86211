import BetterSqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { migratePostgres, migrateSqlite, postgresStorage, sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { databaseFile } from './support/app.ts'
import { databaseUrl, query, schemaName } from './support/postgres.ts'

interface Backend {
  open (options?: { migrate?: boolean }): Promise<{ close (): Promise<void> }>
  migrate (): Promise<string[]>
  execute (statement: string): Promise<void>
  tables (): Promise<string[]>
  /** What the command is told to find them. */
  readonly named: string
}

/** What takes a database back by the last step. */
const BEHIND = "delete from accounts_migrations where name like '0003%'; drop table accounts_one_time_tokens; drop table accounts_throttles; drop table accounts_outbox"

const BACKENDS: Readonly<Record<string, (t: Test) => Promise<Backend>>> = {
  async SQLite (t) {
    const file = databaseFile(t)
    const use = async <T>(work: (database: BetterSqlite.Database) => T) => {
      const database = new BetterSqlite(file)
      try { return work(database) } finally { database.close() }
    }
    return {
      named: '',
      open: async options => await sqliteStorage(file, options),
      migrate: async () => await migrateSqlite(file),
      execute: async statement => { await use(database => database.exec(statement)) },
      tables: async () => await use(database => database.prepare("select name from sqlite_master where type = 'table' and name like 'accounts_%' order by name").pluck().all() as string[])
    }
  },
  async PostgreSQL (t) {
    const schema = schemaName(t)
    await query(`create schema ${schema}`)
    return {
      named: ` --schema ${schema}`,
      open: async options => await postgresStorage(databaseUrl(), { schema, ...options }),
      migrate: async () => await migratePostgres(databaseUrl(), { schema }),
      execute: async statement => { await query(`set search_path to ${schema}; ${statement}`) },
      tables: async () => (await query<{ name: string }>('select table_name as name from information_schema.tables where table_schema = $1 order by 1', [schema])).map(({ name }) => name)
    }
  }
}

for (const [name, create] of Object.entries(BACKENDS)) {
  t.test(`${name}: several that open an empty database at once all find it ready`, async t => {
    const backend = await create(t)
    const storages = await Promise.all(Array.from({ length: 6 }, async () => await backend.open()))
    await Promise.all(storages.map(async storage => await storage.close()))
    t.strictSame(await backend.migrate(), [], 'and nothing is left to do')
  })

  t.test(`${name}: a migration that fails leaves nothing behind, and works once the cause is gone`, async t => {
    const backend = await create(t)
    await backend.execute('create table accounts_sessions (somebody_elses integer)')
    await t.rejects(backend.open(), { code: 'FST_ACCOUNTS_MIGRATION_FAILED', message: /accounts_sessions.*already exists/ })
    t.notOk((await backend.tables()).includes('accounts_users'))
    await backend.execute('drop table accounts_sessions')
    t.strictSame(await backend.migrate(), ['0001-users-and-sessions', '0002-list-of-users', '0003-mail-and-throttles'])
  })

  t.test(`${name}: in production a database that is behind is refused with the command that mends it, and an empty one is filled`, async t => {
    const { NODE_ENV } = process.env
    t.teardown(() => {
      if (NODE_ENV === undefined) delete process.env.NODE_ENV
      else process.env.NODE_ENV = NODE_ENV
    })
    process.env.NODE_ENV = 'production'
    const backend = await create(t)
    await (await backend.open()).close()
    await backend.execute(BEHIND)
    await t.rejects(backend.open(), { code: 'FST_ACCOUNTS_MIGRATION_PENDING', message: `The database lacks migrations (0003-mail-and-throttles): run "npx fastify-accounts migrate${backend.named}"` })
    t.strictSame(await backend.migrate(), ['0003-mail-and-throttles'])
    await (await backend.open()).close()
    await backend.execute(BEHIND)
    await (await backend.open({ migrate: true })).close()
  })

  t.test(`${name}: migrate: false makes no tables, not even in an empty database`, async t => {
    const backend = await create(t)
    await t.rejects(backend.open({ migrate: false }), { code: 'FST_ACCOUNTS_MIGRATION_PENDING' })
    t.notOk((await backend.tables()).includes('accounts_users'))
    await backend.migrate()
    await (await backend.open({ migrate: false })).close()
  })

  t.test(`${name}: a database of a later release is refused, not changed`, async t => {
    const backend = await create(t)
    await (await backend.open()).close()
    await backend.execute("insert into accounts_migrations (name, timestamp) values ('9999-from-the-future', '2099-01-01T00:00:00.000Z')")
    await t.rejects(backend.migrate(), { code: 'FST_ACCOUNTS_MIGRATION_FAILED', message: /9999-from-the-future/ })
  })
}
