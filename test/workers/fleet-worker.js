// A server that listens: one of several, behind which clients live while their stores fail. Its parent moves its clock, and is told
// what it has decided.
import { subscribe } from 'node:diagnostics_channel'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { address, createServer, moveClock, realNow, serve } from './server.js'

const NANOSECONDS = 1e6

/** Of both timeouts Node takes the shorter one for the head of a request. */
const SLOWEST = { requestTimeout: 2000, http: { headersTimeout: 2000, connectionsCheckingInterval: 500 } }

/** Steps of the clock that all servers take at one moment. */
const steps = []
const moved = Date.now
Date.now = () => moved() + steps.reduce((sum, { at, milliseconds }) => at <= realNow() ? sum + milliseconds : sum, 0)

const decisions = []
subscribe('fastify-accounts', ({ name, sessionId, reason }) => {
  if (name.startsWith('session.')) decisions.push({ at: realNow(), name, sessionId, reason })
})
const counts = { begun: 0, answered: 0 }
const lag = monitorEventLoopDelay({ resolution: 5 })
lag.enable()

const app = await createServer(app => {
  app.addHook('onRequest', async () => { counts.begun++ })
  app.addHook('onResponse', async (_request, reply) => { if (reply.raw.writableFinished) counts.answered++ })
  app.get('/stateless', { onRequest: app.guard({ liveness: 'stateless' }) }, async () => 'in')
}, { accessTokenTtl: 29, throttle: false, routes: { health: true } }, SLOWEST)
await app.listen({ port: address.port ?? 0, host: '127.0.0.1' })

process.once('SIGTERM', async () => {
  // Whoever has not sent a request to its end by then is cut off.
  setTimeout(() => app.server.closeAllConnections(), 5000).unref()
  await app.close()
  process.send({ id: 'stopped', result: { decisions, counts } }, () => process.disconnect())
})

serve({
  port: () => app.server.address().port,
  step: step => { steps.push(step) },
  skew: ({ milliseconds }) => moveClock(milliseconds),
  decisions: () => decisions.splice(0),
  /** The cookies of new sessions of a new user, without the cost of a password. */
  async begin ({ count }) {
    const { id } = await app.accounts.users.create({ email: `herd-${process.pid}-${realNow()}-${Math.random()}@example.com`.toLowerCase() })
    return await Promise.all(Array.from({ length: count }, async () => await app.accounts.sessions.begin(id)))
  },
  /** How late the event loop has been since the last question. */
  lag () {
    const { max } = lag
    const p99 = lag.percentile(99)
    lag.reset()
    return { p99: p99 / NANOSECONDS, max: max / NANOSECONDS, megabytes: process.memoryUsage().heapUsed / 2 ** 20 }
  }
})
