import BetterSqlite from 'better-sqlite3'
import { Kysely, Migrator, PostgresDialect, SqliteDialect } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import { migratePostgres, migrateSqlite, postgresStorage, sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createTarget } from '../lib/adapters/kysely/kysely.ts'
import { createMigrationSteps } from '../lib/adapters/kysely/migration-steps.ts'
import type { Target } from '../lib/adapters/kysely/migrations.ts'
import { createStores } from '../lib/adapters/kysely/stores.ts'
import { fromSessionRecord } from '../lib/adapters/kysely/tables.ts'
import { createUser, NOON, samplePersonalToken, sampleSession } from '../lib/testing/samples.ts'
import type { Storage } from '../types/index.ts'
import { databaseFile } from './support/app.ts'
import { databaseUrl, query, schemaName } from './support/postgres.ts'

interface Backend {
  open (options?: { migrate?: boolean }): Promise<Storage & { close (): Promise<void> }>
  /** The database as the code of the storage sees it. */
  target (): Target
  migrate (): Promise<string[]>
  execute (statement: string): Promise<void>
  tables (): Promise<string[]>
  /** What the command is told to find them. */
  readonly named: string
}

/** What takes a database back by the last step. */
const BEHIND = "delete from accounts_migrations where name like '0007%'; alter table accounts_sessions drop column claims"

const STEPS = ['0001-users-and-sessions', '0002-list-of-users', '0003-mail-and-throttles', '0004-personal-tokens', '0005-uses-of-http-basic', '0006-host-sessions', '0007-claims-of-sessions']

function closing (t: Test, db: Kysely<any>): Kysely<any> {
  t.teardown(async () => await db.destroy())
  return db
}

/** Make the tables as an earlier release did. */
async function migrateOnly (target: Target, steps: readonly string[]): Promise<void> {
  const { error } = await new Migrator({
    db: target.db,
    provider: { getMigrations: async () => Object.fromEntries(Object.entries(createMigrationSteps(target)).filter(([name]) => steps.includes(name))) },
    migrationTableName: 'accounts_migrations',
    migrationLockTableName: 'accounts_migrations_lock',
    ...(target.naming.schema === undefined ? {} : { migrationTableSchema: target.naming.schema })
  }).migrateToLatest()
  if (error !== undefined) throw error
}

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
      target: () => createTarget(closing(t, new Kysely({ dialect: new SqliteDialect({ database: new BetterSqlite(file) }) })), { dialect: 'sqlite' }),
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
      target: () => createTarget(closing(t, new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: databaseUrl() }) }) })), { dialect: 'postgres', schema }),
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
    t.strictSame(await backend.migrate(), STEPS)
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
    await t.rejects(backend.open(), { code: 'FST_ACCOUNTS_MIGRATION_PENDING', message: `The database lacks migrations (${STEPS.at(-1)}): run "npx fastify-accounts migrate${backend.named}"` })
    t.strictSame(await backend.migrate(), STEPS.slice(-1))
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

  t.test(`${name}: a database of an earlier release comes up with its data, and takes what is new`, async t => {
    const backend = await create(t)
    const target = backend.target()
    await migrateOnly(target, STEPS.slice(0, 3))
    const before = createStores(target.db, target.dialect)
    const { emailKey, ...user } = await createUser(before.users, { name: 'Ada', roles: ['editor'] })
    const session = sampleSession(user.id)
    const { claims: _, ...row } = fromSessionRecord(session, target.dialect)
    await target.db.insertInto('accounts_sessions').values(row).execute()
    await before.throttles.attempt('somebody', { at: NOON, delays: [0], limit: 9, forgetAfter: 1000 })
    t.strictSame(await backend.migrate(), STEPS.slice(3))
    const storage = await backend.open({ migrate: false })
    t.teardown(async () => await storage.close())
    const token = samplePersonalToken({ userId: user.id })
    t.equal(await storage.personalTokens!.create(token, 1), 'created')
    t.match(await storage.users.findByEmail(emailKey), { id: user.id, name: 'Ada', roles: ['editor'] })
    t.strictSame(await storage.sessions.find(session.id), session)
    t.equal((await storage.throttles!.find('somebody'))?.count, 1)
    t.strictSame(await storage.personalTokens!.findByDigest(token.digest), token)
    const kept = { digest: 'd', owner: { userId: user.id, sessionId: session.id }, data: '{}', expiresAt: NOON }
    await storage.hostSessions!.save(kept)
    t.strictSame(await storage.hostSessions!.listForUser(user.id), [kept])
  })
}
