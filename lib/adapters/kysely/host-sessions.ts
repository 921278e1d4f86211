import type { Kysely } from 'kysely'
import type { HostSessionStore } from '../../../types/storage.ts'
import type { Dialect } from './dialects.ts'
import { toHostSessionRecord, type Tables } from './tables.ts'

export function kyselyHostSessions (db: Kysely<Tables>, { toTime }: Dialect): HostSessionStore {
  return {
    async find (digest, now) {
      const row = await db.selectFrom('accounts_host_sessions').selectAll()
        .where('digest', '=', digest).where('data', 'is not', null).where('expires_at', '>', toTime(now)).executeTakeFirst()
      return row === undefined ? null : toHostSessionRecord(row)
    },

    async save ({ digest, owner, data, expiresAt }) {
      const row = { user_id: owner?.userId ?? null, session_id: owner?.sessionId ?? null, data, expires_at: toTime(expiresAt) }
      await db.insertInto('accounts_host_sessions').values({ digest, ...row })
        .onConflict(conflict => conflict.column('digest').doUpdateSet(row).where('accounts_host_sessions.data', 'is not', null)).execute()
    },

    async destroy (digest, until) {
      const row = { user_id: null, session_id: null, data: null, expires_at: toTime(until) }
      await db.insertInto('accounts_host_sessions').values({ digest, ...row }).onConflict(conflict => conflict.column('digest').doUpdateSet(row)).execute()
    },

    async listForUser (userId) {
      const rows = await db.selectFrom('accounts_host_sessions').selectAll().where('user_id', '=', userId).orderBy('expires_at').execute()
      return rows.map(toHostSessionRecord)
    },

    async deleteForSession (sessionId) {
      await db.deleteFrom('accounts_host_sessions').where('session_id', '=', sessionId).execute()
    },

    async deleteForUser (userId) {
      await db.deleteFrom('accounts_host_sessions').where('user_id', '=', userId).execute()
    },

    async deleteExpired (before) {
      await db.deleteFrom('accounts_host_sessions').where('expires_at', '<', toTime(before)).execute()
    }
  }
}
