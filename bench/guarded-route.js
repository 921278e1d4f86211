import { promisify } from 'node:util'
import autocannon from 'autocannon'
import { median, start } from './contender.js'

const NAMES = {
  bare: 'Fastify, no authentication',
  checked: 'fastify-accounts, checked, SQLite',
  keys: 'fastify-accounts, checked, SQLite, tokens signed by a key pair (RS256)',
  postgres: 'fastify-accounts, checked, PostgreSQL',
  redis: 'fastify-accounts, checked, sessions in Redis, users in PostgreSQL',
  token: 'fastify-accounts, personal token limited to an address, SQLite',
  tokenPostgres: 'fastify-accounts, personal token limited to an address, PostgreSQL',
  stateless: 'fastify-accounts, stateless',
  strict: 'fastify-accounts, strict (asks SQLite)',
  jwt: '@fastify/jwt in a cookie, no session check',
  lookup: '@fastify/jwt in a cookie, a session looked up in Redis by hand'
}
const PASSWORD = 'violet harbor 92 lantern'
const SESSIONS = 16
const fire = promisify(autocannon)

/** Server CPU per request of a guarded route, in rounds that go through all contenders in another order each time. */
export async function benchGuardedRoute ({ rounds, seconds, folder, databaseUrl, redisUrl }) {
  const servers = new Map()
  for (const name of Object.keys(NAMES)) servers.set(name, await prepare(name, { DATABASE_FILE: `${folder}/${name}.db`, DATABASE_URL: databaseUrl, REDIS_URL: redisUrl }))
  const samples = new Map([...servers.keys()].map(name => [name, []]))
  for (const server of servers.values()) {
    await slice(server, 2)
    await server.ask('settle')
    await slice(server, 2)
  }
  for (let round = 0; round < rounds; round++) {
    const row = new Map()
    for (const name of [...servers.keys()].toSorted(() => Math.random() - 0.5)) row.set(name, await slice(servers.get(name), seconds))
    for (const [name, sample] of row) samples.get(name).push({ ...sample, ratio: sample.cpu / row.get('bare').cpu })
  }
  for (const { stop } of servers.values()) stop()
  return [...samples].map(([name, list]) => ({
    server: NAMES[name],
    'CPU per request, µs': median(list.map(sample => sample.cpu)).toFixed(1),
    'times bare': median(list.map(sample => sample.ratio)).toFixed(2),
    'requests/s': Math.round(median(list.map(sample => sample.rate))),
    'p99, ms': median(list.map(sample => sample.p99)).toFixed(1)
  }))
}

async function prepare (name, databases) {
  const server = await start('server.js', { CONTENDER: name, ...databases })
  const url = `http://127.0.0.1:${server.hello.port}`
  const callers = []
  for (let index = 0; index < SESSIONS; index++) callers.push(await signIn(name, url, index))
  return { ...server, url, callers }
}

/** The headers of one caller. */
async function signIn (name, url, index) {
  if (name === 'bare') return {}
  const path = name === 'jwt' || name === 'lookup' ? '/login' : '/auth/register'
  const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: `u${index}@example.com`, password: PASSWORD }) })
  if (!response.ok) throw new TypeError(`${name}: sign-in answered ${response.status}`)
  const cookie = response.headers.getSetCookie().map(cookie => cookie.split(';', 1)[0]).join('; ')
  return name.startsWith('token') ? await makeToken(url, cookie) : { cookie }
}

async function makeToken (url, cookie) {
  const limits = { context: 'server', allowedMethods: ['GET'], allowedIps: ['127.0.0.1', '192.0.2.0/24'] }
  const response = await fetch(`${url}/auth/tokens`, { method: 'POST', headers: { 'content-type': 'application/json', cookie }, body: JSON.stringify({ name: 'bench', ...limits }) })
  if (!response.ok) throw new TypeError(`making a token answered ${response.status}`)
  return { authorization: `Bearer ${(await response.json()).token}` }
}

async function slice (server, seconds) {
  const before = (await server.ask('cpu')).cpu
  const result = await fire({
    url: `${server.url}/me`,
    connections: 32,
    duration: seconds,
    requests: server.callers.map(headers => ({ headers }))
  })
  const after = (await server.ask('cpu')).cpu
  if (result.non2xx > 0 || result.errors > 0) throw new TypeError(`${result.non2xx} refused, ${result.errors} failed`)
  const total = result.requests.total
  return { cpu: (after.user + after.system - before.user - before.system) / total, rate: total / result.duration, p99: result.latency.p99 }
}
