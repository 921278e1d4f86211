import type { Database } from 'better-sqlite3'
import type { Change, RevocationFeed } from '../../../types/storage.ts'
import { monotonic, now } from '../../clock.ts'
import { isSqliteConflict, repeat } from './repeat.ts'

/** How long a look at the log counts: 50 looks a second at most, a few microseconds each, and a bound of 20 ms on every revocation. */
const LOOK_MS = 20

/** If no look succeeds for so long, the feed is no longer current. */
const CURRENT_MS = 1000

interface ChangeRow { readonly id: number, readonly session_id: string | null, readonly user_id: string | null, readonly token_id: string | null }

/**
 * On one file the store itself tells of changes: triggers keep a log, and whoever uses what it remembers first looks
 * whether the log has grown. Without a request nothing is looked at, so an idle process costs nothing.
 */
export function createSqliteFeed (database: Database, checkPresence: () => void): RevocationFeed {
  const since = database.prepare<[number], ChangeRow>('SELECT id, session_id, user_id, token_id FROM accounts_changes WHERE id > ? ORDER BY id')
  const newest = database.prepare<[], number | null>('SELECT max(id) FROM accounts_changes').pluck()
  const note = database.prepare('INSERT INTO accounts_changes (session_id, user_id, token_id, at) VALUES (?, ?, ?, ?)')
  const listeners = new Set<(change: Change) => void>()
  let seenId = newest.get() ?? 0
  let lookedAt = monotonic()

  function look (): void {
    const time = monotonic()
    // Inside a transaction of ours the file looks as it did when that began.
    if (database.inTransaction) return
    checkPresence()
    const rows = since.all(seenId)
    // Ids have no holes, so a missing one was pruned before we came to read it.
    const isGap = rows.length > 0 && rows[0]!.id !== seenId + 1
    const changes: Change[] = isGap ? [{ kind: 'gap' }] : rows.map(toChange)
    seenId = rows.at(-1)?.id ?? seenId
    for (const change of changes) for (const listener of listeners) listener(change)
    lookedAt = time
  }

  return {
    subscribe (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    isCurrent () {
      if (monotonic() - lookedAt < LOOK_MS) return true
      try {
        look()
      } catch {
        // A file that is broken or gone: the last answer counts for as long as the bound allows, then the store is asked.
      }
      return monotonic() - lookedAt < CURRENT_MS
    },
    age: () => monotonic() - lookedAt,
    async publish (change) {
      checkPresence()
      // Without a name it concerns all.
      await repeat({ isConflict: isSqliteConflict }, async () => {
        note.run(change.kind === 'session' ? change.sessionId : null, change.kind === 'user' ? change.userId : null, change.kind === 'personal-token' ? change.tokenId : null, now())
      })
    }
  }
}

function toChange (row: ChangeRow): Change {
  if (row.session_id !== null) return { kind: 'session', sessionId: row.session_id }
  if (row.user_id !== null) return { kind: 'user', userId: row.user_id }
  return row.token_id === null ? { kind: 'gap' } : { kind: 'personal-token', tokenId: row.token_id }
}
