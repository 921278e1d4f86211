import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options) {
  const app = Fastify()
  // Every route needs a caller who is signed in, unless it says otherwise.
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    protect: 'all',
    ...options
  })

  app.get('/profile', async request => request.principal.user)
  app.get('/health', { config: { accounts: false } }, async () => ({ ok: true }))
  app.get('/reports', { config: { accounts: { roles: ['editor', 'owner'] } } }, async () => ['2026-Q3'])

  // A policy for all routes of a plugin.
  app.register(async admin => {
    admin.addHook('onRoute', route => { route.config = { ...route.config, accounts: { roles: ['admin'], fresh: '1h' } } })
    admin.get('/users/:id', async request => await app.accounts.users.find(request.params.id))
    admin.delete('/users/:id', async request => ({ deleted: await app.accounts.users.delete(request.params.id) }))
  }, { prefix: '/admin' })

  return app
}
