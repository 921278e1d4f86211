import { Readable } from 'node:stream'
import { setInterval as every } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options) {
  const app = Fastify()

  // Before the accounts, so that it closes the connections whose handshake is refused. Who never agrees to a close is cut off after a second.
  await app.register(websocket, { options: { closeTimeout: 1000, maxPayload: 16 * 1024 } })
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    ...options
  })

  // A stream for an EventSource. Sent by Fastify, so that the cookies of a renewal go with it.
  app.get('/events', { onRequest: app.authenticate }, async ({ principal: { signal } }, reply) => {
    // Without `connection: close` the browser keeps the connection when the stream has ended, and the server waits for it when it stops.
    reply.headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', connection: 'close' })
    return Readable.from(events(signal))
  })

  // The guard runs before the handshake is answered.
  app.get('/socket', { websocket: true, onRequest: app.authenticate }, (socket, { principal: { user, signal } }) => {
    // 1008: policy violation (RFC 6455, 7.4.1).
    const end = () => socket.close(1008, signal.reason.message)
    if (signal.aborted) return end()
    signal.addEventListener('abort', end)
    socket.on('close', () => signal.removeEventListener('abort', end))

    socket.on('message', message => {
      // Until the other side agrees to the close, what it sends still arrives.
      if (!signal.aborted) socket.send(`${user.email}: ${message}`)
    })
  })

  return app
}

async function * events (signal) {
  // At once, or the browser would not know until the first event that it is connected.
  yield 'retry: 1000\n\n'
  try {
    for await (const event of every(1000, 'tick', { signal })) yield `data: ${event}\n\n`
  } catch {
    // The browser connects again by itself, and is told by 401 if the session is over.
    if (signal.aborted) yield `event: end\ndata: ${signal.reason.message}\n\n`
  }
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
