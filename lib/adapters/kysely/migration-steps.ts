import { sql, type Kysely, type Migration } from 'kysely'
import type { DialectName } from './dialects.ts'
import type { Target } from './migrations.ts'
import { nameOf } from './naming.ts'
import type { Tables } from './tables.ts'
import { createPostgresTokenTriggers, createPostgresTriggers, createSqliteTokenTriggers, createSqliteTriggers } from './triggers.ts'

/** The first steps gave ids the order of the database's language; since `0004` it is that of their bytes, as in SQLite. */
const TYPES = {
  sqlite: { time: sql`integer`, boolean: sql`integer`, list: sql`text`, id: sql`text` },
  postgres: { time: sql`timestamptz(3)`, boolean: sql`boolean`, list: sql`jsonb`, id: sql`text collate "C"` }
} as const satisfies Record<DialectName, object>

/** Every step that ever was released, by name. A released step is never edited: a later one corrects it. */
export function createMigrationSteps ({ dialect, naming }: Target): Record<string, Migration> {
  const types = TYPES[dialect.name]
  const isSqlite = dialect.name === 'sqlite'
  const index = (db: Kysely<Tables>, name: string) => db.schema.createIndex(nameOf(name, naming))
  return {
    '0001-users-and-sessions': {
      async up (db: Kysely<Tables>) {
        await db.schema.createTable('accounts_users')
          .addColumn('id', 'text', column => column.primaryKey())
          .addColumn('email', 'text', column => column.notNull())
          .addColumn('email_key', 'text', column => column.notNull().unique())
          .addColumn('email_verified_at', types.time)
          .addColumn('username', 'text')
          .addColumn('username_key', 'text', column => column.unique())
          .addColumn('name', 'text')
          .addColumn('roles', types.list, column => column.notNull())
          .addColumn('password_digest', 'text')
          .addColumn('epoch', 'integer', column => column.notNull())
          .addColumn('disabled_at', types.time)
          .addColumn('created_at', types.time, column => column.notNull())
          .execute()
        await db.schema.createTable('accounts_sessions')
          .addColumn('id', 'text', column => column.primaryKey())
          .addColumn('user_id', 'text', column => column.notNull())
          .addColumn('epoch', 'integer', column => column.notNull())
          .addColumn('generation', 'integer', column => column.notNull())
          .addColumn('rotated_at', types.time, column => column.notNull())
          .addColumn('acknowledged_generation', 'integer', column => column.notNull())
          .addColumn('created_at', types.time, column => column.notNull())
          .addColumn('authenticated_at', types.time, column => column.notNull())
          .addColumn('last_seen_at', types.time, column => column.notNull())
          .addColumn('idle_expires_at', types.time, column => column.notNull())
          .addColumn('expires_at', types.time, column => column.notNull())
          .addColumn('remember', types.boolean, column => column.notNull())
          .addColumn('user_agent', 'text')
          .addColumn('address', 'text')
          .addColumn('revoked_at', types.time)
          .addColumn('revoke_reason', 'text')
          .$call(table => isSqlite ? table.modifyEnd(sql`without rowid`) : table)
          .execute()
        await index(db, 'accounts_sessions_user').on('accounts_sessions').columns(['user_id', 'created_at']).execute()
        await index(db, 'accounts_sessions_idle').on('accounts_sessions').column('idle_expires_at').execute()
        await index(db, 'accounts_sessions_revoked').on('accounts_sessions').column('revoked_at').where('revoked_at', 'is not', null).execute()
        if (isSqlite) await createSqliteTriggers(db, naming)
        else await createPostgresTriggers(db, naming)
      }
    },

    '0002-list-of-users': {
      async up (db: Kysely<Tables>) {
        await index(db, 'accounts_users_created').on('accounts_users').columns(['created_at', 'id']).execute()
      }
    },

    '0003-mail-and-throttles': {
      async up (db: Kysely<Tables>) {
        await db.schema.createTable('accounts_one_time_tokens')
          .addColumn('digest', 'text', column => column.notNull().unique())
          .addColumn('purpose', 'text', column => column.notNull())
          .addColumn('user_id', 'text', column => column.notNull())
          .addColumn('email', 'text', column => column.notNull())
          .addColumn('epoch', 'integer', column => column.notNull())
          .addColumn('created_at', types.time, column => column.notNull())
          .addColumn('expires_at', types.time, column => column.notNull())
          .addPrimaryKeyConstraint(nameOf('accounts_one_time_tokens_pkey', naming), ['user_id', 'purpose'])
          .execute()
        await db.schema.createTable('accounts_throttles')
          .addColumn('key', 'text', column => column.primaryKey())
          .addColumn('count', 'integer', column => column.notNull())
          .addColumn('retry_at', types.time, column => column.notNull())
          .addColumn('forget_at', types.time, column => column.notNull())
          .execute()
        await db.schema.createTable('accounts_outbox')
          .addColumn('id', 'text', column => column.primaryKey())
          .addColumn('kind', 'text', column => column.notNull())
          .addColumn('user_id', 'text')
          .addColumn('recipient', 'text', column => column.notNull())
          .addColumn('data', 'text', column => column.notNull())
          .addColumn('locale', 'text')
          .addColumn('attempts', 'integer', column => column.notNull())
          .addColumn('created_at', types.time, column => column.notNull())
          .addColumn('due_at', types.time, column => column.notNull())
          .execute()
        await index(db, 'accounts_one_time_tokens_expires').on('accounts_one_time_tokens').column('expires_at').execute()
        await index(db, 'accounts_throttles_forget').on('accounts_throttles').column('forget_at').execute()
        await index(db, 'accounts_outbox_due').on('accounts_outbox').column('due_at').execute()
        await index(db, 'accounts_outbox_user').on('accounts_outbox').column('user_id').execute()
      }
    },

    '0004-personal-tokens': {
      async up (db: Kysely<Tables>) {
        await db.schema.createTable('accounts_personal_tokens')
          .addColumn('id', types.id, column => column.primaryKey())
          .addColumn('user_id', 'text', column => column.notNull())
          .addColumn('name', 'text', column => column.notNull())
          .addColumn('digest', 'text', column => column.notNull().unique())
          .addColumn('context', 'text', column => column.notNull())
          .addColumn('allowed_methods', types.list)
          .addColumn('allowed_ips', types.list)
          .addColumn('allowed_referrers', types.list)
          .addColumn('scopes', types.list)
          .addColumn('epoch', 'integer', column => column.notNull())
          .addColumn('created_at', types.time, column => column.notNull())
          .addColumn('expires_at', types.time, column => column.notNull())
          .addColumn('last_used_at', types.time)
          .addColumn('last_used_address', 'text')
          .addColumn('notice_at', types.time)
          .addColumn('successor_id', 'text')
          .addColumn('revoked_at', types.time)
          .execute()
        await index(db, 'accounts_personal_tokens_user').on('accounts_personal_tokens').columns(['user_id', 'created_at']).execute()
        await index(db, 'accounts_personal_tokens_expires').on('accounts_personal_tokens').column('expires_at').execute()
        await index(db, 'accounts_personal_tokens_revoked').on('accounts_personal_tokens').column('revoked_at').where('revoked_at', 'is not', null).execute()
        await index(db, 'accounts_personal_tokens_notice').on('accounts_personal_tokens').column('notice_at').where('notice_at', 'is not', null).execute()
        if (isSqlite) await createSqliteTokenTriggers(db, naming)
        else await createPostgresTokenTriggers(db, naming)
      }
    },

    '0005-uses-of-http-basic': {
      async up (db: Kysely<Tables>) {
        await db.schema.createTable('accounts_basic_uses')
          .addColumn('user_id', types.id, column => column.notNull())
          .addColumn('method', 'text', column => column.notNull())
          .addColumn('route', 'text', column => column.notNull())
          .addColumn('last_used_at', types.time, column => column.notNull())
          .addColumn('last_used_address', 'text')
          .addPrimaryKeyConstraint(nameOf('accounts_basic_uses_pkey', naming), ['user_id', 'method', 'route'])
          .execute()
        await index(db, 'accounts_basic_uses_last').on('accounts_basic_uses').column('last_used_at').execute()
      }
    },

    '0006-host-sessions': {
      async up (db: Kysely<Tables>) {
        await db.schema.createTable('accounts_host_sessions')
          .addColumn('digest', 'text', column => column.primaryKey())
          .addColumn('user_id', 'text')
          .addColumn('session_id', 'text')
          .addColumn('data', 'text')
          .addColumn('expires_at', types.time, column => column.notNull())
          .execute()
        for (const column of ['user_id', 'session_id'] as const) {
          await index(db, `accounts_host_sessions_${column}`).on('accounts_host_sessions').column(column).where(column, 'is not', null).execute()
        }
        await index(db, 'accounts_host_sessions_expires').on('accounts_host_sessions').column('expires_at').execute()
      }
    },

    '0007-claims-of-sessions': {
      async up (db: Kysely<Tables>) {
        await db.schema.alterTable('accounts_sessions').addColumn('claims', 'text').execute()
      }
    }
  }
}
