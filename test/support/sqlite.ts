import BetterSqlite, { type Database } from 'better-sqlite3'
import type { Test } from 'tap'
import { sqliteStorage, type SqliteStorage } from '../../lib/adapters/kysely/index.ts'

/** A connection of one's own to a database file, as a person at a SQL prompt has. Closed with the test. */
export function connect (t: Test, file: string): Database {
  const database = new BetterSqlite(file, { timeout: 1000 })
  t.teardown(() => { database.close() })
  return database
}

/** A storage together with the very connection that it works on, so that faults can be brought about in it. */
export async function openWithConnection (file: string): Promise<{ storage: SqliteStorage, connection: Database }> {
  const { pragma } = BetterSqlite.prototype as Database
  let connection: Database | undefined
  BetterSqlite.prototype.pragma = function (this: Database, ...args: Parameters<typeof pragma>) {
    connection ??= this
    return pragma.apply(this, args)
  }
  try {
    const storage = await sqliteStorage(file)
    return { storage, connection: connection! }
  } finally {
    BetterSqlite.prototype.pragma = pragma
  }
}
