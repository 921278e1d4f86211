import type { ThrottleRecord, ThrottleStore } from '../../../types/storage.ts'
import type { Connection } from './connection.ts'
import { script, ttl } from './scripts.ts'

/** Arguments: the time, the limit, after how long it is forgotten, and the delays. */
const ATTEMPT = script(`
  local at, limit, forgetAfter = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
  local kept = redis.call('HMGET', KEYS[1], 'count', 'retryAt', 'forgetAt')
  local count = 0
  if kept[1] and tonumber(kept[3]) > at then
    count = tonumber(kept[1])
    if tonumber(kept[2]) > at or count >= limit then return { 0, kept[1], kept[2] } end
  end
  count = count + 1
  local retryAt = string.format('%.0f', at + ARGV[3 + math.min(count, #ARGV - 3)])
  redis.call('HSET', KEYS[1], 'count', count, 'retryAt', retryAt, 'forgetAt', string.format('%.0f', at + forgetAfter))
  redis.call('PEXPIRE', KEYS[1], forgetAfter)
  return { 1, tostring(count), retryAt }`)

export function redisThrottles ({ send, run }: Connection, prefix: string): ThrottleStore {
  const keyOf = (key: string) => `${prefix}throttle:{${key}}`
  return {
    async attempt (key, { at, delays, limit, forgetAfter }) {
      const [admitted, count, retryAt] = await run(ATTEMPT, keyOf(key), at.getTime(), limit, ttl(forgetAfter), ...delays) as [number, string, string]
      return { admitted: admitted === 1, ...toThrottleRecord(count, retryAt) }
    },

    async find (key) {
      const [count, retryAt] = await send('hmget', keyOf(key), 'count', 'retryAt') as Array<string | null>
      return count == null || retryAt == null ? null : toThrottleRecord(count, retryAt)
    },

    async reset (key) {
      await send('del', keyOf(key))
    }
  }
}

const toThrottleRecord = (count: string, retryAt: string): ThrottleRecord => ({ count: Number(count), retryAt: new Date(Number(retryAt)) })
