import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { samplePersonalToken } from '../lib/testing/samples.ts'
import type { Change, Storage } from '../types/index.ts'
import { databaseFile } from './support/app.ts'
import { databaseUrl, openPostgres, query, schemaName } from './support/postgres.ts'
import { connect } from './support/sqlite.ts'

interface Backend {
  readonly storage: Required<Pick<Storage, 'personalTokens' | 'feed'>>
  execute (statement: string): Promise<unknown>
  /** What a process of the release before makes of all that has been told since `act` began. */
  readAsBefore (act: () => Promise<unknown>): Promise<unknown[]>
  /** As a process of the release before tells of something. */
  tellAsBefore (kind: 'session' | 'user' | 'gap', id: string): Promise<unknown>
}

const BACKENDS: Readonly<Record<string, (t: Test) => Promise<Backend>>> = {
  async SQLite (t) {
    const file = databaseFile(t)
    const storage = await sqliteStorage(file)
    t.teardown(async () => await storage.close())
    const sql = connect(t, file)
    return {
      storage: storage as Required<Storage>,
      execute: async statement => sql.exec(statement),
      async readAsBefore (act) {
        const last = sql.prepare('select max(id) from accounts_changes').pluck().get()
        await act()
        return (sql.prepare('select id, session_id, user_id from accounts_changes where id > ?').all(last ?? 0) as Array<Record<string, unknown>>).map(row => row.session_id ?? row.user_id ?? 'gap')
      },
      tellAsBefore: async (kind, id) => sql.prepare('insert into accounts_changes (session_id, user_id, at) values (?, ?, 0)').run(kind === 'session' ? id : null, kind === 'user' ? id : null)
    }
  },
  async PostgreSQL (t) {
    const schema = schemaName(t)
    const storage = await openPostgres(t, { schema })
    const client = new pg.Client(databaseUrl())
    await client.connect()
    t.teardown(async () => await client.end())
    const payloads: string[] = []
    client.on('notification', ({ payload }) => { payloads.push(payload ?? '') })
    await client.query(`listen "${schema}.accounts_"`)
    return {
      storage: storage as Required<Storage>,
      execute: async statement => await query(`set search_path to ${schema}; ${statement}`),
      async readAsBefore (act) {
        await client.query('select 1')
        payloads.length = 0
        await act()
        await client.query('select 1')
        return payloads.map(payload => /^[su]/.test(payload) ? payload.slice(1) : 'gap')
      },
      tellAsBefore: async (kind, id) => await client.query('select pg_notify($1, $2)', [`${schema}.accounts_`, kind === 'gap' ? '*' : kind[0]! + id])
    }
  }
}

const EDITS: ReadonlyArray<readonly [string, 'told' | 'not told']> = [
  ...["user_id = 'somebody else'", "name = 'other'", "digest = 'another one'", "context = 'browser'", 'allowed_methods = null', "allowed_ips = '[\"192.0.2.1\"]'", "allowed_referrers = '[]'", "scopes = '[]'", 'epoch = epoch + 1', 'expires_at = created_at', 'revoked_at = created_at']
    .map(set => [`update accounts_personal_tokens set ${set} where id = $`, 'told'] as const),
  ['delete from accounts_personal_tokens where id = $', 'told'],
  ...['last_used_at = created_at', "last_used_address = '192.0.2.1'", 'notice_at = created_at', "successor_id = 'another'", 'created_at = expires_at', 'name = name, scopes = scopes, expires_at = expires_at, revoked_at = revoked_at', "allowed_methods = '[\"GET\"]'"]
    .map(set => [`update accounts_personal_tokens set ${set} where id = $`, 'not told'] as const)
]

for (const [name, create] of Object.entries(BACKENDS)) {
  t.test(`J-11 ${name}: what a person changes of a personal token at a SQL prompt is heard, if a verdict rests on it, and nothing else`, async t => {
    const { storage, execute } = await create(t)
    for (const [edit, expected] of EDITS) {
      const token = samplePersonalToken({ allowedMethods: ['GET'] })
      await storage.personalTokens.create(token, 1)
      const heard = await hear(storage, async () => await execute(edit.replace('$', `'${token.id}'`)))
      t.strictSame(heard, expected === 'told' ? [{ kind: 'personal-token', tokenId: token.id }] : [], `${edit}: ${expected}`)
    }
    const revoked = samplePersonalToken({ revokedAt: new Date() })
    await storage.personalTokens.create(revoked, 1)
    t.strictSame(await hear(storage, async () => await storage.personalTokens.deleteAllForUser(revoked.userId)), [], 'one that was revoked may be forgotten in silence')
    if (name === 'PostgreSQL') t.strictSame(await hear(storage, async () => await execute('truncate accounts_personal_tokens')), [{ kind: 'gap' }])
  })

  t.test(`J-11 ${name}: a process of the release before takes a changed personal token for a gap, and is understood itself`, async t => {
    const { storage, readAsBefore, tellAsBefore } = await create(t)
    const heard = await hear(storage, async () => { for (const kind of ['session', 'user', 'gap'] as const) await tellAsBefore(kind, 'an id') })
    t.strictSame(heard, [{ kind: 'session', sessionId: 'an id' }, { kind: 'user', userId: 'an id' }, { kind: 'gap' }])
    const token = samplePersonalToken()
    await storage.personalTokens.create(token, 1)
    t.strictSame(await readAsBefore(async () => await storage.personalTokens.revoke(token.id, token.userId, new Date())), ['gap'])
    t.strictSame(await readAsBefore(async () => await storage.feed.publish!({ kind: 'personal-token', tokenId: token.id })), ['gap'])
    t.strictSame(await readAsBefore(async () => await storage.feed.publish!({ kind: 'session', sessionId: 'a session' })), ['a session'])
  })
}

/** What the feed says of `act`. */
async function hear ({ feed }: Backend['storage'], act: () => Promise<unknown>): Promise<Change[]> {
  const heard: Change[] = []
  const unsubscribe = feed.subscribe(change => { heard.push(change) })
  await act()
  // Whatever came before this one has been delivered when it is.
  await feed.publish!({ kind: 'user', userId: 'the end' })
  while (!heard.some(change => change.kind === 'user' && change.userId === 'the end')) {
    feed.isCurrent()
    await pause(2)
  }
  unsubscribe()
  return heard.slice(0, -1)
}
