import redis from '@fastify/redis'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { redisStorage } from 'fastify-accounts/redis'

export async function build (options, url = process.env.REDIS_URL) {
  const app = Fastify()
  await app.register(redis, { url })
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: { ...await sqliteStorage('accounts.db'), ...redisStorage(app.redis) },
    rateLimit: { shared: true },
    ...options
  })
  app.get('/hello', { onRequest: app.authenticate }, async request => ({ hello: request.principal.user.email }))
  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
