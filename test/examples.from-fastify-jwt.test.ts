import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createSigner, type SignerOptions } from 'fast-jwt'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { userContract } from '../lib/testing/index.ts'
import type { Storage, UserStore } from '../types/index.ts'
import { databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { DAY, holdClock, MINUTE } from './support/clock.ts'
import { ROOT } from './support/root.ts'

const EXAMPLE = join(ROOT, 'examples/from-fastify-jwt')
const { build: buildBefore, SCHEMA } = await import(join(EXAMPLE, 'before.js')) as { build: (given: object) => Promise<FastifyInstance>, SCHEMA: string }
const { build: buildAfter } = await import(join(EXAMPLE, 'after.js')) as { build: (options: object, given: object) => Promise<FastifyInstance> }
const { addColumns, usersStore } = await import(join(EXAMPLE, 'users.js')) as { addColumns: (database: Database.Database) => Array<{ id: number, email: string }>, usersStore: (database: Database.Database) => UserStore }

const jwtSecret = randomBytes(32).toString('hex')
const SESAME = 'sesame'

interface Moved {
  readonly app: FastifyInstance
  readonly database: Database.Database
  /** Another process of the same server. */
  again (given?: object, options?: object): Promise<FastifyInstance>
  /** The old server once more, on the table as it is now. */
  before (): Promise<FastifyInstance>
}

interface Person { readonly id: number, readonly token: string, readonly browser: Client }

/** People sign up and log in on before.js, which then gives way to after.js on the same table. */
async function move<Name extends string> (t: Test, names: readonly Name[]): Promise<Moved & { readonly people: Record<Name, Person> }> {
  const [file, sessions] = [databaseFile(t), databaseFile(t)]
  const before = await buildBefore({ jwtSecret, file, rounds: 4 })
  const database = new Database(file)
  t.teardown(() => { database.close() })
  const people: Array<[Name, Omit<Person, 'browser'> & { cookies: Record<string, string> }]> = []
  for (const name of names) {
    const browser = createClient(before)
    const { id } = (await browser.post('/signup', { email: `${name}@example.com`, password: SESAME })).json() as { id: number }
    if (name === 'admin') database.prepare('update users set role = \'admin\' where id = ?').run(id)
    const { token } = (await browser.post('/login', { email: `${name}@example.com`, password: SESAME })).json() as { token: string }
    people.push([name, { id, token, cookies: browser.cookies }])
  }
  await before.close()
  const movedAt = new Date()
  const secret = randomBytes(32)
  const again = async (given = {}, options = {}) => {
    const app = await buildAfter({ secret, rateLimit: false, ...options }, { jwtSecret, movedAt, until: new Date(movedAt.getTime() + 7 * DAY), file, sessions, rounds: 4, ...given })
    t.teardown(async () => { await app.close() })
    await app.ready()
    return app
  }
  const app = await again()
  const back = async () => {
    const app = await buildBefore({ jwtSecret, file })
    t.teardown(async () => { await app.close() })
    return app
  }
  return { app, database, again, before: back, people: Object.fromEntries(people.map(([name, { cookies, ...person }]) => [name, { ...person, browser: createClient(app, cookies) }])) as unknown as Record<Name, Person> }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

t.test('from @fastify/jwt: whoever is logged in stays logged in, by one session, on routes that were moved and on those that were not', async t => {
  const { app, again, people: { ada, admin } } = await move(t, ['ada', 'admin'])
  const copies = [ada.browser.copy(), ada.browser.copy()]
  const page = await Promise.all(['/profile', '/orders', '/auth/me'].map(async url => await ada.browser.get(url)))
  t.strictSame(page.map(({ statusCode, headers }) => [statusCode, headers['cache-control']]), Array(3).fill([200, 'no-store']))
  t.strictSame(page.slice(0, 2).map(answer => answer.json()), [{ id: ada.id, email: 'ada@example.com' }, { ordersOf: ada.id }])
  t.strictSame(Object.keys(ada.browser.cookies).sort(), ['accounts_access', 'accounts_device', 'accounts_refresh'])
  t.equal((await ada.browser.get('/auth/sessions')).json().sessions.length, 1)
  t.match(ada.browser.cookies.accounts_access, /./)
  t.equal((await ada.browser.get('/orders')).headers.deprecation, undefined, 'a session has no end to be told of')
  t.strictSame([(await ada.browser.get('/stock')).statusCode, (await admin.browser.get('/stock')).statusCode], [403, 200], 'the role is mapped')
  t.match((await app.accounts.users.find(String(admin.id)))!.roles, ['owner', 'admin'])

  t.equal((await createClient(await again(), copies[0]!.cookies).get('/profile')).statusCode, 200, 'another process has the rest of the page')
  holdClock(t).advance(MINUTE)
  const thief = createClient(await again(), copies[1]!.cookies)
  t.equal((await thief.get('/profile')).statusCode, 401)
  t.strictSame(thief.cookies, {})
  t.equal((await ada.browser.get('/profile')).statusCode, 200)
})

t.test('from @fastify/jwt: a bearer token goes on until it expires where the routes were not moved, and every answer says that it ends', async t => {
  const { app, people: { ada, bob } } = await move(t, ['ada', 'bob'])
  const client = createClient(app)
  const answer = await client.get('/orders', bearer(ada.token))
  t.strictSame(answer.json(), { ordersOf: ada.id })
  t.match(answer.headers, { deprecation: /^@\d{10}$/, sunset: / GMT$/, link: '</auth/tokens>; rel="successor-version"' })
  t.ok(new Date(answer.headers.sunset as string).getTime() <= Date.now() + 7 * DAY)
  t.strictSame(client.cookies, {}, 'it becomes no session')
  t.equal((await client.get('/profile', bearer(ada.token))).statusCode, 401, 'a route that was moved takes none')

  const { token: personal } = (await (await loggedIn(app, 'ada')).post('/auth/tokens', { name: 'nightly', context: 'server' })).json() as { token: string }
  for (const url of ['/orders', '/profile']) t.match(await client.get(url, bearer(personal)), { statusCode: 200, headers: { deprecation: undefined } })

  await app.accounts.users.update(String(bob.id), { disabled: true })
  await app.accounts.passwords.set(String(ada.id), OTHER_PASSWORD)
  for (const { token, browser } of [ada, bob]) {
    t.equal((await client.get('/orders', bearer(token))).statusCode, 401)
    t.equal((await browser.get('/profile')).statusCode, 401)
  }
})

const loggedIn = async (app: FastifyInstance, name: string) => {
  const browser = createClient(app)
  await browser.post('/auth/login', { email: `${name}@example.com`, password: SESAME })
  return browser
}

t.test('from @fastify/jwt: no token is taken on any doubt, and none at all after the last day', async t => {
  const { app, again, people: { ada } } = await move(t, ['ada'])
  const seconds = Math.floor(Date.now() / 1000)
  const sign = (claims: object, options: Partial<SignerOptions> = {}) => createSigner({ key: jwtSecret, algorithm: 'HS256', ...options } as SignerOptions & { key: string })({ id: ada.id, iat: seconds - 60, exp: seconds + 3600, ...claims })
  const tokens = {
    expired: sign({ exp: seconds - 1 }),
    'without an end': sign({ exp: undefined }),
    'without a time': sign({ iat: undefined }, { noTimestamp: true }),
    'signed after the move': sign({ iat: seconds + 60 }),
    'of nobody': sign({ id: undefined }),
    'of somebody who is not there': sign({ id: 4711 }),
    'of a text': sign({ id: String(ada.id) }),
    'of another algorithm': sign({}, { algorithm: 'HS512' }),
    'of another kind': sign({}, { header: { alg: 'HS256', typ: 'at+jwt' } }),
    'of another secret': sign({}, { key: randomBytes(32).toString('hex') } as Partial<SignerOptions>),
    unsigned: sign({}, { algorithm: 'none', key: undefined } as unknown as Partial<SignerOptions>),
    'no token at all': 'x.y.z'
  }
  for (const [title, token] of Object.entries(tokens)) {
    const browser = createClient(app, { token })
    t.equal((await browser.get('/profile')).statusCode, 401, `${title}: cookie`)
    t.strictSame(browser.cookies, {}, `${title}: is cleared`)
    t.equal((await createClient(app).get('/orders', bearer(token))).statusCode, 401, `${title}: bearer`)
  }
  const twice = await app.inject({ url: '/profile', headers: { cookie: `token=${ada.token}; token=${ada.token}` } })
  t.equal(twice.statusCode, 401, 'twice')
  const late = await again({ until: new Date() })
  t.equal((await createClient(late, { token: ada.token }).get('/profile')).statusCode, 401)
  t.equal((await createClient(late).get('/orders', bearer(ada.token))).statusCode, 401)
  t.equal((await createClient(app).get('/orders', bearer(sign({})))).statusCode, 200, 'a good one is taken')
  for (const wrong of [{ jwtSecret: 'supersecret' }, { jwtSecret: undefined }, { until: new Date(NaN) }, { movedAt: 'today' }]) await t.rejects(again(wrong), TypeError)
})

t.test('from @fastify/jwt: passwords go on, their digests become argon2id, and new accounts get ids of the table', async t => {
  const { app, database, people: { ada } } = await move(t, ['ada'])
  const browser = createClient(app)
  t.equal((await browser.post('/auth/login', { email: 'ADA@example.com', password: SESAME })).statusCode, 200)
  t.match(database.prepare('select password_hash from users where id = ?').pluck().get(ada.id), /^\$argon2id\$/)
  t.match((await createClient(app).post('/auth/register', { email: 'new@example.com', password: PASSWORD })).json(), { user: { id: String(ada.id + 1) } })
})

t.test('from @fastify/jwt: the way back is open as long as digests are those of bcrypt', async t => {
  const { again, before, people: { ada } } = await move(t, ['ada', 'bob'])
  const login = async (app: FastifyInstance, url: string, name: string) => (await createClient(app).post(url, { email: `${name}@example.com`, password: SESAME })).statusCode
  const cautious = await again({}, { passwords: { algorithm: 'bcrypt', rounds: 10 } })
  t.strictSame([await login(cautious, '/auth/login', 'ada'), await login(await again(), '/auth/login', 'bob')], [200, 200])
  const old = await before()
  t.strictSame([await login(old, '/login', 'ada'), await login(old, '/login', 'bob')], [200, 401])
  t.equal((await createClient(old).get('/profile', bearer(ada.token))).statusCode, 200)
})

t.test('from @fastify/jwt: the columns are added once, accounts that can not come along are told, and the store keeps the contract', async t => {
  const database = new Database(':memory:')
  t.teardown(() => { database.close() })
  database.exec(SCHEMA)
  for (const email of ['Ada@example.com', 'ada@example.com', 'nobody at all', 'bob@example.com']) database.prepare('insert into users (email, password_hash) values (?, \'\')').run(email)
  const left = [{ id: 2, email: 'ada@example.com' }, { id: 3, email: 'nobody at all' }]
  t.strictSame([addColumns(database), addColumns(database)], [left, left])
  database.prepare('update users set email = \'ada2@example.com\' where id = 2').run()
  t.strictSame(addColumns(database), [left[1]], 'once it is corrected it comes along')
  for (const { title, run } of userContract) await t.resolves(run({ users: usersStore(database) } as Storage), title)
})
