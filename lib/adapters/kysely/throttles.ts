import { sql, type Kysely } from 'kysely'
import type { ThrottleRecord, ThrottleStore } from '../../../types/storage.ts'
import type { Dialect } from './dialects.ts'
import type { Tables } from './tables.ts'

export function kyselyThrottles (db: Kysely<Tables>, dialect: Dialect): ThrottleStore {
  const { toTime } = dialect

  async function find (key: string): Promise<ThrottleRecord | null> {
    const row = await db.selectFrom('accounts_throttles').selectAll().where('key', '=', key).executeTakeFirst()
    return row === undefined ? null : { count: row.count, retryAt: new Date(row.retry_at) }
  }

  return {
    find,
    async attempt (key, { at, delays, limit, forgetAfter }) {
      const time = toTime(at)
      const isForgotten = sql<boolean>`${sql.ref('accounts_throttles.forget_at')} <= ${time}`
      const count = sql<number>`case when ${isForgotten} then 1 else ${sql.ref('accounts_throttles.count')} + 1 end`
      const forgetAt = toTime(new Date(at.getTime() + forgetAfter))
      const row = await db.insertInto('accounts_throttles')
        .values({ key, count: 1, retry_at: toTime(new Date(at.getTime() + delays[0]!)), forget_at: forgetAt })
        .onConflict(conflict => conflict.column('key')
          .doUpdateSet({ count, retry_at: dialect.afterDelay(at, delays, count), forget_at: forgetAt })
          .where(where => where.or([isForgotten, where.and([where('accounts_throttles.retry_at', '<=', time), where('accounts_throttles.count', '<', limit)])])))
        .returning(['count', 'retry_at']).executeTakeFirst()
      if (row !== undefined) return { admitted: true, count: row.count, retryAt: new Date(row.retry_at) }
      // Nothing was counted. Whoever has reset it since makes the next attempt good.
      return { admitted: false, ...await find(key) ?? { count: 0, retryAt: at } }
    },

    async reset (key) {
      await db.deleteFrom('accounts_throttles').where('key', '=', key).execute()
    },

    async deleteForgotten (before) {
      await db.deleteFrom('accounts_throttles').where('forget_at', '<', toTime(before)).execute()
    }
  }
}
