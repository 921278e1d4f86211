import { createBatch, FLUSH_MS } from '../batch.ts'
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
  /** How many sessions wait for it. */
  size (): number
  close (): Promise<void>
}

interface Note { lastSeenAt: number, acknowledged: number }

/**
 * An acknowledgement that arrives so late in the rotation window that the next regular flush may come after its end
 * is written at once: by the time an old token counts as reuse, every node must know of it.
 */
export function createActivity (sessions: Pick<SessionStore, 'touch'>, rotationWindow: number): Activity {
  const batch = createBatch<Note>(
    async notes => await sessions.touch(notes.map(([id, note]) => ({ id, lastSeenAt: new Date(note.lastSeenAt), acknowledgedGeneration: note.acknowledged }))),
    (newer, older) => { newer.acknowledged = Math.max(newer.acknowledged, older.acknowledged) }
  )
  return {
    note (session, generation) {
      const note = batch.get(session.id)
      const time = now()
      if (note !== undefined) {
        note.lastSeenAt = time
        if (generation <= note.acknowledged) return
        note.acknowledged = generation
      } else {
        batch.add(session.id, { lastSeenAt: time, acknowledged: Math.max(generation, session.acknowledgedGeneration) })
        if (generation <= session.acknowledgedGeneration) return
      }
      if (time - session.rotatedAt.getTime() > rotationWindow - 2 * FLUSH_MS) batch.hurry()
    },
    acknowledged: session => Math.max(session.acknowledgedGeneration, batch.get(session.id)?.acknowledged ?? 0, batch.inFlight(session.id)?.acknowledged ?? 0),
    flush: batch.flush,
    size: batch.size,
    close: batch.close
  }
}
