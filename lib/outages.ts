import type { FastifyBaseLogger } from 'fastify'
import { monotonic } from './clock.ts'
import type { Hooks } from './hooks.ts'
import type { StoragePart } from './storage.ts'

/** What is told of calls to the storage: each is either answered, or has failed. */
export interface Outages {
  answered (part: StoragePart): void
  failed (part: StoragePart, cause: unknown): void
}

/** Whatever becomes of a call: nobody is told. */
export const untold: Outages = { answered () {}, failed () {} }

/** In milliseconds: so often a store is complained of at most, and so often of what has been said already. */
const [REST, REST_OF_THE_SAME] = [1000, 10_000]

/** A part of the storage that has failed at some time. */
interface Trouble {
  /** When the outage began that is not over yet. */
  since: number | null
  /** Whether the log has it as an error. */
  isTold: boolean
  toldAt: number
  toldCause: string
}

/** Log what fails and since when, by store, without a line for each request of an outage; and publish each failure. */
export function createOutages (log: Pick<FastifyBaseLogger, 'error' | 'debug' | 'info'>, record: Hooks['record']): Outages {
  const troubles = new Map<StoragePart, Trouble>()

  return {
    answered (part) {
      const trouble = troubles.get(part)
      if (trouble === undefined || trouble.since === null) return
      if (trouble.isTold) log.info({ store: part, downMs: Math.round(monotonic() - trouble.since) }, `the account storage answers again: ${part}`)
      trouble.since = null
      trouble.isTold = false
    },
    failed (part, cause) {
      const at = monotonic()
      const trouble = troubles.get(part) ?? { since: null, isTold: false, toldAt: -Infinity, toldCause: '' }
      troubles.set(part, trouble)
      const text = textOf(cause)
      const isDue = at - trouble.toldAt >= (trouble.since !== null && text === trouble.toldCause ? REST_OF_THE_SAME : REST)
      log[isDue ? 'error' : 'debug']({ err: typeof cause === 'string' ? { message: cause } : cause, store: part }, `the account storage failed: ${part}`)
      if (isDue) Object.assign(trouble, { isTold: true, toldAt: at, toldCause: text })
      trouble.since ??= at
      record('storage.failed', { request: null, reason: part })
    }
  }
}

function textOf (cause: unknown): string {
  try {
    return String(cause)
  } catch {
    // An adapter may throw what throws when it is read.
    return ''
  }
}
