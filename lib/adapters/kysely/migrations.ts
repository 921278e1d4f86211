import { Migrator, sql, type Kysely } from 'kysely'
import { FST_ACCOUNTS_MIGRATION_FAILED, FST_ACCOUNTS_MIGRATION_PENDING } from '../../errors.ts'
import type { Dialect } from './dialects.ts'
import { createMigrationSteps } from './migration-steps.ts'
import { nameOf, type Naming } from './naming.ts'
import { repeat } from './repeat.ts'
import type { Tables } from './tables.ts'

export interface MigrateOptions {
  /**
   * Make the tables, or bring them up to date, when the database is opened; `false`: what is missing is an error that names
   * the command.
   * @default true; in production (`NODE_ENV`) for an empty database alone
   */
  readonly migrate?: boolean
}

/** What a migration works on. */
export interface Target {
  readonly db: Kysely<Tables>
  /** The same database without deadlines: a step may take its time. */
  readonly patientDb?: Kysely<Tables>
  readonly dialect: Dialect
  readonly naming: Naming
}

async function createMigrator (target: Target, db: Kysely<Tables>): Promise<Migrator> {
  const { naming } = target
  const schema = naming.schema ?? await findSchema(target, db)
  return new Migrator({
    db: target.dialect.name === 'postgres' ? lookForOurTables(db, naming) : db,
    provider: { getMigrations: async () => createMigrationSteps(target) },
    migrationTableName: nameOf('accounts_migrations', naming),
    migrationLockTableName: nameOf('accounts_migrations_lock', naming),
    ...(schema === null ? {} : { migrationTableSchema: schema })
  })
}

/**
 * Kysely looks for its two tables in a list of all columns of all schemas: slow where there are many, and an error when
 * somebody drops a schema meanwhile.
 */
function lookForOurTables (db: Kysely<Tables>, naming: Naming): Kysely<Tables> {
  const introspection = {
    getSchemas: async () => await db.introspection.getSchemas(),
    async getTables () {
      const names = ['accounts_migrations', 'accounts_migrations_lock'].map(table => nameOf(table, naming))
      return (await sql<{ schema: string, name: string }>`select schemaname as schema, tablename as name from pg_catalog.pg_tables where tablename in (${sql.join(names)})`.execute(db)).rows
    }
  }
  return new Proxy(db, {
    get (target, name) {
      if (name === 'introspection') return introspection
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

/** Where tables go without a schema. Not told, Kysely takes tables of the same name in any schema for ours. */
export async function findSchema ({ dialect }: Target, db: Kysely<Tables>): Promise<string | null> {
  if (dialect.name === 'sqlite') return null
  const { rows: [row] } = await sql<{ schema: string | null }>`select current_schema() as schema`.execute(db)
  return row?.schema ?? null
}

/** @throws {FST_ACCOUNTS_MIGRATION_PENDING} or `_FAILED`, for a database that may not be changed now */
export async function checkMigrations (target: Target, { migrate: isWanted }: MigrateOptions): Promise<void> {
  const { pending, isEmpty } = await findPending(target)
  if (pending.length === 0) return
  const { NODE_ENV } = process.env
  if (!(isWanted ?? (isEmpty || NODE_ENV !== 'production'))) throw new FST_ACCOUNTS_MIGRATION_PENDING(pending.join(', '), namingArguments(target.naming))
  await migrateToLatest(target)
}

/** What the command must be told to find the same tables. */
function namingArguments ({ schema, tablePrefix }: Naming): string {
  return (schema === undefined ? '' : ` --schema ${schema}`) + (tablePrefix === undefined ? '' : ` --table-prefix ${tablePrefix}`)
}

export async function findPending (target: Target): Promise<{ readonly pending: string[], readonly isEmpty: boolean }> {
  const migrations = await repeat(target.dialect, async () => await (await createMigrator(target, target.db)).getMigrations())
  const pending = migrations.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name)
  return { pending, isEmpty: pending.length === migrations.length }
}

/**
 * Bring the tables up to date, all the way or not at all; the names of the steps that ran. Running it twice, or at once
 * from several processes, does no harm.
 * @throws {FST_ACCOUNTS_MIGRATION_FAILED}
 */
export async function migrateToLatest (target: Target): Promise<string[]> {
  const { db, patientDb = db, dialect } = target
  // A server that can't be reached is no failed migration.
  await findPending(target)
  try {
    return await repeat(dialect, async () => dialect.name === 'sqlite' ? await runInTransaction(target) : await run(target, patientDb))
  } catch (cause) {
    throw new FST_ACCOUNTS_MIGRATION_FAILED(cause instanceof Error ? cause.message : 'unknown error', { cause })
  }
}

async function run (target: Target, db: Kysely<Tables>): Promise<string[]> {
  const { error, results = [] } = await (await createMigrator(target, db)).migrateToLatest()
  if (error !== undefined) throw error
  return results.map(({ migrationName }) => migrationName)
}

/** Kysely locks and wraps migrations in PostgreSQL, and does neither in SQLite, which can do both. */
async function runInTransaction (target: Target): Promise<string[]> {
  return await target.db.connection().execute(async connection => {
    await sql`begin immediate`.execute(connection)
    try {
      const steps = await run(target, connection)
      await sql`commit`.execute(connection)
      return steps
    } catch (error) {
      await sql`rollback`.execute(connection)
      throw error
    }
  })
}
