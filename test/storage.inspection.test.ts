import { ok } from 'node:assert/strict'
import BetterSqlite from 'better-sqlite3'
import { Kysely, PostgresDialect, sql, SqliteDialect } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import { kyselyStorage, type KyselyOptions } from '../lib/adapters/kysely/index.ts'
import { inspect } from '../lib/adapters/kysely/inspection.ts'
import { createTarget } from '../lib/adapters/kysely/kysely.ts'
import type { StorageInspection } from '../types/index.ts'
import { databaseUrl, query, schemaName } from './support/postgres.ts'

interface Backend {
  readonly db: Kysely<any>
  readonly options: KyselyOptions
  readonly inspect: () => Promise<StorageInspection>
  execute (statement: string): Promise<void>
}

const CREATE: Readonly<Record<string, (t: Test) => Promise<Backend>>> = {
  SQLite: async t => {
    const database = new BetterSqlite(':memory:')
    // As before SQLite 3.42: whichever program writes runs the triggers.
    database.function('unixepoch', { varargs: true }, () => null)
    const db = new Kysely<any>({ dialect: new SqliteDialect({ database }) })
    const options = { dialect: 'sqlite', tablePrefix: 'shop_' } as const
    t.teardown(async () => await db.destroy())
    return { db, options, inspect: (await kyselyStorage(db, options)).inspect!, execute: async statement => { database.exec(statement) } }
  },
  PostgreSQL: async t => {
    const schema = schemaName(t)
    const db = new Kysely<any>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: databaseUrl() }) }) })
    const options = { dialect: 'postgres', schema, tablePrefix: 'shop_' } as const
    t.teardown(async () => await db.destroy())
    return { db, options, inspect: (await kyselyStorage(db, options)).inspect!, execute: async statement => { await query(`set search_path to ${schema}; ${statement}`) } }
  }
}

/** What goes wrong, and what is then said to be missing or switched off. */
const LOSSES: Readonly<Record<string, ReadonlyArray<readonly [string, Partial<StorageInspection>]>>> = {
  SQLite: [
    ['drop index shop_sessions_idle', { missingIndexes: ['shop_sessions_idle'] }],
    ['drop trigger shop_user_changed', { missingTriggers: ['shop_users.shop_user_changed'] }]
  ],
  PostgreSQL: [
    ['drop index shop_sessions_idle', { missingIndexes: ['shop_sessions_idle'] }],
    ['alter table shop_users drop constraint shop_users_email_key_key', { missingIndexes: ['shop_users_email_key_key'] }],
    ["update pg_index set indisvalid = false where indexrelid = 'shop_outbox_due'::regclass", { missingIndexes: ['shop_outbox_due'] }],
    ['drop trigger shop_user_changed on shop_users', { missingTriggers: ['shop_users.shop_user_changed'] }],
    ['alter table shop_sessions disable trigger shop_emptied', { disabledTriggers: ['SCHEMA.shop_sessions.shop_emptied'] }],
    ['alter table shop_users enable replica trigger shop_emptied', { disabledTriggers: ['SCHEMA.shop_users.shop_emptied'] }],
    // Not of ours.
    ['create trigger own before update on shop_users for each row execute function suppress_redundant_updates_trigger(); alter table shop_users disable trigger own', {}]
  ]
}

/** All that the steps make beside tables. */
const MADE: Readonly<Record<string, string>> = {
  SQLite: "select name from sqlite_master where tbl_name not like '%migrations%' and type in ('index', 'trigger') and name not like 'sqlite%'",
  PostgreSQL: `select indexname as name from pg_indexes where schemaname = SCHEMA and tablename not like '%migrations%' union all
    select tgname from pg_trigger join pg_class on pg_class.oid = tgrelid where relnamespace = SCHEMA::regnamespace and not tgisinternal`
}

const WHOLE = { missingMigrations: [], missingIndexes: [], missingTriggers: [], disabledTriggers: [] }

/** The same in the schema of this test. */
const inSchema = ({ disabledTriggers = [] }: Partial<StorageInspection>, { options }: Backend) => ({ disabledTriggers: disabledTriggers.map(name => name.replace('SCHEMA', String(options.schema))) })

async function missing ({ inspect }: Backend): Promise<Omit<StorageInspection, 'now'>> {
  const { now, ...rest } = await inspect()
  ok(Math.abs(now.getTime() - Date.now()) < 5000)
  return rest
}

for (const [name, create] of Object.entries(CREATE)) {
  t.test(`${name}: a new database is whole, and of an old one it is said what it lacks`, async t => {
    for (const [statement, expected] of LOSSES[name]!) {
      const backend = await create(t)
      t.strictSame(await missing(backend), WHOLE)
      await backend.execute(statement)
      t.strictSame(await missing(backend), { ...WHOLE, ...expected, ...inSchema(expected, backend) }, statement)
    }
    const behind = await create(t)
    await behind.execute("delete from shop_migrations where name like '0004%'; drop table shop_personal_tokens")
    t.strictSame(await missing(behind), { ...WHOLE, missingMigrations: ['0004-personal-tokens'] }, 'what a step that has not run would make is not missed by itself')
  })

  t.test(`${name}: every index and trigger of a new database is looked for`, async t => {
    const { db, options, execute } = await create(t)
    const made = (await sql.raw<{ name: string }>(MADE[name]!.replaceAll('SCHEMA', `'${options.schema}'`)).execute(db)).rows.map(row => row.name)
    // By its own word it has been through all steps.
    for (const table of ['users', 'sessions', 'one_time_tokens', 'throttles', 'outbox', 'personal_tokens', 'basic_uses', 'host_sessions', ...(name === 'SQLite' ? ['changes'] : [])]) await execute(`drop table shop_${table}`)
    const { missingMigrations, missingIndexes, missingTriggers } = await inspect(createTarget(db, options))
    t.strictSame(missingMigrations, [])
    t.strictSame([...missingIndexes, ...missingTriggers.map(trigger => trigger.split('.')[1]!)].sort(), made.sort())
  })
}

t.test('PostgreSQL: a trigger that is switched off is named as it stands in SQL, in a schema whose name must be quoted too', async t => {
  const schema = `"${schemaName(t).replace('test', 'Test')}"`
  await query(`create schema ${schema}`)
  t.teardown(async () => { await query(`drop schema ${schema} cascade`) })
  const db = new Kysely<any>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: databaseUrl(), options: `-c search_path=${schema}` }) }) })
  t.teardown(async () => await db.destroy())
  const { inspect } = await kyselyStorage(db, { dialect: 'postgres' })
  await query(`alter table ${schema}.accounts_users disable trigger accounts_emptied`)
  t.strictSame((await inspect!()).disabledTriggers, [`${schema}.accounts_users.accounts_emptied`])
})
