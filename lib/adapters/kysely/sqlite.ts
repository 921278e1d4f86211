import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Database } from 'better-sqlite3'
import { Kysely, SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely'
import type { SessionStore, Storage, Stores } from '../../../types/storage.ts'
import { monotonic, now, pause } from '../../clock.ts'
import { FST_ACCOUNTS_MIGRATION_FAILED, FST_ACCOUNTS_MIGRATION_PENDING, FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNAVAILABLE } from '../../errors.ts'
import { randomFraction } from '../../random.ts'
import { findPending, migrateToLatest } from './migrations.ts'
import { kyselySessions } from './sessions.ts'
import { createSqliteFeed } from './sqlite-feed.ts'
import type { Tables } from './tables.ts'
import { kyselyUsers } from './users.ts'

export interface SqliteOptions {
  /**
   * Bring an existing database up to date when it is opened. An empty one always is.
   * @default true, but in production (`NODE_ENV`) false: then missing steps are an error that names the command
   */
  readonly migrate?: boolean
}

/** A storage in one SQLite file, with a connection of its own. The plugin that it is given to closes it. */
export interface SqliteStorage extends Storage {
  close (): Promise<void>
}

/** How long a locked file is asked again before the call fails. */
const BUSY_MS = 900

/** The library waits for a lock by holding up everything else, so it never does; we ask again ourselves. */
const BLOCK_MS = 0

/** More than the package has. */
const MAX_STATEMENTS = 100

/** Entries of the change log that no living process can still need. */
const KEEP_CHANGES_MS = 3_600_000

/**
 * All that the package keeps, in one SQLite file, on `better-sqlite3`. Several processes may use the file.
 * @param file a path; `:memory:` for a database that ends with the process
 * @throws {FST_ACCOUNTS_MIGRATION_PENDING} or `_FAILED`
 */
export async function sqliteStorage (file: string, options: SqliteOptions = {}): Promise<SqliteStorage> {
  const { database, db, checkPresence } = await open(file)
  try {
    await checkMigrations(db, options)
  } catch (error) {
    database.close()
    throw error
  }
  return {
    users: repeatWhenBusy(kyselyUsers(db)),
    sessions: repeatWhenBusy(pruning(kyselySessions(db), db)),
    feed: createSqliteFeed(database, checkPresence),
    atomically: async work => await untilFree(async () => await db.transaction().execute(async transaction => await work(storesOn(transaction)))),
    close: async () => await db.destroy()
  }
}

/**
 * Bring the tables in a SQLite file up to date, as a deployment does before the new version starts; the names of the
 * steps that ran.
 * @throws {FST_ACCOUNTS_MIGRATION_FAILED}
 */
export async function migrateSqlite (file: string): Promise<string[]> {
  const { database, db } = await open(file)
  try {
    return await migrate(db)
  } finally {
    database.close()
  }
}

const storesOn = (db: Kysely<Tables>): Stores => ({ users: kyselyUsers(db), sessions: kyselySessions(db) })

async function open (file: string): Promise<{ readonly database: Database, readonly db: Kysely<Tables>, readonly checkPresence: () => void }> {
  if (typeof file !== 'string' || file === '') throw new FST_ACCOUNTS_OPTION_INVALID('file', 'must be the path of the SQLite file')
  const { default: BetterSqlite } = await import('better-sqlite3')
  const database = new BetterSqlite(file, { timeout: BLOCK_MS })
  await untilFree(async () => { database.pragma('journal_mode = WAL') })
  const checkPresence = file === ':memory:' ? () => {} : createPresenceCheck(resolve(file))
  return { database, checkPresence, db: new Kysely<Tables>({ dialect: new SqliteDialect({ database: prepareOnce(database, checkPresence) }) }) }
}

async function checkMigrations (db: Kysely<Tables>, options: SqliteOptions): Promise<void> {
  const { pending, isEmpty } = await untilFree(async () => await findPending(db))
  if (pending.length === 0) return
  if (!isEmpty && !(options.migrate ?? process.env.NODE_ENV !== 'production')) throw new FST_ACCOUNTS_MIGRATION_PENDING(pending.join(', '))
  await migrate(db)
}

async function migrate (db: Kysely<Tables>): Promise<string[]> {
  try {
    return await untilFree(async () => await migrateToLatest(db))
  } catch (error) {
    throw new FST_ACCOUNTS_MIGRATION_FAILED(error instanceof Error ? error.message : 'unknown error')
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

/** A session begins, goes on, was seen. */
const FLEETING = /^\s*(insert into "accounts_sessions"|update "accounts_sessions" set "(generation|rotated_at)"|update accounts_sessions set\s+last_seen_at)/

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

/** Every verb is one statement, and one that met a lock did nothing: it is safe to try again. */
function repeatWhenBusy<Store extends object> (store: Store): Store {
  return Object.fromEntries(Object.entries(store).map(([verb, call]) => [verb, async (...args: unknown[]) => await untilFree(async () => await call(...args))])) as Store
}

/** The log of changes is pruned where sessions are: once in a while, by whichever process does it. */
function pruning (sessions: SessionStore, db: Kysely<Tables>): SessionStore {
  return {
    ...sessions,
    async deleteEnded (before) {
      const newest = db.selectFrom('accounts_changes').select(select => select.fn.max('id').as('id'))
      await db.deleteFrom('accounts_changes').where('at', '<', now() - KEEP_CHANGES_MS).where('id', '<', newest).execute()
      return await sessions.deleteEnded(before)
    }
  }
}

/** Run again, with pauses of random length, what another connection's lock has kept from running. */
async function untilFree<T> (call: () => Promise<T>): Promise<T> {
  const end = monotonic() + BUSY_MS
  for (let longest = 2; ; longest = Math.min(2 * longest, 50)) {
    try {
      return await call()
    } catch (error) {
      if (!isBusy(error) || monotonic() > end) throw error
      await pause(randomFraction() * longest)
    }
  }
}

function isBusy (error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code)
}
