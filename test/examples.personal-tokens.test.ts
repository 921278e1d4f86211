import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { PASSWORD } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { DAY, holdClock } from './support/clock.ts'
import { ROOT } from './support/root.ts'

const SCRIPT = 'examples/personal-tokens/fetch-reports.js'
const curl = process.env.TEST_CURL ?? 'curl'
const SCOPED = { name: 'Nightly', context: 'server', scopes: ['reports:read'] }
const REFUSED = 'The token was refused: make a new one, or look at /refusals in your account for the reason.\n'

/** The example opens its file before it is told of another storage. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-tokens-'))
process.chdir(folder)
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })

interface Site {
  readonly app: FastifyInstance
  readonly url: string
  /** Ada's browser. */
  readonly ada: Client
  readonly logged: string[]
  /** Make a token of Ada's. */
  make (fields: object): Promise<{ token: string, personalToken: { id: string } }>
}

/** The example, on a database and a port of its own. */
async function start (t: Test): Promise<Site> {
  const { build } = await import(join(ROOT, 'examples/personal-tokens/server.js')) as { build: (options: object, given: object) => Promise<FastifyInstance> }
  const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<object> }
  const logged: string[] = []
  const app = await build({ secret: randomBytes(32), storage: await sqliteStorage(':memory:') }, { log: (line: string) => logged.push(line) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => { await app.close() })
  const ada = createClient(app)
  await ada.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })
  return {
    app,
    url: app.listeningOrigin,
    ada,
    logged,
    async make (fields) {
      const { statusCode, body } = await ada.post('/auth/tokens', fields)
      if (statusCode !== 201) throw new TypeError(`making a token answered ${statusCode} ${body}`)
      return JSON.parse(body) as Awaited<ReturnType<Site['make']>>
    }
  }
}

interface Ending { readonly code: number, readonly stdout: string, readonly stderr: string }

/** Run the script with these variables and no others of its own. */
async function run (env: Record<string, string>): Promise<Ending> {
  return await promisify(execFile)(process.execPath, [SCRIPT], { cwd: ROOT, env: { PATH: process.env.PATH, NODE_OPTIONS: '', ...env } })
    .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), (error: Ending) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }))
}

const authorized = (token: string, scheme = 'ApiToken') => ({ authorization: `${scheme} ${token}` })

t.test('D1 D5 the script prints the reports with the token in its environment, by ApiToken as others by Bearer', async t => {
  const { url, make } = await start(t)
  const { token } = await make(SCOPED)
  t.match(token, /^reports_[0-9A-Za-z]{32}\d{10}$/, 'the prefix is the host\'s')
  t.strictSame(await run({ REPORTS_URL: url, REPORTS_TOKEN: token }), { code: 0, stdout: '2026-Q2\n2026-Q3\n', stderr: '' })
  for (const scheme of ['ApiToken', 'apitoken', 'Bearer']) t.equal((await fetch(`${url}/reports`, { headers: authorized(token, scheme) })).status, 200, scheme)
})

t.test('D1 D4 the curl lines at the top of the script make a token that works, and nobody else may read the file', async t => {
  const { app, url, ada } = await start(t)
  cpSync(join(ROOT, SCRIPT), join(folder, SCRIPT))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const lines = /\/\*\n([\s\S]+?)\*\//.exec(readFileSync(join(ROOT, SCRIPT), 'utf8'))![1]!
    .replaceAll('curl', `${curl} -sS`).replaceAll('http://localhost:3000', url)
  const { stdout } = await promisify(execFile)('sh', ['-ec', `${lines}\nls -l reports-token`], { cwd: folder, env: { PATH: process.env.PATH, REPORTS_URL: url, NODE_OPTIONS: '' } })
  t.match(stdout, '2026-Q2\n2026-Q3\n-rw------- ')
  const secret = readFileSync(join(folder, 'reports-token'), 'utf8').trim()
  t.match(secret, /^reports_[0-9A-Za-z]{42}$/)
  const { body } = await ada.get('/auth/tokens')
  t.match(body, '"name":"Nightly reports"')
  t.notMatch(body, secret, 'it is not shown again')
  const user = (await app.accounts.users.findByEmail('ada@example.com'))!
  t.notMatch(JSON.stringify(await app.accounts.users.export(user.id)), secret, 'nor exported')
})

t.test('D1 the script says in one sentence what it lacks: a token, or a server', async t => {
  for (const env of [{}, { REPORTS_TOKEN: '' }]) {
    const { code, stdout, stderr } = await run(env)
    t.strictSame({ code, stdout }, { code: 1, stdout: '' })
    t.match(stderr, /^Set REPORTS_TOKEN to a personal token with the scope reports:read;[^\n]*\.\n$/)
  }
  t.match(await run({ REPORTS_TOKEN: 'x', REPORTS_URL: 'http://127.0.0.1:1' }), { code: 1, stdout: '', stderr: /^http:\/\/127\.0\.0\.1:1 did not answer[^\n]*\.\n$/ })
  const { code, stderr } = await run({ REPORTS_TOKEN: 'reports_\nbroken', REPORTS_URL: 'http://127.0.0.1:1' })
  t.equal(code, 1)
  t.notMatch(stderr, 'broken', 'fetch repeats a header that can not be sent, the script does not')
})

