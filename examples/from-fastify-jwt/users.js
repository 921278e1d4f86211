// The table `users` of before.js, kept where it is: what refers to its ids still does.
import { emailKey } from 'fastify-accounts'

/**
 * Add what the package needs: `email_key`, by which an address is found whatever its case, `epoch`, which ends sessions,
 * `roles`, a list, and `name`. It can be run again. Answers whom it could not give a key: their address is unusable, or differs
 * from an earlier one in its case alone. They can't log in until somebody has corrected it.
 */
export function addColumns (database) {
  return database.transaction(() => {
    const columns = database.pragma('table_info(users)').map(({ name }) => name)
    if (!columns.includes('email_key')) {
      database.exec(`
        alter table users add column email_key text;
        alter table users add column epoch integer not null default 0;
        alter table users add column roles text not null default '[]';
        alter table users add column name text;
        create unique index users_email_key on users (email_key)`)
      // Who could do everything there can do everything here, and is who always stays.
      database.exec('update users set roles = \'["owner","admin"]\' where role = \'admin\'')
    }
    const setKey = database.prepare('update or ignore users set email_key = ? where id = ?')
    for (const { id, email } of database.prepare('select id, email from users where email_key is null order by id').all()) setKey.run(emailKey(email), id)
    return database.prepare('select id, email from users where email_key is null order by id').all()
  })()
}

const IS_OWNER = "exists (select 1 from json_each(roles) where value = 'owner')"
const LEAVES_AN_OWNER = `(is_active = 0 or not ${IS_OWNER} or exists (select 1 from users as other where other.id <> users.id and other.is_active = 1
  and exists (select 1 from json_each(other.roles) where value = 'owner')))`

const toUser = row => row === undefined
  ? null
  : {
      id: String(row.id),
      email: row.email,
      emailVerified: false,
      username: null,
      name: row.name,
      roles: JSON.parse(row.roles),
      disabled: row.is_active === 0,
      createdAt: new Date(`${row.created_at.replace(' ', 'T')}Z`),
      passwordDigest: row.password_hash === '' ? null : row.password_hash,
      epoch: row.epoch
    }

/** `examples/own-users-table` has a store with a mailer's verbs and a list as well. */
export function usersStore (database) {
  const byId = database.prepare('select * from users where id = ?')
  const byKey = database.prepare('select * from users where email_key = ?')
  const find = async id => /^[1-9]\d{0,14}$/.test(id) ? toUser(byId.get(Number(id))) : null

  return {
    find,
    findByEmail: async emailKey => toUser(byKey.get(emailKey)),

    async create ({ email, emailKey, name, roles, passwordDigest, createdAt }) {
      const row = database.prepare(`insert into users (email, email_key, name, roles, password_hash, created_at) values (?, ?, ?, ?, ?, ?)
        on conflict do nothing returning *`).get(email, emailKey, name, JSON.stringify(roles), passwordDigest ?? '', createdAt.toISOString().slice(0, 19).replace('T', ' '))
      return toUser(row) ?? 'email-taken'
    },

    async update (id, { name, roles, disabled }, _at, { unlessOwner = false } = {}) {
      const takesOwner = disabled === true || (roles !== undefined && !roles.includes('owner'))
      const row = database.prepare(`update users set name = case when @setsName then @name else name end, roles = coalesce(@roles, roles), is_active = coalesce(1 - @disabled, is_active), epoch = epoch + coalesce(@disabled, 0)
        where id = @id and (not @takesOwner or ${LEAVES_AN_OWNER}) and (not @unlessOwner or not ${IS_OWNER}) returning *`)
        .get({ id: Number(id), setsName: Number(name !== undefined), name, roles: roles && JSON.stringify(roles), disabled: disabled === undefined ? null : Number(disabled), takesOwner: Number(takesOwner && !unlessOwner), unlessOwner: Number(unlessOwner) })
      if (row !== undefined) return toUser(row)
      if (await find(id) === null) return null
      return unlessOwner ? 'is-owner' : 'last-owner'
    },

    async changePassword (id, epoch, passwordDigest) {
      return toUser(database.prepare('update users set password_hash = ?, epoch = epoch + 1 where id = ? and epoch = ? returning *').get(passwordDigest, Number(id), epoch))
    },

    async upgradePassword (id, from, to) {
      return database.prepare('update users set password_hash = ? where id = ? and password_hash = ?').run(to, Number(id), from).changes === 1
    },

    async delete (id) {
      if (database.prepare(`delete from users where id = ? and ${LEAVES_AN_OWNER}`).run(Number(id)).changes === 1) return 'deleted'
      return await find(id) === null ? 'not-found' : 'last-owner'
    }
  }
}
