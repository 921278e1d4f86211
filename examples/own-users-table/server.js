import Fastify from 'fastify'
import Database from 'better-sqlite3'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'
import { peopleStore, SCHEMA } from './people.js'

export async function build (options, { people = 'people.db', sessions = 'sessions.db' } = {}) {
  const app = Fastify()
  const database = new Database(people)
  database.exec(SCHEMA)
  app.addHook('onClose', async () => { database.close() })

  // Sessions are kept by the package, people where they always were.
  await app.register(accounts, {
    appUrl: 'http://localhost:3000',
    storage: { ...await sqliteStorage(sessions), users: peopleStore(database) },
    ...options
  })

  app.get('/profile', { onRequest: app.authenticate }, async ({ principal: { user } }) => ({ email: user.email, plan: user.plan }))

  // Whoever changes the table by another way than the package says so; every process then reads that user again.
  app.post('/people/:id/plan', { onRequest: app.guard({ roles: ['owner'] }) }, async request => {
    database.prepare('update people set plan = ? where id = ?').run(request.body.plan, request.params.id)
    await app.accounts.users.announce(request.params.id)
    return { done: true }
  })

  return app
}
