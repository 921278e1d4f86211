import type { Duration } from '../types/policy.ts'

const SECONDS = { s: 1, m: 60, h: 3600, d: 86400 } as const

/** What to say of something else. */
export const DURATION_FORMAT = 'must be whole seconds or a text like "15m", "12h" or "90d"'

/** Read a duration: whole seconds, or a number with `s`, `m`, `h` or `d`. Milliseconds out; `null` for anything else. */
export function parseDuration (duration: Duration): number | null {
  const match = typeof duration === 'string' ? /^([1-9]\d{0,9})([smhd])$/.exec(duration) : null
  const seconds = match ? Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS] : duration
  const isDuration = typeof seconds === 'number' && Number.isSafeInteger(seconds) && seconds > 0 && seconds <= 100 * 366 * SECONDS.d
  return isDuration ? seconds * 1000 : null
}
