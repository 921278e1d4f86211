// A server of the built package on one database, in a process of its own, that does what its parent asks by IPC.
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { openStorage } from './open-storage.js'

const [, , place, secret] = process.argv
export const address = JSON.parse(place)
const { now } = Date
let shift = 0
Date.now = () => now() + shift

export const moveClock = (milliseconds) => { shift += milliseconds }
export const realNow = () => now()

export const storage = await openStorage(address)

export async function createServer (setup = () => {}, options = {}, serverOptions = {}) {
  const app = Fastify(serverOptions)
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: Buffer.from(secret, 'base64url'),
    storage,
    passwords: { argon2: { memoryKiB: 7168, iterations: 5 } },
    rateLimit: false,
    ...options
  })
  app.get('/private', { onRequest: app.authenticate }, async ({ principal }) => ({ email: principal.user.email }))
  await setup(app)
  await app.ready()
  return app
}

/** Answer the parent's messages: `{ id, name, ... }` by what the duty of that name returns. */
export function serve (duties) {
  process.on('message', async ({ id, name, ...input }) => {
    try {
      process.send({ id, result: await duties[name](input) ?? null })
    } catch (error) {
      process.send({ id, error: error.stack })
    }
  })
  process.on('disconnect', () => process.exit())
  process.send({ id: 'ready' })
}
