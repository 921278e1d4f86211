import type { SessionRecord, SessionStore } from '../../../types/storage.ts'
import { repeatable, type Connection } from './connection.ts'
import { ttl } from './scripts.ts'
import { FIELDS, SEEN_FIELDS, toHash, toSessionRecord } from './session-hash.ts'
import { createSessionIndex } from './session-index.ts'
import { CREATE, RECOVER, REMOVE, REVOKE, ROTATE, TOUCH } from './session-scripts.ts'

/** A session that has ended stays for a week, so that questions about it can be answered. */
const KEEP_MS = 7 * 24 * 3_600_000

/** Clocks differ, and a session may be about to be stored: what looks over is left alone for so long. */
const DOUBT_MS = 24 * 3_600_000

type Why = Parameters<SessionStore['revoke']>[1]

/**
 * Each session is a hash that Redis itself forgets. Its time to live is counted from when the caller's clock says it is
 * now: that of Redis may be another.
 */
export function redisSessions (connection: Connection, prefix: string): SessionStore {
  const { send, run } = connection
  const index = createSessionIndex(connection, prefix)
  const keyOf = (id: string) => `${prefix}session:{${id}}`
  const seenKeyOf = (id: string) => `${prefix}seen:{${id}}`
  const keysOf = (id: string) => [keyOf(id), seenKeyOf(id)]
  const keepFrom = (at: Date, idleExpiresAt: Date) => ttl(Math.max(0, idleExpiresAt.getTime() - at.getTime()) + KEEP_MS)

  async function read (id: string): Promise<SessionRecord | null> {
    const readHash = async (key: string, fields: readonly string[]) => await repeatable(async () => await send('hmget', key, ...fields)) as Array<string | null>
    const [session, seen] = await Promise.all([readHash(keyOf(id), FIELDS), readHash(seenKeyOf(id), SEEN_FIELDS)])
    return toSessionRecord(id, session, seen)
  }

  /** Those of a user that are not known to have ended, and tidy up the index. */
  async function readLive (userId: string, at: Date): Promise<SessionRecord[]> {
    const entries = await index.listLive(userId)
    const found = await Promise.all(entries.map(async ({ id }) => await read(id)))
    const isLongPast = (time: number) => time < at.getTime() - DOUBT_MS
    const gone = entries.filter(({ begunAt }, place) => found[place] === null && isLongPast(begunAt))
    const records = found.filter(record => record !== null)
    const ended = records.filter(({ revokedAt, idleExpiresAt }) => revokedAt !== null || isLongPast(idleExpiresAt.getTime()))
    // The answer does not depend on it.
    await Promise.all([index.remove(userId, gone.map(({ id }) => id)), index.markEnded(userId, ended.map(({ id }) => id), at)]).catch(() => {})
    return records.filter(({ revokedAt }) => revokedAt === null)
  }

  /** `true` for exactly one of racing calls. */
  async function revoke (id: string, { at, reason, userId }: Why): Promise<boolean> {
    const owner = await run(REVOKE, keysOf(id), at.getTime(), reason, KEEP_MS, ...(userId === undefined ? [] : [userId])) as string | null
    // It has ended, whatever becomes of the note; whoever reads the index next makes up for it.
    if (owner !== null) await index.markEnded(owner, [id], at).catch(() => {})
    return owner !== null
  }

  async function revokeEach (ids: readonly string[], why: Why): Promise<string[]> {
    const outcomes = await Promise.all(ids.map(async id => await revoke(id, why)))
    return ids.filter((_, place) => outcomes[place])
  }

  return {
    revoke,

    async create (session) {
      const { id, userId, createdAt, idleExpiresAt, expiresAt } = session
      await index.add(userId, id, createdAt, keepFrom(createdAt, expiresAt), new Date(createdAt.getTime() - KEEP_MS))
      await run(CREATE, keyOf(id), keepFrom(createdAt, idleExpiresAt), ...toHash(session))
    },

    async find (id) {
      const record = await read(id)
      if (record === null) return null
      const named = await index.find(record.userId, id)
      return named === 'live' || (named === 'ended' && record.revokedAt !== null) ? record : null
    },

    async listForUser (userId, now) {
      const records = now === null
        ? (await Promise.all((await index.listAll(userId)).map(read))).filter(record => record !== null)
        : (await readLive(userId, now)).filter(({ idleExpiresAt, expiresAt }) => idleExpiresAt > now && expiresAt > now)
      return records.sort(byAge)
    },

    async rotate (id, generation, { at, idleExpiresAt }) {
      return toRecord(id, await run(ROTATE, keysOf(id), generation, generation + 1, at.getTime(), idleExpiresAt.getTime(), keepFrom(at, idleExpiresAt)))
    },

    async recover (id, generation, rotatedAt, at) {
      return toRecord(id, await run(RECOVER, keysOf(id), generation, rotatedAt.getTime(), at.getTime()))
    },

    async revokeAllForUser (userId, { at, reason, except }) {
      const ids = (await index.listLive(userId)).map(({ id }) => id).filter(id => id !== except)
      return await revokeEach(ids, { at, reason, userId })
    },

    async revokeOldest (userId, { at, reason, keep }) {
      // By an order that never changes, so that racers agree on who has to go; of them the last one sees all.
      const live = (await readLive(userId, at)).filter(({ idleExpiresAt }) => idleExpiresAt > at).sort(byAge)
      return await revokeEach(live.slice(keep).map(({ id }) => id), { at, reason, userId })
    },

    async deleteAllForUser (userId) {
      const ids = await index.listAll(userId)
      const outcomes = await Promise.all(ids.map(async id => await run(REMOVE, keysOf(id))))
      // Last: until they are gone somebody must be able to find them.
      await index.remove(userId, ids)
      return ids.filter((_, place) => outcomes[place] === 1)
    },

    async touch (activities) {
      await Promise.all(activities.map(async ({ id, lastSeenAt, acknowledgedGeneration }) => await run(TOUCH, keysOf(id), lastSeenAt.getTime(), acknowledgedGeneration)))
    }
  }
}

function toRecord (id: string, answer: unknown): SessionRecord | null {
  if (answer === null) return null
  const [session, seen] = answer as [Array<string | null>, Array<string | null>]
  return toSessionRecord(id, session, seen)
}

/** Newest first. */
const byAge = (one: SessionRecord, other: SessionRecord) => other.createdAt.getTime() - one.createdAt.getTime() || (one.id < other.id ? 1 : -1)
