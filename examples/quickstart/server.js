import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

const app = Fastify()
await app.register(accounts, {
  appUrl: 'http://localhost:3000',
  secret: process.env.ACCOUNTS_SECRET,
  storage: await sqliteStorage('accounts.db')
})
app.get('/hello', { onRequest: app.authenticate }, async request => ({ hello: request.principal.user.email }))
await app.listen({ port: 3000 })
