// One contender: a Fastify server with the same two routes, guarded in the way that `CONTENDER` names.
// It tells its parent its port, and what CPU time it has used so far when asked.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import fastifyCookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { postgresStorage, sqliteStorage } from 'fastify-accounts/kysely'
import { openRedisStorage } from 'fastify-accounts/redis'
import { Redis } from 'ioredis'

const USER = { id: 'FbD2N48UWvwHDPfC7wxqAv5-', email: 'ada@example.com' }
const app = Fastify()

const contenders = {
  async bare () {
    app.get('/me', async () => ({ id: USER.id, email: USER.email }))
  },
  async jwt () {
    await app.register(fastifyCookie)
    await app.register(fastifyJwt, { secret: randomBytes(32), cookie: { cookieName: 'token', signed: false } })
    app.post('/login', async (_request, reply) => reply.setCookie('token', app.jwt.sign(USER, { expiresIn: '1h' }), { httpOnly: true, path: '/' }).send(USER))
    app.get('/me', { onRequest: async request => await request.jwtVerify() }, async ({ user }) => ({ id: user.id, email: user.email }))
  },
  async lookup () {
    const redis = new Redis(process.env.REDIS_URL)
    await app.register(fastifyCookie)
    await app.register(fastifyJwt, { secret: randomBytes(32), cookie: { cookieName: 'token', signed: false } })
    app.post('/login', async (_request, reply) => {
      const sid = randomBytes(18).toString('base64url')
      await redis.set(`bench:${sid}`, JSON.stringify(USER), 'EX', 3600)
      return reply.setCookie('token', app.jwt.sign({ ...USER, sid }, { expiresIn: '1h' }), { httpOnly: true, path: '/' }).send(USER)
    })
    app.get('/me', {
      async onRequest (request, reply) {
        await request.jwtVerify()
        if (await redis.get(`bench:${request.user.sid}`) === null) return reply.code(401).send()
      }
    }, async ({ user }) => ({ id: user.id, email: user.email }))
  },
  checked: () => ours({}),
  keys: () => ours({}, undefined, { keys: [{ algorithm: 'RS256', privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }] }),
  postgres: async () => ours({}, await postgresStorage(process.env.DATABASE_URL, { schema: 'bench' })),
  redis: async () => ours({}, { ...await postgresStorage(process.env.DATABASE_URL, { schema: 'bench_redis' }), ...await openRedisStorage(process.env.REDIS_URL) }),
  token: () => ours({}),
  tokenPostgres: async () => ours({}, await postgresStorage(process.env.DATABASE_URL, { schema: 'bench_tokens' })),
  strict: () => ours({ liveness: 'strict' }),
  stateless: () => ours({ liveness: 'stateless' })
}

async function ours (policy, given, options = {}) {
  const storage = given ?? await sqliteStorage(process.env.DATABASE_FILE)
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage, rateLimit: false, ...options })
  app.get('/me', { onRequest: app.guard(policy) }, async ({ principal: { user } }) => ({ id: user.id, email: user.email }))
}

/**
 * A full collection while nothing is under way makes V8 forget the shapes by which `process.nextTick` is compiled, and from then on each
 * request costs 2 µs more, in any server of Node 20. It comes to all that run for long, but in a bench only to some.
 */
async function settle () {
  for (let count = 0; count < 6; count++) {
    await setTimeout(20)
    globalThis.gc()
  }
}

await contenders[process.env.CONTENDER]()
app.get('/open', async () => ({ open: true }))
await app.listen({ port: 0, host: '127.0.0.1' })
process.send({ port: app.server.address().port })
process.on('message', async message => {
  if (message === 'settle') await settle()
  process.send({ cpu: process.cpuUsage() })
})
process.on('disconnect', () => process.exit())
