import { existsSync } from 'node:fs'
import type { Storage } from '../../types/storage.ts'
import { failure, usageError, type OptionName, type Options } from './command.ts'

/** The options that say which database is meant. */
export const DATABASE_OPTIONS: readonly OptionName[] = ['database', 'schema', 'table-prefix']

interface PostgresOptions { readonly schema?: string, readonly tablePrefix?: string }

type Target =
  | { readonly kind: 'sqlite', readonly file: string }
  | { readonly kind: 'postgres', readonly url: string, readonly options: PostgresOptions }

/** Open the database of a server, whose tables are there already: this must not bring them up to date under its feet. */
export async function openStorage (options: Options): Promise<Storage> {
  const target = targetOf(options)
  const adapters = await import('../../lib/adapters/kysely/index.ts')
  const migrate = false
  if (target.kind === 'postgres') return await adapters.postgresStorage(target.url, { ...target.options, migrate })
  if (!existsSync(target.file)) throw failure(`There is no file ${target.file}; "npx fastify-accounts migrate" makes a new database.`)
  return await adapters.sqliteStorage(target.file, { migrate })
}

/** Bring the tables up to date, in a new file as well; what was done. */
export async function migrate (options: Options): Promise<string> {
  const target = targetOf(options)
  const adapters = await import('../../lib/adapters/kysely/index.ts')
  const isNew = target.kind === 'sqlite' && !existsSync(target.file)
  const steps = target.kind === 'sqlite' ? await adapters.migrateSqlite(target.file) : await adapters.migratePostgres(target.url, target.options)
  const created = isNew ? `Created ${target.file}. ` : ''
  return created + (steps.length === 0 ? 'Up to date, nothing to do.' : `Done: ${steps.join(', ')}`)
}

/** An address may hold a password, so no message repeats it. */
function targetOf ({ database = process.env.DATABASE_URL, schema, 'table-prefix': tablePrefix }: Options): Target {
  if (database === undefined || database === '') throw usageError('Which database? Give --database FILE or set DATABASE_URL.')
  if (/^postgres(ql)?:\/\//i.test(database)) return { kind: 'postgres', url: database, options: { ...(schema === undefined ? {} : { schema }), ...(tablePrefix === undefined ? {} : { tablePrefix }) } }
  if (schema !== undefined || tablePrefix !== undefined) throw usageError('--schema and --table-prefix are for PostgreSQL.')
  const file = database.replace(/^sqlite:(\/\/(?=\/))?/, '')
  if (/^[a-z][a-z0-9+]+:\/\//i.test(file)) throw usageError('The database must be a SQLite file or a postgres:// URL.')
  return { kind: 'sqlite', file }
}
