// One node of several; start.js beside this file starts them. What they share is in PostgreSQL, and sessions in Redis.
import redis from '@fastify/redis'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { postgresStorage } from 'fastify-accounts/kysely'
import { redisStorage } from 'fastify-accounts/redis'
import { readPage } from './page/routes.js'

const { NODE_NAME, APP_URL, ACCOUNTS_SECRET, DATABASE_URL, REDIS_URL } = process.env
const GUEST = 'guest@example.com'

async function build () {
  // The proxy runs on this machine: what it says of where a request comes from is true.
  const app = Fastify({ trustProxy: 'loopback', logger: { level: 'error' } })
  // Left at its default, it would wait for ever for the farewell of a Redis that hangs.
  await app.register(redis, { url: REDIS_URL, socketTimeout: 2500 })
  app.redis.on('error', error => app.log.error(error))
  await app.register(accounts, {
    appUrl: APP_URL,
    secret: ACCOUNTS_SECRET,
    storage: { ...await postgresStorage(DATABASE_URL), ...redisStorage(app.redis) },
    routes: { health: true }
  })
  const { sessions, users } = app.accounts

  app.addHook('onRequest', async (_request, reply) => { reply.header('served-by', NODE_NAME) })
  await app.register(readPage)

  // Whoever comes is the guest: there is nothing to guard here but this.
  app.post('/start', async (_request, reply) => {
    await reply.signIn(await users.findByEmail(GUEST) ?? await users.create({ email: GUEST }))
    return { done: true }
  })
  app.get('/whoami', { onRequest: app.authenticate }, async ({ principal }) => ({ email: principal.user.email, process: process.pid }))

  // POST /auth/logout would have the browser forget its cookies. Here it goes on to send them, and they are worth nothing.
  app.post('/end', { onRequest: app.authenticate }, async ({ principal }) => {
    await sessions.end(principal.user.id, principal.session.id)
    return { done: true }
  })
  app.post('/end-all', { onRequest: app.authenticate }, async ({ principal }) => {
    await sessions.endAll(principal.user.id)
    return { done: true }
  })
  return app
}

const app = await build()
const stop = () => app.close().finally(() => process.exit())
for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(event, stop)
await app.listen({ port: 0, host: '127.0.0.1' })
process.send({ port: app.server.address().port })
