import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { Test } from 'tap'
import { migratePostgres, migrateSqlite } from '../../lib/adapters/kysely/index.ts'
import type { StorageAddress } from '../workers/open-storage.js'
import { databaseFile, PASSWORD } from './app.ts'
import { createHttpBrowser, type HttpBrowser } from './http-browser.ts'
import { databaseUrl, schemaName } from './postgres.ts'
import { openRedis, redisUrl } from './redis.ts'
import { ROOT } from './root.ts'

/** How a server has ended. */
interface Stopped {
  readonly code: number | null
  /** Milliseconds from the signal to the end of the process. */
  readonly ms: number
  /** Requests that a handler has begun with, and those of them that were answered to the end. */
  readonly begun: number
  readonly answered: number
  /** What was still open when it ended. */
  readonly left: readonly string[]
}

export interface StoppableServer {
  readonly port: number
  /** Send SIGTERM, and wait for the end of the process. */
  stop (): Promise<Stopped>
}

/** Where several servers find the same, one after another. */
export interface Place { readonly address: StorageAddress, readonly secret: Buffer }

/** Where sessions are; with them in Redis, all else is on SQLite. */
const DATABASES = {
  async SQLite (t: Test): Promise<StorageAddress> {
    const file = databaseFile(t)
    await migrateSqlite(file)
    return { file }
  },
  async PostgreSQL (t: Test): Promise<StorageAddress> {
    const schema = schemaName(t)
    await migratePostgres(databaseUrl(), { schema })
    return { url: databaseUrl(), schema }
  },
  async Redis (t: Test): Promise<StorageAddress> {
    return { ...await this.SQLite(t), redis: { url: redisUrl(), prefix: openRedis(t).prefix } }
  }
}

type DatabaseName = keyof typeof DATABASES
export const DATABASE_NAMES = Object.keys(DATABASES) as DatabaseName[]

export const createPlace = async (t: Test, name: DatabaseName): Promise<Place> => ({ address: await DATABASES[name](t), secret: randomBytes(32) })

/** Nobody waits longer for a server to stop; it has ten seconds. */
const LIMIT_MS = 15_000
const BOUND_MS = 10_000

/**
 * Start `test/workers/stopping-worker.js`, which ends with the test if it does not by itself.
 * @param options of the plugin, and `shift` for its clock, `smtpPort` for a mailer
 */
export async function startStoppable (t: Test, { address, secret }: Place, options: object = {}): Promise<StoppableServer> {
  const worker = join(ROOT, 'test/workers/stopping-worker.js')
  const child = spawn(process.execPath, [worker, JSON.stringify(address), secret.toString('base64url'), JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } })
  t.teardown(() => { child.kill('SIGKILL') })
  const ended = once(child, 'close') as Promise<[number | null]>
  const lines = createInterface({ input: child.stdout })
  let last = ''
  lines.on('line', line => { last = line })
  await Promise.race([once(lines, 'line'), ended.then(() => { throw new TypeError('the server did not start: is the package built?') })])
  const { port } = JSON.parse(last) as { port: number }
  return {
    port,
    async stop () {
      const since = performance.now()
      const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
      child.kill('SIGTERM')
      const [code] = await ended
      clearTimeout(timer)
      const ms = performance.now() - since
      const { begun = NaN, answered = NaN, left = [] } = JSON.parse(last) as Partial<Stopped>
      return { code, ms, begun, answered, left }
    }
  }
}

export function checkStopped (t: Test, { code, ms, left }: Stopped, title: string): void {
  t.equal(code, 0, `${title}: it ends by itself`)
  t.ok(ms <= BOUND_MS, `${title}: after ${ms.toFixed(0)} ms`)
  t.strictSame(left, [], `${title}: nothing is open`)
}

/** A browser that has signed up, and is signed in. */
export async function signUp (t: Test, { port }: StoppableServer, email: string): Promise<HttpBrowser> {
  const browser = createHttpBrowser(t)
  const { status, body } = await browser.post(port, '/auth/register', { email, password: PASSWORD })
  if (status !== 201) throw new TypeError(`sign-up answered ${status} ${body}`)
  return browser
}
