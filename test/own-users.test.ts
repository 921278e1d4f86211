import { randomBytes } from 'node:crypto'
import BetterSqlite from 'better-sqlite3'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { peopleStore, SCHEMA } from '../examples/own-users-table/people.js'
import { build } from '../examples/own-users-table/server.js'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts, { emailKey } from '../lib/index.ts'
import { userContract } from '../lib/testing/index.ts'
import type { Storage, UserStore } from '../types/index.ts'
import { databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { holdClock, SECOND } from './support/clock.ts'
import { CHEAP_COSTS } from './support/counting-hasher.ts'
import { openPostgres } from './support/postgres.ts'

const openStore = peopleStore as (database: BetterSqlite.Database) => UserStore
const buildExample = build as (options: object, files: { people: string, sessions: string }) => Promise<FastifyInstance>
const ADA = { email: 'Ada@Example.com', password: PASSWORD }

function openPeople (t: Test, file: string): BetterSqlite.Database {
  const database = new BetterSqlite(file)
  t.teardown(() => { database.close() })
  database.exec(SCHEMA as string)
  return database
}

t.test('emailKey makes the canonical form of an address, by which a store finds it', async t => {
  t.equal(emailKey('Ada@Example.COM'), 'ada@example.com')
  t.equal(emailKey('Zoë@Bücher.example'), 'zoë@xn--bcher-kva.example')
  t.equal(emailKey('ada@example.com, eve@example.com'), null)
})

t.test('the users store of the example keeps the contract', async t => {
  const users = openStore(openPeople(t, databaseFile(t)))
  for (const { title, run } of userContract) await t.resolves(run({ users } as Storage), title)
})

t.test('accounts live in the table of the host, under its ids and with its fields, and in no other', async t => {
  const files = { people: databaseFile(t), sessions: databaseFile(t) }
  const people = openPeople(t, files.people)
  people.prepare("insert into people (id, mail, mail_key, plan, joined_at) values (41, 'grace@example.com', 'grace@example.com', 'paid', 0)").run()
  const app = await buildExample({ secret: randomBytes(32), passwords: { argon2: CHEAP_COSTS } }, files)
  t.teardown(async () => { await app.close() })
  const browser = createClient(app)
  const registered = await browser.post('/auth/register', ADA)
  t.match(registered.json(), { user: { id: '42', email: 'Ada@Example.com', plan: 'free' } })
  t.match((await browser.get('/profile')).json(), { email: 'Ada@Example.com', plan: 'free' })
  t.match((await createClient(app).post('/auth/register', { ...ADA, email: 'GRACE@example.com' })).json(), { code: 'FST_ACCOUNTS_EMAIL_TAKEN' })
  t.equal((await createClient(app).post('/auth/login', { email: 'grace@example.com', password: PASSWORD })).statusCode, 401, 'who has no password can\'t log in')
  t.equal((await createClient(app).post('/auth/login', { username: 'ada', password: PASSWORD })).statusCode, 401, 'nor anybody by user name')
  t.match((await createClient(app).post('/auth/register', { ...ADA, email: 'eve@example.com', username: 'evelyn' })).json(), { statusCode: 400, message: 'username: there are no user names here' }, 'a user name is refused, not dropped')

  const elsewhere = createClient(app)
  t.equal((await elsewhere.post('/auth/login', { ...ADA, email: 'ada@EXAMPLE.com' })).statusCode, 200)
  t.equal((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
  t.equal((await elsewhere.get('/profile')).statusCode, 401, 'a changed password ends the sessions beside the table')
  t.equal((await browser.get('/profile')).statusCode, 200)
  await app.accounts.users.update('42', { disabled: true })
  t.equal((await browser.get('/profile')).statusCode, 401)
  t.equal(await app.accounts.users.delete('42'), true)
  t.strictSame(people.prepare('select id, mail from people').all(), [{ id: 41, mail: 'grace@example.com' }])
  const beside = new BetterSqlite(files.sessions)
  t.strictSame(beside.prepare('select (select count(*) from accounts_users) as users, (select count(*) from accounts_sessions) as sessions').get(), { users: 0, sessions: 0 })
  beside.close()
})

for (const [name, openSessions] of [
  ['SQLite', async (_t: Test, file: string) => await sqliteStorage(file)],
  ['PostgreSQL', async (t: Test, _file: string, schema: { name?: string }) => {
    const storage = await openPostgres(t, schema.name === undefined ? {} : { schema: schema.name })
    return storage
  }]
] as const) {
  t.test(`what is changed in a host's own table reaches the other servers, with sessions in ${name}`, async t => {
    const file = databaseFile(t)
    const database = openPeople(t, databaseFile(t))
    const schema: { name?: string } = name === 'PostgreSQL' ? { name: `test_${randomBytes(8).toString('hex')}` } : {}
    const secret = randomBytes(32)
    const servers = await Promise.all([0, 1].map(async () => {
      const app = Fastify()
      await app.register(accounts, { appUrl: 'http://localhost:3000', secret, passwords: { argon2: CHEAP_COSTS }, storage: { ...await openSessions(t, file, schema), users: openStore(database) } })
      app.get('/roles', { onRequest: app.authenticate }, async request => request.principal!.user.roles)
      await app.ready()
      t.teardown(async () => { await app.close() })
      return app
    }))
    const [here, there] = servers as [FastifyInstance, FastifyInstance]
    const browser = createClient(there)
    const { user: { id } } = (await browser.post('/auth/register', ADA)).json()
    const roles = async () => (await browser.get('/roles')).json()
    const untilThere = async (expected: readonly string[]) => {
      for (const end = Date.now() + 1000; Date.now() < end && JSON.stringify(await roles()) !== JSON.stringify(expected);) await new Promise(resolve => setTimeout(resolve, 5))
      t.strictSame(await roles(), expected)
    }
    t.strictSame(await roles(), [])
    await here.accounts.users.update(id, { roles: ['editor'] })
    await untilThere(['editor'])
    database.prepare("update people set roles = '[\"author\"]'").run()
    t.strictSame(await roles(), ['editor'], 'nobody has said anything yet')
    await here.accounts.users.announce(id)
    await untilThere(['author'])
    await here.accounts.users.update(id, { disabled: true })
    for (const end = Date.now() + 1000; Date.now() < end && (await browser.copy().get('/roles')).statusCode === 200;) await new Promise(resolve => setTimeout(resolve, 5))
    t.equal((await browser.copy().get('/roles')).statusCode, 401)
  })
}

t.test('what nobody says of a host\'s own table is seen within a minute; of the package\'s own tables nothing has to be said', async t => {
  const clock = holdClock(t)
  // It never misses anything, so nothing but the minute makes anybody read again.
  const feed = { subscribe: () => () => {}, isCurrent: () => true }
  const database = openPeople(t, databaseFile(t))
  const storage = await sqliteStorage(':memory:')
  const open = async (own: Partial<Storage>) => {
    let reads = 0
    const { users } = { ...storage, ...own }
    const { find } = users
    // In its place, as a storage knows its own stores in a transaction.
    const counted = Object.assign(users, { find: async (id: string) => { reads++; return await find.call(users, id) } })
    const seen = { ...feed, sees: (store: object) => store === counted && own.users === undefined }
    const app = Fastify()
    await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), passwords: { argon2: CHEAP_COSTS }, storage: { ...storage, users: counted, feed: seen } })
    t.teardown(async () => { await app.close() })
    app.get('/roles', { onRequest: app.authenticate }, async request => request.principal!.user.roles)
    const browser = createClient(app)
    t.equal((await browser.post('/auth/register', ADA)).statusCode, 201)
    return { roles: async () => (await browser.get('/roles')).json(), reads: () => reads }
  }
  const theirs = await open({ users: openStore(database) })
  t.strictSame(await theirs.roles(), [])
  database.prepare("update people set roles = '[\"author\"]'").run()
  clock.advance(59 * SECOND)
  t.strictSame(await theirs.roles(), [])
  clock.advance(2 * SECOND)
  t.strictSame(await theirs.roles(), ['author'])

  const ours = await open({})
  t.strictSame(await ours.roles(), [])
  const before = ours.reads()
  clock.advance(61 * SECOND)
  t.strictSame(await ours.roles(), [])
  t.equal(ours.reads(), before)
})

t.test('a users store that lacks a verb is refused at start by name, one without the optional ones is not', async t => {
  const database = openPeople(t, databaseFile(t))
  const { list, ...small } = openStore(database) as Required<UserStore>
  const start = async (users: object) => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: { ...await sqliteStorage(':memory:'), users: users as UserStore } })
    return app
  }
  for (const verb of ['find', 'findByEmail', 'create', 'update', 'changePassword', 'delete']) {
    await t.rejects(start({ ...small, [verb]: undefined }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: `Option "storage.users.${verb}" is missing` })
  }
  const app = await start(small)
  t.notOk(app.hasRoute({ method: 'GET', url: '/auth/users' }), 'without a list there is no route for one')
  t.ok((await start({ ...small, list })).hasRoute({ method: 'GET', url: '/auth/users' }))
})
