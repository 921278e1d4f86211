// A server for clients without cookies: apps, services, command lines. With an account made (npx fastify-accounts user create):
/*
curl -d grant_type=password -d username=ada@example.com --data-urlencode 'password=violet harbor 92 lantern' http://localhost:3000/auth/token
curl -H "authorization: Bearer $ACCESS_TOKEN" http://localhost:3000/reports
curl -d grant_type=refresh_token -d "refresh_token=$REFRESH_TOKEN" http://localhost:3000/auth/token
curl -d "token=$REFRESH_TOKEN" http://localhost:3000/auth/token/revoke
*/
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options, { planOf = async () => 'free' } = {}) {
  const app = Fastify()
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    hooks: {
      // What each new access token says, for this server and for others that verify it.
      claims: async ({ user }) => ({ plan: await planOf(user.id) }),
      // When a token is first seen, and whenever its session is read anew.
      verifyToken: ({ claims }) => claims.plan !== 'suspended'
    },
    ...options
  })

  // Clients with a token of POST /auth/token, and nobody else.
  app.get('/reports', { onRequest: app.verifyBearer }, async ({ principal }) => ({ reports: ['2026-Q3'], readBy: principal.user.email }))

  // Those, browsers, and personal tokens.
  app.get('/profile', { onRequest: app.authenticate }, async ({ principal }) => ({ email: principal.user.email, via: principal.via }))

  // What the token says, without asking anybody.
  app.get('/plan', { onRequest: app.verifyBearer }, async ({ principal }) => principal.claims.plan)

  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
