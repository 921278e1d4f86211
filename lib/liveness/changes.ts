import { LRUCache } from 'lru-cache'
import type { Change, RevocationFeed, UserStore } from '../../types/storage.ts'
import type { GuardedStorage } from '../storage.ts'

/** Whom a change may be about: a session or a personal token, and its user. */
export interface Subject { readonly id: string, readonly userId: string }

/** What this process hears of changes, its own and those of other nodes. */
export interface Changes {
  /** How many were heard so far: a moment in time, as far as memory is concerned. */
  count (): number
  /** Whether every change acknowledged anywhere more than a second ago has been heard. Lets those in that are waiting. */
  isCurrent (): boolean
  /** Milliseconds since the last proof of life of all that tells of changes; `null`: of one there is none. */
  age (): number | null
  /** Whether what is changed in the table of users is heard of whoever changes it, and not only if it is announced. */
  readonly seesUsers: boolean
  /** Whether something was heard of a subject by name since the count was `count`. */
  concernedSince (count: number, subject: Subject): boolean
  /** Take in a change, here and now. */
  hear (change: Change): void
  /** Take in a change, and have every other node hear of it, also where no feed sees its store: that may be one of the host's. */
  announce (change: Exclude<Change, { kind: 'gap' }>): Promise<void>
  /** The returned function stops it. */
  onChange (listener: (change: Change) => void): () => void
  close (): void
}

export interface ChangesOptions {
  readonly storage: Pick<GuardedStorage, 'publish'>
  /** The store itself, not its guarded form: a feed knows its own. */
  readonly users: UserStore
  /** What tells of users, personal tokens and sessions. */
  readonly feed: RevocationFeed | undefined
  /** What tells of sessions, if they live elsewhere. */
  readonly sessionFeed?: RevocationFeed | undefined
  /** Subjects and users to remember at most. */
  readonly capacity: number
}

export function createChanges ({ storage, users, feed, sessionFeed, capacity }: ChangesOptions): Changes {
  let count = 0
  /** Of changes up to here we no longer know whom they concerned: perhaps anybody. */
  let forgottenUntil = 0
  /** When a subject or a user (by id) last changed. */
  const changedAt = new LRUCache<string, number>({
    max: capacity,
    dispose: (at, _id, reason) => { if (reason === 'evict') forgottenUntil = Math.max(forgottenUntil, at) }
  })
  const listeners = new Set<(change: Change) => void>()

  function hear (change: Change): void {
    count++
    const id = nameOf(change)
    if (id !== null) changedAt.set(id, count)
    for (const listener of listeners) listener(change)
  }

  const feeds = [...new Set([feed, sessionFeed])].filter(one => one !== undefined)
  const unsubscribes = feeds.map(one => one.subscribe(hear))

  return {
    count: () => count,
    isCurrent () {
      // Without the first nobody tells of users. All are asked: each may deliver something, and goes to sleep unasked.
      let isCurrent = feed !== undefined
      for (const one of feeds) isCurrent = one.isCurrent() && isCurrent
      return isCurrent
    },
    age () {
      const ages = feeds.map(one => one.age?.() ?? null)
      return ages.length === 0 || ages.includes(null) ? null : Math.max(...ages as number[])
    },
    seesUsers: feed?.sees?.(users) === true,
    concernedSince: (count, { id, userId }) => forgottenUntil > count || (changedAt.get(id) ?? 0) > count || (changedAt.get(userId) ?? 0) > count,
    hear,
    async announce (change) {
      hear(change)
      await storage.publish(change)
    },
    onChange (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    close () {
      for (const unsubscribe of unsubscribes) unsubscribe()
    }
  }
}

export function concerns (change: Change, subject: Subject): boolean {
  const id = nameOf(change)
  return id === null || id === (change.kind === 'user' ? subject.userId : subject.id)
}

/** Ids are random, so that none of one kind is one of another. `null`: it concerns all. */
function nameOf (change: Change): string | null {
  switch (change.kind) {
    case 'session': return change.sessionId
    case 'personal-token': return change.tokenId
    case 'user': return change.userId
    case 'gap': return null
  }
}
