import type { FastifyInstance } from 'fastify'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { ChangePasswordBody, NoContent } from './schemas.ts'
import { answerSignedIn } from './signed-in.ts'

export function addPassword (app: FastifyInstance, dependencies: RoutesDependencies): void {
  addRoute(app, {
    method: 'POST',
    url: '/password/change',
    summary: 'Change the password; ends every session and signs this client in anew',
    guard: dependencies.guard({ via: 'cookie' }),
    body: ChangePasswordBody,
    answers: { 204: NoContent },
    errors: [401, 403, 413, 415, 422],
    async handle (request, reply, body) {
      answerSignedIn(reply, await dependencies.changePassword(request.principal!.user.id, body, request), dependencies)
      return null
    }
  })
}
