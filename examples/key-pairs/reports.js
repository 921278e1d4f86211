// Another service: it has no secret and no database of accounts, and asks the server for nothing but its public keys.
import Fastify from 'fastify'
import { createRemoteJWKSet, jwtVerify } from 'jose'

/** The keys could not be had, which says nothing of the token. */
const UNREACHABLE = [undefined, 'ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT']

export async function build ({ appUrl = 'http://localhost:3000' } = {}) {
  const app = Fastify()
  app.decorateRequest('userId', null)

  const keys = createRemoteJWKSet(new URL(`${appUrl}/auth/.well-known/jwks.json`))
  const checks = { issuer: appUrl, audience: appUrl, typ: 'at+jwt', algorithms: ['ES256'] }

  app.addHook('onRequest', async (request, reply) => {
    const [, token = ''] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? []
    try {
      const { payload } = await jwtVerify(token, keys, checks)
      request.userId = payload.sub
    } catch (error) {
      if (UNREACHABLE.includes(error.code)) return await reply.code(503).send()
      return await reply.code(401).header('www-authenticate', 'Bearer').send()
    }
  })
  app.get('/reports', async ({ userId }) => ({ userId, reports: ['2026-Q2', '2026-Q3'] }))

  return app
}

if (process.argv[1] === import.meta.filename) await (await build()).listen({ port: 3001 })
