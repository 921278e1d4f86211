import { repeatable, type Connection } from './connection.ts'
import { KEEP_AT_LEAST, script, ttl } from './scripts.ts'

/*
 * The sessions of a user, as a sorted set of ids. A session counts only while it is named here: so whoever ends all
 * sessions of a user misses none, whatever Redis has evicted or lost. Those that may be live have when they began as
 * their score; those that have ended, when that was, as a negative number.
 */
export interface SessionIndex {
  /** Name a session; before it is stored. `at`: when it begins; what ended before `forget` is dropped. */
  add (userId: string, id: string, at: Date, keep: number, forget: Date): Promise<void>
  /** How a session is named; `null`: not at all. */
  find (userId: string, id: string): Promise<'live' | 'ended' | null>
  /** Those that may be live, with when they began. */
  listLive (userId: string): Promise<IndexEntry[]>
  listAll (userId: string): Promise<string[]>
  /** Note that sessions have ended; those that are not named stay so. */
  markEnded (userId: string, ids: readonly string[], at: Date): Promise<void>
  remove (userId: string, ids: readonly string[]): Promise<void>
}

interface IndexEntry { readonly id: string, readonly begunAt: number }

/** Arguments: when the session begins, its id, how long the set is kept, and before when others must have ended to be dropped. */
const ADD = script(`
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '(-' .. ARGV[4], '(0')
  ${KEEP_AT_LEAST('ARGV[3]')}`)

/** As a script, for then it is the primary that answers, and the same whatever the protocol. */
const LIVE = script("return redis.call('ZRANGEBYSCORE', KEYS[1], '0', '+inf', 'WITHSCORES')")

export function createSessionIndex ({ send, run }: Connection, prefix: string): SessionIndex {
  const keyOf = (userId: string) => `${prefix}user-sessions:{${userId}}`
  return {
    async add (userId, id, at, keep, forget) {
      await run(ADD, keyOf(userId), at.getTime(), id, ttl(keep), forget.getTime())
    },

    async find (userId, id) {
      const score = await repeatable(async () => await send('zscore', keyOf(userId), id)) as string | null
      if (score === null) return null
      return Number(score) >= 0 ? 'live' : 'ended'
    },

    async listLive (userId) {
      const found = await repeatable(async () => await run(LIVE, keyOf(userId))) as string[]
      return Array.from({ length: found.length / 2 }, (_, index) => ({ id: found[2 * index]!, begunAt: Number(found[2 * index + 1]) }))
    },

    listAll: async userId => await repeatable(async () => await send('zrange', keyOf(userId), 0, -1)) as string[],

    async markEnded (userId, ids, at) {
      if (ids.length > 0) await send('zadd', keyOf(userId), 'XX', ...ids.flatMap(id => [-at.getTime(), id]))
    },

    async remove (userId, ids) {
      if (ids.length > 0) await send('zrem', keyOf(userId), ...ids)
    }
  }
}
