// What ends a session or takes a right on one node ends it on all. Four processes let a browser in as often as they
// can, and a fifth ends it; in some trials the connections on which they hear of changes are broken right before.
// Prints a table; fails if anybody was let in for longer than a second after the acknowledgement.
//   node test/soak/revocation.js [--sessions postgres|redis] [--trials 1000] [--processes 4] [--broken 0.1] [--how terminated,reset,silent] [--json]
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { Redis } from 'ioredis'
import pg from 'pg'
import { createDatabase } from '../services/database.js'
import { startRedis } from '../services/redis.js'
import { startTcpProxy } from '../services/tcp-proxy.js'
import { openStorage } from '../workers/open-storage.js'
import { startWorker } from '../workers/start.js'

const { values: options } = parseArgs({
  options: { sessions: { type: 'string', default: 'postgres' }, trials: { type: 'string', default: '1000' }, processes: { type: 'string', default: '4' }, broken: { type: 'string', default: '0.1' }, how: { type: 'string', default: 'terminated,reset,silent' }, json: { type: 'boolean', default: false } }
})
const BOUND_MS = 1000
const PASSWORD = 'violet harbor 92 lantern'
const OTHER_PASSWORD = 'copper meadow 57 compass'

const { url, schema, remove } = await createDatabase()
const secret = randomBytes(32)
const inRedis = options.sessions === 'redis'
const redis = inRedis ? await openRedis() : null
const sql = new pg.Pool({ connectionString: url, max: 1 })
const app = Fastify()
await app.register(accounts, { appUrl: 'http://localhost:3000', secret, storage: await openStorage({ url, schema, ...(inRedis && { redis: redis.address }) }), passwords: { argon2: { memoryKiB: 7168, iterations: 5 } }, rateLimit: false })
await app.ready()
const nodes = await Promise.all(Array.from({ length: Number(options.processes) }, startNode))

const request = async (browser, method, url, payload) => {
  const cookie = Object.entries(browser.cookies).map(([name, value]) => `${name}=${value}`).join('; ')
  const answer = await app.inject({ method, url, headers: { cookie }, ...(payload === undefined ? {} : { payload }) })
  if (answer.statusCode >= 400) throw new Error(`${method} ${url} answered ${answer.statusCode} ${answer.body}`)
  for (const { name, value } of answer.cookies) browser.cookies[name] = value
  return answer
}
const copy = ({ cookies }) => ({ cookies: { ...cookies } })

/** Each acknowledges before it returns. */
const ENDS = {
  logout: async ({ browser }) => await request(copy(browser), 'POST', '/auth/logout'),
  'one ended elsewhere': async ({ other, sessionId }) => await request(other, 'DELETE', `/auth/sessions/${sessionId}`),
  'all ended': async ({ userId }) => await app.accounts.sessions.endAll(userId),
  disabled: async ({ userId }) => await app.accounts.users.update(userId, { disabled: true }),
  deleted: async ({ userId }) => await app.accounts.users.delete(userId),
  'role taken': async ({ userId }) => await app.accounts.users.update(userId, { roles: [] }),
  'password changed': async ({ other }) => await request(other, 'POST', '/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
}
/** A connection that breaks is noticed at once, one that only falls silent is not. */
const BREAKS = {
  terminated: async node => inRedis
    ? await redis.terminate(node.name)
    : await sql.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [node.name]),
  reset: ({ proxy }) => proxy.cut(),
  silent: ({ proxy }) => proxy.freeze(true)
}

const kinds = options.how.split(',')

const results = []
for (let trial = 0; trial < Number(options.trials); trial++) results.push(...await run(trial))
const figures = [
  summarize('all', results),
  ...[false, true].map(isBroken => summarize(isBroken ? 'feed broken' : 'feed whole', results.filter(result => (result.broken !== null) === isBroken))),
  ...Object.keys(BREAKS).map(broken => summarize(broken, results.filter(result => result.broken === broken))),
  ...Object.keys(ENDS).map(end => summarize(end, results.filter(result => result.end === end)))
]
if (options.json) console.log(JSON.stringify(figures))
else console.table(figures)

await Promise.all(nodes.map(async ({ worker, proxy }) => {
  await worker.kill()
  await proxy.close()
}))
await app.close()
await sql.end()
await remove()
await redis?.close()
process.exitCode = results.every(({ refused, lateMs, signalMs }) => refused && lateMs <= BOUND_MS && signalMs <= BOUND_MS) ? 0 : 1

