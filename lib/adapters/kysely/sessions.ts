import { sql, type Kysely } from 'kysely'
import type { SessionStore } from '../../../types/storage.ts'
import { fromSessionRecord, toSessionRecord, type Tables } from './tables.ts'

export function kyselySessions (db: Kysely<Tables>): SessionStore {
  return {
    async create (session) {
      await db.insertInto('accounts_sessions').values(fromSessionRecord(session)).execute()
    },

    async find (id) {
      const row = await db.selectFrom('accounts_sessions').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : toSessionRecord(row)
    },

    async listForUser (userId, now) {
      const rows = await db.selectFrom('accounts_sessions').selectAll()
        .where('user_id', '=', userId).where('revoked_at', 'is', null)
        .where('idle_expires_at', '>', now.getTime()).where('expires_at', '>', now.getTime())
        .orderBy('created_at', 'desc').execute()
      return rows.map(toSessionRecord)
    },

    async rotate (id, generation, { at, idleExpiresAt }) {
      const row = await db.updateTable('accounts_sessions')
        .set({ generation: generation + 1, rotated_at: at.getTime(), idle_expires_at: idleExpiresAt.getTime(), acknowledged_generation: sql<number>`max(acknowledged_generation, ${generation})` })
        .where('id', '=', id).where('generation', '=', generation).where('revoked_at', 'is', null)
        .returningAll().executeTakeFirst()
      return row === undefined ? null : toSessionRecord(row)
    },

    async recover (id, generation, rotatedAt, at) {
      const row = await db.updateTable('accounts_sessions')
        .set({ rotated_at: at.getTime() })
        .where('id', '=', id).where('generation', '=', generation).where('rotated_at', '=', rotatedAt.getTime())
        .where('acknowledged_generation', '<', generation).where('revoked_at', 'is', null)
        .returningAll().executeTakeFirst()
      return row === undefined ? null : toSessionRecord(row)
    },

    async revoke (id, { at, reason, userId }) {
      const { numUpdatedRows } = await db.updateTable('accounts_sessions')
        .set({ revoked_at: at.getTime(), revoke_reason: reason })
        .where('id', '=', id).where('revoked_at', 'is', null)
        .$if(userId !== undefined, query => query.where('user_id', '=', userId!))
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    async revokeAllForUser (userId, { at, reason, except }) {
      const rows = await db.updateTable('accounts_sessions')
        .set({ revoked_at: at.getTime(), revoke_reason: reason })
        .where('user_id', '=', userId).where('revoked_at', 'is', null)
        .$if(except !== undefined, query => query.where('id', '!=', except!))
        .returning('id').execute()
      return rows.map(row => row.id)
    },

    async deleteAllForUser (userId) {
      const rows = await db.deleteFrom('accounts_sessions').where('user_id', '=', userId).returning(['id', 'revoked_at']).execute()
      return rows.filter(row => row.revoked_at === null).map(row => row.id)
    },

    async touch (activities) {
      if (activities.length === 0) return
      // One statement and one parameter for the whole batch; nothing ever moves backwards.
      const batch = JSON.stringify(activities.map(({ id, lastSeenAt, acknowledgedGeneration }) => [id, lastSeenAt.getTime(), acknowledgedGeneration]))
      await sql`
        update accounts_sessions set
          last_seen_at = max(last_seen_at, seen.at),
          acknowledged_generation = max(acknowledged_generation, min(seen.acknowledged, generation))
        from (select value ->> 0 as id, value ->> 1 as at, value ->> 2 as acknowledged from json_each(${batch})) as seen
        where accounts_sessions.id = seen.id`.execute(db)
    },

    async deleteEnded (before) {
      // The idle end is never later than the absolute one.
      const { numDeletedRows } = await db.deleteFrom('accounts_sessions')
        .where(where => where.or([where('idle_expires_at', '<', before.getTime()), where('revoked_at', '<', before.getTime())]))
        .executeTakeFirstOrThrow()
      return Number(numDeletedRows)
    }
  }
}
