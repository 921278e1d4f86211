import { LRUCache } from 'lru-cache'
import { monotonic } from '../clock.ts'
import { FST_ACCOUNTS_RATE_LIMITED } from '../errors.ts'
import type { PersonalTokenSettings } from '../options/personal-tokens.ts'

/** Count a request of a token, in this process. @throws {FST_ACCOUNTS_RATE_LIMITED} */
export type TakeFromQuota = (tokenId: string) => void

interface Count { taken: number, readonly endsAt: number }

/** @param capacity tokens to keep count of at most, the latest */
export function createQuota (rateLimit: PersonalTokenSettings['rateLimit'], capacity: number): TakeFromQuota {
  if (rateLimit === null) return () => {}
  const { max, window } = rateLimit
  const counts = new LRUCache<string, Count>({ max: capacity })
  return tokenId => {
    const time = monotonic()
    let count = counts.get(tokenId)
    if (count === undefined || time >= count.endsAt) {
      count = { taken: 0, endsAt: time + window }
      counts.set(tokenId, count)
    }
    if (count.taken >= max) throw new FST_ACCOUNTS_RATE_LIMITED(Math.max(1, Math.ceil((count.endsAt - time) / 1000)))
    count.taken++
  }
}
