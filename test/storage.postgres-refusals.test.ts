import type { LightMyRequestResponse } from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import { postgresStorage } from '../lib/adapters/kysely/index.ts'
import type { Storage } from '../types/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR } from './support/clock.ts'
import { realTime, startServer, until, type PrivateServer } from './support/postgres-server.ts'
import { accessOf } from './support/tokens.ts'

/** A transaction has two seconds, and a client that waits on a busy machine more patience. */
const TRANSACTION_MS = 2400

async function createSubject (t: Test, server: PrivateServer, schema: string): Promise<TestApp> {
  return await createApp(t, { storage: await postgresStorage(server.proxy.url, { schema, max: 4 }) }, app => {
    app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
  })
}

function isUnavailable ({ statusCode, headers, cookies }: LightMyRequestResponse): boolean {
  return statusCode === 503 && /^[1-9]$/.test(String(headers['retry-after'])) && cookies.length === 0
}

/** All that can be asked to change something; each with what it takes for it to have been done or not. */
const WRITES: ReadonlyArray<readonly [string, (browser: Client) => Promise<LightMyRequestResponse>]> = [
  ['sign-up', async browser => await browser.copy().post('/auth/register', { email: 'new@example.com', password: PASSWORD })],
  ['login', async browser => await browser.copy().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })],
  ['logout', async browser => await browser.copy().post('/auth/logout')],
  ['ending the others', async browser => await browser.request('DELETE', '/auth/sessions')],
  ['a new name', async browser => await browser.request('PATCH', '/auth/me', { name: 'Countess' })],
  ['a new password', async browser => await browser.copy().post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })],
  ['deletion', async browser => await browser.copy().request('DELETE', '/auth/me', { password: PASSWORD })]
]

/** Everything that the tables hold. */
async function dump ({ query }: PrivateServer, schema: string): Promise<string> {
  return JSON.stringify([await query(`select * from ${schema}.accounts_users order by id`), await query(`select * from ${schema}.accounts_sessions order by id`)])
}

