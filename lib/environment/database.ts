import { fileURLToPath } from 'node:url'
import type { Storage } from '../../types/storage.ts'
import { FST_ACCOUNTS_STORAGE_UNOPENED } from '../errors.ts'

/** Which database is meant. */
export type Database =
  | { readonly kind: 'sqlite', readonly file: string }
  | { readonly kind: 'postgres', readonly url: string }

/** How `sqliteStorage` and `postgresStorage` are to open it; the names are for PostgreSQL. */
export interface DatabaseOptions {
  readonly schema?: string
  readonly tablePrefix?: string
  readonly migrate?: boolean
}

/** What to say of any other text. */
export const DATABASE_FORMAT = 'must be the path of a SQLite file (sqlite:PATH where it has any of : @ ? = & in it), a file: URL or a postgres:// URL'

/**
 * Read `postgres://…`, `file:…`, `sqlite:PATH` or a path; `null` for anything else. What may be a misspelt address of a
 * server is no path: it may hold a password, and the name of a file is shown to everybody.
 */
export function parseDatabase (text: string): Database | null {
  if (/^postgres(ql)?:\/\//.test(text)) return URL.canParse(text) ? { kind: 'postgres', url: text } : null
  const file = text.startsWith('file:') ? parseFileUrl(text) : text.startsWith('sqlite:') ? parseSqlite(text) : parsePath(text)
  return file === null || file === '' ? null : { kind: 'sqlite', file }
}

/** RFC 8089; `file:accounts.db` is a path from here, as SQLite itself has it. */
function parseFileUrl (text: string): string | null {
  if (/[?#]/.test(text)) return null
  if (!text.startsWith('file:/')) return text.slice('file:'.length)
  try {
    return fileURLToPath(text)
  } catch {
    // Of another host, or ill-formed.
    return null
  }
}

const parseSqlite = (text: string) => {
  const path = text.replace(/^sqlite:(\/\/(?=\/))?/, '')
  return path.startsWith('//') ? null : path
}

function parsePath (text: string): string | null {
  const withoutDrive = text.replace(/^[a-z]:(?=[\\/])/i, '')
  return text === ':memory:' || !/^\/\/|[:@?=&]/.test(withoutDrive) ? text : null
}

const PACKAGES = { sqlite: 'kysely better-sqlite3', postgres: 'kysely pg' } as const

/**
 * Open it, by an adapter that is loaded only now: not every host has its packages.
 * @throws {FST_ACCOUNTS_STORAGE_UNOPENED} and what the adapter throws
 */
export async function openDatabase (database: Database, options: DatabaseOptions = {}): Promise<Storage> {
  const { schema, tablePrefix, ...others } = options
  return await withAdapter(database, async ({ sqliteStorage, postgresStorage }) => database.kind === 'sqlite' ? await sqliteStorage(database.file, others) : await postgresStorage(database.url, options))
}

/** Bring the tables up to date; the names of the steps that ran. */
export async function migrateDatabase (database: Database, naming: Omit<DatabaseOptions, 'migrate'>): Promise<string[]> {
  return await withAdapter(database, async ({ migrateSqlite, migratePostgres }) => database.kind === 'sqlite' ? await migrateSqlite(database.file) : await migratePostgres(database.url, naming))
}

async function withAdapter<Result> ({ kind }: Database, work: (adapter: typeof import('../adapters/kysely/index.ts')) => Promise<Result>): Promise<Result> {
  try {
    return await work(await import('../adapters/kysely/index.ts'))
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new FST_ACCOUNTS_STORAGE_UNOPENED('the database', `a package is missing: npm install ${PACKAGES[kind]}`, { cause })
  }
}
