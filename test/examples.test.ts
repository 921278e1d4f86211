import { execFile, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { randomBytes, scryptSync } from 'node:crypto'
import bcrypt from 'bcrypt'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createClient } from './support/client.ts'
import type { Storage } from '../types/index.ts'
import { OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { ROOT } from './support/root.ts'
import { freePort } from './services/free-port.js'

const curl = process.env.TEST_CURL ?? 'curl'
const OPTIONS = { appUrl: 'http://localhost:3000', secret: randomBytes(32) }

/** The examples in a folder of their own, as after a fresh clone; `fastify-accounts` is the build. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-examples-'))
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
cpSync(join(ROOT, 'examples'), join(folder, 'examples'), { recursive: true, filter: source => !/\.(db|db-shm|db-wal)$|accounts-secret$|\.env$/.test(source) })
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
mkdirSync(join(folder, 'node_modules'))
symlinkSync(ROOT, join(folder, 'node_modules/fastify-accounts'))
for (const name of ['fastify', '@fastify/cookie', '@fastify/session', 'better-sqlite3']) {
  mkdirSync(dirname(join(folder, 'node_modules', name)), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
}

type Build = (options: object, given?: object) => Promise<FastifyInstance>
let databases = 0

/** Build the app of an example on a database of its own. */
async function load (name: string, given?: object): Promise<FastifyInstance> {
  const { build } = await import(join(folder, `examples/${name}/server.js`)) as { build: Build }
  const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<object> }
  process.chdir(folder)
  const app = await build({ ...OPTIONS, storage: await sqliteStorage(join(folder, `${name}-${databases++}.db`)) }, given)
  t.teardown(async () => { await app.close() })
  return app
}

t.test('the quickstart starts, keeps its secret private, and its curl lines work as printed', async t => {
  const port = await freePort() as number
  for (const file of ['server.js', 'start.js']) {
    const path = join(folder, 'examples/quickstart', file)
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('3000', String(port)))
  }
  const start = async () => {
    const server = spawn(process.execPath, ['examples/quickstart/start.js'], { cwd: folder, env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    server.stderr.on('data', (chunk: Buffer) => { printed += chunk.toString() })
    for await (const chunk of server.stdout) {
      printed += (chunk as Buffer).toString()
      if (printed.includes('to POST /auth/owner')) break
    }
    return { printed, async stop () { server.kill(); await once(server, 'exit') } }
  }
  const first = await start()
  t.equal(statSync(join(folder, 'examples/quickstart/.accounts-secret')).mode & 0o777, 0o600)
  t.notMatch(first.printed, readFileSync(join(folder, 'examples/quickstart/.accounts-secret'), 'utf8'), 'the secret is not printed')
  t.match(first.printed, /setup code ([0-9A-Z]{4}-){5}[0-9A-Z]{4} to POST \/auth\/owner/)
  const lines = first.printed.split('\n').filter(line => line.startsWith('curl '))
  const answers: string[] = []
  for (const line of lines) answers.push((await promisify(execFile)('sh', ['-c', line.replace(/^curl/, `${curl} -s -w '\\n%{http_code}'`)], { cwd: folder })).stdout)
  t.strictSame(answers.map(answer => answer.split('\n').at(-1)), ['201', '200', '200', '204', '401', '200'])
  t.match(answers[1], '{"hello":"ada@example.com"}')
  await first.stop()

  const second = await start()
  const { stdout } = await promisify(execFile)('sh', ['-c', `${curl} -s -b jar http://localhost:${port}/hello`], { cwd: folder })
  t.equal(stdout, '{"hello":"ada@example.com"}', 'a restart logs nobody out')
  t.match((await (await fetch(`http://localhost:${port}/`)).text()), '<title>fastify-accounts quickstart</title>')
  const third = await start()
  t.match(third.printed, /Port \d+ is in use: stop the program that listens there/, 'and a taken port is said in words')
  await second.stop()
})

t.test('policies: each route of the example lets in whom it says', async t => {
  const app = await load('policies')
  const stranger = createClient(app)
  const browser = createClient(app)
  const { user } = (await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD, name: 'Ada' })).json() as { user: { id: string } }
  for (const url of ['/profile', '/reports', '/weather', `/users/${user.id}/notes`]) t.equal((await stranger.get(url)).statusCode, 401, url)
  t.strictSame((await stranger.get('/front-page')).json(), { hello: 'stranger' })
  t.strictSame((await browser.get('/front-page')).json(), { hello: 'ada@example.com' })
  t.match((await browser.get('/profile')).json(), { email: 'ada@example.com' })
  t.equal((await browser.get('/reports')).statusCode, 403)
  await app.accounts.users.update(user.id, { roles: ['editor'] })
  t.strictSame((await browser.get('/reports')).json(), ['2026-Q3'])
  t.strictSame((await browser.post('/transfer')).json(), { done: true })
  t.strictSame((await browser.get('/weather')).json(), { sky: 'blue' })
  t.strictSame((await browser.get(`/users/${user.id}/notes`)).json(), [])
  t.equal((await browser.get('/users/somebody-else/notes')).statusCode, 403)
})

