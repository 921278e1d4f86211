import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import accounts, { optionsFromEnv } from '../../lib/index.ts'
import type { AccountsOptions } from '../../types/index.ts'
import { PASSWORD } from './app.ts'
import { createClient, type Client } from './client.ts'

export type Variables = Record<string, string | undefined>

export const secret = () => randomBytes(48).toString('base64url')

/** What a server needs at least. */
export const needed = (): Variables => ({ APP_URL: 'http://localhost:3000', DATABASE_URL: ':memory:', JWT_AUTH_TOKEN_SECRET: secret() })

export interface ServerFromEnvironment {
  readonly app: FastifyInstance
  readonly options: AccountsOptions
  client (): Client
  /** A browser that has registered and is signed in. */
  signedUp (email?: string): Promise<Client>
}

/** A server whose options are those of the environment and nothing else, closed with the test. `GET /private` is guarded. */
export async function startFromEnvironment (t: Test, variables: Variables): Promise<ServerFromEnvironment> {
  const options = await optionsFromEnv({ ...needed(), ...variables })
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(accounts, options)
  app.get('/private', { onRequest: app.authenticate }, async request => ({ email: request.principal!.user.email }))
  await app.ready()
  return {
    app,
    options,
    client: () => createClient(app),
    async signedUp (email = 'ada@example.com') {
      const browser = createClient(app)
      const { statusCode, body } = await browser.post('/auth/register', { email, password: PASSWORD })
      if (statusCode !== 201) throw new TypeError(`sign-up answered ${statusCode} ${body}`)
      return browser
    }
  }
}
