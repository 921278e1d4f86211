import { sql, type Kysely } from 'kysely'
import type { PersonalTokenRecord, PersonalTokenStore } from '../../../types/storage.ts'
import { alone } from './alone.ts'
import type { Dialect } from './dialects.ts'
import { fromPersonalTokenChange, fromPersonalTokenRecord, toPersonalTokenRecord } from './personal-token-row.ts'
import type { Tables } from './tables.ts'

export function kyselyPersonalTokens (db: Kysely<Tables>, dialect: Dialect): PersonalTokenStore {
  const { toTime } = dialect
  const ofUser = (userId: string) => dialect.lock(db.selectFrom('accounts_personal_tokens').select('id').where('user_id', '=', userId).orderBy('id'))

  async function findBy (column: 'id' | 'digest', value: string) {
    const row = await db.selectFrom('accounts_personal_tokens').selectAll().where(column, '=', value).executeTakeFirst()
    return row === undefined ? null : toPersonalTokenRecord(row)
  }

  /** The users may be in a store of the host's, so there is no row of theirs to lock. */
  const aloneWith = async <T>(userId: string, work: (db: Kysely<Tables>) => Promise<T>) => await alone(db, dialect, `personal tokens of ${userId}`, work)

  /** To be called by one alone: what a token of the user is inserted beside, other than `exceptId`. */
  async function insertBelow (db: Kysely<Tables>, token: PersonalTokenRecord, limit: number, exceptId: string | null): Promise<boolean> {
    const row = fromPersonalTokenRecord(token, dialect)
    const live = db.selectFrom('accounts_personal_tokens').select(select => select.fn.countAll().as('count'))
      .where('user_id', '=', token.userId).where('epoch', '=', token.epoch).where('revoked_at', 'is', null).where('expires_at', '>', toTime(token.createdAt))
    const { numAffectedRows } = await sql`insert into ${sql.table('accounts_personal_tokens')} (${sql.join(Object.keys(row).map(column => sql.ref(column)))})
      select ${sql.join(Object.values(row))} where ${exceptId === null ? live : live.where('id', '!=', exceptId)} < ${limit}`.execute(db)
    return numAffectedRows === 1n
  }

  return {
    find: id => findBy('id', id),
    findByDigest: digest => findBy('digest', digest),

    async create (token, limit) {
      return await aloneWith(token.userId, async db => await insertBelow(db, token, limit, null) ? 'created' : 'limit-reached')
    },

    async listForUser (userId) {
      const rows = await db.selectFrom('accounts_personal_tokens').selectAll().where('user_id', '=', userId)
        .orderBy('created_at', 'desc').orderBy('id', 'desc').execute()
      return rows.map(toPersonalTokenRecord)
    },

    async update (id, userId, change, at) {
      // A statement sets something, also where nothing is to change.
      const row = await db.updateTable('accounts_personal_tokens').set({ id, ...fromPersonalTokenChange(change, dialect) })
        .where('id', '=', id).where('user_id', '=', userId).where('revoked_at', 'is', null).where('expires_at', '>', toTime(at))
        .returningAll().executeTakeFirst()
      return row === undefined ? null : toPersonalTokenRecord(row)
    },

    async revoke (id, userId, at) {
      const { numUpdatedRows } = await db.updateTable('accounts_personal_tokens').set({ revoked_at: toTime(at) })
        .where('id', '=', id).where('user_id', '=', userId).where('revoked_at', 'is', null).executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    async revokeAllForUser (userId, at) {
      const rows = await db.updateTable('accounts_personal_tokens').set({ revoked_at: toTime(at) })
        .where('id', 'in', ofUser(userId)).where('revoked_at', 'is', null).returning('id').execute()
      return rows.map(row => row.id)
    },

    async replace (id, userId, successor, oldExpiresAt, limit) {
      return await aloneWith(userId, async db => {
        const old = await dialect.lock(db.selectFrom('accounts_personal_tokens').select('id').where('id', '=', id).where('user_id', '=', userId)
          .where('epoch', '=', successor.epoch).where('revoked_at', 'is', null).where('expires_at', '>', toTime(successor.createdAt)).where('successor_id', 'is', null)).executeTakeFirst()
        if (old === undefined) return 'not-found'
        if (!await insertBelow(db, successor, limit, id)) return 'limit-reached'
        await db.updateTable('accounts_personal_tokens').set({ successor_id: successor.id, expires_at: toTime(oldExpiresAt) }).where('id', '=', id).execute()
        return 'replaced'
      })
    },

    async carryOver (userId, fromEpoch, toEpoch) {
      await db.updateTable('accounts_personal_tokens').set({ epoch: toEpoch })
        .where('id', 'in', ofUser(userId)).where('epoch', '=', fromEpoch).where('revoked_at', 'is', null).execute()
    },

    async touch (uses) {
      if (uses.length > 0) await dialect.touchTokens(db, uses)
    },

    async findNoticesDue (now, limit) {
      const rows = await db.selectFrom('accounts_personal_tokens').selectAll()
        .where('notice_at', '<=', toTime(now)).where('revoked_at', 'is', null)
        .orderBy('notice_at').orderBy('id').limit(limit).execute()
      return rows.map(toPersonalTokenRecord)
    },

    async advanceNotice (id, noticeAt, next) {
      const { numUpdatedRows } = await db.updateTable('accounts_personal_tokens').set({ notice_at: next === null ? null : toTime(next) })
        .where('id', '=', id).where('notice_at', '=', toTime(noticeAt)).executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    async deleteAllForUser (userId) {
      const rows = await db.deleteFrom('accounts_personal_tokens').where('id', 'in', ofUser(userId)).returning(['id', 'revoked_at']).execute()
      return rows.filter(row => row.revoked_at === null).map(row => row.id)
    },

    async deleteEnded (before) {
      const ended = dialect.lock(db.selectFrom('accounts_personal_tokens').select('id')
        .where(where => where.or([where('expires_at', '<', toTime(before)), where('revoked_at', '<', toTime(before))]))
        .orderBy('id'))
      const { numDeletedRows } = await db.deleteFrom('accounts_personal_tokens').where('id', 'in', ended).executeTakeFirstOrThrow()
      return Number(numDeletedRows)
    }
  }
}
