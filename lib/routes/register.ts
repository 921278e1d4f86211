import type { FastifyInstance } from 'fastify'
import { FST_ACCOUNTS_REGISTRATION_CLOSED } from '../errors.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { Accepted, RegisterBody, SignedInAnswer } from './schemas.ts'
import { answerSignedIn } from './signed-in.ts'

export function addRegister (app: FastifyInstance, dependencies: RoutesDependencies): void {
  addRoute(app, {
    method: 'POST',
    url: '/register',
    summary: 'Create an account and sign in; 202: its address has to be verified first',
    guard: null,
    body: RegisterBody,
    answers: { 201: SignedInAnswer, 202: Accepted },
    errors: [409, 422],
    async handle (request, reply, body) {
      dependencies.originGuard.checkWithoutSession(request)
      if (!dependencies.registrationOpen) throw new FST_ACCOUNTS_REGISTRATION_CLOSED()
      const issued = await dependencies.register(body, request)
      if (issued === null) {
        reply.code(202)
        return {}
      }
      reply.code(201)
      return answerSignedIn(reply, issued, dependencies)
    }
  })
}
