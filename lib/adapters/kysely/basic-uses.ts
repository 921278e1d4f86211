import { sql, type Kysely, type Selectable } from 'kysely'
import type { BasicUseRecord, BasicUseStore } from '../../../types/storage.ts'
import type { Dialect } from './dialects.ts'
import type { BasicUsesTable, Tables } from './tables.ts'

export function kyselyBasicUses (db: Kysely<Tables>, dialect: Dialect): BasicUseStore {
  const { toTime } = dialect
  const latestFirst = db.selectFrom('accounts_basic_uses').selectAll().orderBy('last_used_at', 'desc')

  /** Nobody's id stands for those who share. */
  const isOf = (userId: string) => sql<boolean>`(user_id = ${userId} and user_id <> '')`

  return {
    async note (uses) {
      // One statement may not meet one row twice, and those that meet the same rows take them in one order.
      const latest = new Map(uses.toSorted((one, other) => one.lastUsedAt.getTime() - other.lastUsedAt.getTime())
        .map(use => [JSON.stringify([use.userId ?? '', use.method, use.route]), use]))
      const rows = [...latest].sort(([one], [other]) => one < other ? -1 : 1).map(([, { userId, method, route, lastUsedAt, lastUsedAddress }]) =>
        ({ user_id: userId ?? '', method, route, last_used_at: toTime(lastUsedAt), last_used_address: lastUsedAddress }))
      if (rows.length === 0) return
      await db.insertInto('accounts_basic_uses').values(rows)
        .onConflict(conflict => conflict.columns(['user_id', 'method', 'route'])
          .doUpdateSet({ last_used_at: sql`excluded.last_used_at`, last_used_address: sql`excluded.last_used_address` })
          .whereRef('accounts_basic_uses.last_used_at', '<', sql`excluded.last_used_at`)).execute()
    },

    async list (limit) {
      return (await latestFirst.limit(limit).execute()).map(toBasicUse)
    },

    async listForUser (userId) {
      return (await latestFirst.where(isOf(userId)).execute()).map(toBasicUse)
    },

    async deleteAllForUser (userId) {
      await db.deleteFrom('accounts_basic_uses').where(isOf(userId)).execute()
    },

    async deleteUnused (before) {
      await db.deleteFrom('accounts_basic_uses').where('last_used_at', '<', toTime(before)).execute()
    }
  }
}

function toBasicUse (row: Selectable<BasicUsesTable>): BasicUseRecord {
  return {
    userId: row.user_id === '' ? null : row.user_id,
    method: row.method,
    route: row.route,
    lastUsedAt: new Date(row.last_used_at),
    lastUsedAddress: row.last_used_address
  }
}
