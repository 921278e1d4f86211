import { sql } from 'kysely'
import type { StorageInspection } from '../../../types/storage.ts'
import type { DialectName } from './dialects.ts'
import { findPending, findSchema, type Target } from './migrations.ts'
import { nameOf } from './naming.ts'
import { SQLITE_NOW } from './triggers.ts'

interface SchemaObjects {
  readonly indexes: readonly string[]
  /** By table, as `table.trigger`: in PostgreSQL several tables have one of the same name. */
  readonly triggers: readonly string[]
}

/** What each step leaves in the database, beside tables. A test holds it to what the steps do. */
const OBJECTS: Readonly<Record<string, Readonly<Record<DialectName, SchemaObjects>>>> = {
  '0001-users-and-sessions': {
    sqlite: {
      indexes: ['accounts_sessions_user', 'accounts_sessions_idle', 'accounts_sessions_revoked', 'accounts_changes_at'],
      triggers: ['accounts_sessions.accounts_session_ended', 'accounts_sessions.accounts_session_deleted', 'accounts_users.accounts_user_changed', 'accounts_users.accounts_user_deleted']
    },
    postgres: {
      indexes: ['accounts_users_pkey', 'accounts_users_email_key_key', 'accounts_users_username_key_key', 'accounts_sessions_pkey', 'accounts_sessions_user', 'accounts_sessions_idle', 'accounts_sessions_revoked'],
      triggers: ['accounts_sessions.accounts_session_ended', 'accounts_sessions.accounts_session_deleted', 'accounts_sessions.accounts_emptied', 'accounts_users.accounts_user_changed', 'accounts_users.accounts_emptied']
    }
  },
  '0002-list-of-users': {
    sqlite: { indexes: ['accounts_users_created'], triggers: [] },
    postgres: { indexes: ['accounts_users_created'], triggers: [] }
  },
  '0003-mail-and-throttles': {
    sqlite: { indexes: ['accounts_one_time_tokens_expires', 'accounts_throttles_forget', 'accounts_outbox_due', 'accounts_outbox_user'], triggers: [] },
    postgres: {
      indexes: ['accounts_one_time_tokens_pkey', 'accounts_one_time_tokens_digest_key', 'accounts_throttles_pkey', 'accounts_outbox_pkey', 'accounts_one_time_tokens_expires', 'accounts_throttles_forget', 'accounts_outbox_due', 'accounts_outbox_user'],
      triggers: []
    }
  },
  '0004-personal-tokens': {
    sqlite: {
      indexes: ['accounts_personal_tokens_user', 'accounts_personal_tokens_expires', 'accounts_personal_tokens_revoked', 'accounts_personal_tokens_notice'],
      triggers: ['accounts_personal_tokens.accounts_personal_token_changed', 'accounts_personal_tokens.accounts_personal_token_deleted']
    },
    postgres: {
      indexes: ['accounts_personal_tokens_pkey', 'accounts_personal_tokens_digest_key', 'accounts_personal_tokens_user', 'accounts_personal_tokens_expires', 'accounts_personal_tokens_revoked', 'accounts_personal_tokens_notice'],
      triggers: ['accounts_personal_tokens.accounts_personal_token_changed', 'accounts_personal_tokens.accounts_personal_token_deleted', 'accounts_personal_tokens.accounts_emptied']
    }
  },
  '0005-uses-of-http-basic': {
    sqlite: { indexes: ['accounts_basic_uses_last'], triggers: [] },
    postgres: { indexes: ['accounts_basic_uses_pkey', 'accounts_basic_uses_last'], triggers: [] }
  },
  '0006-host-sessions': {
    sqlite: { indexes: ['accounts_host_sessions_user_id', 'accounts_host_sessions_session_id', 'accounts_host_sessions_expires'], triggers: [] },
    postgres: { indexes: ['accounts_host_sessions_pkey', 'accounts_host_sessions_user_id', 'accounts_host_sessions_session_id', 'accounts_host_sessions_expires'], triggers: [] }
  },
  '0007-claims-of-sessions': {
    sqlite: { indexes: [], triggers: [] },
    postgres: { indexes: [], triggers: [] }
  }
}

/** Compare what the database should have with what it has; of steps that have not run nothing else is expected. */
export async function inspect (target: Target): Promise<StorageInspection> {
  const { dialect, naming } = target
  const { pending } = await findPending(target)
  const expected = Object.entries(OBJECTS).filter(([step]) => !pending.includes(step)).map(([, objects]) => objects[dialect.name])
  const found = await LOOK[dialect.name](target)
  const named = (name: string) => name.split('.').map(part => nameOf(part, naming)).join('.')
  const wanted = (kind: keyof SchemaObjects) => expected.flatMap(objects => objects[kind]).map(named)
  const absent = (kind: keyof SchemaObjects) => wanted(kind).filter(name => !found[kind].includes(name))
  const disabledTriggers = wanted('triggers').filter(name => found.disabledTriggers.includes(name)).map(name => `${found.schema}.${name}`)
  return { now: found.now, missingMigrations: pending, missingIndexes: absent('indexes'), missingTriggers: absent('triggers'), disabledTriggers }
}

interface Found extends SchemaObjects {
  readonly now: Date
  readonly disabledTriggers: readonly string[]
  /** As it stands in SQL. */
  readonly schema: string
}

/** What there is, of indexes those that are valid. */
const LOOK: Readonly<Record<DialectName, (target: Target) => Promise<Found>>> = {
  async sqlite ({ db }) {
    const { rows: [clock] } = await sql<{ now: number }>`select ${SQLITE_NOW} as now`.execute(db)
    const { rows } = await sql<{ type: string, name: string, table: string }>`select type, name, tbl_name as "table" from sqlite_master where type in ('index', 'trigger')`.execute(db)
    const of = (type: string) => rows.filter(row => row.type === type)
    return { now: new Date(clock!.now), indexes: of('index').map(({ name }) => name), triggers: of('trigger').map(nameTrigger), disabledTriggers: [], schema: 'main' }
  },
  async postgres (target) {
    const { db } = target
    const schema = target.naming.schema ?? await findSchema(target, db)
    // As a number: a host's driver may make anything of a timestamp.
    const { rows: [clock] } = await sql<{ now: number | string, schema: string | null }>`select extract(epoch from clock_timestamp())::double precision * 1000 as now, quote_ident(${schema}) as schema`.execute(db)
    const { rows: indexes } = await sql<{ name: string }>`
      select index.relname as name from pg_catalog.pg_index join pg_catalog.pg_class as index on index.oid = indexrelid
      join pg_catalog.pg_namespace as namespace on namespace.oid = index.relnamespace
      where namespace.nspname = ${schema} and indisvalid`.execute(db)
    const { rows: triggers } = await sql<{ name: string, table: string, mode: string }>`
      select tgname as name, class.relname as "table", tgenabled::text as mode from pg_catalog.pg_trigger join pg_catalog.pg_class as class on class.oid = tgrelid
      join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
      where namespace.nspname = ${schema} and not tgisinternal`.execute(db)
    // 'O' and 'A' fire in a session like ours, 'D' and 'R' do not.
    const disabled = triggers.filter(({ mode }) => mode === 'D' || mode === 'R')
    return { now: new Date(Number(clock!.now)), indexes: indexes.map(({ name }) => name), triggers: triggers.map(nameTrigger), disabledTriggers: disabled.map(nameTrigger), schema: String(clock!.schema) }
  }
}

const nameTrigger = ({ table, name }: { readonly table: string, readonly name: string }) => `${table}.${name}`
