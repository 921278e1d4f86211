import type { Liveness as Demand } from '../../types/policy.ts'
import type { SessionRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { Changes } from '../liveness/changes.ts'
import { createStandings, type Standing } from '../liveness/standings.ts'
import type { GuardedStorage } from '../storage.ts'
import { isLive } from './records.ts'

export type SessionStanding = Standing<SessionRecord>

/** Is this session live, as far as the demand goes? From memory when that is as good as the store. */
export interface Liveness {
  /** Whether a standing held by the caller may be used as it is at `time` (milliseconds). */
  isUsable (standing: SessionStanding, demand: Demand, time: number): boolean
  /** Find the standing in memory or in the store; `null`: the session is over. Rejects when the store can't answer. */
  resolve (sessionId: string, userId: string, demand: Demand): Promise<SessionStanding | null>
}

/** @param capacity sessions to remember at most */
export function createLiveness (storage: Pick<GuardedStorage, 'sessions' | 'users'>, changes: Changes, capacity: number): Liveness {
  const standings = createStandings<SessionRecord>(changes, capacity)
  return {
    isUsable: (standing, demand, time) => standings.isUsable(standing, demand) && time < standing.record.idleExpiresAt.getTime(),
    async resolve (sessionId, userId, demand) {
      const known = standings.recall(sessionId, demand)
      if (known !== null && known.user.id === userId && isLive(known.record, known.user, now())) return known
      return await standings.read(async () => {
        const [record, user] = await Promise.all([storage.sessions.find(sessionId), storage.users.find(userId)])
        return isLive(record, user, now()) ? { record: record!, user: user! } : null
      })
    }
  }
}
