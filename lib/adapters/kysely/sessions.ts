import { sql, type Kysely } from 'kysely'
import type { SessionStore } from '../../../types/storage.ts'
import type { Dialect } from './dialects.ts'
import { fromSessionRecord, toSessionRecord, type Tables } from './tables.ts'

/** SQLite has no offset without a limit. */
const MOST = 1_000_000

export function kyselySessions (db: Kysely<Tables>, dialect: Dialect): SessionStore {
  const { toTime } = dialect
  const ofUser = (userId: string) => dialect.lock(db.selectFrom('accounts_sessions').select('id').where('user_id', '=', userId).orderBy('id'))

  return {
    async create (session) {
      await db.insertInto('accounts_sessions').values(fromSessionRecord(session, dialect)).execute()
    },

    async find (id) {
      const row = await db.selectFrom('accounts_sessions').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : toSessionRecord(row)
    },

    async listForUser (userId, now) {
      const rows = await db.selectFrom('accounts_sessions').selectAll()
        .where('user_id', '=', userId)
        .$if(now !== null, query => query.where('revoked_at', 'is', null).where('idle_expires_at', '>', toTime(now!)).where('expires_at', '>', toTime(now!)))
        .orderBy('created_at', 'desc').execute()
      return rows.map(toSessionRecord)
    },

    async rotate (id, generation, { at, idleExpiresAt }) {
      const row = await db.updateTable('accounts_sessions')
        .set({ generation: generation + 1, rotated_at: toTime(at), idle_expires_at: toTime(idleExpiresAt), acknowledged_generation: dialect.greatest(sql.ref('acknowledged_generation'), sql.val(generation)) })
        .where('id', '=', id).where('generation', '=', generation).where('revoked_at', 'is', null)
        .returningAll().executeTakeFirst()
      return row === undefined ? null : toSessionRecord(row)
    },

    async recover (id, generation, rotatedAt, at) {
      const row = await db.updateTable('accounts_sessions')
        .set({ rotated_at: toTime(at) })
        .where('id', '=', id).where('generation', '=', generation).where('rotated_at', '=', toTime(rotatedAt))
        .where('acknowledged_generation', '<', generation).where('revoked_at', 'is', null)
        .returningAll().executeTakeFirst()
      return row === undefined ? null : toSessionRecord(row)
    },

    async revoke (id, { at, reason, userId }) {
      const { numUpdatedRows } = await db.updateTable('accounts_sessions')
        .set({ revoked_at: toTime(at), revoke_reason: reason })
        .where('id', '=', id).where('revoked_at', 'is', null)
        .$if(userId !== undefined, query => query.where('user_id', '=', userId!))
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    async revokeAllForUser (userId, { at, reason, except }) {
      const rows = await db.updateTable('accounts_sessions')
        .set({ revoked_at: toTime(at), revoke_reason: reason })
        .where('id', 'in', ofUser(userId)).where('revoked_at', 'is', null)
        .$if(except !== undefined, query => query.where('id', '!=', except!))
        .returning('id').execute()
      return rows.map(row => row.id)
    },

    async revokeOldest (userId, { at, reason, keep }) {
      // By an order that never changes, so that racers agree on who has to go.
      const oldest = db.selectFrom('accounts_sessions').select('id')
        .where('user_id', '=', userId).where('revoked_at', 'is', null).where('idle_expires_at', '>', toTime(at))
        .orderBy('created_at', 'desc').orderBy('id', 'desc').limit(MOST).offset(keep)
      const rows = await db.updateTable('accounts_sessions')
        .set({ revoked_at: toTime(at), revoke_reason: reason })
        .where('id', 'in', dialect.lock(db.selectFrom('accounts_sessions').select('id').where('id', 'in', oldest).orderBy('id'))).where('revoked_at', 'is', null)
        .returning('id').execute()
      return rows.map(row => row.id)
    },

    async deleteAllForUser (userId) {
      const rows = await db.deleteFrom('accounts_sessions').where('id', 'in', ofUser(userId)).returning(['id', 'revoked_at']).execute()
      return rows.filter(row => row.revoked_at === null).map(row => row.id)
    },

    async touch (activities) {
      if (activities.length > 0) await dialect.touch(db, activities)
    },

    async deleteEnded (before) {
      await dialect.prune(db)
      // The idle end is never later than the absolute one.
      const ended = dialect.lock(db.selectFrom('accounts_sessions').select('id')
        .where(where => where.or([where('idle_expires_at', '<', toTime(before)), where('revoked_at', '<', toTime(before))]))
        .orderBy('id'))
      const { numDeletedRows } = await db.deleteFrom('accounts_sessions').where('id', 'in', ended).executeTakeFirstOrThrow()
      return Number(numDeletedRows)
    }
  }
}
