import { LRUCache } from 'lru-cache'
import type { Liveness as Demand } from '../../types/policy.ts'
import type { Change, RevocationFeed, SessionRecord, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { GuardedStorage } from '../storage.ts'
import { isLive } from './records.ts'

/** What was read of one session. Verdicts hold it, so it is the one place to see that it is out of date. */
export interface Standing {
  readonly session: SessionRecord
  readonly user: UserRecord
  /** How many changes this process had heard of when it was read. */
  readonly readAt: number
  /** Whether we would hear of a change: it is remembered, and the feed has run without a gap since it was read. */
  watched: boolean
}

export interface LivenessOptions {
  readonly storage: Pick<GuardedStorage, 'sessions' | 'users' | 'publishUser'>
  readonly feed: RevocationFeed | undefined
  /** Sessions to remember at most. */
  readonly capacity: number
}

/** Is this session live, as far as the demand goes? From memory when that is as good as the store. */
export interface Liveness {
  /** Whether a standing held by the caller may be used as it is. Synchronous: the path of nearly every request. */
  isUsable (standing: Standing, demand: Demand, time: number): boolean
  /** Find the standing in memory or in the store; `null`: the session is over. Rejects when the store can't answer. */
  resolve (sessionId: string, userId: string, demand: Demand): Promise<Standing | null>
  /** Make every standing of a session or user unusable, here and now. */
  forget (change: Change): void
  /** Forget a user, and have every other node forget, also where no feed sees the users: they may be in a store of the host's. */
  announceUser (userId: string): Promise<void>
  /** Whether a change of its session or user has been heard of since a standing was read. */
  hasChanged (standing: Standing): boolean
  onChange (listener: (change: Change) => void): void
  /** Let changes of other nodes in, for callers that wait without making requests; `false`: there is no telling now. */
  catchUp (): boolean
  close (): void
}

export function createLiveness ({ storage, feed, capacity }: LivenessOptions): Liveness {
  const standings = new LRUCache<string, Standing>({
    max: capacity,
    dispose: standing => { standing.watched = false }
  })
  /** Changes heard of so far: the scale of `readAt`. */
  let heard = 0
  /** Of changes up to here we no longer know whom they concerned: perhaps anybody. */
  let forgottenUntil = 0
  /** When a session or a user (by id) last changed. */
  const changedAt = new LRUCache<string, number>({
    max: capacity,
    dispose: (at, _id, reason) => { if (reason === 'evict') forgottenUntil = Math.max(forgottenUntil, at) }
  })
  const reads = new Set<Read>()
  const listeners: Array<(change: Change) => void> = []

  function forget (change: Change): void {
    for (const read of reads) {
      if (concerns(change, read.sessionId, read.userId)) read.overtaken = true
    }
    if (change.kind === 'personal-token') return
    heard++
    if (change.kind !== 'gap') changedAt.set(change.kind === 'session' ? change.sessionId : change.userId, heard)
    if (change.kind === 'session') standings.delete(change.sessionId)
    else for (const [id, { user }] of [...standings.entries()]) { if (concerns(change, id, user.id)) standings.delete(id) }
    for (const listener of listeners) listener(change)
  }

  /** A change that arrives while we read may be newer than what we read: then read again, and never remember it. */
  async function ask (sessionId: string, userId: string): Promise<Standing | null> {
    const read: Read = { sessionId, userId, overtaken: false }
    reads.add(read)
    try {
      const readAt = heard
      const [session, user] = await Promise.all([storage.sessions.find(sessionId), storage.users.find(userId)])
      const watched = feed?.isCurrent() === true
      if (read.overtaken) return await ask(sessionId, userId)
      if (!isLive(session, user, now())) return null
      const standing = { session: session!, user: user!, readAt, watched }
      if (watched) standings.set(sessionId, standing)
      return standing
    } finally {
      reads.delete(read)
    }
  }

  /** Asks the feed first, for it may deliver the very change that makes the standing useless. */
  function satisfies (standing: Standing, demand: Demand): boolean {
    if (demand === 'checked') return feed?.isCurrent() === true && standing.watched
    return demand === 'stateless' && !hasChanged(standing)
  }

  const hasChanged = ({ session, user, readAt }: Standing) => forgottenUntil > readAt || (changedAt.get(session.id) ?? 0) > readAt || (changedAt.get(user.id) ?? 0) > readAt
  const unsubscribe = feed?.subscribe(forget)

  return {
    isUsable: (standing, demand, time) => satisfies(standing, demand) && time < standing.session.idleExpiresAt.getTime(),
    async resolve (sessionId, userId, demand) {
      const known = standings.get(sessionId)
      if (known !== undefined && known.user.id === userId && satisfies(known, demand) && isLive(known.session, known.user, now())) return known
      return await ask(sessionId, userId)
    },
    forget,
    async announceUser (userId) {
      forget({ kind: 'user', userId })
      await storage.publishUser(userId)
    },
    hasChanged,
    onChange: listener => { listeners.push(listener) },
    catchUp: () => feed?.isCurrent() === true,
    close: () => { unsubscribe?.() }
  }
}

interface Read { readonly sessionId: string, readonly userId: string, overtaken: boolean }

export function concerns (change: Change, sessionId: string, userId: string): boolean {
  if (change.kind === 'session') return change.sessionId === sessionId
  if (change.kind === 'user') return change.userId === userId
  return change.kind === 'gap'
}
