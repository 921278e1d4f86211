import { script } from './scripts.ts'
import { FIELDS, SEEN_FIELDS } from './session-hash.ts'

// Keys: the session, and what was seen of it.

const read = (key: string, fields: readonly string[]) => `redis.call('HMGET', ${key}, ${fields.map(field => `'${field}'`).join(', ')})`
const SESSION = `{ ${read('KEYS[1]', FIELDS)}, ${read('KEYS[2]', SEEN_FIELDS)} }`

/** Arguments: how long it is kept, then fields and values. A session that was there stays as it is. */
export const CREATE = script(`
  if redis.call('EXISTS', KEYS[1]) == 1 then return end
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])`)

/** Arguments: generation, the next one, the time, the idle end, how long it is kept. */
export const ROTATE = script(`
  local session = redis.call('HMGET', KEYS[1], 'generation', 'revokedAt', 'acknowledgedGeneration')
  if session[1] ~= ARGV[1] or session[2] then return false end
  redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'rotatedAt', ARGV[3], 'idleExpiresAt', ARGV[4])
  if tonumber(session[3]) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'acknowledgedGeneration', ARGV[1]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  return ${SESSION}`)

/** Arguments: generation, when its window began, the time. */
export const RECOVER = script(`
  local session = redis.call('HMGET', KEYS[1], 'generation', 'rotatedAt', 'revokedAt', 'acknowledgedGeneration')
  local seen = redis.call('HGET', KEYS[2], 'acknowledgedGeneration')
  local acknowledged = math.max(tonumber(session[4]), tonumber(seen or 0))
  if session[1] ~= ARGV[1] or session[2] ~= ARGV[2] or session[3] or acknowledged >= tonumber(ARGV[1]) then return false end
  redis.call('HSET', KEYS[1], 'rotatedAt', ARGV[3])
  return ${SESSION}`)

/** Arguments: the time, the reason, how long it is kept, and perhaps the user. Whose it was, or nothing. */
export const REVOKE = script(`
  local session = redis.call('HMGET', KEYS[1], 'userId', 'revokedAt')
  if not session[1] or session[2] or (ARGV[4] and session[1] ~= ARGV[4]) then return false end
  redis.call('HSET', KEYS[1], 'revokedAt', ARGV[1], 'revokeReason', ARGV[2])
  for _, key in ipairs(KEYS) do
    if redis.call('PTTL', key) > tonumber(ARGV[3]) then redis.call('PEXPIRE', key, ARGV[3]) end
  end
  return session[1]`)

/** Whether it was there, and not revoked. */
export const REMOVE = script(`
  local session = redis.call('HMGET', KEYS[1], 'userId', 'revokedAt')
  redis.call('DEL', KEYS[1], KEYS[2])
  return session[1] and not session[2] and 1 or 0`)

/** Arguments: when it was seen, and the generation that it was seen with. Neither moves back, nor beyond what was issued. */
export const TOUCH = script(`
  local generation = redis.call('HGET', KEYS[1], 'generation')
  local left = redis.call('PTTL', KEYS[1])
  if not generation or left <= 0 then return end
  local seen = redis.call('HMGET', KEYS[2], 'lastSeenAt', 'acknowledgedGeneration')
  local acknowledged = math.min(tonumber(ARGV[2]), tonumber(generation))
  if tonumber(ARGV[1]) > tonumber(seen[1] or 0) then redis.call('HSET', KEYS[2], 'lastSeenAt', ARGV[1]) end
  if acknowledged > tonumber(seen[2] or 0) then redis.call('HSET', KEYS[2], 'acknowledgedGeneration', acknowledged) end
  redis.call('PEXPIRE', KEYS[2], left)`)
