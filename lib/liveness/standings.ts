import { LRUCache } from 'lru-cache'
import type { Liveness as Demand } from '../../types/policy.ts'
import type { Change, UserRecord } from '../../types/storage.ts'
import { monotonic } from '../clock.ts'
import { concerns, type Changes, type Subject } from './changes.ts'

/** What was read of a subject and its user. Verdicts hold it, so it is the one place to see that it is out of date. */
export interface Standing<Kept extends Subject = Subject> {
  readonly record: Kept
  readonly user: UserRecord
  /** How many changes this process had heard of when it was read. */
  readonly readAt: number
  /** Until when it may be used without being read again (`monotonic()`). */
  readonly usableUntil: number
  /** Whether we would hear of a change: it is remembered, and the feed has run without a gap since it was read. */
  watched: boolean
}

/** Memory of one kind of subject, which is as good as the store as long as it says so. */
export interface Standings<Kept extends Subject> {
  /** Whether a standing held by the caller may be used as it is. Synchronous: the path of nearly every request. */
  isUsable (standing: Standing<Kept>, demand: Demand): boolean
  /** The standing in memory, if it may be used. */
  recall (id: string, demand: Demand): Standing<Kept> | null
  /** Read from the store, again if a change comes meanwhile, and remember it if we would hear of the next. */
  read (load: () => Promise<Pick<Standing<Kept>, 'record' | 'user'> | null>): Promise<Standing<Kept> | null>
}

/** Users in a table of the host's are read again after this time: not everything that changes it will say so. */
const UNSEEN_MS = 60_000

/** @param capacity subjects to remember at most */
export function createStandings<Kept extends Subject> (changes: Changes, capacity: number): Standings<Kept> {
  const standings = new LRUCache<string, Standing<Kept>>({
    max: capacity,
    dispose: standing => { standing.watched = false }
  })
  changes.onChange(change => {
    if (change.kind === 'session') standings.delete(change.sessionId)
    else if (change.kind === 'personal-token') standings.delete(change.tokenId)
    else for (const [id, { user }] of [...standings.entries()]) { if (concerns(change, { id, userId: user.id })) standings.delete(id) }
  })

  /** Asks the feed first, for it may deliver the very change that makes the standing useless. */
  function isUsable (standing: Standing<Kept>, demand: Demand): boolean {
    if (demand === 'checked') return changes.isCurrent() && standing.watched && (changes.seesUsers || monotonic() < standing.usableUntil)
    return demand === 'stateless' && !changes.concernedSince(standing.readAt, subjectOf(standing))
  }

  return {
    isUsable,
    recall (id, demand) {
      const standing = standings.get(id)
      return standing !== undefined && isUsable(standing, demand) ? standing : null
    },
    /** A change that arrives while we read may be newer than what we read: then read again, and never remember it. */
    async read (load) {
      for (;;) {
        const heard: Change[] = []
        const stop = changes.onChange(change => heard.push(change))
        try {
          const readAt = changes.count()
          const usableUntil = monotonic() + UNSEEN_MS
          const found = await load()
          const watched = changes.isCurrent()
          if (found === null) return null
          const standing = { ...found, readAt, usableUntil, watched }
          if (heard.some(change => concerns(change, subjectOf(standing)))) continue
          if (watched) standings.set(standing.record.id, standing)
          return standing
        } finally {
          stop()
        }
      }
    }
  }
}

export const subjectOf = ({ record, user }: Standing): Subject => ({ id: record.id, userId: user.id })
