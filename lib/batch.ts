/** What requests leave behind, by id, to be written in batches. A request does no more than change a note. */
export interface Batch<Note> {
  /** The note that waits to be written; changes to it are written as well. */
  get (id: string): Note | undefined
  /** A note that is being written right now: no less known. */
  inFlight (id: string): Note | undefined
  add (id: string, note: Note): void
  /** Write now, not at the next turn. */
  hurry (): void
  /** Write what is noted. A failure keeps the notes for the next time. */
  flush (): Promise<void>
  /** How many notes are not written yet. */
  size (): number
  close (): Promise<void>
}

export const FLUSH_MS = 10_000
const SIZE = 500

/** @param merge make `newer`, which came while `older` failed to be written, tell of both */
export function createBatch<Note> (write: (notes: ReadonlyArray<readonly [string, Note]>) => Promise<void>, merge: (newer: Note, older: Note) => void): Batch<Note> {
  let notes = new Map<string, Note>()
  let writing = new Map<string, Note>()
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> | undefined
  let isClosed = false

  const schedule = (delay: number) => {
    if (timer !== undefined || isClosed) return
    timer = setTimeout(() => {
      timer = undefined
      void flush()
    }, delay)
    timer.unref()
  }

  /** What came while a batch was being written goes with the next, so whoever asks waits for that one too. */
  async function flush (): Promise<void> {
    if (flushing !== undefined) {
      await flushing
      return await flush()
    }
    if (notes.size === 0) return
    flushing = writeAll().finally(() => { flushing = undefined })
    await flushing
  }

  async function writeAll (): Promise<void> {
    writing = notes
    notes = new Map()
    const entries = [...writing]
    for (let start = 0; start < entries.length; start += SIZE) {
      try {
        await write(entries.slice(start, start + SIZE))
      } catch {
        // The boundary has reported it; nothing of a request depends on these writes.
        for (const [id, note] of entries.slice(start)) restore(id, note)
        schedule(FLUSH_MS)
        break
      }
    }
    writing = new Map()
  }

  function restore (id: string, older: Note): void {
    const newer = notes.get(id)
    if (newer === undefined) notes.set(id, older)
    else merge(newer, older)
  }

  return {
    get: id => notes.get(id),
    inFlight: id => writing.get(id),
    add (id, note) {
      notes.set(id, note)
      schedule(FLUSH_MS)
    },
    hurry () {
      clearTimeout(timer)
      timer = undefined
      schedule(0)
    },
    flush,
    size: () => notes.size + writing.size,
    async close () {
      isClosed = true
      clearTimeout(timer)
      await flush()
    }
  }
}
