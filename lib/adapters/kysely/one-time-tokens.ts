import type { Kysely } from 'kysely'
import type { OneTimePurpose, OneTimeTokenStore } from '../../../types/storage.ts'
import type { Dialect } from './dialects.ts'
import { toOneTimeTokenRecord, type Tables } from './tables.ts'

export function kyselyOneTimeTokens (db: Kysely<Tables>, { toTime }: Dialect): OneTimeTokenStore {
  return {
    async issue (token) {
      const row = {
        digest: token.digest,
        purpose: token.purpose,
        user_id: token.userId,
        email: token.email,
        epoch: token.epoch,
        created_at: toTime(token.createdAt),
        expires_at: toTime(token.expiresAt)
      }
      // The key is user and purpose: there is no room for an older one.
      await db.insertInto('accounts_one_time_tokens').values(row).onConflict(conflict => conflict.columns(['user_id', 'purpose']).doUpdateSet(row)).execute()
    },

    async find (digest, purpose, now) {
      const row = await db.selectFrom('accounts_one_time_tokens').selectAll()
        .where('digest', '=', digest).where('purpose', '=', purpose).where('expires_at', '>', toTime(now)).executeTakeFirst()
      return row === undefined ? null : toOneTimeTokenRecord(row)
    },

    async consume (digest: string, purpose: OneTimePurpose, now: Date) {
      const row = await db.deleteFrom('accounts_one_time_tokens')
        .where('digest', '=', digest).where('purpose', '=', purpose).where('expires_at', '>', toTime(now)).returningAll().executeTakeFirst()
      return row === undefined ? null : toOneTimeTokenRecord(row)
    },

    async listForUser (userId) {
      const rows = await db.selectFrom('accounts_one_time_tokens').selectAll().where('user_id', '=', userId).orderBy('purpose').execute()
      return rows.map(toOneTimeTokenRecord)
    },

    async deleteForUser (userId) {
      await db.deleteFrom('accounts_one_time_tokens').where('user_id', '=', userId).execute()
    },

    async deleteExpired (before) {
      await db.deleteFrom('accounts_one_time_tokens').where('expires_at', '<', toTime(before)).execute()
    }
  }
}
