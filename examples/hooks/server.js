import { subscribe } from 'node:diagnostics_channel'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options, { audit, mail }) {
  const app = Fastify()
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    storage: await sqliteStorage('accounts.db'),
    hooks: {
      // Awaited; a throw refuses.
      beforeRegister ({ email }) {
        if (!email.endsWith('@example.com')) throw Object.assign(new Error('Use your company address'), { statusCode: 422 })
      },
      // Nobody waits for it; a rejection is logged.
      sessionReused: async ({ userId }) => await mail(userId, 'Somebody used an old copy of your session. It was ended.')
    },
    ...options
  })

  app.accounts.addHook('afterLogin', ({ user, session }) => audit(`${user.id} began ${session.id}`))

  // Every decision, as one object without secrets.
  subscribe('fastify-accounts', ({ name, userId }) => audit(`${name} ${userId ?? ''}`))

  app.get('/profile', { onRequest: app.authenticate }, async request => request.principal.user)
  return app
}
