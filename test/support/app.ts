import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import accounts from '../../lib/index.ts'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import { redisStorage } from '../../lib/adapters/redis/index.ts'
import type { AccountsOptions, Storage } from '../../types/index.ts'
import { checkAnswers } from './answers.ts'
import { createClient, type Client } from './client.ts'
import { openPostgres, schemaName } from './postgres.ts'
import { besideRedis, openRedis } from './redis.ts'

export const PASSWORD = 'violet harbor 92 lantern'
export const OTHER_PASSWORD = 'copper meadow 57 compass'

/** The least that argon2id is allowed to cost: tests are about other things. */
const CHEAP = { memoryKiB: 7168, iterations: 5 }

export interface TestApp {
  readonly app: FastifyInstance
  readonly storage: Storage
  readonly secret: Buffer
  /** A browser without cookies. */
  client (): Client
  /** A browser that has registered and is signed in. */
  signedUp (email?: string): Promise<Client>
}

/**
 * The plugin on a database of its own, closed with the test. `GET /private` is guarded and answers who calls,
 * `POST /private` likewise. `setup` adds routes before the app is ready.
 */
export async function createApp (t: Test, options: Partial<AccountsOptions> = {}, setup: (app: FastifyInstance) => void | Promise<void> = () => {}, app = Fastify()): Promise<TestApp> {
  const secret = randomBytes(32)
  const storage = options.storage ?? await openStorage(t)
  checkAnswers(t, app)
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    ...(options.secrets === undefined ? { secret } : {}),
    // From one address, as all tests are, a few hundred requests come in a moment.
    rateLimit: false,
    ...options,
    storage,
    passwords: { ...(options.passwords?.algorithm === 'bcrypt' ? {} : { argon2: CHEAP }), ...options.passwords }
  })
  app.get('/private', { onRequest: app.authenticate }, async request => ({ email: request.principal!.user.email }))
  app.post('/private', { onRequest: app.authenticate }, async request => ({ email: request.principal!.user.email }))
  await setup(app)
  await app.ready()
  t.teardown(async () => { await app.close() })

  const client = () => createClient(app)
  let count = 0
  return {
    app,
    storage,
    secret,
    client,
    async signedUp (email = `user${++count}@example.com`) {
      const browser = client()
      const { statusCode, body } = await browser.post('/auth/register', { email, password: PASSWORD })
      if (statusCode !== 201) throw new TypeError(`sign-up answered ${statusCode} ${body}`)
      return browser
    }
  }
}

/** What the tests of behaviour run on: SQLite, and in other runs (`TEST_STORAGE`) PostgreSQL, or Redis beside SQLite. */
export async function openStorage (t: Test): Promise<Storage> {
  if (process.env.TEST_STORAGE === 'postgres') return await openPostgres(t)
  const storage = await sqliteStorage(':memory:')
  return process.env.TEST_STORAGE === 'redis' ? besideRedis(storage, openRedis(t).parts) : storage
}

/** Opens one and the same, for each server that is to share it. */
export function sharedStorage (t: Test): () => Promise<Storage> {
  if (process.env.TEST_STORAGE === 'postgres') {
    const schema = schemaName(t)
    return async () => await openPostgres(t, { schema })
  }
  const file = databaseFile(t)
  if (process.env.TEST_STORAGE === 'redis') {
    const { client, prefix } = openRedis(t)
    return async () => besideRedis(await sqliteStorage(file), redisStorage(client, { prefix }))
  }
  return async () => await sqliteStorage(file)
}

/** The path of a database file in a folder of its own, removed with the test. */
export function databaseFile (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-test-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return join(folder, 'accounts.db')
}
