import type { Duration } from '../../types/policy.ts'
import { DURATION_FORMAT, parseDuration } from '../duration.ts'
import { refuse } from './members.ts'

/** What a token says in `iss` or `aud`, compared exactly. Short, as both stand in every cookie. */
export function claim (value: unknown, option: string): string {
  return typeof value === 'string' && /^[\x20-\x7e]{1,500}$/.test(value) ? value : refuse(option, 'must be a text of 1 to 500 ASCII characters')
}

/** One, or several of which the first is written and all are good. */
export function claimList (value: string | readonly string[] | undefined, byDefault: string, option: string): readonly string[] {
  if (value === undefined) return [byDefault]
  if (!Array.isArray(value)) return [claim(value, option)]
  if (value.length === 0) refuse(option, 'is an empty list')
  return value.map((one: unknown) => claim(one, option))
}

/** RFC 7519, 4.1.4: "usually no more than a few minutes"; a token that has expired is of use to whoever has found it. */
const MAX_LEEWAY = 60_000

/** Milliseconds. */
export function resolveLeeway (value: Duration): number {
  if (value === 0) return 0
  const leeway = parseDuration(value) ?? refuse('leeway', DURATION_FORMAT)
  return leeway <= MAX_LEEWAY ? leeway : refuse('leeway', 'is longer than 60 s')
}
