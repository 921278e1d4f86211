import type { Storage } from '../../types/storage.ts'
import { FST_ACCOUNTS_STORAGE_UNOPENED } from '../errors.ts'
import { openDatabase, type Database, type DatabaseOptions } from './database.ts'

/** What to say of any other text. */
export const REDIS_FORMAT = 'must be a redis:// or rediss:// URL'

export const isRedisUrl = (text: string): boolean => /^rediss?:\/\/./.test(text) && URL.canParse(text)

/** Which Redis is meant, and below which keys. */
export interface RedisTarget {
  readonly url: string
  /** @default that of `redisStorage` */
  readonly prefix?: string
}

/**
 * Open the database, and beside it Redis, where there is one, for what it can keep.
 * @throws {FST_ACCOUNTS_STORAGE_UNOPENED} and what the adapters throw; nothing stays open
 */
export async function openWithRedis (database: Database, redis: RedisTarget | undefined, options: DatabaseOptions = {}): Promise<Storage> {
  if (redis === undefined) return await openDatabase(database, options)
  const parts = await openRedis(redis)
  try {
    return { ...await openDatabase(database, options), ...parts }
  } catch (error) {
    await parts.sessions.close?.()
    throw error
  }
}

/** By an adapter that is loaded only now: not every host has its package. */
async function openRedis ({ url, ...options }: RedisTarget): Promise<Pick<Storage, 'sessions' | 'throttles' | 'oneTimeTokens'>> {
  try {
    const { openRedisStorage } = await import('../adapters/redis/index.ts')
    return await openRedisStorage(url, options)
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new FST_ACCOUNTS_STORAGE_UNOPENED('Redis', 'a package is missing: npm install ioredis', { cause })
  }
}
