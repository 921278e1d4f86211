import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options) {
  const app = Fastify()
  await app.register(accounts, { appUrl: 'http://localhost:3000', storage: await sqliteStorage('accounts.db'), ...options })

  // Any caller who is signed in.
  app.get('/profile', { onRequest: app.authenticate }, async request => request.principal.user)

  // One of these roles, as the user has them now.
  app.get('/reports', { onRequest: app.guard({ roles: ['editor', 'owner'] }) }, async () => ['2026-Q3'])

  // A password proof that is at most five minutes old, and the store is asked.
  app.post('/transfer', { onRequest: app.guard({ fresh: '5m' }) }, async () => ({ done: true }))

  // Callers without a credential are welcome; a bad credential is still 401.
  app.get('/front-page', { onRequest: app.guard({ optional: true }) }, async ({ principal }) => ({ hello: principal?.user.email ?? 'stranger' }))

  // No call to the store, not even when it is down; a session that was ended elsewhere may go on until its token expires.
  app.get('/weather', { onRequest: app.guard({ liveness: 'stateless' }) }, async () => ({ sky: 'blue' }))

  // A rule of your own, after the caller is known.
  const isOwnNote = app.authorize((principal, request) => principal.user.id === request.params.userId)
  app.get('/users/:userId/notes', { onRequest: app.authenticate, preHandler: isOwnNote }, async () => [])

  return app
}
