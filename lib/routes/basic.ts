import type { FastifyInstance } from 'fastify'
import { FST_ACCOUNTS_AUTHENTICATION_REQUIRED, FST_ACCOUNTS_BASIC_SHARED } from '../errors.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { CreatedTokenAnswer, ExchangeBody } from './schemas.ts'

/** The way out of HTTP Basic for a script: one call, and it has a personal token to use instead. */
export function addBasic (app: FastifyInstance, { guard, hasBasicUsers, personalTokens }: RoutesDependencies): void {
  if (!hasBasicUsers || personalTokens === null) return

  addRoute(app, {
    method: 'POST',
    url: '/basic/token',
    summary: 'Exchange name and password, by HTTP Basic, for a personal token; it is shown this once',
    guard: guard({ via: 'basic' }),
    body: ExchangeBody,
    answers: { 201: CreatedTokenAnswer },
    errors: [409, 422],
    async handle (request, reply, { context = 'server', ...fields }) {
      const principal = request.principal!
      // Those who share a name own nothing.
      if (principal.via === 'basic' && principal.isShared) throw new FST_ACCOUNTS_BASIC_SHARED()
      const created = await personalTokens.create(principal.user.id, { context, ...fields }, request)
      // Deleted or disabled by another request of this moment.
      if (created === null) throw new FST_ACCOUNTS_AUTHENTICATION_REQUIRED()
      reply.code(201)
      return created
    }
  })
}