t.test('leaving basic: the old credentials claim the first account, and everybody finds the way out', async t => {
  Object.assign(process.env, { OLD_USERNAME: 'admin', OLD_PASSWORD: 'sesame 4711' })
  const app = await load('leaving-basic')
  const send = async (method: 'GET' | 'POST', url: string, user: string, payload?: object) =>
    await app.inject({ method, url, headers: { authorization: `Basic ${Buffer.from(user).toString('base64')}` }, ...(payload === undefined ? {} : { payload }) })
  t.match((await send('GET', '/reports', 'admin:sesame 4711')).json(), { readBy: 'somebody who knows the old password' })
  t.equal((await send('GET', '/stragglers', 'admin:sesame 4711')).statusCode, 401)
  const claimed = await send('POST', '/auth/owner', 'admin:sesame 4711', { email: 'ada@example.com', password: PASSWORD })
  t.equal(claimed.statusCode, 201)
  const cookie = claimed.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  const { token } = (await send('POST', '/auth/basic/token', `ada@example.com:${PASSWORD}`, { name: 'nightly report' })).json() as { token: string }
  t.match((await app.inject({ url: '/reports', headers: { authorization: `Bearer ${token}` } })).json(), { readBy: 'ada@example.com' })
  t.match((await send('GET', '/reports', `ada@example.com:${PASSWORD}`)).headers, { deprecation: '@0', sunset: 'Wed, 30 Jun 2027 00:00:00 GMT' })
  const stragglers = (await app.inject({ url: '/stragglers', headers: { cookie } })).json() as Array<{ route: string, user: { email: string } | null }>
  t.strictSame(stragglers.map(({ route, user }) => `${user?.email ?? 'shared'} ${route}`).sort(), ['ada@example.com /auth/basic/token', 'ada@example.com /reports', 'shared /reports'])
})

t.test('closed by default: who says nothing is closed, and who says otherwise is obeyed', async t => {
  const app = await load('closed-by-default')
  const stranger = createClient(app)
  const browser = createClient(app)
  const { user } = (await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })).json() as { user: { id: string } }
  for (const url of ['/profile', '/reports', `/admin/users/${user.id}`, '/nowhere']) t.equal((await stranger.get(url)).statusCode, 401, url)
  t.strictSame((await stranger.get('/health')).json(), { ok: true })
  t.match((await browser.get('/profile')).json(), { email: 'ada@example.com' })
  for (const url of ['/reports', `/admin/users/${user.id}`]) t.equal((await browser.get(url)).statusCode, 403, url)
  await app.accounts.users.update(user.id, { roles: ['admin', 'editor'] })
  t.strictSame((await browser.get('/reports')).json(), ['2026-Q3'])
  t.match((await browser.get(`/admin/users/${user.id}`)).json(), { id: user.id })
  t.strictSame((await browser.request('DELETE', `/admin/users/${user.id}`)).json(), { deleted: true })
})

t.test('closed by default: the test of the example keeps the matrix, and sees a route that was opened', async t => {
  const run = async () => await promisify(execFile)(process.execPath, ['--test', 'examples/closed-by-default/policies.test.js'], { cwd: folder, env: { PATH: process.env.PATH } })
  await t.resolves(run())
  const server = join(folder, 'examples/closed-by-default/server.js')
  writeFileSync(server, readFileSync(server, 'utf8').replace('app.get(\'/profile\', ', 'app.get(\'/profile\', { config: { accounts: false } }, '))
  const { stdout } = await run().then(() => ({ stdout: 'it noticed nothing' }), (error: { stdout: string }) => error)
  t.match(stdout, /^ *\+ .*GET, HEAD +\/profile +public/m)
})

