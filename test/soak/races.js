// Many processes trade one refresh token at the same moment, round after round, on one database. Prints a table;
// fails unless each round has exactly one rotation, and none an alarm.
//   node test/soak/races.js [--on sqlite,postgres,redis] [--rounds 1000] [--processes 2,4,8] [--racers 16] [--json]
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { createDatabase } from '../services/database.js'
import { startRedis } from '../services/redis.js'
import { openStorage } from '../workers/open-storage.js'
import { startWorker } from '../workers/start.js'

const { values: options } = parseArgs({
  options: { on: { type: 'string', default: 'sqlite,postgres,redis' }, rounds: { type: 'string', default: '1000' }, processes: { type: 'string', default: '2,4,8' }, racers: { type: 'string', default: '16' }, json: { type: 'boolean', default: false } }
})
const rounds = Number(options.rounds)
const racers = Number(options.racers)
const WINDOW_MS = 30_000
const { now } = Date
let shift = 0
Date.now = () => now() + shift

const CREATE = { sqlite: createFile, postgres: createSchema, redis: createRedis }

const figures = []
for (const on of options.on.split(',')) {
  for (const count of options.processes.split(',').map(Number)) figures.push(await race(on, count))
}
if (options.json) console.log(JSON.stringify(figures))
else console.table(figures)
process.exitCode = figures.every(isFaultless) ? 0 : 1

function isFaultless ({ rotations, alarms, refused, unavailable, forks, strays }) {
  return rotations === rounds && [alarms, refused, unavailable, forks, strays].every(number => number === 0)
}

async function race (on, count) {
  const { address, remove } = await CREATE[on]()
  const storage = await openStorage(address)
  const secret = randomBytes(32)
  const app = Fastify()
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret, storage, passwords: { argon2: { memoryKiB: 7168, iterations: 5 } }, rateLimit: false })
  await app.ready()
  const signedIn = await app.inject({ method: 'POST', url: '/auth/register', payload: { email: 'racer@example.com', password: 'violet harbor 92 lantern' } })
  const { id } = signedIn.json().session
  let token = signedIn.cookies.find(({ name }) => name === 'accounts_refresh').value
  const workers = await Promise.all(Array.from({ length: count }, async () => await startWorker('refresh-worker', address, secret)))
  for (const worker of workers) await worker.ask('move', { milliseconds: shift })

  const figure = { on, processes: count, racers, rounds, trades: 0, rotations: 0, windows: 0, recoveries: 0, refused: 0, unavailable: 0, alarms: 0, forks: 0, strays: 0, seconds: 0 }
  const start = now()
  for (let round = 1; round <= rounds; round++) {
    shift += WINDOW_MS + 1000
    await Promise.all(workers.map(worker => worker.ask('move', { milliseconds: WINDOW_MS + 1000 })))
    const startAt = now() + 3
    const answers = (await Promise.all(workers.map(worker => worker.ask('race', { token, racers, startAt })))).flat()
    const successors = answers.map(({ successor }) => successor).filter(Boolean)
    const having = outcome => answers.filter(answer => answer.outcome === outcome).length
    figure.trades += answers.length
    figure.rotations += having('rotated')
    figure.windows += having('window')
    figure.recoveries += having('recovered')
    figure.refused += answers.filter(({ statusCode }) => statusCode === 401).length
    figure.unavailable += answers.filter(({ statusCode }) => statusCode >= 500).length
    if (successors.length !== 1) figure.forks++
    const { generation, revokedAt } = await storage.sessions.find(id)
    if (revokedAt !== null) figure.alarms++
    if (generation !== round) figure.strays++
    token = successors[0] ?? token
    if (figure.alarms > 0 || successors.length === 0) break
  }
  figure.seconds = Math.round((now() - start) / 100) / 10
  await Promise.all(workers.map(worker => worker.kill()))
  await app.close()
  await remove()
  return figure
}

function createFile () {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-races-'))
  return { address: { file: join(folder, 'accounts.db') }, remove: () => rmSync(folder, { recursive: true }) }
}

async function createSchema () {
  const { remove, ...address } = await createDatabase()
  return { address, remove }
}

/** Sessions there, and the rest in a file. */
async function createRedis () {
  const [server, { address, remove }] = [await startRedis(), createFile()]
  return {
    address: { ...address, redis: { url: server.url, prefix: 'races:' } },
    async remove () {
      await server.stop()
      await remove()
    }
  }
}
