import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options) {
  const app = Fastify()
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    storage: await sqliteStorage('accounts.db'),
    basic: {
      // Accounts may come with their own name and password …
      users: true,
      // … and all who still share the old ones, which also prove who may claim the first account.
      legacy: { username: process.env.OLD_USERNAME, password: process.env.OLD_PASSWORD },
      // Answers announce this day; from then on HTTP Basic is refused.
      sunset: new Date('2027-06-30T00:00:00Z')
    },
    ...options
  })

  // A route takes HTTP Basic only where its policy names it.
  app.get('/reports', { onRequest: app.guard({ via: ['cookie', 'personal-token', 'basic'] }) }, async ({ principal }) => ({
    reports: ['2026-Q3'],
    readBy: principal.via === 'basic' && principal.isShared ? 'somebody who knows the old password' : principal.user.email
  }))

  // Who has not left yet?
  app.get('/stragglers', { onRequest: app.guard({ roles: ['owner'] }) }, async () => await app.accounts.basicUsage())

  return app
}
