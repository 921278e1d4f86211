import type { Test } from 'tap'
import type { TestClock } from './clock.ts'

interface Held { readonly dueAt: number, readonly run: () => void }

/** Shorter timers pace a single request (deadlines, pauses, the next turn), longer ones the housekeeping of hours. */
const isHeld = (delay: number) => delay >= 3000 && delay < 60_000

/**
 * Take hold of the timers of batches too, until the test ends: they fire, in order, when the clock that is returned
 * is advanced past them. All others run on as they are.
 */
export function holdTimers (t: Test, clock: TestClock): { advance (milliseconds: number): Promise<void> } {
  const { setTimeout: set, clearTimeout: clear } = globalThis
  const held = new Map<object, Held>()
  let time = 0

  globalThis.setTimeout = ((run: () => void, delay = 0, ...args: []) => {
    if (!isHeld(delay)) return set(run, delay, ...args)
    const handle = { unref: () => handle, ref: () => handle, hasRef: () => false }
    held.set(handle, { dueAt: time + delay, run })
    return handle
  }) as typeof setTimeout
  globalThis.clearTimeout = handle => {
    if (!held.delete(handle as object)) clear(handle)
  }
  t.teardown(() => { Object.assign(globalThis, { setTimeout: set, clearTimeout: clear }) })

  const moveTo = (moment: number) => {
    clock.advance(moment - time)
    time = moment
  }
  return {
    async advance (milliseconds) {
      const end = time + milliseconds
      for (;;) {
        const [next] = [...held].filter(([, { dueAt }]) => dueAt <= end).sort(([, a], [, b]) => a.dueAt - b.dueAt)
        if (next === undefined) break
        moveTo(next[1].dueAt)
        held.delete(next[0])
        next[1].run()
        await settle(set)
      }
      moveTo(end)
      await settle(set)
    }
  }
}

/** Let what a timer has begun come to its end: its promises, and the timers of no time at all. */
const settle = async (set: typeof setTimeout) => await new Promise(resolve => set(resolve, 2))
