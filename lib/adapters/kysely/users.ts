import { sql, type Kysely } from 'kysely'
import type { UserStore } from '../../../types/storage.ts'
import { toUserRecord, type Tables } from './tables.ts'

export function kyselyUsers (db: Kysely<Tables>): UserStore {
  const findBy = async (column: 'id' | 'email_key' | 'username_key', value: string) => {
    const row = await db.selectFrom('accounts_users').selectAll().where(column, '=', value).executeTakeFirst()
    return row === undefined ? null : toUserRecord(row)
  }
  return {
    find: id => findBy('id', id),
    findByEmail: emailKey => findBy('email_key', emailKey),
    findByUsername: usernameKey => findBy('username_key', usernameKey),

    async create (user) {
      // The unique indexes decide: of racers with one key the others insert nothing.
      const { numInsertedOrUpdatedRows } = await db.insertInto('accounts_users').values({
        id: user.id,
        email: user.email,
        email_key: user.emailKey,
        email_verified_at: null,
        username: user.username,
        username_key: user.usernameKey,
        name: user.name,
        roles: JSON.stringify(user.roles),
        password_digest: user.passwordDigest,
        epoch: 0,
        disabled_at: null,
        created_at: user.createdAt.getTime()
      }).onConflict(conflict => conflict.doNothing()).executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows === 1n) return 'created'
      return await findBy('email_key', user.emailKey) === null ? 'username-taken' : 'email-taken'
    },

    async update (id, change, at) {
      const row = await db.updateTable('accounts_users').set({
        ...(change.name === undefined ? {} : { name: change.name }),
        ...(change.roles === undefined ? {} : { roles: JSON.stringify(change.roles) }),
        ...(change.disabled === undefined ? {} : { disabled_at: change.disabled ? at.getTime() : null }),
        epoch: change.disabled === true ? sql<number>`epoch + 1` : sql<number>`epoch`
      }).where('id', '=', id).returningAll().executeTakeFirst()
      return row === undefined ? null : toUserRecord(row)
    },

    async changePassword (id, epoch, passwordDigest) {
      const row = await db.updateTable('accounts_users')
        .set({ password_digest: passwordDigest, epoch: epoch + 1 })
        .where('id', '=', id).where('epoch', '=', epoch)
        .returningAll().executeTakeFirst()
      return row === undefined ? null : toUserRecord(row)
    },

    async delete (id) {
      const { numDeletedRows } = await db.deleteFrom('accounts_users').where('id', '=', id).executeTakeFirstOrThrow()
      return numDeletedRows === 1n
    }
  }
}
