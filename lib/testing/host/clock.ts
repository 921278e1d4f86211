import { fail } from 'node:assert/strict'
import type { Duration } from '../../../types/policy.ts'
import { DURATION_FORMAT, parseDuration } from '../../duration.ts'

/** Durations are texts like `'61m'`, or seconds: here also parts of one. */
export interface HeldClock {
  /** Let time pass. */
  advance (duration: Duration): void
  /** Set the time of day forward, or back by negative seconds, as an operator or NTP does: no time passes. */
  jump (duration: Duration): void
  /** Let go of it; what it was moved by is forgotten. Twice does no harm. Of several, the last held is released first. */
  release (): void
}

/**
 * Take hold of the time: `Date` and `performance.now` of the whole process, so of your own code and of the test runner too.
 * Timers run on as they are, and so do the clocks of a database.
 */
export function holdClock (): HeldClock {
  const HostDate = Date
  const { now } = HostDate
  const monotonic = performance.now
  let passed = 0
  let jumped = 0
  let isHeld = true

  HostDate.now = () => now() + passed + jumped
  performance.now = () => monotonic.call(performance) + passed
  globalThis.Date = new Proxy(HostDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [target.now()] : args, newTarget) as Date
  })

  return {
    advance (duration) { passed += toMilliseconds(duration) },
    jump (duration) { jumped += toMilliseconds(duration) },
    release () {
      if (!isHeld) return
      isHeld = false
      globalThis.Date = HostDate
      HostDate.now = now
      performance.now = monotonic
    }
  }
}

function toMilliseconds (duration: Duration): number {
  const milliseconds = typeof duration === 'number' ? duration * 1000 : parseDuration(duration)
  return milliseconds !== null && Number.isFinite(milliseconds) ? milliseconds : fail(`a duration ${DURATION_FORMAT}, not ${JSON.stringify(duration)}`)
}
