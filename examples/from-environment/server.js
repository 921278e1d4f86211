import Fastify from 'fastify'
import accounts, { optionsFromEnv } from 'fastify-accounts'

const app = Fastify({ logger: true })
await app.register(accounts, await optionsFromEnv(process.env))
app.get('/hello', { onRequest: app.authenticate }, async request => ({ hello: request.principal.user.email }))
await app.listen({ port: Number(process.env.PORT ?? 3000) })
