import { sql, type Kysely } from 'kysely'
import { nameOf, type Naming } from './naming.ts'
import type { Tables } from './tables.ts'

// Changes are told by the database itself, in the transaction of the change: no writer can forget it, not even a
// person at a SQL prompt.

const SESSION_COLUMNS = sql.raw('user_id, epoch, revoked_at, expires_at, idle_expires_at')

/** What of a session ends it, or may. A rotation that goes well is nobody's business: it moves the idle end forward. */
const sessionEnds = (isDistinctFrom: string) => sql.raw(`new.user_id <> old.user_id or new.epoch <> old.epoch
  or new.expires_at <> old.expires_at or new.idle_expires_at < old.idle_expires_at or new.revoked_at ${isDistinctFrom} old.revoked_at`)

// By functions of every SQLite there is, as the triggers run in whichever program writes: `unixepoch('subsec')` is NULL before 3.42.
export const SQLITE_NOW = sql.raw('cast((julianday(\'now\') - 2440587.5) * 86400000 as integer)')

/** SQLite has no way to tell other processes, so there is a log, which they read. */
export async function createSqliteTriggers (db: Kysely<Tables>, naming: Naming): Promise<void> {
  await db.schema.createTable('accounts_changes')
    .addColumn('id', 'integer', column => column.primaryKey().autoIncrement())
    .addColumn('session_id', 'text')
    .addColumn('user_id', 'text')
    .addColumn('at', 'integer', column => column.notNull())
    .execute()
  await db.schema.createIndex(nameOf('accounts_changes_at', naming)).on('accounts_changes').column('at').execute()

  const name = (trigger: string) => sql.id(nameOf(trigger, naming))
  const [users, sessions, changes] = [sql.table('accounts_users'), sql.table('accounts_sessions'), sql.table('accounts_changes')]
  await sql`create trigger ${name('accounts_session_ended')} after update of ${SESSION_COLUMNS} on ${sessions}
    when ${sessionEnds('is not')}
    begin insert into ${changes} (session_id, at) values (old.id, ${SQLITE_NOW}); end`.execute(db)
  await sql`create trigger ${name('accounts_session_deleted')} after delete on ${sessions}
    begin insert into ${changes} (session_id, at) values (old.id, ${SQLITE_NOW}); end`.execute(db)
  await sql`create trigger ${name('accounts_user_changed')} after update on ${users}
    begin insert into ${changes} (user_id, at) values (old.id, ${SQLITE_NOW}); end`.execute(db)
  await sql`create trigger ${name('accounts_user_deleted')} after delete on ${users}
    begin insert into ${changes} (user_id, at) values (old.id, ${SQLITE_NOW}); end`.execute(db)
}

/** What of a personal token a verdict rests on. Its uses, notices and successor are nobody's business. */
const TOKEN_COLUMNS = ['user_id', 'name', 'digest', 'context', 'allowed_methods', 'allowed_ips', 'allowed_referrers', 'scopes', 'epoch', 'expires_at', 'revoked_at']

const tokenChanges = (isDistinctFrom: string) => sql.raw(TOKEN_COLUMNS.map(column => `new.${column} ${isDistinctFrom} old.${column}`).join(' or '))

/** To a process of a release that knows of no such tokens a row without a session and a user is a gap: it forgets all. */
export async function createSqliteTokenTriggers (db: Kysely<Tables>, naming: Naming): Promise<void> {
  await db.schema.alterTable('accounts_changes').addColumn('token_id', 'text').execute()
  const name = (trigger: string) => sql.id(nameOf(trigger, naming))
  const [tokens, changes] = [sql.table('accounts_personal_tokens'), sql.table('accounts_changes')]
  await sql`create trigger ${name('accounts_personal_token_changed')} after update of ${sql.raw(TOKEN_COLUMNS.join(', '))} on ${tokens}
    when ${tokenChanges('is not')}
    begin insert into ${changes} (token_id, at) values (old.id, ${SQLITE_NOW}); end`.execute(db)
  await sql`create trigger ${name('accounts_personal_token_deleted')} after delete on ${tokens}
    when old.revoked_at is null
    begin insert into ${changes} (token_id, at) values (old.id, ${SQLITE_NOW}); end`.execute(db)
}

/**
 * The channel of notifications. Channels belong to a database, not to a schema, and a name longer than 63 bytes is
 * refused: two of 30 and a dot leave no room for more.
 */
export function channelOf (naming: Naming): string {
  return `${naming.schema === undefined ? '' : `${naming.schema}.`}${nameOf('accounts_', naming)}`
}

/** PostgreSQL notifies whoever listens, at the commit of the change. */
export async function createPostgresTriggers (db: Kysely<Tables>, naming: Naming): Promise<void> {
  const name = (trigger: string) => sql.id(nameOf(trigger, naming))
  // Functions have schemas, as tables do; triggers have not.
  const procedure = (trigger: string) => sql.table(trigger)
  const [users, sessions] = [sql.table('accounts_users'), sql.table('accounts_sessions')]
  for (const [trigger, payload] of [['accounts_session_changed', '\'s\' || old.id'], ['accounts_user_changed', '\'u\' || old.id'], ['accounts_all_changed', '\'*\'']] as const) {
    await sql`create function ${procedure(trigger)}() returns trigger language plpgsql as ${sql.lit(`begin perform pg_notify('${channelOf(naming)}', ${payload}); return null; end`)}`.execute(db)
  }
  await sql`create trigger ${name('accounts_session_ended')} after update of ${SESSION_COLUMNS} on ${sessions} for each row
    when (${sessionEnds('is distinct from')}) execute function ${procedure('accounts_session_changed')}()`.execute(db)
  await sql`create trigger ${name('accounts_session_deleted')} after delete on ${sessions} for each row
    when (old.revoked_at is null) execute function ${procedure('accounts_session_changed')}()`.execute(db)
  await sql`create trigger ${name('accounts_user_changed')} after update or delete on ${users} for each row
    execute function ${procedure('accounts_user_changed')}()`.execute(db)
  for (const table of [users, sessions]) {
    await sql`create trigger ${name('accounts_emptied')} after truncate on ${table} for each statement execute function ${procedure('accounts_all_changed')}()`.execute(db)
  }
}

/** A letter of its own, which a process of a release that does not know it takes for a gap. */
export async function createPostgresTokenTriggers (db: Kysely<Tables>, naming: Naming): Promise<void> {
  const name = (trigger: string) => sql.id(nameOf(trigger, naming))
  const [tokens, changed] = [sql.table('accounts_personal_tokens'), sql.table('accounts_personal_token_changed')]
  await sql`create function ${changed}() returns trigger language plpgsql as ${sql.lit(`begin perform pg_notify('${channelOf(naming)}', 't' || old.id); return null; end`)}`.execute(db)
  await sql`create trigger ${name('accounts_personal_token_changed')} after update of ${sql.raw(TOKEN_COLUMNS.join(', '))} on ${tokens} for each row
    when (${tokenChanges('is distinct from')}) execute function ${changed}()`.execute(db)
  await sql`create trigger ${name('accounts_personal_token_deleted')} after delete on ${tokens} for each row
    when (old.revoked_at is null) execute function ${changed}()`.execute(db)
  await sql`create trigger ${name('accounts_emptied')} after truncate on ${tokens} for each statement execute function ${sql.table('accounts_all_changed')}()`.execute(db)
}
