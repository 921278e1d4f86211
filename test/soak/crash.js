// A process that serves, or the database under it, is killed (SIGKILL) at random moments of registering, logging in,
// rotating and changing passwords, again and again. Afterwards nothing that was acknowledged may be lost, and nothing
// be half done. Prints a table; fails unless it is so.
//   node test/soak/crash.js [--cases sqlite:node,postgres:node,postgres:server] [--kills 100] [--json]
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import BetterSqlite from 'better-sqlite3'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import pg from 'pg'
import { startPostgres } from '../services/postgres.js'
import { openStorage } from '../workers/open-storage.js'
import { startWorker } from '../workers/start.js'

const { values: options } = parseArgs({
  options: { cases: { type: 'string', default: 'sqlite:node,postgres:node,postgres:server' }, kills: { type: 'string', default: '100' }, json: { type: 'boolean', default: false } }
})
const kills = Number(options.kills)
const PASSWORDS = ['violet harbor 92 lantern', 'copper meadow 57 compass']
/** What a crash could take back must have been written: these are PostgreSQL's own defaults. */
const DURABLE = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

/** What a worker tells before it tries. */
const ANNOUNCEMENTS = new Set(['begun', 'changing', 'signing out'])
const HALF_STATES = {
  'a session without its user': 'select count(*) as count from accounts_sessions where user_id not in (select id from accounts_users)',
  'a user without the first session': 'select count(*) as count from accounts_users where id not in (select user_id from accounts_sessions)',
  'a changed password with a session from before': 'select count(*) as count from accounts_sessions s join accounts_users u on u.id = s.user_id where s.revoked_at is null and s.epoch <> u.epoch'
}

const { now } = Date
let shift = 0
Date.now = () => now() + shift
const pause = async milliseconds => await new Promise(resolve => setTimeout(resolve, milliseconds))

const figures = []
for (const one of options.cases.split(',')) figures.push(await run(...one.split(':')))
if (options.json) console.log(JSON.stringify(figures))
else {
  console.table(figures.map(({ faults, ...figure }) => figure))
  console.log(`None in ${kills} kills: under ${(300 / kills).toFixed(1)} % of them, with 95 % confidence (3/n).`)
  for (const { faults } of figures) for (const fault of faults) console.log(fault)
}
process.exitCode = figures.every(({ lost, halfStates }) => lost === 0 && halfStates === 0) ? 0 : 1

async function run (on, killed) {
  const database = on === 'sqlite' ? await createFile() : await startServer()
  const secret = randomBytes(32)
  await (await openStorage(database.address)).close()
  const told = new Map()
  const figure = { on, killed, kills, acknowledged: 0, accounts: 0, lost: 0, halfStates: 0, faults: [], slowestReturnMs: null }
  const start = async () => {
    const worker = await startWorker('churn-worker', database.address, secret)
    worker.on('step', step => {
      if (!ANNOUNCEMENTS.has(step.step)) figure.acknowledged++
      told.set(step.email, step)
    })
    return worker
  }

  const steady = killed === 'server' ? await start() : null
  for (let kill = 0; kill < kills; kill++) {
    const worker = steady ?? await start()
    await acknowledgement(figure)
    await pause(Math.random() * 400)
    if (killed === 'node') await worker.kill()
    else {
      await database.crash()
      const returnedAt = now()
      await acknowledgement(figure)
      figure.slowestReturnMs = Math.max(figure.slowestReturnMs, now() - returnedAt)
    }
  }
  await steady?.kill()

  for (const [what, text] of Object.entries(HALF_STATES)) {
    const count = await database.count(text)
    if (count > 0) figure.faults.push(`${on}, ${killed} killed: ${count} × ${what}`)
    figure.halfStates += count
  }
  const judge = await createJudge(database, secret)
  for (const account of told.values()) {
    const fault = await judge.check(account)
    if (fault === null) continue
    figure.lost++
    figure.faults.push(`${on}, ${killed} killed: ${account.email} ${account.step}: ${fault}`)
  }
  figure.accounts = [...told.values()].filter(({ step }) => step !== 'begun').length
  await judge.close()
  await database.remove()
  return figure
}

/** The next one: on a machine that is busy a process has nothing to lose yet when it is there. */
async function acknowledgement (figure) {
  for (const { acknowledged } = figure; figure.acknowledged === acknowledged;) await pause(5)
}

/** Compares what a worker has told of one account with what has become of it. */
async function createJudge ({ address }, secret) {
  const storage = await openStorage(address)
  const app = Fastify()
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret, storage, passwords: { argon2: { memoryKiB: 7168, iterations: 5 } }, throttle: false, rateLimit: false })
  app.get('/private', { onRequest: app.authenticate }, async () => 'in')
  await app.ready()
  // Each worker moved its own clock on with every rotation: be later than all of them, but before their sessions end.
  shift += 30 * 24 * 3_600_000
  const opens = async (email, password) => (await app.inject({ method: 'POST', url: '/auth/login', payload: { email, password } })).statusCode === 200
  const enter = async jar => (await app.inject({ url: '/private', headers: { cookie: Object.entries(jar).map(([name, value]) => `${name}=${value}`).join('; ') } })).statusCode
  return {
    close: () => app.close(),
    async check ({ email, step, password, intent, jar }) {
      if (step === 'begun') return null
      const opening = []
      for (const candidate of PASSWORDS) { if (await opens(email, candidate)) opening.push(candidate) }
      if (opening.length !== 1) return `${opening.length} passwords open it`
      if (opening[0] !== password && opening[0] !== intent) return 'a password that was acknowledged is lost'
      const { sid } = JSON.parse(Buffer.from(jar.accounts_refresh.split('.')[1], 'base64url').toString())
      const session = await storage.sessions.find(sid)
      if (session === null) return 'the session is gone without a trace'
      const statusCode = await enter(jar)
      if (step === 'signed out') return statusCode === 401 ? null : 'a logout is undone'
      // What the worker was about to do next may have been done; of all else the cookies must know nothing.
      const mayHaveEnded = { changing: 'password-changed', changed: 'replaced', 'signing out': 'signed-out' }[step]
      if (session.revokedAt !== null) return session.revokeReason === mayHaveEnded && statusCode === 401 ? null : `the session is over: ${session.revokeReason}`
      return statusCode === 200 ? null : `a live session is refused: ${statusCode}`
    }
  }
}

async function createFile () {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-crash-'))
  const file = join(folder, 'accounts.db')
  return {
    address: { file },
    async count (text) {
      const database = new BetterSqlite(file, { timeout: 1000 })
      const { count } = database.prepare(text).get()
      const damage = database.pragma('integrity_check', { simple: true })
      database.close()
      return damage === 'ok' ? count : 1
    },
    remove: async () => rmSync(folder, { recursive: true })
  }
}

async function startServer () {
  const server = await startPostgres(DURABLE)
  return {
    address: { url: server.url },
    async crash () {
      await server.halt('SIGKILL')
      await server.resume()
    },
    async count (text) {
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      const { rows: [{ count }] } = await client.query(text)
      await client.end()
      return Number(count)
    },
    remove: server.stop
  }
}