t.test('testing: the tests of the example pass, and see a route that lost its policy', async t => {
  const run = async () => await promisify(execFile)(process.execPath, ['--test', 'examples/testing/server.test.js'], { cwd: folder, env: { PATH: process.env.PATH } })
  await t.resolves(run())
  const server = join(folder, 'examples/testing/server.js')
  writeFileSync(server, readFileSync(server, 'utf8').replace('app.guard({ roles: [\'editor\'] })', 'app.authenticate').replace(', fresh: \'5m\'', ''))
  const { stdout } = await run().then(() => ({ stdout: 'they noticed nothing' }), (error: { stdout: string }) => error)
  for (const found of ['201 !== 403', '200 !== 401']) t.match(stdout, found)
})

t.test('own-users-table: the test of the example keeps the contract, and sees a verb that breaks it', async t => {
  const run = async () => await promisify(execFile)(process.execPath, ['--test', 'examples/own-users-table/people.test.js'], { cwd: folder, env: { PATH: process.env.PATH } })
  await t.resolves(run())
  const store = join(folder, 'examples/own-users-table/people.js')
  writeFileSync(store, readFileSync(store, 'utf8').replace(' on conflict do nothing', ''))
  const { stdout } = await run().then(() => ({ stdout: 'it noticed nothing' }), (error: { stdout: string }) => error)
  t.match(stdout, /UNIQUE constraint failed/)
})

t.test('hooks: the example refuses, audits and tells', async t => {
  const audited: string[] = []
  const mailed: string[] = []
  const app = await load('hooks', { audit: (line: string) => audited.push(line), mail: async (id: string, text: string) => { mailed.push(`${id} ${text}`) } })
  const browser = createClient(app)
  t.match((await browser.post('/auth/register', { email: 'ada@elsewhere.org', password: PASSWORD })).json(), { statusCode: 422, message: 'Use your company address' })
  t.equal((await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })).statusCode, 201)
  t.equal((await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
  t.ok(audited.some(line => / began /.test(line)))
  t.ok(audited.some(line => line.startsWith('account.registered ')))
  t.equal((await browser.get('/profile')).statusCode, 200)
})

t.test('old hashes: the example lets in who came from the old system, by scrypt and by bcrypt', async t => {
  const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<Storage> }
  const { build, importPeople } = await import(join(folder, 'examples/old-hashes/server.js')) as { build: Build, importPeople: (app: FastifyInstance, people: readonly object[]) => Promise<void> }
  const storage = await sqliteStorage(':memory:')
  const salt = randomBytes(16)
  const app = await build({ ...OPTIONS, storage })
  t.teardown(async () => { await app.close() })
  await importPeople(app, [
    { email: 'Ada@example.com', name: 'Ada', digest: `scrypt:${salt.toString('hex')}:${scryptSync(PASSWORD, salt, 32).toString('hex')}` },
    { email: 'bob@example.com', name: 'Bob', digest: await bcrypt.hash(PASSWORD, 4) },
    { email: 'eve@example.com', name: 'Eve', digest: 'crypt:x' }
  ])
  const login = async (email: string, password: string) => (await createClient(app).post('/auth/login', { email, password })).statusCode
  for (const [email, password, expected] of [['ada@example.com', OTHER_PASSWORD, 401], ['ada@example.com', PASSWORD, 200], ['bob@example.com', PASSWORD, 200], ['eve@example.com', PASSWORD, 401]] as const) {
    t.equal(await login(email, password), expected, email)
  }
  for (const email of ['ada@example.com', 'bob@example.com']) t.match((await storage.users.findByEmail(email))!.passwordDigest, /^\$argon2id\$/)
})

t.test('own sign-in: the example begins and ends a session', async t => {
  const app = await load('own-sign-in', { verifyTicket: async (ticket: string) => ticket })
  await app.accounts.register({ email: 'ada@example.com', password: PASSWORD })
  const browser = createClient(app)
  t.equal((await browser.post('/sso', { ticket: 'bob@example.com' })).statusCode, 403)
  t.equal((await browser.post('/sso', { ticket: 'ada@example.com' })).statusCode, 200)
  t.match((await browser.get('/profile')).json(), { email: 'ada@example.com' })
  t.equal((await browser.post('/leave')).statusCode, 200)
  t.equal((await browser.get('/profile')).statusCode, 401)
})

