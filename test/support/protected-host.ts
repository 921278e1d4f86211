import { randomBytes } from 'node:crypto'
import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Test } from 'tap'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import type { AccountsOptions } from '../../types/index.ts'
import { PASSWORD } from './app.ts'
import { CHEAP_COSTS } from './counting-hasher.ts'
import { createHost, type HostOptions } from './host.ts'

export interface Callers {
  /** The status for nobody. */
  asNobody (method: string, url: string): Promise<number>
  /** The status for a user with these roles. */
  asUser (method: string, url: string, roles?: readonly string[]): Promise<number>
}

/** A host whose routes are all protected, unless its options say otherwise, with somebody and nobody to call them. */
export async function createProtected (t: Test, options: HostOptions = {}): Promise<Callers & { readonly app: FastifyInstance }> {
  const { app } = await createHost(t, { ...options, accounts: { protect: 'all', ...options.accounts } })
  return { app, ...await createCallers(app) }
}

export async function createCallers (app: FastifyInstance): Promise<Callers> {
  const { user, accessToken } = (await app.accounts.register({ email: 'ada@example.com', password: PASSWORD }))!
  const call = async (method: string, url: string, cookies: Record<string, string>) =>
    (await app.inject({ method: method as NonNullable<InjectOptions['method']>, url, cookies })).statusCode
  return {
    asNobody: async (method, url) => await call(method, url, {}),
    async asUser (method, url, roles = []) {
      await app.accounts.users.update(user.id, { roles })
      return await call(method, url, { accounts_access: accessToken })
    }
  }
}

/** What registers the plugin where `createProtected` would do it too late or too early. */
export async function protectedOptions (options: Partial<AccountsOptions> = {}): Promise<AccountsOptions> {
  return { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), passwords: { argon2: CHEAP_COSTS }, protect: 'all', ...options }
}
