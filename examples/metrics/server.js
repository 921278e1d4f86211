import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { openTelemetry } from './opentelemetry.js'
import { prometheus } from './prometheus.js'

export async function build (options) {
  const app = Fastify()
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    routes: { health: true },
    ...options
  })

  // One of them will do.
  await app.register(prometheus)
  await app.register(openTelemetry)
  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
