import { existsSync } from 'node:fs'
import { DATABASE_FORMAT, migrateDatabase, openDatabase as open, parseDatabase, type Database, type DatabaseOptions } from '../../lib/environment/database.ts'
import { given } from '../../lib/environment/given.ts'
import { isRedisUrl, openWithRedis, REDIS_FORMAT, type RedisTarget } from '../../lib/environment/redis.ts'
import { isAccountsError } from '../../lib/errors.ts'
import type { Storage } from '../../types/storage.ts'
import { failure, usageError, type Answer, type OptionName, type Options } from './command.ts'

/** The options that say which database is meant. */
export const DATABASE_OPTIONS: readonly OptionName[] = ['database', 'schema', 'table-prefix']

/** And those for all that a server keeps, in Redis as well. */
export const STORAGE_OPTIONS: readonly OptionName[] = [...DATABASE_OPTIONS, 'redis', 'redis-prefix']

/** Where sessions are looked for. */
export type SessionsIn = Database['kind'] | 'redis'

interface Target { readonly database: Database, readonly naming: DatabaseOptions }

/** Open the database of a server, whose tables are there already: this must not bring them up to date under its feet. */
export async function openDatabase (options: Options): Promise<Storage> {
  const { database, naming } = existing(options)
  return await open(database, naming).catch(explain)
}

/** The same, and beside it what the server keeps in Redis; and where that has its sessions. */
export async function openAll (options: Options): Promise<{ readonly storage: Storage, readonly sessionsIn: SessionsIn }> {
  const { database, naming } = existing(options)
  const redis = redisOf(options)
  return { storage: await openWithRedis(database, redis, naming).catch(explain), sessionsIn: redis === undefined ? database.kind : 'redis' }
}

function redisOf ({ redis = process.env.REDIS_URL, 'redis-prefix': prefix }: Options): RedisTarget | undefined {
  if (redis !== undefined && redis !== '') {
    if (!isRedisUrl(redis)) throw usageError(`Redis ${REDIS_FORMAT}.`)
    return { url: redis, ...given({ prefix }) }
  }
  if (prefix !== undefined) throw usageError('--redis-prefix is for Redis: give --redis URL or set REDIS_URL.')
  return undefined
}

/** Bring the tables up to date, in a new file as well; what was done. */
export async function migrate (options: Options): Promise<Answer> {
  const { database, naming } = targetOf(options)
  const isNew = database.kind === 'sqlite' && !existsSync(database.file)
  const steps = await migrateDatabase(database, naming)
  const created = isNew ? `Created ${database.file}. ` : ''
  return { text: created + (steps.length === 0 ? 'Up to date, nothing to do.' : `Done: ${steps.join(', ')}`), json: { migrations: steps } }
}

function existing (options: Options): Target {
  const { database, naming } = targetOf(options)
  if (database.kind === 'sqlite' && !existsSync(database.file)) throw failure(`There is no file ${database.file}; "npx fastify-accounts migrate" makes a new database.`)
  return { database, naming: { ...naming, migrate: false } }
}

/** The first step is among what is missing: nothing of ours is there. */
const NO_TABLES = /^The database lacks migrations \(0001-/

function explain (error: unknown): never {
  if (!isAccountsError(error) || !NO_TABLES.test(error.message)) throw error
  throw failure(`${error.message}. There is no table of this package: if your users are in a table of your own, this command does not know them.`)
}

/** An address may hold a password, so no message repeats it. */
function targetOf ({ database: text = process.env.DATABASE_URL, schema, 'table-prefix': tablePrefix }: Options): Target {
  if (text === undefined || text === '') throw usageError('Which database? Give --database FILE or set DATABASE_URL.')
  const database = parseDatabase(text)
  if (database === null) throw usageError(`The database ${DATABASE_FORMAT}.`)
  if (database.kind === 'sqlite' && (schema !== undefined || tablePrefix !== undefined)) throw usageError('--schema and --table-prefix are for PostgreSQL.')
  return { database, naming: given({ schema, tablePrefix }) }
}
