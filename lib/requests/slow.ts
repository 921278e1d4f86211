import type { FastifyInstance } from 'fastify'

/** Whoever sends a body byte by byte keeps a socket for as long as they like, unless the server says how long a request may take. That is up to the host. */
export function warnOfSlowRequests (app: FastifyInstance): void {
  app.addHook('onListen', async () => {
    if (app.server.requestTimeout === 0) app.log.warn('fastify-accounts: requestTimeout is 0, so a request may take for ever to arrive: create the server with Fastify({ requestTimeout: 60_000 })')
  })
}
