import { LRUCache } from 'lru-cache'
import type { Attempt, ThrottleRecord, ThrottleRule, ThrottleStore } from '../../types/storage.ts'
import { monotonic } from '../clock.ts'
import { FST_ACCOUNTS_STORAGE_UNAVAILABLE } from '../errors.ts'

/** What is needed of a store of throttles. */
export type Attempts = Pick<ThrottleStore, 'attempt' | 'reset'>

/** What the store has said of a key, or this process has counted since. */
interface Known extends ThrottleRecord {
  readonly forgetAt: number
}

/** Keys that a process knows at most, the latest; about 300 bytes each. */
const CAPACITY = 20_000

/** So long a store that has failed is not asked again: few wait for its deadline. */
const REST_MS = 1000

/**
 * Attempts as the store counts them, and while it can't be asked as this process does, from what the store has said last:
 * an outage locks nobody out, and nobody can guess without end.
 */
export function createAttempts (store: Attempts): Attempts {
  const known = new LRUCache<string, Known>({ max: CAPACITY })
  let askAgainAt = -Infinity

  async function askOr<T> (ask: () => Promise<T>, instead: () => T): Promise<T> {
    if (monotonic() < askAgainAt) return instead()
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof FST_ACCOUNTS_STORAGE_UNAVAILABLE)) throw error
      askAgainAt = monotonic() + REST_MS
      return instead()
    }
  }

  function keep (key: string, { count, retryAt }: ThrottleRecord, { at, forgetAfter }: ThrottleRule): void {
    known.set(key, { count, retryAt, forgetAt: at.getTime() + forgetAfter })
  }

  return {
    attempt: async (key, rule) => await askOr(async () => {
      const outcome = await store.attempt(key, rule)
      keep(key, outcome, rule)
      return outcome
    }, () => {
      const outcome = count(known.get(key), rule)
      if (outcome.admitted) keep(key, outcome, rule)
      return outcome
    }),
    async reset (key) {
      known.delete(key)
      await askOr(async () => await store.reset(key), () => {})
    }
  }
}

/** As every store does it. */
function count (before: Known | undefined, { at, delays, limit }: ThrottleRule): Attempt {
  const kept = before !== undefined && before.forgetAt > at.getTime() ? before : null
  if (kept !== null && (kept.retryAt > at || kept.count >= limit)) return { admitted: false, count: kept.count, retryAt: kept.retryAt }
  const next = (kept?.count ?? 0) + 1
  return { admitted: true, count: next, retryAt: new Date(at.getTime() + delays[Math.min(next, delays.length) - 1]!) }
}