async function startNode (_, index) {
  const name = `${schema}_${index}`
  const proxy = await startTcpProxy(inRedis ? redis.address.url : url)
  const address = inRedis ? { url, schema, redis: { ...redis.address, name, listen: proxy.url } } : { url, schema, listen: `${proxy.url}?application_name=${name}` }
  const worker = await startWorker('liveness-worker', address, secret)
  return { name, proxy, worker }
}

async function openRedis () {
  const given = process.env.TEST_REDIS_URL
  const server = given ? { url: given, stop: async () => {} } : await startRedis()
  const client = new Redis(server.url)
  const prefix = `${schema}:`
  return {
    address: { url: server.url, prefix },
    /** The connections on which a node hears of changes: flag t, "the client enabled keys tracking". */
    async terminate (name) {
      for (const [, id] of (await client.client('LIST')).matchAll(new RegExp(`^id=(\\d+) .* name=${name} .* flags=\\S*t`, 'gm'))) await client.client('KILL', 'ID', id)
    },
    async close () {
      for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1000 })) if (keys.length > 0) await client.del(keys)
      client.disconnect()
      await server.stop()
    }
  }
}

async function run (trial) {
  const end = Object.keys(ENDS)[trial % Object.keys(ENDS).length]
  const email = `somebody${trial}@example.com`
  const browser = { cookies: {} }
  const { user: { id: userId }, session: { id: sessionId } } = (await request(browser, 'POST', '/auth/register', { email, password: PASSWORD })).json()
  const other = { cookies: {} }
  if (end !== 'role taken') await request(other, 'POST', '/auth/login', { email, password: PASSWORD })
  else await app.accounts.users.update(userId, { roles: ['editor'] })

  const cookie = `accounts_access=${browser.cookies.accounts_access}`
  await Promise.all(nodes.map(becomeCurrent))
  const signals = nodes.map(async ({ worker }) => await new Promise(resolve => worker.on('aborted', ended => { if (ended.sessionId === sessionId) resolve(ended.at) })))
  if (end !== 'role taken') await Promise.all(nodes.map(async ({ worker }) => await worker.ask('knock', { url: '/watch', cookie })))
  const letIn = nodes.map(async ({ worker }) => await new Promise(resolve => worker.on('let in', resolve)))
  const knocking = nodes.map(async ({ worker }) => await worker.ask('untilRefused', { url: end === 'role taken' ? '/editors' : '/private', cookie, limit: 4 * BOUND_MS }))
  await Promise.all(letIn)
  await new Promise(resolve => setTimeout(resolve, Math.random() * 30))

  const kind = Math.random() < Number(options.broken) ? kinds[Math.floor(Math.random() * kinds.length)] : null
  const broken = nodes.map((_node, index) => kind !== null && (index === trial % nodes.length || Math.random() < 0.5))
  await Promise.all(nodes.filter((_node, index) => broken[index]).map(node => BREAKS[kind](node)))
  await ENDS[end]({ browser, other, userId, sessionId })
  const acknowledgedAt = Date.now()

  const limit = new Promise(resolve => setTimeout(resolve, 4 * BOUND_MS, Infinity))
  const trials = await Promise.all(nodes.map(async (_node, index) => {
    const { lastIn, refused } = await knocking[index]
    const abortedAt = end === 'role taken' ? 0 : await Promise.race([signals[index], limit])
    return { end, broken: broken[index] ? kind : null, refused, lateMs: Math.max(0, lastIn - acknowledgedAt), signalMs: Math.max(0, abortedAt - acknowledgedAt), isSignalled: end !== 'role taken' }
  }))
  for (const { proxy } of nodes) proxy.freeze(false)
  return trials
}

async function becomeCurrent ({ worker }) {
  while (!await worker.ask('isCurrent')) await new Promise(resolve => setTimeout(resolve, 10))
}

function summarize (what, some) {
  const late = some.map(({ lateMs }) => lateMs).sort((a, b) => a - b)
  const signalled = some.filter(({ isSignalled }) => isSignalled).map(({ signalMs }) => signalMs).sort((a, b) => a - b)
  const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null
  return {
    what,
    observations: some.length,
    median: at(late, 0.5),
    p99: at(late, 0.99),
    largest: at(late, 1),
    'after 1 s': some.filter(({ lateMs, refused }) => !refused || lateMs > BOUND_MS).length,
    'signal median': at(signalled, 0.5),
    'signal p99': at(signalled, 0.99),
    'signal largest': at(signalled, 1)
  }
}
