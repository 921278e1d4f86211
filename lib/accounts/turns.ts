import type { Attempt } from '../../types/storage.ts'
import { now, pause } from '../clock.ts'
import { FST_ACCOUNTS_BUSY, FST_ACCOUNTS_TOO_MANY_ATTEMPTS } from '../errors.ts'
import type { ThrottleSettings } from '../options/throttle.ts'
import type { Attempts } from './attempts.ts'

/**
 * Count an attempt at a bucket, then do the `work` that checks a secret; what `isGood` makes the count start anew.
 * @throws {FST_ACCOUNTS_TOO_MANY_ATTEMPTS} after `onRefused`
 */
export type Guard = <T>(bucket: string, work: () => Promise<T>, isGood: (outcome: T) => boolean, onRefused: () => void) => Promise<T>

/** What goes on at one bucket in this process. */
interface Lane {
  /** Attempts that were admitted and have not ended. */
  running: number
  readonly waiting: Array<{ readonly enter: () => void, readonly refuse: (error: unknown) => void }>
  /** Somebody sees to those who wait. */
  attended: boolean
  /** Tell them that one of the running has ended. */
  wake: () => void
}

/** As many as may wait for a hash. */
const MAX_WAITING = 256

/** So long after its begin an attempt in another process may yet end well. How often to look in that time. */
const LIKELY_RUNNING_MS = 1000
const LOOK_EVERY_MS = 100

/**
 * Attempts of one bucket take turns. One that is refused while others run waits for how they end: one success among them
 * makes it good, so that many right passwords at once are no guesses, and of wrong ones no more are checked than the
 * rule admits (ASVS 6.3.1).
 */
export function createTurns (throttles: Pick<Attempts, 'reset'>, attempt: (bucket: string) => Promise<Attempt>, rule: ThrottleSettings): Guard {
  const lanes = new Map<string, Lane>()

  return async function guard (bucket, work, isGood, onRefused) {
    const lane = lanes.get(bucket) ?? openLane(bucket)
    if (lane.waiting.length >= MAX_WAITING) throw new FST_ACCOUNTS_BUSY()
    try {
      await new Promise<void>((resolve, reject) => {
        lane.waiting.push({ enter: resolve, refuse: reject })
        if (!lane.attended) void attend(bucket, lane)
      })
    } catch (error) {
      if (error instanceof FST_ACCOUNTS_TOO_MANY_ATTEMPTS) onRefused()
      throw error
    }
    try {
      const outcome = await work()
      if (isGood(outcome)) await throttles.reset(bucket)
      return outcome
    } finally {
      lane.running--
      lane.wake()
      closeLane(bucket, lane)
    }
  }

  /** One after another, in the order in which they came. */
  async function attend (bucket: string, lane: Lane): Promise<void> {
    lane.attended = true
    let looks = 0
    try {
      while (lane.waiting.length > 0) {
        const isAlone = lane.running === 0
        // Asked for before the attempt, or one that ends meanwhile would be missed.
        const ended = new Promise<void>(resolve => { lane.wake = resolve })
        const outcome = await attempt(bucket)
        if (outcome.admitted) {
          looks = 0
          lane.running++
          lane.waiting.shift()!.enter()
        } else if (!isAlone) {
          await ended
        } else if (isLikelyRunning(outcome, rule) && looks++ < LIKELY_RUNNING_MS / LOOK_EVERY_MS) {
          await pause(LOOK_EVERY_MS)
        } else {
          // All who wait would be told the same.
          for (const { refuse } of lane.waiting.splice(0)) refuse(new FST_ACCOUNTS_TOO_MANY_ATTEMPTS(secondsUntilNext(outcome, rule)))
        }
      }
    } catch (error) {
      for (const { refuse } of lane.waiting.splice(0)) refuse(error)
    } finally {
      lane.attended = false
      closeLane(bucket, lane)
    }
  }

  function openLane (bucket: string): Lane {
    const lane: Lane = { running: 0, waiting: [], attended: false, wake () {} }
    lanes.set(bucket, lane)
    return lane
  }

  function closeLane (bucket: string, lane: Lane): void {
    if (lane.running === 0 && lane.waiting.length === 0 && !lane.attended) lanes.delete(bucket)
  }
}

/** After the last attempt that was allowed nothing helps but another password, or being forgotten. */
function secondsUntilNext (outcome: Attempt, rule: ThrottleSettings): number {
  const until = outcome.count < rule.limit ? outcome.retryAt.getTime() : beginOfLast(outcome, rule) + rule.forgetAfter
  return Math.max(1, Math.ceil((until - now()) / 1000))
}

const isLikelyRunning = (outcome: Attempt, rule: ThrottleSettings) => now() - beginOfLast(outcome, rule) < LIKELY_RUNNING_MS

const beginOfLast = ({ count, retryAt }: Attempt, { delays }: ThrottleSettings) => retryAt.getTime() - (delays[Math.min(count, delays.length) - 1] ?? 0)
