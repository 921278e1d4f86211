import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options = {}) {
  const app = Fastify()

  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    keys: [{ algorithm: 'ES256', privateKey: process.env.ACCOUNTS_KEY }],
    storage: await sqliteStorage('accounts.db'),
    ...options
  })
  app.get('/hello', { onRequest: app.authenticate }, async request => ({ hello: request.principal.user.email }))

  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
