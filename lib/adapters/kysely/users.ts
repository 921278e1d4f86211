import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { NewUser, UserQuery, UserRecord, UserStore } from '../../../types/storage.ts'
import { alone, begin } from './alone.ts'
import type { Dialect } from './dialects.ts'
import { toUserRecord, type Stored, type Tables } from './tables.ts'

export function kyselyUsers (db: Kysely<Tables>, dialect: Dialect): Required<UserStore> {
  const { toTime } = dialect
  const isOwner = (table: string) => dialect.hasRole(sql.ref(`${table}.roles`), 'owner')
  const isActiveOwner = (table: string): RawBuilder<boolean> => sql`(${sql.ref(`${table}.disabled_at`)} is null and ${isOwner(table)})`

  /** The condition of every statement that may take an owner away; nobody else can be the last one. */
  const leavesAnOwner = sql<boolean>`(not ${isActiveOwner('accounts_users')} or exists (
    select 1 from ${sql.table('accounts_users')} as other where other.id <> ${sql.ref('accounts_users.id')} and ${isActiveOwner('other')}))`

  async function findBy (column: 'id' | 'email_key' | 'username_key', value: string, on = db) {
    const row = await on.selectFrom('accounts_users').selectAll().where(column, '=', value).executeTakeFirst()
    return row === undefined ? null : toUserRecord(row)
  }

  /**
   * Two owners who go at once must see each other go, so each first locks all there are; and whoever it is about with
   * them, in one order: who takes part may become an owner, or cease to be one, while others wait for the locks.
   */
  async function amongOwners<T> (id: string, work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
    if (dialect.name === 'sqlite') return await work(db)
    const lockAndWork = async (transaction: Kysely<Tables>) => {
      await transaction.selectFrom('accounts_users').select('id').where(where => where.or([isActiveOwner('accounts_users'), where('id', '=', id)])).orderBy('id').forUpdate().execute()
      return await work(transaction)
    }
    return db.isTransaction ? await lockAndWork(db) : await begin(db, dialect).execute(lockAndWork)
  }

  async function create (db: Kysely<Tables>, user: NewUser): Promise<UserRecord | 'email-taken' | 'username-taken'> {
    // The unique indexes decide: of racers with one key the others insert nothing.
    const row = await db.insertInto('accounts_users').values({
      id: user.id,
      email: user.email,
      email_key: user.emailKey,
      email_verified_at: user.emailVerified ? toTime(user.createdAt) : null,
      username: user.username,
      username_key: user.usernameKey,
      name: user.name,
      roles: JSON.stringify(user.roles),
      password_digest: user.passwordDigest,
      epoch: 0,
      disabled_at: null,
      created_at: toTime(user.createdAt)
    }).onConflict(conflict => conflict.doNothing()).returningAll().executeTakeFirst()
    if (row !== undefined) return toUserRecord(row)
    return await findBy('email_key', user.emailKey, db) === null ? 'username-taken' : 'email-taken'
  }

  const hasOwner = async (db: Kysely<Tables>) => await db.selectFrom('accounts_users').select('id').where(sql<boolean>`${isOwner('accounts_users')}`).limit(1).executeTakeFirst() !== undefined

  return {
    find: id => findBy('id', id),
    findByEmail: emailKey => findBy('email_key', emailKey),
    findByUsername: usernameKey => findBy('username_key', usernameKey),

    async list ({ search, after, limit }) {
      const rows = await db.selectFrom('accounts_users').selectAll()
        .$if(search !== null, query => query.where(matches(search!)))
        .$if(after !== null, query => query.where(({ eb, refTuple, tuple }) => eb(refTuple('created_at', 'id'), '<', tuple(toTime(after!.createdAt), after!.id))))
        .orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
      return rows.map(toUserRecord)
    },

    create: async user => await create(db, user),
    hasOwner: async () => await hasOwner(db),
    createFirstOwner: async user => await alone(db, dialect, 'first owner', async db => await hasOwner(db) ? 'owner-exists' : await create(db, user)),

    async update (id, change, at, { unlessOwner = false } = {}) {
      const takesOwner = !unlessOwner && (change.disabled === true || (change.roles !== undefined && !change.roles.includes('owner')))
      const run = async (db: Kysely<Tables>) => await db.updateTable('accounts_users').set({
        ...(change.name === undefined ? {} : { name: change.name }),
        ...(change.roles === undefined ? {} : { roles: JSON.stringify(change.roles) }),
        ...(change.disabled === undefined ? {} : { disabled_at: change.disabled ? toTime(at) : null }),
        epoch: change.disabled === true ? sql<number>`epoch + 1` : sql<number>`epoch`
      }).where('id', '=', id)
        .$if(takesOwner, query => query.where(leavesAnOwner))
        .$if(unlessOwner, query => query.where(sql<boolean>`not ${isOwner('accounts_users')}`))
        .returningAll().executeTakeFirst()
      const row = takesOwner ? await amongOwners(id, run) : await run(db)
      if (row !== undefined) return toUserRecord(row)
      if ((!takesOwner && !unlessOwner) || await findBy('id', id) === null) return null
      return unlessOwner ? 'is-owner' : 'last-owner'
    },

    async changePassword (id, epoch, passwordDigest) {
      const row = await db.updateTable('accounts_users')
        .set({ password_digest: passwordDigest, epoch: epoch + 1 })
        .where('id', '=', id).where('epoch', '=', epoch)
        .returningAll().executeTakeFirst()
      return row === undefined ? null : toUserRecord(row)
    },

    async upgradePassword (id, from, to) {
      const { numUpdatedRows } = await db.updateTable('accounts_users').set({ password_digest: to }).where('id', '=', id).where('password_digest', '=', from).executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },

    async confirmEmail (id, emailKey, at) {
      const row = await db.updateTable('accounts_users')
        .set({ email_verified_at: sql<Stored['time']>`coalesce(email_verified_at, ${toTime(at)})` })
        .where('id', '=', id).where('email_key', '=', emailKey).returningAll().executeTakeFirst()
      return row === undefined ? null : toUserRecord(row)
    },

    async changeEmail (id, epoch, { email, emailKey }, at) {
      try {
        const row = await db.updateTable('accounts_users')
          .set({ email, email_key: emailKey, email_verified_at: toTime(at) })
          .where('id', '=', id).where('epoch', '=', epoch).returningAll().executeTakeFirst()
        return row === undefined ? null : toUserRecord(row)
      } catch (error) {
        if (dialect.isDuplicate(error)) return 'email-taken'
        throw error
      }
    },

    async delete (id) {
      const { numDeletedRows } = await amongOwners(id, async db => await db.deleteFrom('accounts_users').where('id', '=', id).where(leavesAnOwner).executeTakeFirstOrThrow())
      if (numDeletedRows === 1n) return 'deleted'
      return await findBy('id', id) === null ? 'not-found' : 'last-owner'
    }
  }

  function matches (search: NonNullable<UserQuery['search']>): RawBuilder<boolean> {
    const pattern = `%${search.replace(/[\\%_]/g, '\\$&')}%`
    const columns = ['email_key', 'username_key', 'name'].map(column => dialect.contains(sql.ref(`accounts_users.${column}`), pattern))
    return sql`(${sql.join(columns, sql` or `)})`
  }
}
