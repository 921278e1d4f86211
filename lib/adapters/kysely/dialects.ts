import { sql, type Expression, type Kysely, type RawBuilder, type SelectQueryBuilder } from 'kysely'
import type { PersonalTokenUse, SessionActivity } from '../../../types/storage.ts'
import { now } from '../../clock.ts'
import { isPostgresConflict, isPostgresDuplicate, isSqliteConflict, isSqliteDuplicate } from './repeat.ts'
import type { Tables, Stored } from './tables.ts'

export type DialectName = 'sqlite' | 'postgres'

/** All that the statements of the stores owe to the database that they run on. */
export interface Dialect {
  readonly name: DialectName
  toTime (date: Date): Stored['time']
  toBoolean (value: boolean): Stored['boolean']
  /** Whether a JSON list of roles holds one. */
  hasRole (roles: Expression<unknown>, role: string): RawBuilder<boolean>
  /** The greater of two values. */
  greatest (one: Expression<unknown>, other: Expression<unknown>): RawBuilder<number>
  /** `like` without regard to case; `\` escapes. */
  contains (column: Expression<unknown>, pattern: string): RawBuilder<boolean>
  /**
   * Lock what is selected in the order in which it is: whoever changes several rows asks for them in one order, so that
   * no two ever wait for each other. SQLite has but one writer.
   */
  lock<Name extends 'accounts_sessions' | 'accounts_personal_tokens'> (query: SelectQueryBuilder<Tables, Name, { id: string }>): typeof query
  /** Lock what is selected, passing over what others have locked. */
  lockFree (query: SelectQueryBuilder<Tables, 'accounts_outbox', { id: string }>): typeof query
  /** `at`, and later by the `count`th of some delays, or by the last of them. */
  afterDelay (at: Date, delays: readonly number[], count: Expression<number>): RawBuilder<Stored['time']>
  /** Move the activity of many sessions forward in one statement with one parameter. */
  touch (db: Kysely<Tables>, activities: readonly SessionActivity[]): Promise<void>
  /** The same with the last uses of personal tokens; of several uses of one token the last counts. */
  touchTokens (db: Kysely<Tables>, uses: readonly PersonalTokenUse[]): Promise<void>
  /** Forget what was noted of changes and nobody can still need. */
  prune (db: Kysely<Tables>): Promise<void>
  /** Whether an error says that nothing was done because of others, so that it may be tried again. */
  isConflict (error: unknown): boolean
  /** Whether an error says that a unique key is taken. */
  isDuplicate (error: unknown): boolean
}

/** Entries of the change log that no living process can still need. */
const KEEP_CHANGES_MS = 3_600_000

const sessions = sql.table('accounts_sessions')
const tokens = sql.table('accounts_personal_tokens')

export const sqliteDialect: Dialect = {
  name: 'sqlite',
  toTime: date => date.getTime(),
  toBoolean: Number,
  hasRole: (roles, role) => sql`exists (select 1 from json_each(${roles}) where value = ${role})`,
  greatest: (one, other) => sql`max(${one}, ${other})`,
  contains: (column, pattern) => sql`${column} like ${pattern} escape '\\'`,
  lock: query => query,
  lockFree: query => query,
  afterDelay: (at, delays, count) => sql`${at.getTime()} + (${JSON.stringify(delays)} ->> cast(min(${count}, ${delays.length}) - 1 as integer))`,
  async touch (db, activities) {
    const batch = JSON.stringify(activities.map(({ id, lastSeenAt, acknowledgedGeneration }) => [id, lastSeenAt.getTime(), acknowledgedGeneration]))
    await sql`
      update ${sessions} set
        last_seen_at = max(last_seen_at, seen.at),
        acknowledged_generation = max(acknowledged_generation, min(seen.acknowledged, generation))
      from (select value ->> 0 as id, value ->> 1 as at, value ->> 2 as acknowledged from json_each(${batch})) as seen
      where ${sql.ref('accounts_sessions.id')} = seen.id`.execute(db)
  },
  async touchTokens (db, uses) {
    const batch = JSON.stringify(uses.map(({ id, lastUsedAt, lastUsedAddress }) => [id, lastUsedAt.getTime(), lastUsedAddress]))
    // With `max` the other columns are those of its row.
    await sql`
      update ${tokens} set last_used_at = used.at, last_used_address = used.address
      from (select value ->> 0 as id, max(value ->> 1) as at, value ->> 2 as address from json_each(${batch}) group by value ->> 0) as used
      where ${sql.ref('accounts_personal_tokens.id')} = used.id and (last_used_at is null or last_used_at < used.at)`.execute(db)
  },
  async prune (db) {
    // The newest stays: a hole in the ids is how a reader knows that it has missed something.
    const newest = db.selectFrom('accounts_changes').select(select => select.fn.max('id').as('id'))
    await db.deleteFrom('accounts_changes').where('at', '<', now() - KEEP_CHANGES_MS).where('id', '<', newest).execute()
  },
  isConflict: isSqliteConflict,
  isDuplicate: isSqliteDuplicate
}

const postgresDialect: Dialect = {
  name: 'postgres',
  toTime: date => date,
  toBoolean: value => value,
  hasRole: (roles, role) => sql`${roles} @> ${JSON.stringify([role])}::jsonb`,
  greatest: (one, other) => sql`greatest(${one}, ${other})`,
  contains: (column, pattern) => sql`${column} ilike ${pattern} escape '\\'`,
  lock: query => query.forUpdate(),
  lockFree: query => query.forUpdate().skipLocked(),
  afterDelay: (at, delays, count) => sql`${at}::timestamptz + ((${JSON.stringify(delays)}::jsonb ->> (least(${count}, ${delays.length}) - 1))::double precision * interval '1 millisecond')`,
  async touch (db, activities) {
    const batch = JSON.stringify(activities.map(({ id, lastSeenAt, acknowledgedGeneration }) => ({ id, at: lastSeenAt, acknowledged: acknowledgedGeneration })))
    await sql`
      with seen as (select * from jsonb_to_recordset(${batch}::jsonb) as item (id text, at timestamptz, acknowledged integer)),
        locked as (select session.id from ${sessions} as session join seen on seen.id = session.id order by session.id for update of session)
      update ${sessions} as session set
        last_seen_at = greatest(session.last_seen_at, seen.at),
        acknowledged_generation = greatest(session.acknowledged_generation, least(seen.acknowledged, session.generation))
      from seen join locked on locked.id = seen.id
      where session.id = seen.id`.execute(db)
  },
  async touchTokens (db, uses) {
    const batch = JSON.stringify(uses.map(({ id, lastUsedAt, lastUsedAddress }) => ({ id, at: lastUsedAt, address: lastUsedAddress })))
    await sql`
      with used as (select distinct on (id) * from jsonb_to_recordset(${batch}::jsonb) as item (id text, at timestamptz, address text) order by id, at desc),
        locked as (select token.id from ${tokens} as token join used on used.id = token.id order by token.id for update of token)
      update ${tokens} as token set last_used_at = used.at, last_used_address = used.address
      from used join locked on locked.id = used.id
      where token.id = used.id and (token.last_used_at is null or token.last_used_at < used.at)`.execute(db)
  },
  // Notifications are not kept.
  prune: async () => {},
  isConflict: isPostgresConflict,
  isDuplicate: isPostgresDuplicate
}

export const DIALECTS: Readonly<Record<DialectName, Dialect>> = { sqlite: sqliteDialect, postgres: postgresDialect }
