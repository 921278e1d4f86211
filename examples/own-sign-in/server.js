import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

export async function build (options, { verifyTicket }) {
  const app = Fastify()
  await app.register(accounts, { appUrl: 'http://localhost:3000', storage: await sqliteStorage('accounts.db'), ...options })

  // Your own proof of who calls: single sign-on, a one-time link, a smart card.
  app.post('/sso', async (request, reply) => {
    const email = await verifyTicket(request.body.ticket)
    const user = await app.accounts.users.findByEmail(email)
    if (user === null) return await reply.code(403).send({ message: 'No account here' })
    await reply.signIn(user, { remember: false })
    return user
  })
  app.post('/leave', async (_request, reply) => {
    await reply.signOut()
    return { bye: true }
  })

  app.get('/profile', { onRequest: app.authenticate }, async request => request.principal.user)
  return app
}
