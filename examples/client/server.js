// A page that uses fastify-accounts/client, without a bundler, and an API for the program beside this file.
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { readPage } from './page/routes.js'

export async function build (options) {
  const app = Fastify()
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    // The refresh cookie goes to /auth alone: it is the client that renews the session.
    refresh: 'explicit',
    ...options
  })
  await app.register(readPage)
  app.get('/hello', { onRequest: app.authenticate }, async ({ principal }) => ({ hello: principal.user.email, via: principal.via }))
  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
