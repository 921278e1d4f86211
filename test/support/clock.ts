import type { Test } from 'tap'
import { holdClock as hold } from '../../lib/testing/index.ts'

export interface TestClock {
  /** Move the time of day, and the monotonic clock with it, in milliseconds. */
  advance (milliseconds: number): void
  /** Move the time of day alone, as an operator or NTP does. */
  jump (milliseconds: number): void
}

/** Take hold of the clocks until the test ends. Timers run on as they are. */
export function holdClock (t: Test): TestClock {
  const clock = hold()
  t.teardown(clock.release)
  return {
    advance (milliseconds) { clock.advance(milliseconds / 1000) },
    jump (milliseconds) { clock.jump(milliseconds / 1000) }
  }
}

/** Stop the time of day until the test ends, ten minutes from now: it moves only when it is told to, so that a boundary is met to the millisecond. */
export function stopClock (t: Test): TestClock & { readonly time: number, set (to: number): void } {
  const { now } = Date
  let time = Math.floor((now() + 10 * MINUTE) / SECOND) * SECOND
  Date.now = () => time
  t.teardown(() => { Date.now = now })
  const advance = (milliseconds: number) => { time += milliseconds }
  return { get time () { return time }, set (to) { time = to }, advance, jump: advance }
}

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
