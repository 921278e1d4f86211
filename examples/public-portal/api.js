// The API: figures for everybody, and what is nobody else's business.
//
// The portal's token is limited to what its page reads. Every visitor can read it, as it is as public as the page: hence an
// account of its own, which has no rights that matter.
/*
curl -c jar -H 'content-type: application/json' -d '{"email":"portal@example.com","password":"violet harbor 92 lantern"}' http://localhost:3000/auth/register
curl -b jar -H 'content-type: application/json' -d '{"name":"Public portal","context":"browser","allowedMethods":["GET"],"allowedReferrers":["http://localhost:8080"],"scopes":["figures:read"]}' http://localhost:3000/auth/tokens
*/
import cors from '@fastify/cors'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options, { portals = ['http://localhost:8080'] } = {}) {
  const app = Fastify()

  // Before accounts: with `protect: 'all'` those would ask for a token that no preflight carries, and no page could read
  // that it was refused. Never `credentials`: no page of another site has any business with somebody's cookies.
  await app.register(cors, { origin: portals, methods: ['GET'], allowedHeaders: ['authorization'] })

  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    personalTokens: { prefix: 'portal', scopes: ['figures:read'] },
    ...options
  })

  // Only what may be public goes under this scope. `allowedReferrers` keeps browsers from using the token in pages of
  // other sites, no more: any other program sends what `Referer` it likes, and reads this as well.
  app.get('/figures', { onRequest: app.guard({ scopes: ['figures:read'] }) }, async () => [
    { district: 'Bo', vaccinated: 81 },
    { district: 'Kenema', vaccinated: 77 },
    { district: 'Moyamba', vaccinated: 90 }
  ])

  // It names no scope, so that no token reaches it that was narrowed to some.
  app.get('/patients', { onRequest: app.authenticate }, async () => [{ name: 'Kadi', district: 'Bo' }])

  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
