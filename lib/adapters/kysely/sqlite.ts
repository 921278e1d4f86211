import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type BetterSqliteConstructor from 'better-sqlite3'
import type { Database } from 'better-sqlite3'
import { Kysely, SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely'
import type { Storage } from '../../../types/storage.ts'
import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNAVAILABLE, FST_ACCOUNTS_STORAGE_UNOPENED } from '../../errors.ts'
import { loadBetterSqlite } from './better-sqlite3.ts'
import { sqliteDialect } from './dialects.ts'
import { inspect } from './inspection.ts'
import { checkMigrations, migrateToLatest, type MigrateOptions, type Target } from './migrations.ts'
import { checkKnown } from './naming.ts'
import { repeat } from './repeat.ts'
import { createSqliteFeed } from './sqlite-feed.ts'
import { createStores, feedOf } from './stores.ts'
import type { Tables } from './tables.ts'

export type SqliteOptions = MigrateOptions

/** A storage in one SQLite file, with a connection of its own. The plugin that it is given to closes it. */
export interface SqliteStorage extends Storage {
  close (): Promise<void>
}

/** The library waits for a lock by holding up everything else, so it never does; we ask again ourselves. */
const BLOCK_MS = 0

/** A new file holds addresses and digests. SQLite gives the files beside it the same mode. */
const OWNER_ONLY = 0o600

/** More than the package has. */
const MAX_STATEMENTS = 100

/**
 * All that the package keeps, in one SQLite file, on `better-sqlite3`. Several processes may use the file.
 * @param file a path; `:memory:` for a database that ends with the process
 * @throws {FST_ACCOUNTS_MIGRATION_PENDING} or `_FAILED`
 */
export async function sqliteStorage (file: string, options: SqliteOptions = {}): Promise<SqliteStorage> {
  checkKnown(options, ['migrate'])
  const { database, target, checkPresence } = await open(file)
  try {
    await checkMigrations(target, options)
  } catch (error) {
    database.close()
    throw error
  }
  const stores = createStores(target.db, sqliteDialect)
  return {
    ...stores,
    feed: feedOf(stores, createSqliteFeed(database, checkPresence)),
    inspect: async () => await inspect(target),
    close: async () => await target.db.destroy()
  }
}

/**
 * Bring the tables in a SQLite file up to date, as a deployment does before the new version starts; the names of the
 * steps that ran.
 * @throws {FST_ACCOUNTS_MIGRATION_FAILED}
 */
export async function migrateSqlite (file: string): Promise<string[]> {
  const { database, target } = await open(file)
  try {
    return await migrateToLatest(target)
  } finally {
    database.close()
  }
}

async function open (file: string): Promise<{ readonly database: Database, readonly target: Target, readonly checkPresence: () => void }> {
  if (typeof file !== 'string' || file === '') throw new FST_ACCOUNTS_OPTION_INVALID('file', 'must be the path of the SQLite file')
  const BetterSqlite = await loadBetterSqlite()
  const database = openFile(BetterSqlite, file)
  await repeat(sqliteDialect, async () => { database.pragma('journal_mode = WAL') })
  // What is deleted is overwritten: nobody is to be found in the file who has left.
  database.pragma('secure_delete = ON')
  const checkPresence = file === ':memory:' ? () => {} : createPresenceCheck(resolve(file))
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: prepareOnce(database, checkPresence) }) })
  return { database, checkPresence, target: { db, dialect: sqliteDialect, naming: {} } }
}

/** @throws {FST_ACCOUNTS_STORAGE_UNOPENED} naming the file: the library's own error does not */
function openFile (BetterSqlite: typeof BetterSqliteConstructor, file: string): Database {
  try {
    if (file !== ':memory:' && !existsSync(file)) closeSync(openSync(file, 'a', OWNER_ONLY))
    return new BetterSqlite(file, { timeout: BLOCK_MS })
  } catch (cause) {
    throw new FST_ACCOUNTS_STORAGE_UNOPENED(`the SQLite file ${file}`, cause instanceof Error ? cause.message : 'unknown error', { cause })
  }
}

/** What Kysely needs of a database, with the few statements that there are prepared once each. */
function prepareOnce (database: Database, checkPresence: () => void): SqliteDatabase {
  const chooseDurability = createDurability(database)
  const statements = new Map<string, SqliteStatement>()
  return {
    prepare (source) {
      checkPresence()
      chooseDurability(source)
      const statement = statements.get(source) ?? database.prepare(source) as SqliteStatement
      if (statements.size < MAX_STATEMENTS) statements.set(source, statement)
      return statement
    },
    close: () => { database.close() }
  }
}

/** A session begins, goes on, was seen; a token was used; an attempt is counted; a host keeps something for a while. */
const FLEETING = /^\s*(insert into "accounts_(sessions|throttles|host_sessions)"|delete from "accounts_throttles"|update "accounts_sessions" set\s+"?(generation|rotated_at|last_seen_at)|update "accounts_personal_tokens" set\s+last_used_at)/

/**
 * A commit is written through to the disk before it is acknowledged, so that no power cut gives back an ended session, an
 * old password or a lost account. Only what begins or prolongs a session is not worth that wait, which holds up
 * everything else: after a power cut its owner may have to log in again. A crash of the process loses neither.
 */
function createDurability (database: Database): (source: string) => void {
  let level = ''
  return source => {
    const wanted = FLEETING.test(source) ? 'NORMAL' : 'FULL'
    if (wanted === level || database.inTransaction) return
    database.pragma(`synchronous = ${wanted}`)
    level = wanted
  }
}

/**
 * A file that was deleted or replaced while open would go on taking writes that nobody can ever read again.
 * SQLite does not tell, so each statement looks first; it costs two microseconds.
 */
function createPresenceCheck (path: string): () => void {
  const { ino, dev } = statSync(path)
  return () => {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found?.ino !== ino || found.dev !== dev) throw new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: `${path} is gone` })
  }
}