t.test('cart: the example keeps it through a login, takes orders, and forgets it with the session', async t => {
  const app = await load('cart', { secret: randomBytes(32).toString('base64url') })
  const browser = createClient(app)
  t.strictSame((await browser.get('/cart')).json(), [])
  t.strictSame(browser.cookies, {}, 'who has nothing in it needs no cookie')
  await browser.post('/cart', { item: 'tea' })
  const before = browser.cookies.shop!
  t.equal((await browser.post('/order')).statusCode, 401)
  t.equal((await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })).statusCode, 201)
  t.not(browser.cookies.shop, before)
  t.strictSame((await browser.post('/cart', { item: 'jam' })).json(), ['tea', 'jam'])
  t.strictSame((await createClient(app, { shop: before }).get('/cart')).json(), [])
  t.strictSame((await browser.post('/order')).json(), { ordered: ['tea', 'jam'], by: 'ada@example.com' })
  await browser.post('/cart', { item: 'honey' })
  t.equal((await browser.post('/auth/logout')).statusCode, 204)
  t.strictSame((await browser.get('/cart')).json(), [])
})

t.test('mail: the example starts, and what it says makes sense', async t => {
  process.env.SMTP_PASSWORD = 'secret of the shop'
  const app = await load('mail', {})
  await t.resolves(async () => { await app.ready() })
})

t.test('from the environment: the example starts from a filled in .env.example alone, and says what is not filled in', async t => {
  const at = join(folder, 'examples/from-environment')
  const port = String(await freePort())
  const template = readFileSync(join(at, '.env.example'), 'utf8').replaceAll('3000', port)
  const start = (env: string) => {
    writeFileSync(join(at, '.env'), env)
    return spawn(process.execPath, ['--env-file=.env', 'server.js'], { cwd: at, env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'pipe'] })
  }
  t.match(await text(start(template).stderr), /Correct the environment:\n {2}JWT_AUTH_TOKEN_SECRET is set, but empty.*\n {4}at /)
  const empty = start(template.replace(/^# ((?:JWT_REFRESH|TOKEN_HASH)\w+=)/gm, '$1'))
  t.match(await text(empty.stderr), /Correct the environment:\n {2}JWT_AUTH_TOKEN_SECRET is set, but empty.*\n {2}JWT_REFRESH_TOKEN_SECRET .*\n {2}TOKEN_HASH_SECRET /)

  const server = start(template.replace(/^(\w+_SECRET)=$/gm, (_line, name: string) => `${name}=${randomBytes(48).toString('base64url')}`))
  t.teardown(async () => { server.kill(); await once(server, 'exit') })
  for await (const chunk of server.stdout) if ((chunk as Buffer).toString().includes('listening')) break
  const { headers, status } = await fetch(`http://localhost:${port}/auth/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: 'ada@example.com', password: PASSWORD }) })
  t.equal(status, 201)
  const cookie = headers.getSetCookie().map(line => line.split(';', 1)[0]).join('; ')
  t.strictSame(await (await fetch(`http://localhost:${port}/hello`, { headers: { cookie } })).json(), { hello: 'ada@example.com' })
  t.ok(statSync(join(at, 'accounts.db')).isFile())
})

t.test('bearer tokens: the lines of the example give, use, trade and revoke tokens', async t => {
  const app = await load('api')
  await app.listen({ port: 0, host: '127.0.0.1' })
  await app.accounts.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true })
  const lines = readFileSync(join(folder, 'examples/api/server.js'), 'utf8').split('\n').filter(line => line.startsWith('curl '))
  t.equal(lines.length, 4)
  const env: Record<string, string> = {}
  const run = async (line: string) => JSON.parse((await promisify(execFile)('sh', ['-c', line.replace('curl', `${curl} -s`).replace('http://localhost:3000', app.listeningOrigin)], { env: { ...process.env, ...env } })).stdout) as Record<string, string>
  const grant = await run(lines[0]!)
  Object.assign(env, { ACCESS_TOKEN: grant.access_token!, REFRESH_TOKEN: grant.refresh_token! })
  t.strictSame(await run(lines[1]!), { reports: ['2026-Q3'], readBy: 'ada@example.com' })
  t.match(await run(lines[2]!), { token_type: 'Bearer', access_token: String })
  t.strictSame(await run(lines[3]!), {})
  t.match(await run(lines[1]!), { code: 'FST_ACCOUNTS_TOKEN_INVALID' })
  const { access_token: token } = await run(lines[0]!)
  t.equal((await app.inject({ url: '/plan', headers: { authorization: `Bearer ${token}` } })).body, 'free')
})
