import { Kysely, PostgresDialect } from 'kysely'
import type { RevocationFeed, Storage } from '../../../types/storage.ts'
import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNOPENED, isAccountsError } from '../../errors.ts'
import { createTarget } from './kysely.ts'
import { inspect } from './inspection.ts'
import { checkMigrations, migrateToLatest, type MigrateOptions, type Target } from './migrations.ts'
import { checkKnown, type Naming } from './naming.ts'
import { createPostgresFeed, type ListenConfig } from './postgres-feed.ts'
import { ANSWER_MS, boundPool, watchClients, type PostgresPool } from './postgres-pool.ts'
import { createStores, feedOf } from './stores.ts'
import { channelOf } from './triggers.ts'

export interface PostgresOptions extends Naming, MigrateOptions {
  /** Connections at most, when an address is given; one more listens. @default 10 */
  readonly max?: number
  /**
   * How to connect for `LISTEN`, as an address or an object of `pg`'s options: needed when the pool's connections go
   * through a transaction pooler, which doesn't hand notifications on. @default as the pool does
   */
  readonly listen?: ListenConfig
}

/** A storage in PostgreSQL. The plugin that it is given to closes it, and the pool if it was made here. */
export interface PostgresStorage extends Storage {
  readonly feed: RevocationFeed
  close (): Promise<void>
}

/**
 * All that the package keeps, in PostgreSQL, on `pg`; any number of processes may use it.
 * @param urlOrPool an address like `postgres://user:password@host/database`, or a `pg.Pool`, which its owner closes
 * @throws {FST_ACCOUNTS_OPTION_INVALID} or `_STORAGE_UNOPENED`, `_MIGRATION_PENDING`, `_MIGRATION_FAILED`
 */
export async function postgresStorage (urlOrPool: string | PostgresPool, options: PostgresOptions = {}): Promise<PostgresStorage> {
  const { pool, target, end } = await open(urlOrPool, options)
  try {
    await checkMigrations(target, options)
  } catch (error) {
    await end()
    throw describeFailure(error, pool)
  }
  const feed = createPostgresFeed(target.db, channelOf(target.naming), options.listen ?? pool.options)
  await feed.started
  const stores = createStores(target.db, target.dialect)
  return {
    ...stores,
    feed: feedOf(stores, feed),
    inspect: async () => await inspect(target),
    async close () {
      await feed.close()
      await end()
    }
  }
}

/**
 * Bring the tables up to date, as a deployment does before the new version starts; the names of the steps that ran.
 * @throws {FST_ACCOUNTS_MIGRATION_FAILED} or `_STORAGE_UNOPENED`
 */
export async function migratePostgres (urlOrPool: string | PostgresPool, options: Naming = {}): Promise<string[]> {
  const { pool, target, end } = await open(urlOrPool, options)
  try {
    return await migrateToLatest(target)
  } catch (error) {
    throw describeFailure(error, pool)
  } finally {
    await end()
  }
}

interface Opened {
  readonly pool: PostgresPool
  readonly target: Target
  /** Close what was opened here. Twice does no harm. */
  end (): Promise<void>
}

async function open (urlOrPool: string | PostgresPool, options: PostgresOptions): Promise<Opened> {
  checkKnown(options, ['schema', 'tablePrefix', 'migrate', 'max', 'listen'])
  const { schema, tablePrefix, max } = options
  const isOurs = typeof urlOrPool === 'string'
  if (!isOurs && max !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID('max', 'is for the pool that is made from an address')
  const pool = isOurs ? await createPool(urlOrPool, max ?? 10) : checkPool(urlOrPool)
  const clients = watchClients(pool)
  const naming = { dialect: 'postgres', ...(schema === undefined ? {} : { schema }), ...(tablePrefix === undefined ? {} : { tablePrefix }) } as const
  const on = (bound: ReturnType<typeof boundPool>) => createTarget(new Kysely({ dialect: new PostgresDialect({ pool: bound }) }), naming)
  let ending: Promise<void> | undefined
  async function end (): Promise<void> {
    if (isOurs) {
      await pool.end()
      clients.hangUp()
    }
    clients.unwatch()
  }
  return {
    pool,
    target: { ...on(boundPool(pool)), patientDb: on(boundPool(pool, 0)).db },
    end: async () => await (ending ??= end())
  }
}

async function createPool (url: string, max: number): Promise<PostgresPool> {
  if (!/^postgres(ql)?:\/\//.test(url)) throw new FST_ACCOUNTS_OPTION_INVALID('url', 'of postgresStorage must begin with postgres://')
  if (!Number.isSafeInteger(max) || max < 1) throw new FST_ACCOUNTS_OPTION_INVALID('max', 'must be a whole number from 1')
  const { default: { Pool } } = await import('pg')
  // Connections that nobody uses keep no process alive, for instance one whose start was refused.
  return new Pool({ connectionString: url, max, connectionTimeoutMillis: ANSWER_MS, allowExitOnIdle: true }) as PostgresPool
}

function checkPool (pool: PostgresPool): PostgresPool {
  if (typeof pool?.connect !== 'function' || typeof pool.options !== 'object') throw new FST_ACCOUNTS_OPTION_INVALID('url', `of postgresStorage must be an address or a Pool of pg, not ${typeof pool}`)
  return pool
}

/** The driver's errors don't say whom they speak of, and some say nothing at all. */
function describeFailure (cause: unknown, { options }: PostgresPool): unknown {
  if (isAccountsError(cause) && cause.code !== 'FST_ACCOUNTS_STORAGE_UNAVAILABLE') return cause
  const { message = '', code = '', cause: inner = '' } = cause as { message?: string, code?: string, cause?: unknown }
  return new FST_ACCOUNTS_STORAGE_UNOPENED(describeServer(options), String((isAccountsError(cause) ? inner : message) || code), { cause })
}

function describeServer ({ connectionString, host, database }: { connectionString?: string, host?: string, database?: string }): string {
  const url = connectionString !== undefined && URL.canParse(connectionString) ? new URL(connectionString) : null
  return `PostgreSQL at ${url?.host ?? host ?? 'the default host'}, database ${url?.pathname.slice(1) ?? database ?? 'of the user\'s name'}`
}
