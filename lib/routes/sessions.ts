import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { BearerPrincipal, CookiePrincipal } from '../../types/principal.ts'
import { FST_ACCOUNTS_SESSION_NOT_FOUND } from '../errors.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { NoContent, SessionsAnswer } from './schemas.ts'

export function addSessions (app: FastifyInstance, { guardSession, accounts, leave, signOut }: RoutesDependencies): void {
  const bySession = guardSession()

  addRoute(app, {
    method: 'GET',
    url: '/sessions',
    summary: 'Own sessions',
    guard: bySession,
    answers: { 200: SessionsAnswer },
    async handle (request) {
      const { user, session } = caller(request)
      return { sessions: await accounts.sessions.list(user.id, session.id) }
    }
  })

  addRoute(app, {
    method: 'DELETE',
    url: '/sessions/:id',
    summary: 'End one of the own sessions',
    guard: bySession,
    answers: { 204: NoContent },
    errors: [404],
    async handle (request, reply) {
      const { user, session } = caller(request)
      const { id } = request.params as { id: string }
      if (!/^[\w-]{24}$/.test(id) || !await signOut.end(user.id, id, 'ended-by-user', request)) throw new FST_ACCOUNTS_SESSION_NOT_FOUND()
      if (id === session.id) await leave(reply)
      return null
    }
  })

  addRoute(app, {
    method: 'DELETE',
    url: '/sessions',
    summary: 'End all own sessions but this one',
    guard: bySession,
    answers: { 204: NoContent },
    async handle (request) {
      const { user, session } = caller(request)
      await signOut.endAll(user.id, 'ended-by-user', { except: session.id, request })
      return null
    }
  })
}

/** The guard of these routes lets nothing but sessions in. */
const caller = (request: FastifyRequest) => request.principal as CookiePrincipal | BearerPrincipal
