import type { Duration } from '../types/policy.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from './errors.ts'

const SECONDS = { s: 1, m: 60, h: 3600, d: 86400 } as const

/**
 * Read a duration: whole seconds, or a number with `s`, `m`, `h` or `d`. Milliseconds out.
 * @throws {FST_ACCOUNTS_OPTION_INVALID} naming `option`
 */
export function parseDuration (duration: Duration, option: string): number {
  const match = typeof duration === 'string' ? /^([1-9]\d{0,9})([smhd])$/.exec(duration) : null
  const seconds = match ? Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS] : duration
  if (typeof seconds !== 'number' || !Number.isSafeInteger(seconds) || seconds <= 0 || seconds > 100 * 366 * SECONDS.d) {
    throw new FST_ACCOUNTS_OPTION_INVALID(option, 'must be whole seconds or a text like "15m", "12h" or "90d"')
  }
  return seconds * 1000
}
