// The server of before.js on fastify-accounts, half-way: `/profile` has been moved, `/orders` and `/stock` are as they were.
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'
import Database from 'better-sqlite3'
import { createBridge } from './bridge.js'
import { addColumns, usersStore } from './users.js'

export async function build (options, { jwtSecret, movedAt, until, file = 'app.db', sessions = 'sessions.db', rounds = 10 }) {
  const app = Fastify()
  const database = new Database(file)
  app.addHook('onClose', async () => { database.close() })
  for (const { id, email } of addColumns(database)) app.log.warn({ id, email }, 'this account can not log in: its address has to be corrected')

  const users = usersStore(database)
  const bridge = createBridge({ jwtSecret, movedAt, until, database, users })
  // Before the plugin, so that every guard sees the new cookies.
  app.addHook('onRequest', bridge.tradeCookie)

  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    secret: process.env.ACCOUNTS_SECRET,
    storage: { ...await sqliteStorage(sessions), users },
    passwords: { legacy: { bcryptRounds: rounds } },
    ...options
  })

  // Moved: the guard is the plugin's, and `request.user` has become `request.principal.user`.
  app.get('/profile', { onRequest: app.authenticate }, async ({ principal: { user } }) => ({ id: Number(user.id), email: user.email }))

  // Not moved: in a scope where `authenticate` and `request.user` are what these routes know.
  app.register(async old => {
    const { authenticate } = app
    old.decorateRequest('user', null)
    old.decorate('authenticate', async (request, reply) => {
      const user = await readBearer(request, reply) ?? await new Promise((resolve, reject) => {
        authenticate(request, reply, error => error ? reject(error) : resolve(request.principal.user))
      })
      request.user = { id: Number(user.id), email: user.email, role: user.roles.includes('admin') ? 'admin' : 'user' }
    })
    addOldRoutes(old)
  })

  /** Clients of the API go on with the token they have, and are told in every answer that it ends, and when. */
  async function readBearer ({ headers: { authorization = '' } }, reply) {
    const [, token] = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization) ?? []
    const found = token === undefined ? null : await bridge.readToken(token)
    if (found === null) return null
    const end = new Date(Math.min(found.expiresAt, until))
    reply.headers({ deprecation: `@${Math.floor(movedAt / 1000)}`, sunset: end.toUTCString(), link: '</auth/tokens>; rel="successor-version"' })
    return found.user
  }

  return app
}

/** To the letter as they were. */
function addOldRoutes (app) {
  app.get('/orders', { onRequest: [app.authenticate] }, async request => ({ ordersOf: request.user.id }))

  app.get('/stock', { onRequest: [app.authenticate] }, async (request, reply) => {
    if (request.user.role !== 'admin') return await reply.code(403).send({ error: 'Admins only' })
    return { apples: 3 }
  })
}
