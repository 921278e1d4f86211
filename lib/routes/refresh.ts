import type { FastifyInstance } from 'fastify'
import { FST_ACCOUNTS_AUTHENTICATION_REQUIRED } from '../errors.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { SignedInAnswer } from './schemas.ts'
import { answerSession } from './signed-in.ts'

export function addRefresh (app: FastifyInstance, dependencies: RoutesDependencies): void {
  const { cookies, originGuard, readPresented, refresh } = dependencies
  addRoute(app, {
    method: 'POST',
    url: '/refresh',
    summary: 'Trade the refresh cookie for new tokens',
    guard: null,
    answers: { 200: SignedInAnswer },
    errors: [401],
    async handle (request, reply) {
      const token = cookies.takeRefresh(request, reply)
      if (token === null) throw new FST_ACCOUNTS_AUTHENTICATION_REQUIRED()
      for (const { sessionId } of readPresented(request)) originGuard.checkForSession(request, sessionId)
      const refreshed = await refresh(token, request)
      reply.header('accounts-refresh', refreshed.outcome)
      return answerSession(reply, refreshed, dependencies)
    }
  })
}
