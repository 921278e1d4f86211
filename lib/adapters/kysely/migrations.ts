import { sql, Migrator, type Kysely, type Migration } from 'kysely'
import type { Tables } from './tables.ts'

/** Every step that ever was released, by name. A released step is never edited: a later one corrects it. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-users-and-sessions': {
    async up (db: Kysely<unknown>) {
      await db.schema.createTable('accounts_users')
        .addColumn('id', 'text', column => column.primaryKey())
        .addColumn('email', 'text', column => column.notNull())
        .addColumn('email_key', 'text', column => column.notNull().unique())
        .addColumn('email_verified_at', 'integer')
        .addColumn('username', 'text')
        .addColumn('username_key', 'text', column => column.unique())
        .addColumn('name', 'text')
        .addColumn('roles', 'text', column => column.notNull())
        .addColumn('password_digest', 'text')
        .addColumn('epoch', 'integer', column => column.notNull())
        .addColumn('disabled_at', 'integer')
        .addColumn('created_at', 'integer', column => column.notNull())
        .execute()
      await db.schema.createTable('accounts_sessions')
        .addColumn('id', 'text', column => column.primaryKey())
        .addColumn('user_id', 'text', column => column.notNull())
        .addColumn('epoch', 'integer', column => column.notNull())
        .addColumn('generation', 'integer', column => column.notNull())
        .addColumn('rotated_at', 'integer', column => column.notNull())
        .addColumn('acknowledged_generation', 'integer', column => column.notNull())
        .addColumn('created_at', 'integer', column => column.notNull())
        .addColumn('authenticated_at', 'integer', column => column.notNull())
        .addColumn('last_seen_at', 'integer', column => column.notNull())
        .addColumn('idle_expires_at', 'integer', column => column.notNull())
        .addColumn('expires_at', 'integer', column => column.notNull())
        .addColumn('remember', 'integer', column => column.notNull())
        .addColumn('user_agent', 'text')
        .addColumn('address', 'text')
        .addColumn('revoked_at', 'integer')
        .addColumn('revoke_reason', 'text')
        .modifyEnd(sql`without rowid`)
        .execute()
      await db.schema.createIndex('accounts_sessions_user').on('accounts_sessions').columns(['user_id', 'created_at']).execute()
      await db.schema.createIndex('accounts_sessions_idle').on('accounts_sessions').column('idle_expires_at').execute()
      await sql`create index accounts_sessions_revoked on accounts_sessions (revoked_at) where revoked_at is not null`.execute(db)
      await db.schema.createTable('accounts_changes')
        .addColumn('id', 'integer', column => column.primaryKey().autoIncrement())
        .addColumn('session_id', 'text')
        .addColumn('user_id', 'text')
        .addColumn('at', 'integer', column => column.notNull())
        .execute()
      await db.schema.createIndex('accounts_changes_at').on('accounts_changes').column('at').execute()
      await createTriggers(db)
    }
  }
}

/**
 * The change log is written by the database itself, in the transaction of the change: no writer can forget it, not
 * even a person at a SQL prompt.
 */
async function createTriggers (db: Kysely<unknown>): Promise<void> {
  const now = sql.raw('cast(unixepoch(\'subsec\') * 1000 as integer)')
  await sql`create trigger accounts_session_ended after update of user_id, epoch, revoked_at, expires_at, idle_expires_at on accounts_sessions
    when new.user_id <> old.user_id or new.epoch <> old.epoch or new.revoked_at is not old.revoked_at
      or new.expires_at <> old.expires_at or new.idle_expires_at < old.idle_expires_at
    begin insert into accounts_changes (session_id, at) values (old.id, ${now}); end`.execute(db)
  await sql`create trigger accounts_session_deleted after delete on accounts_sessions
    begin insert into accounts_changes (session_id, at) values (old.id, ${now}); end`.execute(db)
  await sql`create trigger accounts_user_changed after update on accounts_users
    begin insert into accounts_changes (user_id, at) values (old.id, ${now}); end`.execute(db)
  await sql`create trigger accounts_user_deleted after delete on accounts_users
    begin insert into accounts_changes (user_id, at) values (old.id, ${now}); end`.execute(db)
}

function createMigrator (db: Kysely<Tables>): Migrator {
  return new Migrator({
    db,
    provider: { getMigrations: async () => MIGRATIONS },
    migrationTableName: 'accounts_migrations',
    migrationLockTableName: 'accounts_migrations_lock'
  })
}

/** The names of the steps that this database lacks, and whether it has any at all. */
export async function findPending (db: Kysely<Tables>): Promise<{ readonly pending: string[], readonly isEmpty: boolean }> {
  const migrations = await createMigrator(db).getMigrations()
  const pending = migrations.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name)
  return { pending, isEmpty: pending.length === migrations.length }
}

/**
 * Bring the tables up to date; the names of the steps that ran. Running it twice, or at once from two processes,
 * does no harm. Rejects with the driver's own error.
 */
export async function migrateToLatest (db: Kysely<Tables>): Promise<string[]> {
  const { error, results = [] } = await createMigrator(db).migrateToLatest()
  if (error !== undefined) throw error
  return results.map(({ migrationName }) => migrationName)
}
