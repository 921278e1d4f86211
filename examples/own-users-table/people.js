/**
 * The users store over a table that was there before: `people`, with whole numbers as ids and columns of its own.
 * Three columns were added to it: `mail_key`, by which an address is found whatever its case, `epoch`, and for the mailer
 * `mail_verified`.
 */
export const SCHEMA = `
  create table if not exists people (
    id integer primary key,
    mail text not null,
    full_name text,
    plan text not null default 'free',
    blocked integer not null default 0,
    roles text not null default '[]',
    password text,
    joined_at integer not null,
    mail_key text not null unique,
    epoch integer not null default 0,
    mail_verified integer not null default 0
  )`

/** `plan` is no field of the package's: it comes along, as `request.principal.user.plan`. */
const toUser = row => row === undefined
  ? null
  : {
      id: String(row.id),
      email: row.mail,
      emailVerified: row.mail_verified === 1,
      username: null,
      name: row.full_name,
      roles: JSON.parse(row.roles),
      disabled: row.blocked === 1,
      createdAt: new Date(row.joined_at),
      passwordDigest: row.password,
      epoch: row.epoch,
      plan: row.plan
    }

/**
 * An owner goes only if there is another. In SQLite one statement is enough, as there is one writer; PostgreSQL first
 * needs `select … from people where <owner> order by id for update` in the same transaction, or two could go at once.
 */
const IS_OWNER = "exists (select 1 from json_each(roles) where value = 'owner')"
const LEAVES_AN_OWNER = `(blocked = 1 or not ${IS_OWNER} or exists (select 1 from people as other where other.id <> people.id and other.blocked = 0
  and exists (select 1 from json_each(other.roles) where value = 'owner')))`

export function peopleStore (database) {
  const byId = database.prepare('select * from people where id = ?')
  const byKey = database.prepare('select * from people where mail_key = ?')
  const find = async id => /^[1-9]\d{0,14}$/.test(id) ? toUser(byId.get(Number(id))) : null

  return {
    find,
    findByEmail: async emailKey => toUser(byKey.get(emailKey)),

    // The table gives the id; the proposed one is left unused.
    async create ({ email, emailKey, name, roles, passwordDigest, emailVerified, createdAt }) {
      const row = database.prepare(`insert into people (mail, mail_key, full_name, roles, password, mail_verified, joined_at)
        values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing returning *`)
        .get(email, emailKey, name, JSON.stringify(roles), passwordDigest, Number(emailVerified), createdAt.getTime())
      return toUser(row) ?? 'email-taken'
    },

    // With `unlessOwner` an owner is left alone: who may not touch owners asks for that.
    async update (id, { name, roles, disabled }, _at, { unlessOwner = false } = {}) {
      const takesOwner = disabled === true || (roles !== undefined && !roles.includes('owner'))
      const row = database.prepare(`update people set
          full_name = case when @setsName then @name else full_name end,
          roles = coalesce(@roles, roles),
          blocked = coalesce(@disabled, blocked),
          epoch = epoch + coalesce(@disabled, 0)
        where id = @id and (not @takesOwner or ${LEAVES_AN_OWNER}) and (not @unlessOwner or not ${IS_OWNER}) returning *`)
        .get({ id: Number(id), setsName: Number(name !== undefined), name, roles: roles && JSON.stringify(roles), disabled: disabled === undefined ? null : Number(disabled), takesOwner: Number(takesOwner && !unlessOwner), unlessOwner: Number(unlessOwner) })
      if (row !== undefined) return toUser(row)
      if (await find(id) === null) return null
      return unlessOwner ? 'is-owner' : 'last-owner'
    },

    async changePassword (id, epoch, passwordDigest) {
      return toUser(database.prepare('update people set password = ?, epoch = epoch + 1 where id = ? and epoch = ? returning *').get(passwordDigest, Number(id), epoch))
    },

    async upgradePassword (id, from, to) {
      return database.prepare('update people set password = ? where id = ? and password = ?').run(to, Number(id), from).changes === 1
    },

    // This and the next are for a mailer alone: who opens the link in a mail has proved the address.
    async confirmEmail (id, emailKey) {
      return toUser(database.prepare('update people set mail_verified = 1 where id = ? and mail_key = ? returning *').get(Number(id), emailKey))
    },

    async changeEmail (id, epoch, { email, emailKey }) {
      try {
        return toUser(database.prepare('update people set mail = ?, mail_key = ?, mail_verified = 1 where id = ? and epoch = ? returning *').get(email, emailKey, Number(id), epoch))
      } catch (error) {
        if (error.code === 'SQLITE_CONSTRAINT_UNIQUE') return 'email-taken'
        throw error
      }
    },

    async delete (id) {
      const { changes } = database.prepare(`delete from people where id = ? and ${LEAVES_AN_OWNER}`).run(Number(id))
      if (changes === 1) return 'deleted'
      return await find(id) === null ? 'not-found' : 'last-owner'
    },

    // Left out, there is no list at /auth/users. `findByUsername` is left out: these people have no user names.
    async list ({ search, after, limit }) {
      return database.prepare(`select * from people
        where (@search is null or mail_key like @search escape '\\' or full_name like @search escape '\\')
          and (@time is null or (joined_at, id) < (@time, @id))
        order by joined_at desc, id desc limit @limit`)
        .all({ search: search && `%${search.replace(/[\\%_]/g, '\\$&')}%`, time: after && after.createdAt.getTime(), id: after && Number(after.id), limit })
        .map(toUser)
    }
  }
}
