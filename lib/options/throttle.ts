import type { RateLimitOptions, ThrottleOptions } from '../../types/options.ts'
import type { Storage, ThrottleRule } from '../../types/storage.ts'
import { DURATION_FORMAT, parseDuration } from '../duration.ts'
import { boolean, checkMembers, integer, refuse } from './members.ts'

export type ThrottleSettings = Omit<ThrottleRule, 'at'>

export interface RateLimitSettings {
  readonly max: number
  readonly maxSensitive: number
  readonly window: number
  readonly isShared: boolean
}

const SECOND = 1000
const FIRST_DELAY = 30 * SECOND
const LONGEST_DELAY = 3600 * SECOND
const FORGET_AFTER = 30 * 24 * 3600 * SECOND

/** NIST SP 800-63B-4, 3.2.2: after this many failures in a row the password is not taken any more. */
const CEILING = 100

/** What consecutive attempts to guess a password are held to; `null`: nothing. */
export function resolveThrottle (options: false | ThrottleOptions, { throttles }: Storage): ThrottleSettings | null {
  if (options === false) return null
  if (typeof options === 'boolean') refuse('throttle', 'must be an object, or false')
  checkMembers(options, 'throttle')
  const { free: wanted = 5, limit = CEILING } = options
  const free = integer(wanted, 1, CEILING, 'throttle.free')
  if (throttles === undefined) refuse('storage.throttles', 'is missing: failed logins are counted there. Give the storage one, or set throttle: false')
  return { delays: delaysAfter(free), limit: integer(limit, free, CEILING, 'throttle.limit'), forgetAfter: FORGET_AFTER }
}

/** What one network may ask of the plugin's routes; `null`: as much as it likes. */
export function resolveRateLimit (options: false | RateLimitOptions, { throttles }: Storage): RateLimitSettings | null {
  if (options === false) return null
  if (typeof options === 'boolean') refuse('rateLimit', 'must be an object, or false')
  checkMembers(options, 'rateLimit')
  const { max = 300, maxSensitive = 30, window = '1m', shared = false } = options
  if (boolean(shared, 'rateLimit.shared') && throttles === undefined) refuse('storage.throttles', 'is missing: rateLimit.shared counts there')
  return {
    max: integer(max, 1, 1_000_000, 'rateLimit.max'),
    maxSensitive: integer(maxSensitive, 1, 1_000_000, 'rateLimit.maxSensitive'),
    window: parseDuration(window) ?? refuse('rateLimit.window', DURATION_FORMAT),
    isShared: shared
  }
}

/** None between the free attempts, then 30 s, 60 s, … and an hour between all that follow. */
function delaysAfter (free: number): number[] {
  const delays = new Array<number>(free - 1).fill(0)
  for (let delay = FIRST_DELAY; delay < LONGEST_DELAY; delay *= 2) delays.push(delay)
  return [...delays, LONGEST_DELAY]
}
