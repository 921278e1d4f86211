import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { redisStorage, type RedisStorage } from '../../lib/adapters/redis/index.ts'
import type { Storage } from '../../types/index.ts'

/** The address of the Redis that the test run has started, or was given. */
export function redisUrl (): string {
  const url = process.env.TEST_REDIS_URL
  if (url === undefined || url === '') throw new TypeError('TEST_REDIS_URL is not set: run the tests by "node test/run.js test/NAME.test.ts", or set it.')
  return url
}

export interface TestRedis {
  /** As a host has it: with the options that it has by itself. */
  readonly client: Redis
  readonly prefix: string
  readonly parts: RedisStorage
}

/** Parts of a storage below keys that nobody else uses; all is gone with the test. */
export function openRedis (t: Test, url = redisUrl()): TestRedis {
  const client = new Redis(url)
  client.on('error', () => {})
  const prefix = `test-${randomBytes(8).toString('hex')}:`
  const parts = redisStorage(client, { prefix })
  t.teardown(async () => {
    await parts.sessions.close!()
    // A server that the test has started itself is gone anyway, with all that it kept.
    if (url === redisUrl()) for (const key of await keysOf(client, prefix)) await client.del(prefix + key)
    client.disconnect()
  })
  return { client, prefix, parts }
}

/** What Redis keeps, and the rest in a database. */
export function besideRedis (storage: Storage, parts: RedisStorage): Storage {
  return { ...storage, ...parts }
}

export async function keysOf (client: Redis, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const found of client.scanStream({ match: `${prefix}*`, count: 1000 })) keys.push(...found as string[])
  return keys.map(key => key.slice(prefix.length)).sort()
}
