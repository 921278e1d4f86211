import { monotonic, now } from '../clock.ts'
import { concerns, type Changes, type Subject } from './changes.ts'
import { subjectOf, type Standing } from './standings.ts'

/** A credential in use by a stream or socket. */
interface Held {
  readonly standing: Standing
  /** Milliseconds, as far as is known when it is made. */
  readonly expiresAt: number
  /** Ask the store whether it is still good, and until when (milliseconds): that may have been changed. `null`: no more. */
  goodUntil (): Promise<number | null>
}

/** Abort signals of credentials in use by streams and sockets. */
export interface Signals {
  /** A signal that aborts when the credential is no longer good, or expires. */
  create (held: Held): AbortSignal
  /** Abort all: the server is closing. */
  close (): void
}

interface Watch extends Pick<Held, 'goodUntil'> { readonly subject: Subject, readonly controller: AbortController, expiresAt: number, suspect: boolean }

/**
 * A stream makes no requests by which a change could be noticed, so while there are any we look by ourselves. A feed
 * that falls silent counts as current for 0.8 seconds more; with this on top it stays under one.
 */
const TICK_MS = 100

/** While the feed is not current every credential is asked about, no more often than this. */
const RECHECK_MS = 250

export function createSignals (changes: Changes): Signals {
  const watches = new Set<Watch>()
  let timer: NodeJS.Timeout | undefined
  let askedAt = -Infinity

  const end = (watch: Watch, reason: string) => {
    watches.delete(watch)
    watch.controller.abort(new DOMException(reason, 'AbortError'))
  }

  async function tick (): Promise<void> {
    timer = undefined
    const isCurrent = changes.isCurrent()
    const isDue = !isCurrent && monotonic() >= askedAt + RECHECK_MS
    if (isCurrent) askedAt = -Infinity
    else if (isDue) askedAt = monotonic()
    const suspects = [...watches].filter(watch => watch.suspect || isDue)
    for (const watch of watches) { if (watch.expiresAt <= now()) end(watch, 'The credential has expired') }
    await Promise.all(suspects.map(recheck))
    schedule()
  }

  async function recheck (watch: Watch): Promise<void> {
    try {
      const expiresAt = await watch.goodUntil()
      if (expiresAt === null) end(watch, 'The credential was revoked')
      else watch.expiresAt = expiresAt
      watch.suspect = false
    } catch {
      // The store is down: it stays suspect and is looked at again with the next tick.
    }
  }

  function schedule (): void {
    if (timer !== undefined || watches.size === 0) return
    timer = setTimeout(() => { void tick() }, TICK_MS)
    timer.unref()
  }

  changes.onChange(change => {
    for (const watch of watches) {
      if (!concerns(change, watch.subject)) continue
      watch.suspect = true
      void recheck(watch)
    }
  })

  return {
    create ({ standing, ...held }) {
      const subject = subjectOf(standing)
      const watch = { ...held, subject, controller: new AbortController(), suspect: !standing.watched || changes.concernedSince(standing.readAt, subject) }
      watches.add(watch)
      // What happened before anybody watched is not told again.
      if (watch.suspect) void recheck(watch)
      schedule()
      return watch.controller.signal
    },
    close () {
      clearTimeout(timer)
      for (const watch of watches) end(watch, 'The server is closing')
    }
  }
}
