import type { FastifyInstance } from 'fastify'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { LoginBody, SignedInAnswer } from './schemas.ts'
import { answerSignedIn } from './signed-in.ts'

export function addLogin (app: FastifyInstance, dependencies: RoutesDependencies): void {
  addRoute(app, {
    method: 'POST',
    url: '/login',
    summary: 'Sign in with e-mail address or user name',
    guard: null,
    body: LoginBody,
    answers: { 200: SignedInAnswer },
    errors: [401],
    async handle (request, reply, body) {
      dependencies.originGuard.checkWithoutSession(request)
      return answerSignedIn(reply, await dependencies.login(body, request), dependencies)
    }
  })
}
