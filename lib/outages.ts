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
      const err = wordsOf(cause)
      const text = `${err.code ?? ''} ${err.message}`
      const isDue = at - trouble.toldAt >= (trouble.isTold && text === trouble.toldCause ? REST_OF_THE_SAME : REST)
      log[isDue ? 'error' : 'debug']({ err, store: part }, `the account storage failed: ${part}`)
      if (isDue) Object.assign(trouble, { isTold: true, toldAt: at, toldCause: text })
      trouble.since ??= at
      record('storage.failed', { request: null, reason: part })
    }
  }
}

/** What the log is told of a cause. */
interface Words {
  readonly message: string
  readonly code?: string | undefined
  readonly stack?: string | undefined
  readonly cause?: Words | undefined
}

const MAX_DEPTH = 3

/** Its words and no more: drivers hang on their errors the row, or the statement, that these are about. */
function wordsOf (cause: unknown, depth = MAX_DEPTH): Words {
  try {
    const { message, code, stack, cause: inner, errors } = Object(cause) as Readonly<Record<string, unknown>>
    const next: unknown = inner ?? (Array.isArray(errors) ? errors[0] : undefined)
    return {
      message: textOf(message) ?? String(cause),
      code: textOf(code),
      stack: textOf(stack),
      cause: next === undefined || depth === 0 ? undefined : wordsOf(next, depth - 1)
    }
  } catch {
    // An adapter may throw what throws when it is read.
    return { message: 'unknown error' }
  }
}

const textOf = (value: unknown) => typeof value === 'string' ? value : undefined
