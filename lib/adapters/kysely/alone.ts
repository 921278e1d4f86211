import { sql, type Kysely, type TransactionBuilder } from 'kysely'
import type { Dialect } from './dialects.ts'
import type { Tables } from './tables.ts'

/**
 * Begin a transaction whose statements see what others have committed while they waited, also where the database has another
 * level as its default: that is what the verbs of the stores rest on.
 */
export function begin (db: Kysely<Tables>, dialect: Dialect): TransactionBuilder<Tables> {
  return dialect.name === 'postgres' ? db.transaction().setIsolationLevel('read committed') : db.transaction()
}

/**
 * Do what counts rows and then inserts one, while nobody else does the same with `what`. Statements of racers don't see each
 * other's rows before they are committed, and there may be no row to lock. SQLite has but one writer.
 */
export async function alone<T> (db: Kysely<Tables>, dialect: Dialect, what: string, work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
  const lockAndWork = async (transaction: Kysely<Tables>) => {
    // Such locks belong to the whole database; who meets another's key waits, no more.
    if (dialect.name === 'postgres') await sql`select pg_advisory_xact_lock(hashtextextended(${`fastify-accounts ${what}`}::text, 0))`.execute(transaction)
    return await work(transaction)
  }
  return db.isTransaction ? await lockAndWork(db) : await begin(db, dialect).execute(lockAndWork)
}
