import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options, { log = console.log } = {}) {
  const app = Fastify()
  // By owner, the newest last.
  const refusals = new Map()

  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: await sqliteStorage('accounts.db'),
    personalTokens: {
      // A name of your own, by which a leaked token is known for what it is.
      prefix: 'reports',
      maxTtl: '90d',
      // All that there are: a misspelt one is refused, in a token and in a policy.
      scopes: ['reports:read', 'reports:write']
    },
    hooks: {
      personalTokenCreated ({ user, token }) {
        log(`${user.email} made the token "${token.name}", good until ${token.expiresAt.toISOString()}`)
      },
      // Whoever used the token is told that it is refused, and no more; its owner may know the rest. Some only: whoever
      // holds the token decides how many there are.
      personalTokenRefused ({ userId, tokenId, reason, at, address }) {
        refusals.set(userId, [...refusals.get(userId) ?? [], { tokenId, reason, at, address }].slice(-20))
        log(`token ${tokenId} was refused (${reason}) at ${at.toISOString()} from ${address}`)
      }
    },
    ...options
  })

  const reports = ['2026-Q2', '2026-Q3']

  // People, and tokens with this scope or without any.
  app.get('/reports', { onRequest: app.guard({ scopes: ['reports:read'] }) }, async () => reports)
  app.post('/reports', { onRequest: app.guard({ scopes: ['reports:write'] }) }, async (request, reply) => {
    reports.push(String(request.body.report))
    return await reply.code(201).send(reports)
  })

  // People, and tokens without scopes: one that was narrowed reaches only routes that name what it is narrowed to.
  app.get('/profile', { onRequest: app.authenticate }, async ({ principal }) => ({ email: principal.user.email, via: principal.via }))

  // Tokens alone, and again only those without scopes.
  app.post('/heartbeat', { onRequest: app.verifyPersonalToken }, async ({ principal }) => ({ heard: principal.token.name }))

  // People alone: why were my tokens refused?
  app.get('/refusals', { onRequest: app.guard({ via: 'cookie' }) }, async ({ principal }) => refusals.get(principal.user.id) ?? [])

  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3000 })
