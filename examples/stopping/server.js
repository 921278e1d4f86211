import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options) {
  const app = Fastify()
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    ...options
  })
  app.get('/hello', { onRequest: app.authenticate }, async request => ({ hello: request.principal.user.email }))
  return app
}

export function stopOnSignal (app) {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, async () => {
      // Whoever has not sent a request to its end by then, or not read the answer, is cut off.
      setTimeout(() => app.server.closeAllConnections(), 5000).unref()
      await app.close()
    })
  }
}

if (process.argv[1] === import.meta.filename) {
  const app = await build()
  stopOnSignal(app)
  await app.listen({ port: 3000 })
}
