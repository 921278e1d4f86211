import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { findFault } from '../lib/adapters/kysely/better-sqlite3.ts'
import { kyselyStorage, migratePostgres, postgresStorage, sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { databaseUrl } from './support/postgres.ts'
import { ROOT } from './support/root.ts'

const db = new Kysely({ dialect: new SqliteDialect({ database: new BetterSqlite(':memory:') }) })
const pool = new pg.Pool({ connectionString: 'postgres://127.0.0.1:1/none' })
t.teardown(async () => { await Promise.all([db.destroy(), pool.end()]) })

/** What JavaScript lets through that types refuse. */
const wrong = (options: object) => options as never

const MISTAKES: ReadonlyArray<readonly [string, () => Promise<unknown>]> = [
  ['Option "shema" is unknown', async () => await postgresStorage(databaseUrl(), wrong({ shema: 'x' }))],
  ['Option "shema" is unknown', async () => await migratePostgres(databaseUrl(), wrong({ shema: 'x' }))],
  ['Option "migrat" is unknown', async () => await sqliteStorage(':memory:', wrong({ migrat: false }))],
  ['Option "prefix" is unknown', async () => await kyselyStorage(db, wrong({ dialect: 'sqlite', prefix: 'x' }))],
  ['Option "dialect" must be "sqlite" or "postgres"', async () => await kyselyStorage(db, wrong({ dialect: 'mysql' }))],
  ['Option "dialect" must be "sqlite" or "postgres"', async () => await kyselyStorage(db, wrong({}))],
  ['Option "schema" is for PostgreSQL only', async () => await kyselyStorage(db, { dialect: 'sqlite', schema: 'x' })],
  ['Option "listen" is for PostgreSQL only', async () => await kyselyStorage(db, { dialect: 'sqlite', listen: 'postgres://x' })],
  ['Option "url" of postgresStorage must begin with postgres://', async () => await postgresStorage('mysql://localhost/x')],
  ['Option "url" of postgresStorage must be an address or a Pool of pg, not undefined', async () => await postgresStorage(wrong(undefined as unknown as object))],
  ['Option "url" of postgresStorage must be an address or a Pool of pg, not object', async () => await postgresStorage(wrong({}))],
  ['Option "max" must be a whole number from 1', async () => await postgresStorage(databaseUrl(), { max: 0 })],
  ['Option "max" is for the pool that is made from an address', async () => await postgresStorage(pool, { max: 3 })],
  ...['Accounts', 'a-b', 'a.b', '1a', '', 'a"b', 'x'.repeat(31), 7].flatMap(name => (['schema', 'tablePrefix'] as const).map(option =>
    [`Option "${option}" must be 1 to 30 small letters, digits or "_", and not begin with a digit`, async () => await postgresStorage(databaseUrl(), wrong({ [option]: name }))] as const))
]

t.test('a storage refuses what is unknown or makes no sense, by name', async t => {
  for (const [message, open] of MISTAKES) await t.rejects(open(), { code: 'FST_ACCOUNTS_OPTION_INVALID', message })
})

t.test('a server whose start is refused ends by itself, whatever its storage has opened', async t => {
  const lib = join(ROOT, 'dist/lib')
  const program = `
    import Fastify from 'fastify'
    import accounts from '${lib}/index.js'
    import { postgresStorage } from '${lib}/adapters/kysely/index.js'
    const app = Fastify()
    const storage = await postgresStorage('${databaseUrl()}', { schema: 'test_refused_start' })
    await storage.users.find('somebody')
    try {
      await app.register(accounts, { appUrl: 'http://localhost:3000', secret: 'x'.repeat(32), storage })
    } catch (error) { console.log(error.code) }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: ROOT, env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  let printed = ''
  let refusedAt = 0
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
    refusedAt = performance.now()
  })
  const [code] = await once(child, 'close') as [number]
  t.strictSame([code, printed], [0, 'FST_ACCOUNTS_OPTION_INVALID\n'])
  t.ok(performance.now() - refusedAt < 8000, 'and not only when the pool gives up connections that nobody uses, after ten seconds')
})

t.test('which better-sqlite3 runs on which Node', t => {
  const fits = [['12.0.0', '20.19.0'], ['12.11.1', '22.23.3'], ['12.11.1', '24.18.9'], ['13.0.0', '22.0.0'], ['13.2.0', '24.21.0'], ['14.0.0', '26.0.0'], [null, '24.21.0'], ['0.0.0', '20.20.2'], ['0.0.0', '24.21.0']] as const
  for (const [version, node] of fits) t.equal(findFault(version, node), null, `${version} on ${node}`)
  for (const [version, node] of [['13.0.0', '20.20.2'], ['14.1.0', '21.9.0']] as const) t.match(findFault(version, node), { isFatal: true, what: `better-sqlite3 ${version} would end the process on Node ${node}: npm install better-sqlite3@12` })
  for (const node of ['24.19.0', '24.21.0', '25.0.0', '26.1.0']) t.match(findFault('12.11.1', node), { isFatal: false, what: /^better-sqlite3 12\.11\.1, if it was built on this machine, ends the process now and then on Node .*: npm install better-sqlite3@13$/ })
  t.end()
})
