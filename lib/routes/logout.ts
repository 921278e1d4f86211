import type { FastifyInstance } from 'fastify'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { NoContent } from './schemas.ts'

export function addLogout (app: FastifyInstance, { leave, originGuard, readPresented, signOut }: RoutesDependencies): void {
  addRoute(app, {
    method: 'POST',
    url: '/logout',
    summary: 'End this session',
    guard: null,
    answers: { 204: NoContent },
    errors: [403],
    async handle (request, reply) {
      const presented = readPresented(request)
      for (const { sessionId } of presented) originGuard.checkForSession(request, sessionId)
      // The server first: while it can't be reached the cookies stay, so that the click can be repeated.
      for (const { userId, sessionId } of presented) await signOut.end(userId, sessionId, 'signed-out', request)
      await leave(reply)
      return null
    }
  })
}