t.test('PostgreSQL says no', async t => {
  const server = await startServer(t, { deadlock_timeout: '100ms' })
  const { query, proxy } = server
  const endConnections = async () => await query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')

  const REFUSALS: ReadonlyArray<readonly [string, string, { begin (schema: string): Promise<unknown>, end (schema: string): Promise<unknown> }]> = [
    ['F-16 a server that only lets read (25006)', 'read_only', {
      async begin () {
        await query('alter database postgres set default_transaction_read_only = on')
        await endConnections()
      },
      async end () {
        await query('alter database postgres reset default_transaction_read_only')
        await endConnections()
      }
    }],
    ['F-17 a disk that is full (53100)', 'disk_full', {
      async begin (schema) {
        await query(`create function ${schema}.fill() returns trigger language plpgsql as $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`)
        // The second table that sign-up writes, and the first and second of the others: half-way, where there is one.
        await query(`create trigger fill after insert or update or delete on ${schema}.accounts_sessions for each statement execute function ${schema}.fill()`)
        await query(`create trigger fill after update or delete on ${schema}.accounts_users for each statement execute function ${schema}.fill()`)
      },
      end: async schema => await query(`drop function ${schema}.fill() cascade`)
    }]
  ]
  for (const [title, schema, { begin, end }] of REFUSALS) {
    t.test(`${title}: what writes is 503 and leaves nothing half done, what reads goes on`, async t => {
      const clock = holdClock(t)
      const { signedUp } = await createSubject(t, server, schema)
      const browser = await signedUp('ada@example.com')
      const idle = await signedUp('idle@example.com')
      await begin(schema)
      await until(async () => (await browser.get('/strict')).statusCode === 200, 5000)
      const before = await dump(server, schema)
      for (const [name, act] of WRITES) {
        const answer = await act(browser)
        t.ok(isUnavailable(answer), `${name}: ${answer.statusCode}`)
        t.equal(await dump(server, schema), before, `${name}: nothing has changed`)
      }
      t.equal((await browser.get('/strict')).statusCode, 200)
      t.equal((await browser.get('/private')).statusCode, 200)
      t.equal((await browser.get('/auth/sessions')).json().sessions.length, 1)
      clock.advance(HOUR)
      const cookies = JSON.stringify(idle.cookies)
      t.ok(isUnavailable(await idle.post('/auth/refresh')), 'a rotation')
      t.ok(isUnavailable(await idle.get('/private')), 'a renewal on the way')
      t.equal(JSON.stringify(idle.cookies), cookies)
      await end(schema)
      await until(async () => (await idle.get('/private')).statusCode === 200, 5000)
      t.equal((await browser.get('/private')).statusCode, 200, 'all well again')
    })
  }

  t.test('F-17 a server without a connection to spare (53300): 503 at once, and it heals', async t => {
    await query('create role guest login')
    await query('create schema crowded authorization guest')
    const url = new URL(proxy.url)
    url.username = 'guest'
    const { signedUp } = await createApp(t, { storage: await postgresStorage(url.href, { schema: 'crowded' }) }, app => {
      app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
    })
    const browser = await signedUp()
    const cookies = JSON.stringify(browser.cookies)
    await query('alter role guest connection limit 0')
    await endConnections()
    for (const [name, act] of WRITES) t.ok(isUnavailable(await act(browser)), name)
    t.ok(isUnavailable(await browser.get('/strict')))
    t.equal(JSON.stringify(browser.cookies), cookies)
    await query('alter role guest connection limit -1')
    const ms = await until(async () => (await browser.get('/strict')).statusCode === 200, 5000)
    t.comment(`healed after ${ms.toFixed(0)} ms`)
  })

  t.test('F-13 a database whose transactions are serializable: what meets a conflict is tried again, and nothing is done twice', async t => {
    await query('alter database postgres set default_transaction_isolation = serializable')
    t.teardown(async () => await query('alter database postgres reset default_transaction_isolation'))
    const [one, other] = [await createSubject(t, server, 'serial'), await createSubject(t, server, 'serial')]
    const owners = await Promise.all(['ada', 'grace', 'edith'].map(async name => await one.storage.users.create({
      id: name, email: `${name}@example.com`, emailKey: `${name}@example.com`, username: null, usernameKey: null, name: null, roles: ['owner'], passwordDigest: null, emailVerified: false, createdAt: new Date()
    })))
    t.ok(owners.every(owner => typeof owner === 'object'))
    const outcomes = await Promise.all(['ada', 'grace', 'edith', 'ada', 'grace', 'edith'].map(async (id, index) =>
      await (index % 2 === 0 ? one : other).app.accounts.users.update(id, { roles: [] }).then(() => 'done', (error: { code: string }) => error.code)))
    const [{ count }] = await query<{ count: string }>('select count(*) from serial.accounts_users where roles @> \'["owner"]\'') as [{ count: string }]
    t.equal(Number(count), 1, 'one owner stays')
    t.ok(outcomes.every(outcome => ['done', 'FST_ACCOUNTS_LAST_OWNER', 'FST_ACCOUNTS_STORAGE_UNAVAILABLE'].includes(outcome)), outcomes.join(' '))

    const signUps = await Promise.all(Array.from({ length: 8 }, async (_, index) => await (index % 2 === 0 ? one : other).client().post('/auth/register', { email: 'same@example.com', password: PASSWORD })))
    const codes = signUps.map(({ statusCode }) => statusCode)
    t.equal(codes.filter(code => code === 201).length, 1, codes.join(' '))
    t.ok(codes.every(code => [201, 409, 503].includes(code)))
    const browser = (await one.client().post('/auth/login', { email: 'same@example.com', password: PASSWORD }))
    t.equal(browser.statusCode, 200)

    const racer = await one.signedUp('racer@example.com')
    const changes = await Promise.all(Array.from({ length: 4 }, async (_, index) => {
      const { statusCode } = await (index % 2 === 0 ? racer.copy() : racer.copy()).post('/auth/password/change', { currentPassword: PASSWORD, newPassword: `${OTHER_PASSWORD} ${index}` })
      return statusCode
    }))
    t.equal(changes.filter(code => code === 204).length, 1, changes.join(' '))
    const [{ epoch }] = await query<{ epoch: number }>('select epoch from serial.accounts_users where email_key = \'racer@example.com\'') as [{ epoch: number }]
    t.equal(epoch, 1, 'once')
    t.comment(`owners: ${outcomes.join(' ')}; sign-ups: ${codes.join(' ')}; changes: ${changes.join(' ')}`)
  })

  t.test('F-13 V-04 a conflict that does not go away: three more attempts, then 503', async t => {
    const { signedUp } = await createSubject(t, server, 'conflict')
    const browser = await signedUp()
    for (const code of ['40001', '40P01']) {
      await query('create sequence conflict.attempts')
      await query(`create function conflict.clash() returns trigger language plpgsql as $$ begin perform nextval('conflict.attempts'); raise exception 'no' using errcode = '${code}'; end $$`)
      await query('create trigger clash after update on conflict.accounts_sessions for each statement execute function conflict.clash()')
      for (const act of [async () => await browser.copy().post('/auth/logout'), async () => await browser.copy().post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })]) {
        const start = realTime()
        t.ok(isUnavailable(await act()))
        t.ok(realTime() - start <= TRANSACTION_MS)
        const [{ attempts }] = await query<{ attempts: string }>('select last_value as attempts from conflict.attempts') as [{ attempts: string }]
        t.equal(Number(attempts), 4)
        await query('alter sequence conflict.attempts restart')
      }
      await query('drop function conflict.clash() cascade; drop sequence conflict.attempts')
    }
    t.equal((await browser.get('/private')).statusCode, 200)
  })

  t.test('F-13 two who lock in opposite order: the server ends the knot, both are answered, and nothing is done twice', async t => {
    const { signedUp, app } = await createSubject(t, server, 'knot')
    const browser = await signedUp()
    const { sid, sub } = accessOf(browser)
    const outsider = new pg.Client(server.url)
    await outsider.connect()
    t.teardown(async () => await outsider.end())
    await outsider.query('begin')
    await outsider.query('update knot.accounts_sessions set last_seen_at = now() where id = $1', [sid])
    // Takes the user, then waits for the session.
    const disabling = app.accounts.users.update(sub, { disabled: true }).then(user => user?.disabled, (error: { code: string }) => error.code)
    await until(async () => (await query('select 1 from pg_locks where not granted')).length > 0, 2000)
    const outcome = await outsider.query('update knot.accounts_users set name = name where id = $1', [sub]).then(() => 'went on', (error: { code: string }) => error.code)
    await outsider.query(outcome === 'went on' ? 'commit' : 'rollback')
    t.ok([true, 'FST_ACCOUNTS_STORAGE_UNAVAILABLE'].includes(await disabling as true | string))
    const isDisabled = await disabling === true
    const [{ epoch }] = await query<{ epoch: number }>('select epoch from knot.accounts_users where id = $1', [sub]) as [{ epoch: number }]
    t.equal(epoch, isDisabled ? 1 : 0)
    t.equal((await browser.get('/private')).statusCode, isDisabled ? 401 : 200)
    t.comment(`we: ${String(await disabling)}, the other: ${outcome}`)
  })

  t.test('F-30 a row that somebody has spoilt fails for its user alone', async t => {
    const { signedUp, client, storage } = await createSubject(t, server, 'spoilt')
    const healthy = await signedUp('healthy@example.com')
    await query('alter table spoilt.accounts_users alter roles drop not null, alter epoch drop not null, alter created_at drop not null')
    await query('alter table spoilt.accounts_sessions alter generation drop not null, alter expires_at drop not null, alter remember drop not null')
    const SPOILERS = [
      ['accounts_users', 'password_digest = \'not a digest\''], ['accounts_users', 'password_digest = \'$argon2id$v=19$m=1,t=1,p=1$YQ$YQ\''],
      ['accounts_users', 'roles = \'"owner"\''], ['accounts_users', 'roles = \'{}\''], ['accounts_users', 'roles = \'[1, null]\''], ['accounts_users', 'roles = null'],
      ['accounts_users', 'epoch = null'], ['accounts_users', 'created_at = null'], ['accounts_users', 'created_at = \'infinity\''],
      ['accounts_sessions', 'generation = null'], ['accounts_sessions', 'expires_at = null'], ['accounts_sessions', 'expires_at = \'-infinity\''], ['accounts_sessions', 'expires_at = \'infinity\''],
      ['accounts_sessions', 'remember = null'], ['accounts_sessions', 'acknowledged_generation = -1'], ['accounts_sessions', 'user_agent = repeat(\'x\', 100000)']
    ] as const
    let count = 0
    for (const [table, spoiler] of SPOILERS) {
      const email = `victim${++count}@example.com`
      const browser = await signedUp(email)
      const { sid, sub } = accessOf(browser)
      await query(`update spoilt.${table} set ${spoiler} where ${table === 'accounts_users' ? 'id' : 'user_id'} = $1`, [sub])
      const wrong = await client().post('/auth/login', { email, password: OTHER_PASSWORD })
      const codes = [
        await browser.copy().get('/strict'), await browser.copy().post('/auth/refresh'), await browser.copy().get('/auth/sessions'),
        await client().post('/auth/login', { email, password: PASSWORD }), wrong
      ].map(({ statusCode }) => statusCode)
      t.ok(codes.every(code => [200, 401, 503].includes(code)), `${spoiler}: ${codes.join(' ')}`)
      t.not(wrong.statusCode, 200, `${spoiler}: opens nothing`)
      if (/roles|epoch|generation/.test(spoiler) && !spoiler.startsWith('ack')) t.equal(codes[0], 503, `${spoiler}: not let in with it`)
      t.equal((await healthy.get('/strict')).statusCode, 200, 'others are let in')
      t.equal((await client().post('/auth/login', { email: 'healthy@example.com', password: PASSWORD })).statusCode, 200)
      t.ok(sid)
    }
    t.ok(storage)
  })

  t.test('F-13 storages that change overlapping users and sessions at once never tie a knot', async t => {
    const schema = 'knots'
    const storages: Storage[] = []
    for (let count = 0; count < 3; count++) storages.push(await postgresStorage(proxy.url, { schema, max: 5 }))
    t.teardown(async () => { await Promise.all(storages.map(async storage => await storage.close!())) })
    const deadlocks = async () => Number((await query<{ deadlocks: string }>('select deadlocks from pg_stat_database where datname = current_database()'))[0]!.deadlocks)
    await query('select pg_stat_force_next_flush()')
    const before = await deadlocks()
    const users = ['u1', 'u2', 'u3', 'u4']
    let ids: string[] = []
    let generation = 0
    const fill = async () => {
      ids = []
      for (const id of users) {
        await storages[0]!.users.create({ id, email: `${id}@x`, emailKey: `${id}@x`, username: null, usernameKey: null, name: null, roles: ['owner'], passwordDigest: 'd', emailVerified: false, createdAt: new Date() })
        for (let count = 0; count < 12; count++) {
          const sid = `s${Math.random().toString(36).slice(2)}${++generation}`
          ids.push(sid)
          const at = new Date()
          const end = new Date(Date.now() + HOUR)
          await storages[0]!.sessions.create({ id: sid, userId: id, epoch: 0, generation: 0, rotatedAt: at, acknowledgedGeneration: 0, createdAt: at, authenticatedAt: at, lastSeenAt: at, idleExpiresAt: end, expiresAt: end, remember: true, claims: null, userAgent: null, address: null, revokedAt: null, revokeReason: null })
        }
      }
    }
    await fill()
    const pick = <T>(of: readonly T[]): T => of[Math.floor(Math.random() * of.length)]!
    const shuffled = () => [...ids].sort(() => Math.random() - 0.5)
    const at = new Date()
    const VERBS: Array<(storage: Storage) => Promise<unknown>> = [
      async ({ sessions }) => await sessions.touch(shuffled().map(id => ({ id, lastSeenAt: new Date(), acknowledgedGeneration: 0 }))),
      async ({ sessions }) => await sessions.touch(shuffled().map(id => ({ id, lastSeenAt: new Date(), acknowledgedGeneration: 0 }))),
      async ({ sessions }) => await sessions.revokeAllForUser(pick(users), { at, reason: 'ended-by-host' }),
      async ({ sessions }) => await sessions.revoke(pick(ids), { at, reason: 'signed-out' }),
      async ({ sessions }) => await sessions.rotate(pick(ids), 0, { at: new Date(), idleExpiresAt: new Date(Date.now() + HOUR) }),
      async ({ sessions }) => await sessions.deleteEnded!(new Date()),
      async ({ users: store }) => await store.update(pick(users), { name: String(Math.random()) }, at),
      async ({ users: store }) => await store.update(pick(users), { roles: pick([[], ['owner']]) }, at),
      async storage => await storage.atomically!(storage, async stores => {
        const id = pick(users)
        const user = await stores.users.find(id)
        await stores.users.update(id, { disabled: Math.random() < 0.5 }, at)
        await stores.sessions.revokeAllForUser(id, { at, reason: 'disabled' })
        return user
      }),
      async storage => await storage.atomically!(storage, async stores => {
        const id = pick(users)
        await stores.users.changePassword(id, (await storage.users.find(id))?.epoch ?? 0, 'digest')
        await stores.sessions.revokeAllForUser(id, { at, reason: 'password-changed' })
      }),
      async storage => await storage.atomically!(storage, async stores => {
        const id = pick(users)
        await stores.users.delete(id)
        await stores.sessions.deleteAllForUser(id)
      })
    ]
    const failures = new Map<string, number>()
    let done = 0
    for (let round = 0; round < 4; round++) {
      await Promise.all(storages.flatMap(storage => Array.from({ length: 4 }, async () => {
        for (let count = 0; count < 40; count++) {
          await pick(VERBS)(storage).then(() => done++, (error: { code?: string, message: string }) => {
            const what = `${error.code} ${error.message}`
            failures.set(what, (failures.get(what) ?? 0) + 1)
          })
        }
      })))
      await fill()
    }
    await endConnections()
    await until(async () => (await query('select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')).length <= 15, 2000)
    t.equal(await deadlocks() - before, 0, 'not one deadlock')
    t.strictSame([...failures], [])
    t.comment(`${done} calls`)
  })
})
