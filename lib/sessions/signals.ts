import type { Change } from '../../types/storage.ts'
import { monotonic, now } from '../clock.ts'
import { concerns, type Liveness, type Standing } from './liveness.ts'

/** Abort signals of credentials in use by streams and sockets. */
export interface Signals {
  /** A signal that aborts when the session is over or at `expiresAt` (milliseconds), whichever comes first. */
  create (standing: Standing, expiresAt: number): AbortSignal
  /** Abort all: the server is closing. */
  close (): void
}

interface Watch { readonly sessionId: string, readonly userId: string, readonly expiresAt: number, readonly controller: AbortController, suspect: boolean }

/**
 * A stream makes no requests by which a change could be noticed, so while there are any we look by ourselves. A feed
 * that falls silent counts as current for 0.8 seconds more; with this on top it stays under one.
 */
const TICK_MS = 100

/** While the feed is not current every session is asked about, no more often than this. */
const RECHECK_MS = 250

export function createSignals (liveness: Liveness): Signals {
  const watches = new Set<Watch>()
  let timer: NodeJS.Timeout | undefined
  let askedAt = -Infinity

  const end = (watch: Watch, reason: string) => {
    watches.delete(watch)
    watch.controller.abort(new DOMException(reason, 'AbortError'))
  }

  async function tick (): Promise<void> {
    timer = undefined
    const isCurrent = liveness.catchUp()
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
      if (await liveness.resolve(watch.sessionId, watch.userId, 'strict') === null) end(watch, 'The session is over')
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

  liveness.onChange((change: Change) => {
    for (const watch of watches) {
      if (!concerns(change, watch.sessionId, watch.userId)) continue
      watch.suspect = true
      void recheck(watch)
    }
  })

  return {
    create (standing, expiresAt) {
      const watch = { sessionId: standing.session.id, userId: standing.user.id, expiresAt, controller: new AbortController(), suspect: !standing.watched || liveness.hasChanged(standing) }
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
