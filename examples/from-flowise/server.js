import Fastify from 'fastify'
import accounts, { optionsFromEnv } from 'fastify-accounts'
import { bridgeOldSessions } from './bridge.js'
import { openOldDatabase } from './old-database.js'

export async function build (env = process.env) {
  const app = Fastify({ logger: env.LOG === 'true' })
  const options = await optionsFromEnv(env)

  if (env.OLD_SESSIONS_UNTIL) {
    const { sessions, close } = await openOldDatabase(env.OLD_DATABASE_URL)
    app.addHook('onClose', close)
    bridgeOldSessions(app, {
      // Of the old server. Give the new one secrets of its own.
      jwtSecret: env.OLD_JWT_REFRESH_TOKEN_SECRET,
      issuer: env.OLD_JWT_ISSUER,
      audience: env.OLD_JWT_AUDIENCE,
      sessionSecret: env.OLD_EXPRESS_SESSION_SECRET,
      until: new Date(env.OLD_SESSIONS_UNTIL),
      sessions,
      users: options.storage.users
    })
  }

  await app.register(accounts, {
    ...options,
    // Where there was no account yet, these prove who may claim the first one; and scripts may go on for a while.
    basic: {
      users: true,
      ...(env.FLOWISE_USERNAME ? { legacy: { username: env.FLOWISE_USERNAME, password: env.FLOWISE_PASSWORD } } : {}),
      sunset: new Date(env.BASIC_SUNSET)
    }
  })

  app.get('/me', { onRequest: app.authenticate }, async ({ principal }) => ({ id: principal.user.id, email: principal.user.email, roles: principal.user.roles }))

  // What scripts call names HTTP Basic, as long as there is any.
  app.get('/prediction', { onRequest: app.guard({ via: ['cookie', 'personal-token', 'basic'] }) }, async () => ({ answer: 42 }))

  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: Number(process.env.PORT ?? 3000) })
