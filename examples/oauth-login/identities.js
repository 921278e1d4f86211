import Database from 'better-sqlite3'

/**
 * Who is who at the provider: by issuer and subject, which stay what they are. Addresses change there, and are given to
 * others.
 */
export function openIdentities (file) {
  const database = new Database(file)
  database.exec(`
    create table if not exists identities (issuer text not null, subject text not null, user_id text not null, primary key (issuer, subject)) without rowid;
    create index if not exists identities_user on identities (user_id)`)
  const find = database.prepare('select user_id from identities where issuer = ? and subject = ?').pluck()
  const add = database.prepare('insert into identities (issuer, subject, user_id) values (?, ?, ?) on conflict do nothing')
  const removeOf = database.prepare('delete from identities where user_id = ?')

  return {
    /** The id of a user, or `null`. */
    find: ({ issuer, subject }) => find.get(issuer, subject) ?? null,
    /** `false`: it is somebody else's. */
    add: ({ issuer, subject }, userId) => add.run(issuer, subject, userId).changes === 1 || find.get(issuer, subject) === userId,
    removeOf: userId => { removeOf.run(userId) },
    close: () => { database.close() }
  }
}
