import type { FastifyInstance, FastifyRequest } from 'fastify'
import { readBearer } from '../requests/authorization.ts'
import type { Presented } from '../sessions/presented.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { NoContent } from './schemas.ts'

export function addLogout (app: FastifyInstance, { bearer, leave, originGuard, readPresented, signOut }: RoutesDependencies): void {
  addRoute(app, {
    method: 'POST',
    url: '/logout',
    summary: 'End this session',
    guard: null,
    answers: { 204: NoContent },
    errors: [401],
    async handle (request, reply) {
      const presented = readPresented(request)
      for (const { sessionId } of presented) originGuard.checkForSession(request, sessionId)
      // The server first: while it can't be reached the cookies stay, so that the click can be repeated.
      for (const { userId, sessionId } of [...presented, ...readByToken(request)]) await signOut.end(userId, sessionId, 'signed-out', request)
      await leave(reply)
      return null
    }
  })

  /** A client that has a token logs out too; no page of another origin can make it do so. */
  function readByToken (request: FastifyRequest): Presented[] {
    const token = readBearer(request)
    const named = token === null || bearer === null ? null : bearer.readSession(token)
    return named === null ? [] : [named]
  }
}
