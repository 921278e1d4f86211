// What we read of the old system's database, SQLite or PostgreSQL, by the names of its tables and columns. Nothing of it is
// changed but the ends of sessions that are taken over.

/**
 * Open it: `people` of all organisations, or of one; `sessions`, the logins of the old server; `close`.
 * @param {string} url the path of a SQLite file, or `postgres://…`
 */
export async function openOldDatabase (url) {
  const old = await (/^postgres(ql)?:/.test(url) ? openPostgres(url) : openSqlite(url))
  return { people: async organization => describe(await old.users(), await old.memberships(), organization), sessions: old.sessions, close: old.close }
}

/** A login that was taken over is good for so long at the old place, for the other requests of the same page. */
const OVERLAP_MS = 60_000

const MEMBERSHIPS = `select member."userId" as "userId", member."organizationId" as organization, member.status, role.name as role
  from organization_user member join role on role.id = member."roleId"`

async function openSqlite (file) {
  const { default: Database } = await import('better-sqlite3')
  const database = new Database(file, { fileMustExist: true })
  return {
    users: async () => database.prepare('select id, name, email, credential, status, "createdDate" as created from "user"').all(),
    memberships: async () => database.prepare(MEMBERSHIPS).all(),
    sessions: {
      // One statement: of all that ask, whoever is later than the overlap gets nothing.
      async claim (sid, userId) {
        const now = Date.now()
        return database.prepare(`update login_sessions set expired = min(expired, ?) where sid = ? and expired > ?
          and json_extract(sess, '$.passport.user.id') = ?`).run(now + OVERLAP_MS, sid, now, userId).changes === 1
      }
    },
    close: async () => { database.close() }
  }
}

async function openPostgres (url) {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 900, query_timeout: 900 })
  // A connection that breaks while nobody uses it is replaced; without this it would end the process.
  pool.on('error', () => {})
  const rows = async text => (await pool.query({ text, query_timeout: 60_000 })).rows
  return {
    users: async () => await rows('select id, name, email, credential, status, "createdDate" at time zone \'UTC\' as created from "user"'),
    memberships: async () => await rows(MEMBERSHIPS),
    sessions: {
      async claim (sid, userId) {
        const { rowCount } = await pool.query(`update login_sessions set expire = least(expire, now() + $3 * interval '1 millisecond')
          where sid = $1 and expire > now() and sess #>> '{passport,user,id}' = $2`, [sid, userId, OVERLAP_MS])
        return rowCount === 1
      }
    },
    close: async () => { await pool.end() }
  }
}

/** People as the import wants them: who they are, and whether they own the organisation, or are shut out of it. */
function describe (users, memberships, organization) {
  const organizations = [...new Set(memberships.map(one => one.organization))]
  if (organization === undefined && organizations.length > 1) throw new TypeError(`There are ${organizations.length} organisations: say whose owners are to be owners here, one of ${organizations.join(', ')}`)
  if (organization !== undefined && !organizations.includes(organization)) throw new TypeError('Nobody belongs to that organisation')
  return users.map(({ created, ...user }) => {
    const own = memberships.filter(one => one.userId === user.id)
    const isShutOut = own.length > 0 && own.every(({ status }) => isDisabled(status))
    return {
      ...user,
      createdAt: toDate(created),
      isOwner: own.some(one => one.role === 'owner' && !isDisabled(one.status) && (organization === undefined || one.organization === organization)),
      isDisabled: isShutOut || isDisabled(user.status)
    }
  })
}

const isDisabled = status => status === 'disable' || status === 'disabled'

/** SQLite has texts without a zone, which are UTC. */
const toDate = created => created instanceof Date ? created : new Date(`${String(created).replace(' ', 'T')}Z`)
