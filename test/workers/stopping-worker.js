// A server that listens until it is told to stop, as the example of that does, and then has to end by itself.
import { setTimeout as pause } from 'node:timers/promises'
import { nodemailerMailer } from 'fastify-accounts/nodemailer'
import { stopOnSignal } from '../../examples/stopping/server.js'
import { createServer, moveClock } from './server.js'

const WINDOW_MS = 30_000
const SLOW_MS = 500
/** More than lies between two processes. */
const LARGE = 32 * 1024 * 1024
const { shift = 0, smtpPort, ...options } = JSON.parse(process.argv[4])
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)

moveClock(shift)
const counts = { begun: 0, answered: 0 }
const app = await createServer(app => {
  app.addHook('onRequest', async request => {
    counts.begun++
    // Every refresh comes after the window of the one before, so that it rotates.
    if (request.url === '/auth/refresh') moveClock(WINDOW_MS + 1000)
  })
  app.addHook('onResponse', async (_request, reply) => { if (reply.raw.writableFinished) counts.answered++ })
  app.get('/slow', async () => {
    await pause(SLOW_MS)
    return 'done'
  })
  app.get('/large', async () => {
    await pause(SLOW_MS)
    return Buffer.alloc(LARGE)
  })
}, {
  throttle: false,
  ...(smtpPort === undefined ? {} : { mailer: nodemailerMailer({ host: '127.0.0.1', port: smtpPort, secure: false, allowUnauthorizedCerts: true }, { from: 'accounts@example.com' }) }),
  ...options
})

stopOnSignal(app)
await app.listen({ port: 0, host: '127.0.0.1' })
// Its output is what the process itself holds.
process.on('exit', () => say({ ...counts, left: process.getActiveResourcesInfo().filter(name => name !== 'PipeWrap') }))
say({ port: app.server.address().port })
