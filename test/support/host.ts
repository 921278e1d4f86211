import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import accounts from '../../lib/index.ts'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import type { AccountsOptions } from '../../types/index.ts'
import { PASSWORD } from './app.ts'
import { createClient, type Client } from './client.ts'

export interface HostOptions {
  readonly server?: FastifyServerOptions
  readonly accounts?: Partial<AccountsOptions>
  /** What the host sets up before it registers the plugin. */
  before? (app: FastifyInstance): void | Promise<void>
  /** Its routes. */
  after? (app: FastifyInstance): void | Promise<void>
}

export interface TestHost {
  readonly app: FastifyInstance
  client (): Client
  signedUp (email: string): Promise<Client>
}

/** A host that has a server, hooks and parsers of its own: `createApp` for what must be there before the plugin is. */
export async function createHost (t: Test, options: HostOptions = {}): Promise<TestHost> {
  const app = Fastify(options.server ?? {}) as unknown as FastifyInstance
  await options.before?.(app)
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: randomBytes(32),
    rateLimit: false,
    ...options.accounts,
    storage: options.accounts?.storage ?? await sqliteStorage(':memory:'),
    passwords: { argon2: { memoryKiB: 7168, iterations: 5 }, ...options.accounts?.passwords }
  })
  await options.after?.(app)
  t.teardown(async () => { await app.close() })
  await app.ready()
  return {
    app,
    client: () => createClient(app),
    async signedUp (email) {
      const browser = createClient(app)
      const { statusCode, body } = await browser.post('/auth/register', { email, password: PASSWORD })
      if (statusCode !== 201) throw new TypeError(`sign-up answered ${statusCode} ${body}`)
      return browser
    }
  }
}
