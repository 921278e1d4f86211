import { now } from '../clock.ts'
import type { SessionRecord, SessionStore } from '../../types/storage.ts'

/** Notes what requests show of sessions, and writes it in batches. */
export interface Activity {
  /** A token of `generation` came; synchronous, and cheap enough for every request. */
  note (session: SessionRecord, generation: number): void
  /** The highest generation that this process or the row knows to be held by the client. */
  acknowledged (session: SessionRecord): number
  /** Write what is noted. A failure keeps the notes for the next time. */
  flush (): Promise<void>
  close (): Promise<void>
}

interface Note { lastSeenAt: number, acknowledged: number }

const FLUSH_MS = 10_000
const BATCH = 500

/**
 * An acknowledgement that arrives so late in the rotation window that the next regular flush may come after its end
 * is written at once: by the time an old token counts as reuse, every node must know of it.
 */
export function createActivity (sessions: Pick<SessionStore, 'touch'>, rotationWindow: number): Activity {
  let notes = new Map<string, Note>()
  /** What is being written right now is no less known. */
  let inFlight = new Map<string, Note>()
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> | undefined

  const schedule = (delay: number) => {
    if (timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      void flush()
    }, delay)
    timer.unref()
  }
  const hurry = () => {
    clearTimeout(timer)
    timer = undefined
    schedule(0)
  }

  /** What came while a batch was being written goes with the next, so whoever asks waits for that one too. */
  async function flush (): Promise<void> {
    if (flushing !== undefined) {
      await flushing
      return await flush()
    }
    if (notes.size === 0) return
    flushing = write().finally(() => { flushing = undefined })
    await flushing
  }

  async function write (): Promise<void> {
    const batch = inFlight = notes
    notes = new Map()
    const entries = [...batch].map(([id, note]) => ({ id, lastSeenAt: new Date(note.lastSeenAt), acknowledgedGeneration: note.acknowledged }))
    for (let start = 0; start < entries.length; start += BATCH) {
      try {
        await sessions.touch(entries.slice(start, start + BATCH))
      } catch {
        // The boundary has reported it; nothing of a request depends on these writes.
        for (const { id } of entries.slice(start)) restore(id, batch.get(id)!)
        schedule(FLUSH_MS)
        break
      }
    }
    inFlight = new Map()
  }

  function restore (id: string, old: Note) {
    const newer = notes.get(id)
    if (newer === undefined) notes.set(id, old)
    else newer.acknowledged = Math.max(newer.acknowledged, old.acknowledged)
  }

  return {
    note (session, generation) {
      const note = notes.get(session.id)
      const time = now()
      if (note !== undefined) {
        note.lastSeenAt = time
        if (generation <= note.acknowledged) return
        note.acknowledged = generation
      } else {
        notes.set(session.id, { lastSeenAt: time, acknowledged: Math.max(generation, session.acknowledgedGeneration) })
        schedule(FLUSH_MS)
        if (generation <= session.acknowledgedGeneration) return
      }
      if (time - session.rotatedAt.getTime() > rotationWindow - 2 * FLUSH_MS) hurry()
    },
    acknowledged: session => Math.max(session.acknowledgedGeneration, notes.get(session.id)?.acknowledged ?? 0, inFlight.get(session.id)?.acknowledged ?? 0),
    flush,
    async close () {
      clearTimeout(timer)
      await flush()
    }
  }
}
