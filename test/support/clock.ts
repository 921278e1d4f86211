import type { Test } from 'tap'

export interface TestClock {
  /** Move the time of day, and the monotonic clock with it, in milliseconds. */
  advance (milliseconds: number): void
  /** Move the time of day alone, as an operator or NTP does. */
  jump (milliseconds: number): void
}

/** Take hold of the clocks until the test ends. Timers run on as they are. */
export function holdClock (t: Test): TestClock {
  const { now } = Date
  const monotonic = performance.now.bind(performance)
  let shift = 0
  let jumped = 0
  Date.now = () => now() + shift + jumped
  performance.now = () => monotonic() + shift
  t.teardown(() => {
    Date.now = now
    delete (performance as { now?: unknown }).now
  })
  return {
    advance (milliseconds) { shift += milliseconds },
    jump (milliseconds) { jumped += milliseconds }
  }
}

/** A clock that moves only when it is told to, starting ten minutes from now. */
export function stopClock (t: Test): { readonly time: number, set (to: number): void } {
  const { now } = Date
  let time = Math.floor((now() + 10 * MINUTE) / SECOND) * SECOND
  Date.now = () => time
  t.teardown(() => { Date.now = now })
  return { get time () { return time }, set (to: number) { time = to } }
}

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
