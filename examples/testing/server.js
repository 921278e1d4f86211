import Fastify from 'fastify'
import accounts from 'fastify-accounts'

export async function build (options) {
  const app = Fastify()
  await app.register(accounts, { appUrl: 'http://localhost:3000', ...options })

  const articles = []
  app.get('/articles', async () => articles)
  app.post('/articles', { onRequest: app.guard({ roles: ['editor'] }) }, async (request, reply) => {
    articles.push({ title: request.body.title, by: request.principal.user.email })
    return await reply.code(201).send(articles.at(-1))
  })
  // Whoever throws all of it away has given their password a moment ago.
  app.delete('/articles', { onRequest: app.guard({ roles: ['editor'], fresh: '5m' }) }, async () => ({ deleted: articles.splice(0).length }))
  return app
}
