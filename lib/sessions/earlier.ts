import type { SessionRecord, SessionStore } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { GuardedStorage } from '../storage.ts'

/**
 * The storage as it is to a process that takes sessions of before its start for over: it finds none of them, so no token
 * of theirs is of use. Nothing is written, and other processes go by their own start.
 */
export function forgetEarlierSessions (storage: GuardedStorage): GuardedStorage {
  const start = now()
  /** Sessions that this process began although its clock says "before the start": the clock was ahead then. */
  const begunHere = new Set<string>()
  const isOurs = ({ id, createdAt }: SessionRecord) => createdAt.getTime() >= start || begunHere.has(id)

  const withoutEarlier = (sessions: SessionStore): SessionStore => ({
    ...sessions,
    async create (session) {
      if (!isOurs(session)) begunHere.add(session.id)
      await sessions.create(session)
    },
    async find (id) {
      const session = await sessions.find(id)
      return session !== null && isOurs(session) ? session : null
    },
    async listForUser (userId, at) {
      const found = await sessions.listForUser(userId, at)
      // Without a moment all that is kept is wanted, for an export.
      return at === null ? found : found.filter(isOurs)
    }
  })

  return {
    ...storage,
    sessions: withoutEarlier(storage.sessions),
    atomically: async work => await storage.atomically(async stores => await work({ ...stores, sessions: withoutEarlier(stores.sessions) }))
  }
}
