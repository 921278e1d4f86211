import type { Storage } from '../../../types/storage.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../../errors.ts'
import { createConnection, duplicate, type OwnClient, type RedisClient } from './connection.ts'
import { warnOfEviction } from './eviction.ts'
import { createRedisFeed } from './feed.ts'
import { inspect } from './inspect.ts'
import { redisOneTimeTokens } from './one-time-tokens.ts'
import { openClient } from './open.ts'
import { redisSessions } from './sessions.ts'
import { redisThrottles } from './throttles.ts'

export type { RedisClient } from './connection.ts'

export interface RedisOptions {
  /** What all keys begin with. @default 'accounts:' */
  readonly prefix?: string
}

/** Parts of a storage, to be spread over one that has the rest. */
export type RedisStorage = Required<Pick<Storage, 'sessions' | 'throttles' | 'oneTimeTokens'>>

/**
 * Sessions, throttles and one-time tokens, in Redis 6.2 or newer: one server, Sentinel or a Cluster.
 * @param client of `ioredis`, such as `app.redis` of `@fastify/redis`; a connection is opened like its, and closed with the server
 * @throws {FST_ACCOUNTS_OPTION_INVALID}
 */
export function redisStorage (client: RedisClient, options: RedisOptions = {}): RedisStorage {
  const prefix = readPrefix(options)
  return createParts(duplicate(client), prefix)
}

/**
 * The same on a connection of its own.
 * @param url `redis://…`, or `rediss://…` for TLS
 * @throws {FST_ACCOUNTS_STORAGE_UNOPENED} the server can't be reached, or doesn't let us in
 */
export async function openRedisStorage (url: string, options: RedisOptions = {}): Promise<RedisStorage> {
  const prefix = readPrefix(options)
  return await openClient(url, client => createParts(client, prefix))
}

function createParts (client: OwnClient, prefix: string): RedisStorage {
  const connection = createConnection(client, warnOfEviction())
  const feed = createRedisFeed(client, connection.send, prefix)
  const close = async () => {
    await feed.close()
    await connection.close()
  }
  const own = { inspect: async () => await inspect(connection), close }
  return {
    sessions: { ...redisSessions(connection, prefix), feed, ...own },
    throttles: { ...redisThrottles(connection, prefix), ...own },
    oneTimeTokens: { ...redisOneTimeTokens(connection, prefix), ...own }
  }
}

function readPrefix ({ prefix = 'accounts:', ...others }: RedisOptions): string {
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID(unknown, 'is unknown')
  if (typeof prefix !== 'string') throw new FST_ACCOUNTS_OPTION_INVALID('prefix', `must be a text, not ${typeof prefix}`)
  // The first pair of braces in a key says which server of a Cluster has it.
  if (/[{}]/.test(prefix)) throw new FST_ACCOUNTS_OPTION_INVALID('prefix', 'must not have braces')
  return prefix
}
