import { mkdtempSync, rmSync, writeFileSync, chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { migratePostgres, postgresStorage } from '../lib/adapters/kysely/index.ts'
import { startWorker } from './support/processes.ts'
import { samplePersonalToken, sampleUser } from '../lib/testing/samples.ts'
import { databaseUrl, schemaName } from './support/postgres.ts'
import { realTime, startServer, countConnections } from './support/postgres-server.ts'
import { freePort } from './services/free-port.js'

const PASSWORD = 'lighthouse-gravel-2209'
const START_MS = 2500

t.test('a storage in PostgreSQL is opened', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-test-'))
  chmodSync(folder, 0o755)
  const rules = join(folder, 'pg_hba.conf')
  writeFileSync(rules, 'host all member 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n')
  const server = await startServer(t, { hba_file: rules })
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const { query } = server
  await query(`create role member login password '${PASSWORD}'`)
  await query('create schema given authorization member')
  await query('create schema other')
  const as = (user: string, password: string, { database = 'postgres', port = new URL(server.url).port } = {}) => `postgres://${user}:${password}@127.0.0.1:${port}/${database}`

  // Somebody who takes a connection and says nothing.
  const mute = createServer(socket => { socket.on('error', () => {}) }).listen(0, '127.0.0.1')
  await new Promise(resolve => mute.once('listening', resolve))
  t.teardown(() => { mute.close() })
  const { port: mutePort } = mute.address() as { port: number }
  const nobody = String(await freePort())

  const UNOPENED = 'FST_ACCOUNTS_STORAGE_UNOPENED'
  const FAILED = 'FST_ACCOUNTS_MIGRATION_FAILED'
  const WRONG: ReadonlyArray<readonly [string, string, { schema?: string }, string, RegExp]> = [
    ['nobody listens there', as('member', PASSWORD, { port: nobody }), {}, UNOPENED, /^Could not open PostgreSQL at 127\.0\.0\.1:\d+, database postgres: .*ECONNREFUSED/],
    ['who listens says nothing', as('member', PASSWORD, { port: String(mutePort) }), {}, UNOPENED, /^Could not open PostgreSQL at 127\.0\.0\.1:\d+, database postgres: .*(timeout|within)/],
    ['no such host', `postgres://member:${PASSWORD}@nowhere.invalid/postgres`, {}, UNOPENED, /^Could not open PostgreSQL at nowhere\.invalid, database postgres: .*(ENOTFOUND|EAI_AGAIN|within)/],
    ['the password is wrong', as('member', `${PASSWORD}x`), {}, UNOPENED, /^Could not open PostgreSQL at 127\.0\.0\.1:\d+, database postgres: password authentication failed/],
    ['no such user', as('stranger', PASSWORD), {}, UNOPENED, /role "stranger" does not exist/],
    ['no such database', as('member', PASSWORD, { database: 'elsewhere' }), {}, UNOPENED, /^Could not open PostgreSQL at 127\.0\.0\.1:\d+, database elsewhere: .*does not exist/],
    ['the schema may not be made', as('member', PASSWORD), { schema: 'mine' }, FAILED, /permission denied for database/],
    ['tables may not be made in the schema', as('member', PASSWORD), { schema: 'other' }, FAILED, /permission denied for schema other/]
  ]
  for (const [title, url, options, code, message] of WRONG) {
    t.test(`it says what is wrong and never the password: ${title}`, async t => {
      for (const open of [postgresStorage, migratePostgres]) {
        const start = realTime()
        const error = await open(url, options).then(() => null, (error: Error & { code: string }) => error)
        const ms = realTime() - start
        t.equal(error?.code, code)
        t.match(error?.message, message)
        t.notMatch(inspect(error, { depth: 10, showHidden: true }), PASSWORD)
        t.ok(ms <= START_MS, `${ms.toFixed(0)} ms`)
      }
    })
  }

  t.test('who may not read the tables of somebody else is told so', async t => {
    const storage = await postgresStorage(server.url, { schema: 'private' })
    await storage.close()
    const error = await postgresStorage(as('member', PASSWORD), { schema: 'private' }).catch((error: Error) => error) as Error
    t.match(error, { code: /^FST_ACCOUNTS_(STORAGE_UNOPENED|MIGRATION_FAILED)$/, message: /permission denied/ })
    t.notMatch(inspect(error, { depth: 10 }), PASSWORD)
  })

  t.test('nothing of a failed start is left behind', async t => {
    for (let count = 0; count < 3; count++) await t.rejects(postgresStorage(as('member', PASSWORD), { schema: 'other' }))
    await new Promise(resolve => setTimeout(resolve, 100))
    t.equal(await countConnections(server), 0)
  })

  t.test('a role that owns nothing but its schema can do everything', async t => {
    const storage = await postgresStorage(as('member', PASSWORD), { schema: 'given' })
    t.equal(await storage.users.find('nobody'), null)
    t.ok(storage.feed.isCurrent())
    await storage.close()
  })

  t.test('a frozen server is not waited for', async t => {
    server.signal('SIGSTOP')
    const start = realTime()
    await t.rejects(postgresStorage(server.url, { schema: 'frozen' }), { code: UNOPENED })
    t.ok(realTime() - start <= START_MS)
    server.signal('SIGCONT')
  })

  t.test('schemas of others that come and go meanwhile are no concern of it', async t => {
    const over = new AbortController()
    const others = Array.from({ length: 3 }, async (_, name) => {
      while (!over.signal.aborted) {
        await query(`create schema other${name}`)
        await query(`create table other${name}.things (id serial, number serial)`)
        await query(`drop schema other${name} cascade`)
      }
    })
    for (let round = 0; round < 6; round++) await t.resolves(postgresStorage(server.url, { schema: `among${round}` }).then(async storage => await storage.close()))
    over.abort()
    await Promise.all(others)
  })

  t.test('many that start at once on an empty database all start', async t => {
    for (let round = 0; round < 4; round++) {
      const schema = `empty${round}`
      const storages = await Promise.all(Array.from({ length: 6 }, async () => await postgresStorage(server.url, { schema })))
      t.ok(storages.every(({ feed }) => feed.isCurrent()))
      const [{ steps }] = await query<{ steps: string }>(`select count(*) as steps from ${schema}.accounts_migrations`) as [{ steps: string }]
      t.equal(Number(steps), 7)
      await Promise.all(storages.map(async storage => await storage.close()))
    }
  })

  t.test('so do four processes', async t => {
    const secret = randomBytes(32)
    const workers = await Promise.all(Array.from({ length: 4 }, async () => await startWorker(t, 'liveness-worker', { url: server.url, schema: 'processes' }, secret)))
    t.strictSame(await Promise.all(workers.map(async worker => await worker.ask('isCurrent'))), [true, true, true, true])
  })
})

t.test('verbs rest on read committed, also in a database whose transactions see less by default', async t => {
  const schema = schemaName(t)
  const url = new URL(databaseUrl())
  url.searchParams.set('options', '-c default_transaction_isolation=repeatable\\ read')
  const storage = await postgresStorage(url.href, { schema })
  t.teardown(async () => { await storage.close() })
  const owners = await Promise.all(Array.from({ length: 16 }, async (_, index) => await storage.users.createFirstOwner!(sampleUser({ emailKey: `racer${index}@example.com`, email: `racer${index}@example.com`, roles: ['owner'] }))))
  t.equal(owners.filter(owner => typeof owner !== 'string').length, 1)
  const { id: userId } = owners.find(owner => typeof owner !== 'string') as { id: string }
  const made = await Promise.all(Array.from({ length: 16 }, async () => await storage.personalTokens!.create(samplePersonalToken({ userId }), 3)))
  t.equal(made.filter(outcome => outcome === 'created').length, 3)
})
