import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import bcrypt from 'bcrypt'
import Database from 'better-sqlite3'
import { createSigner } from 'fast-jwt'
import pg from 'pg'
import type { Test } from 'tap'
import { databaseFile } from './app.ts'
import { databaseUrl, query, schemaName } from './postgres.ts'

export const OLD = { jwtSecret: randomBytes(32).toString('hex'), sessionSecret: 'flowise', issuer: 'ISSUER', audience: 'AUDIENCE' }

interface OldUser {
  readonly email: string
  readonly name?: string
  readonly password?: string | null
  readonly credential?: string
  readonly status?: string
  readonly role?: 'owner' | 'member'
  readonly memberStatus?: string
  readonly organization?: string
}

/** A database made up in the shape of the old system's, and the cookies that its server would have handed out. */
export interface OldDatabase {
  readonly url: string
  add (user: OldUser): Promise<string>
  /** The `Cookie` header of a browser that is signed in there. */
  signIn (userId: string, change?: { readonly claims?: object, readonly header?: object, readonly secret?: string, readonly algorithm?: 'HS256' | 'HS512', readonly sessionSecret?: string, readonly endsAt?: Date }): Promise<{ readonly cookies: Record<string, string>, readonly sid: string }>
  /** Move the end of a session, in milliseconds. */
  moveEnd (sid: string, by: number): Promise<void>
  run (text: string, values?: readonly unknown[]): Promise<unknown[]>
  /** All that is in it, to see whether anything has changed. */
  dump (): Promise<unknown>
}

const TABLES = (time: string, json: string, sessionEnd: string) => `
  create table "user" (id text primary key, name text not null, email text not null unique, credential text, "tempToken" text, "tokenExpiry" ${time}, status text not null, "createdDate" ${time}, "updatedDate" ${time});
  create table role (id text primary key, name text not null, "organizationId" text);
  create table organization_user ("organizationId" text, "userId" text, "roleId" text, status text, primary key ("organizationId", "userId"));
  create table login_sessions (sid text primary key, sess ${json}, ${sessionEnd});
  insert into role (id, name) values ('r-owner', 'owner'), ('r-member', 'member');`

export async function createOldDatabase (t: Test, kind: 'sqlite' | 'postgres'): Promise<OldDatabase> {
  const { url, run, toTime, sessionEnd } = kind === 'sqlite' ? openSqlite(t) : await openPostgres(t)
  return {
    url,
    async add ({ email, name = 'Somebody', password = 'sesame', status = 'active', role = 'member', memberStatus = 'active', organization = 'o-1', ...given }) {
      const id = randomUUID()
      const credential = given.credential ?? (password === null ? null : await bcrypt.hash(password, 4))
      await run('insert into "user" (id, name, email, credential, status, "createdDate") values ($1, $2, $3, $4, $5, $6)', [id, name, email, credential, status, '2025-05-06 07:08:09'])
      await run('insert into organization_user ("organizationId", "userId", "roleId", status) values ($1, $2, $3, $4)', [organization, id, `r-${role}`, memberStatus])
      return id
    },
    async signIn (userId, { claims = {}, header = {}, secret = OLD.jwtSecret, algorithm = 'HS256', sessionSecret = OLD.sessionSecret, endsAt = new Date(Date.now() + 86_400_000) } = {}) {
      const sid = randomBytes(24).toString('base64url')
      await run(`insert into login_sessions (sid, sess, ${sessionEnd}) values ($1, $2, $3)`, [sid, JSON.stringify({ cookie: {}, passport: { user: { id: userId } } }), toTime(endsAt)])
      const iat = Math.floor(Date.now() / 1000) - 3600
      const token = createSigner({ key: secret, algorithm, noTimestamp: 'iat' in claims, header: { typ: 'JWT', alg: algorithm, ...header } })({ id: userId, username: 'Somebody', meta: 'x', iat, nbf: iat, exp: iat + 7_776_000, iss: OLD.issuer, aud: OLD.audience, ...claims })
      const signature = createHmac('sha256', sessionSecret).update(sid).digest('base64').replace(/=+$/, '')
      return { sid, cookies: { token: 'of-no-use', refreshToken: token, 'connect.sid': encodeURIComponent(`s:${sid}.${signature}`) } }
    },
    moveEnd: async (sid, by) => { await run(`update login_sessions set ${sessionEnd} = ${sessionEnd} + ${kind === 'sqlite' ? '$1' : '$1 * interval \'1 millisecond\''} where sid = $2`, [by, sid]) },
    run: async (text, values = []) => await run(text, values),
    dump: async () => await Promise.all(['"user"', 'organization_user', 'role', 'login_sessions'].map(async table => await run(`select * from ${table}`, [])))
  }
}

interface Opened {
  readonly url: string
  readonly run: (text: string, values: readonly unknown[]) => Promise<unknown[]>
  /** How connect-sqlite3 and connect-pg-simple keep the end of a session, and in which column. */
  readonly toTime: (date: Date) => unknown
  readonly sessionEnd: string
}

function openSqlite (t: Test): Opened {
  const url = databaseFile(t)
  const database = new Database(url)
  t.teardown(() => { database.close() })
  database.exec(TABLES('text', 'text', 'expired'))
  return {
    url,
    async run (text, values) {
      const statement = database.prepare(text.replace(/\$\d/g, '?'))
      return statement.reader ? statement.all(...values) : [statement.run(...values)]
    },
    toTime: date => date.getTime(),
    sessionEnd: 'expired'
  }
}

async function openPostgres (t: Test): Promise<Opened> {
  const schema = schemaName(t)
  await query(`create schema ${schema}`)
  const url = new URL(databaseUrl())
  url.searchParams.set('options', `-c search_path=${schema}`)
  const pool = new pg.Pool({ connectionString: url.href })
  t.teardown(async () => { await pool.end() })
  await pool.query(TABLES('timestamp', 'json', 'expire timestamp(6)'))
  return { url: url.href, run: async (text, values) => (await pool.query(text, [...values])).rows, toTime: date => date, sessionEnd: 'expire' }
}
