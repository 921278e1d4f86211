import { now } from '../clock.ts'
import { randomFraction } from '../random.ts'
import type { GuardedStorage } from '../storage.ts'

const EVERY_MS = 3_600_000
/** An ended session stays for a week, so that questions about it can be answered. */
const KEEP_MS = 7 * 24 * 3_600_000

/** A token that has ended is missed later than a session. */
const KEEP_TOKENS_MS = 30 * 24 * 3_600_000

/** What is used once a year is used. */
const KEEP_BASIC_USES_MS = 400 * 24 * 3_600_000

/** Forget what ended long ago, and write of what ends soon, now and then; the returned function stops it. */
export function startHousekeeping (storage: Pick<GuardedStorage, 'sessions' | 'personalTokens' | 'throttles' | 'oneTimeTokens' | 'basicUses' | 'hostSessions'>, notices: (() => Promise<void>) | null): () => void {
  const schedule = (): NodeJS.Timeout => setTimeout(() => {
    // A failure has been reported by the boundary, and the next turn does the same work.
    const at = new Date(now())
    storage.sessions.deleteEnded?.(new Date(now() - KEEP_MS)).catch(() => {})
    storage.personalTokens?.deleteEnded(new Date(now() - KEEP_TOKENS_MS)).catch(() => {})
    notices?.().catch(() => {})
    storage.basicUses?.deleteUnused(new Date(now() - KEEP_BASIC_USES_MS)).catch(() => {})
    storage.throttles?.deleteForgotten?.(at).catch(() => {})
    storage.oneTimeTokens?.deleteExpired?.(at).catch(() => {})
    storage.hostSessions?.deleteExpired(at).catch(() => {})
    timer = schedule()
  }, EVERY_MS * (0.5 + randomFraction())).unref()
  let timer = schedule()
  return () => clearTimeout(timer)
}
