import { monotonic } from '../clock.ts'

/**
 * How long a refusal takes. Kinds of digests take 10 to 1000 ms to verify, which would tell that an account exists, and
 * how old it is. So refusals all end at one moment, counted from the start of the verification: when the slowest kind
 * that is known here would have ended, with a margin. Waiting costs a timer, no CPU. While there is but one kind, nobody
 * waits.
 */
export interface RefusalTime {
  /** There are digests of these costs, and a verification should take so many milliseconds (`null`: who knows). */
  expect (costs: string, ms: number | null): void
  /** Run one verification and learn from how long it took. */
  measure<T> (costs: string, verify: () => Promise<T>): Promise<T>
  /** Called at the start of this many verifications, for the timer must not know how long they take. */
  start (verifications: number): Refusal
}

interface Refusal {
  /** Resolves when a refusal may be answered. */
  readonly due: Promise<void>
  /** It is no refusal. */
  cancel (): void
}

/** Room for the moments in which a core has other things to do. */
const MARGIN = 1.5

/** A digest that takes longer than this shows. */
const MOST_MS = 2000

/** Verifications that are remembered of each kind; the quarter that took longest does not count, nor does one slow moment. */
const REMEMBERED = 32
const COUNTED = 0.75

/** Kinds that are remembered; there is one for each algorithm and its costs. */
const MOST_KINDS = 32

/** `slowestMs`: what the slowest kind is known to take, before the first of it is seen; `null`: it is not known that there is one. */
export function createRefusalTime (slowestMs: number | null): RefusalTime {
  const kinds = new Map<string, number[]>()

  function remember (costs: string): number[] {
    const known = kinds.get(costs)
    if (known !== undefined) return known
    const times: number[] = []
    if (kinds.size < MOST_KINDS) kinds.set(costs, times)
    return times
  }

  function total (): number {
    if (slowestMs === null && kinds.size < 2) return 0
    return Math.min(MOST_MS, MARGIN * Math.max(slowestMs ?? 0, ...[...kinds.values()].map(typical)))
  }

  return {
    expect (costs, ms) {
      const times = remember(costs)
      if (ms !== null && times.length === 0) times.push(ms)
    },
    async measure (costs, verify) {
      const start = monotonic()
      const result = await verify()
      const times = remember(costs)
      times.push(monotonic() - start)
      if (times.length > REMEMBERED) times.shift()
      return result
    },
    start (verifications) {
      const ms = total() * verifications
      if (ms === 0) return { due: Promise.resolve(), cancel: () => {} }
      let timer: NodeJS.Timeout
      const due = new Promise<void>(resolve => { timer = setTimeout(resolve, ms) })
      return { due, cancel: () => { clearTimeout(timer) } }
    }
  }
}

const typical = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[Math.floor(COUNTED * (times.length - 1))] ?? 0
