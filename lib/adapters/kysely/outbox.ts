import { sql, type Kysely } from 'kysely'
import type { Outbox } from '../../../types/storage.ts'
import type { Dialect } from './dialects.ts'
import { toOutboxRecord, type Tables } from './tables.ts'

export function kyselyOutbox (db: Kysely<Tables>, { toTime, lockFree }: Dialect): Outbox {
  return {
    async enqueue (mail) {
      await db.insertInto('accounts_outbox').values({
        id: mail.id,
        kind: mail.kind,
        user_id: mail.userId,
        recipient: mail.recipient,
        data: JSON.stringify(mail.data),
        locale: mail.locale,
        attempts: mail.attempts,
        created_at: toTime(mail.createdAt),
        due_at: toTime(mail.dueAt)
      }).execute()
    },

    async claim (now, until, limit) {
      const due = lockFree(db.selectFrom('accounts_outbox').select('id').where('due_at', '<=', toTime(now)).orderBy('due_at').orderBy('id').limit(limit))
      const rows = await db.updateTable('accounts_outbox').set({ attempts: sql<number>`attempts + 1`, due_at: toTime(until) })
        .where('id', 'in', due).returningAll().execute()
      return rows.map(toOutboxRecord).sort((one, other) => one.createdAt.getTime() - other.createdAt.getTime())
    },

    async settle (id, attempts, dueAt) {
      if (dueAt === null) {
        const { numDeletedRows } = await db.deleteFrom('accounts_outbox').where('id', '=', id).where('attempts', '=', attempts).executeTakeFirstOrThrow()
        return numDeletedRows === 1n
      }
      const { numUpdatedRows } = await db.updateTable('accounts_outbox').set({ due_at: toTime(dueAt) }).where('id', '=', id).where('attempts', '=', attempts).executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    async count (most) {
      const { count } = await db.selectFrom(db.selectFrom('accounts_outbox').select('id').limit(most).as('mails')).select(({ fn }) => fn.countAll().as('count')).executeTakeFirstOrThrow()
      // `pg` hands a bigint over as a text.
      return Number(count)
    },

    async listForUser (userId) {
      const rows = await db.selectFrom('accounts_outbox').selectAll().where('user_id', '=', userId).orderBy('created_at').execute()
      return rows.map(toOutboxRecord)
    },

    async deleteForUser (userId) {
      await db.deleteFrom('accounts_outbox').where('user_id', '=', userId).execute()
    }
  }
}
