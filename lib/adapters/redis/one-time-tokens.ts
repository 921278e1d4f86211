import type { OneTimePurpose, OneTimeTokenRecord, OneTimeTokenStore } from '../../../types/storage.ts'
import { randomId } from '../../random.ts'
import { repeatable, type Connection } from './connection.ts'
import { KEEP_AT_LEAST, script, ttl } from './scripts.ts'

/** What has expired is still there for a while: clocks differ. */
const KEEP_MS = 60_000

const PURPOSES = Object.keys({ 'reset-password': true, 'verify-email': true, 'change-email': true } satisfies Record<OneTimePurpose, true>)

/*
 * The hash of a user decides: of each purpose it has one token, so the newest voids those before it. The key of a digest
 * says whose it is, and nothing more; if either is gone, there is no such token.
 */

/** Arguments: purpose, digest, the record, and how long it is kept. */
const ISSUE = script(`
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3], ARGV[1] .. ':digest', ARGV[2])
  redis.call('HDEL', KEYS[1], ARGV[1] .. ':taker')
  ${KEEP_AT_LEAST('ARGV[4]')}`)

/** Arguments: purpose, digest, and the name of this one attempt: if its answer is lost it may come again. */
const CONSUME = script(`
  local kept = redis.call('HMGET', KEYS[1], ARGV[1] .. ':digest', ARGV[1] .. ':taker')
  if kept[1] ~= ARGV[2] or (kept[2] and kept[2] ~= ARGV[3]) then return 0 end
  redis.call('HSET', KEYS[1], ARGV[1] .. ':taker', ARGV[3])
  return 1`)

export function redisOneTimeTokens ({ send, run }: Connection, prefix: string): OneTimeTokenStore {
  const digestKey = (digest: string) => `${prefix}one-time:{${digest}}`
  const userKey = (userId: string) => `${prefix}user-one-time:{${userId}}`

  async function findOfUser (userId: string, purpose: string): Promise<OneTimeTokenRecord | null> {
    const [kept, taker] = await repeatable(async () => await send('hmget', userKey(userId), purpose, `${purpose}:taker`)) as Array<string | null>
    return kept == null || taker != null ? null : toRecord(kept)
  }

  async function find (digest: string, purpose: OneTimePurpose, now: Date): Promise<OneTimeTokenRecord | null> {
    const userId = await repeatable(async () => await send('get', digestKey(digest))) as string | null
    const record = userId === null ? null : await findOfUser(userId, purpose)
    return record !== null && record.digest === digest && record.expiresAt > now ? record : null
  }

  return {
    find,
    async issue (token) {
      const keep = ttl(token.expiresAt.getTime() - token.createdAt.getTime()) + KEEP_MS
      await send('set', digestKey(token.digest), token.userId, 'PX', keep)
      await run(ISSUE, userKey(token.userId), token.purpose, token.digest, fromRecord(token), keep)
    },

    async consume (digest, purpose, now) {
      const record = await find(digest, purpose, now)
      if (record === null) return null
      const attempt = randomId()
      const isOurs = await repeatable(async () => await run(CONSUME, userKey(record.userId), purpose, digest, attempt)) === 1
      return isOurs ? record : null
    },

    async listForUser (userId) {
      const found = await Promise.all(PURPOSES.map(async purpose => await findOfUser(userId, purpose)))
      return found.filter(record => record !== null)
    },

    async deleteForUser (userId) {
      await send('del', userKey(userId))
    }
  }
}

const fromRecord = (record: OneTimeTokenRecord) => JSON.stringify({ ...record, createdAt: record.createdAt.getTime(), expiresAt: record.expiresAt.getTime() })

function toRecord (text: string): OneTimeTokenRecord {
  const kept = JSON.parse(text) as OneTimeTokenRecord
  return { ...kept, createdAt: new Date(kept.createdAt), expiresAt: new Date(kept.expiresAt) }
}
