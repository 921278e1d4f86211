import type { Kysely } from 'kysely'
import type { Storage } from '../../../types/storage.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../../errors.ts'
import { DIALECTS, type DialectName } from './dialects.ts'
import { inspect } from './inspection.ts'
import { checkMigrations, migrateToLatest, type MigrateOptions, type Target } from './migrations.ts'
import { checkKnown, checkNaming, createNamingPlugin, type Naming } from './naming.ts'
import { createPostgresFeed, type ListenConfig } from './postgres-feed.ts'
import { createStores, feedOf } from './stores.ts'
import type { Tables } from './tables.ts'
import { channelOf } from './triggers.ts'

export interface KyselyOptions extends Naming, MigrateOptions {
  /** Which SQL the database speaks. */
  readonly dialect: DialectName
  /**
   * PostgreSQL: how `pg` is to connect for `LISTEN`, as an address or an object of its options. Left out, this process
   * can't hear of what others revoke, and a `checked` route asks the database on every request.
   */
  readonly listen?: ListenConfig
}

/**
 * All that the package keeps, in a database that the host has opened with Kysely. The host closes it, after the server.
 * Plugins of the instance are passed by.
 * @throws {FST_ACCOUNTS_OPTION_INVALID} or `_MIGRATION_PENDING`, `_MIGRATION_FAILED`
 */
export async function kyselyStorage (db: Kysely<any>, options: KyselyOptions): Promise<Storage> {
  const target = createTarget(db, options)
  await checkMigrations(target, options)
  const stores = { ...createStores(target.db, target.dialect), inspect: async () => await inspect(target) }
  if (options.listen === undefined) return stores
  const feed = createPostgresFeed(target.db, channelOf(target.naming), options.listen)
  await feed.started
  return { ...stores, feed: feedOf(stores, feed), close: async () => await feed.close() }
}

/**
 * Bring the tables up to date, as a deployment does before the new version starts; the names of the steps that ran.
 * @throws {FST_ACCOUNTS_MIGRATION_FAILED}
 */
export async function migrateKysely (db: Kysely<any>, options: Pick<KyselyOptions, 'dialect' | keyof Naming>): Promise<string[]> {
  return await migrateToLatest(createTarget(db, options))
}

export function createTarget (db: Kysely<any>, options: KyselyOptions): Target {
  checkKnown(options, ['dialect', 'schema', 'tablePrefix', 'migrate', 'listen'])
  const { dialect, schema, tablePrefix, listen } = options
  if (!Object.hasOwn(DIALECTS, dialect)) throw new FST_ACCOUNTS_OPTION_INVALID('dialect', 'must be "sqlite" or "postgres"')
  if (dialect === 'sqlite' && (schema !== undefined || listen !== undefined)) throw new FST_ACCOUNTS_OPTION_INVALID(schema === undefined ? 'listen' : 'schema', 'is for PostgreSQL only')
  const naming = checkNaming({ ...(schema === undefined ? {} : { schema }), ...(tablePrefix === undefined ? {} : { tablePrefix }) })
  return { db: (db as Kysely<Tables>).withoutPlugins().withPlugin(createNamingPlugin(naming)), dialect: DIALECTS[dialect], naming }
}