t.test('D2 T-13 each limit refuses the script in the same words; the hook tells the owner which it was, when and from where', async t => {
  const { url, ada, make, logged } = await start(t)
  const bodies = new Set<string>()
  const before = Date.now()
  const cases: ReadonlyArray<readonly [string, object]> = [
    ['revoked', SCOPED],
    ['method', { ...SCOPED, allowedMethods: ['POST'] }],
    ['address', { ...SCOPED, allowedIps: ['192.0.2.0/24'] }],
    ['referrer-missing', { ...SCOPED, context: 'browser', allowedReferrers: ['https://www.example.com'] }]
  ]
  for (const [reason, fields] of cases) {
    const { token, personalToken: { id } } = await make(fields)
    if (reason === 'revoked') t.equal((await ada.request('DELETE', `/auth/tokens/${id}`)).statusCode, 204)
    const ending = await run({ REPORTS_URL: url, REPORTS_TOKEN: token })
    t.strictSame(ending, { code: 1, stdout: '', stderr: REFUSED }, `${reason}: told the script nothing of it`)
    t.match(logged.at(-1), new RegExp(`^token ${id} was refused \\(${reason}\\) at \\S+Z from 127\\.0\\.0\\.1$`))
    bodies.add(await (await fetch(`${url}/reports`, { headers: authorized(token) })).text())
    const [, last] = (await ada.get('/refusals')).json<Array<{ at: string }>>().slice(-2)
    t.match(last, { tokenId: id, reason, address: '127.0.0.1' })
    t.ok(Date.parse(last!.at) >= before && Date.parse(last!.at) <= Date.now())
    t.notMatch(logged.join('\n'), token)
  }
  t.equal(bodies.size, 1, 'the answers are the same, byte for byte')
})

t.test('D2 T-12 a token ends at its time, by default and at the latest when the host says', async t => {
  const { url, ada, make, logged } = await start(t)
  const clock = holdClock(t)
  t.equal((await ada.post('/auth/tokens', { ...SCOPED, expiresAt: new Date(Date.now() + 91 * DAY).toISOString() })).statusCode, 422)
  const { token } = await make(SCOPED)
  clock.advance(30 * DAY - 60_000)
  t.equal((await run({ REPORTS_URL: url, REPORTS_TOKEN: token })).code, 0)
  clock.advance(60_000)
  t.strictSame(await run({ REPORTS_URL: url, REPORTS_TOKEN: token }), { code: 1, stdout: '', stderr: REFUSED })
  t.match(logged.at(-1), ' was refused (expired) at ')
})

t.test('D1 scopes narrow a token to the routes that name them; a misspelt scope is refused', async t => {
  const { url, make, ada } = await start(t)
  const { token: reader } = await make(SCOPED)
  const { token: writer } = await make({ ...SCOPED, scopes: ['reports:write'] })
  const { token: all } = await make({ name: 'All that Ada may', context: 'server' })
  const ask = async (token: string, method: string, path: string) => {
    const body = method === 'POST' && path === '/reports' ? { body: '{"report":"2026-Q4"}' } : {}
    const { status } = await fetch(url + path, { method, ...body, headers: { ...authorized(token), ...('body' in body ? { 'content-type': 'application/json' } : {}) } })
    return status
  }
  for (const [method, path, expected] of [
    ['GET', '/reports', [200, 403, 200]],
    ['POST', '/reports', [403, 201, 201]],
    ['GET', '/profile', [403, 403, 200]],
    ['POST', '/heartbeat', [403, 403, 200]],
    ['GET', '/refusals', [401, 401, 401]]
  ] as const) t.strictSame([await ask(reader, method, path), await ask(writer, method, path), await ask(all, method, path)], expected, `${method} ${path}`)
  t.match(await run({ REPORTS_URL: url, REPORTS_TOKEN: writer }), { code: 1, stdout: '', stderr: /^The token lacks the scope reports:read: make one that has it\.\n$/ })
  t.match((await ada.post('/auth/tokens', { ...SCOPED, scopes: ['report:read'] })).json(), { statusCode: 422, message: /report:read/ })
  t.strictSame([(await ada.get('/reports')).statusCode, (await ada.get('/profile')).json(), (await ada.post('/heartbeat')).statusCode], [200, { email: 'ada@example.com', via: 'cookie' }, 401], 'a person is as welcome as the routes say')
})

t.test('T-06 T-07 no answer to a token sets a cookie, and a token makes no token', async t => {
  const { url, make, logged } = await start(t)
  const { token } = await make({ name: 'All that Ada may', context: 'server' })
  t.match(logged.at(-1), /^ada@example\.com made the token "All that Ada may", good until \d{4}-/)
  for (const [method, path] of [['GET', '/reports'], ['GET', '/profile'], ['POST', '/heartbeat'], ['GET', '/refusals'], ['GET', '/auth/me'], ['GET', '/auth/tokens'], ['POST', '/auth/refresh'], ['POST', '/auth/logout']] as const) {
    const response = await fetch(url + path, { method, headers: authorized(token) })
    t.strictSame(response.headers.getSetCookie(), [], `${method} ${path}`)
  }
  const response = await fetch(`${url}/auth/tokens`, { method: 'POST', headers: { ...authorized(token), 'content-type': 'application/json' }, body: JSON.stringify(SCOPED) })
  t.ok(response.status >= 400, `answered ${response.status}`)
  t.equal(logged.filter(line => line.includes('made the token')).length, 1)
})

t.test('D2 the list of refusals is the owner\'s, and has an end', async t => {
  const { app, url, ada, make } = await start(t)
  const { token } = await make({ ...SCOPED, allowedMethods: ['POST'] })
  for (let count = 0; count < 25; count++) await fetch(`${url}/reports`, { headers: authorized(token) })
  t.equal((await ada.get('/refusals')).json<unknown[]>().length, 20)
  const eve = createClient(app)
  await eve.post('/auth/register', { email: 'eve@example.com', password: PASSWORD })
  t.strictSame((await eve.get('/refusals')).json(), [])
})
