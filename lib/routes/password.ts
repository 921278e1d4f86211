import type { FastifyInstance } from 'fastify'
import { addMailRequest } from './ask-for-mail.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { BearerAnswer, ChangePasswordBody, NoContent, ResetPasswordBody } from './schemas.ts'
import { answerSignedIn } from './signed-in.ts'
import { answerTokens } from './token.ts'

export function addPassword (app: FastifyInstance, dependencies: RoutesDependencies): void {
  addRoute(app, {
    method: 'POST',
    url: '/password/change',
    summary: 'Change the password; ends every session and signs this client in anew',
    guard: dependencies.guardSession(),
    body: ChangePasswordBody,
    answers: { 200: BearerAnswer, 204: NoContent },
    errors: [422],
    async handle (request, reply, body) {
      const { via, user } = request.principal!
      const issued = await dependencies.changePassword(user.id, body, request)
      if (via === 'bearer') return answerTokens(issued)
      answerSignedIn(reply, issued, dependencies)
      return null
    }
  })

  const { recovery, originGuard, leave, readPresented } = dependencies
  if (recovery === null) return

  addMailRequest(app, originGuard, { url: '/password/forgot', summary: 'Mail a link to set another password, if the address has an account', ask: recovery.forgot })

  addRoute(app, {
    method: 'POST',
    url: '/password/reset',
    summary: 'Set another password by the token of a link; ends every session',
    guard: null,
    body: ResetPasswordBody,
    answers: { 204: NoContent },
    errors: [422],
    async handle (request, reply, { token, password }) {
      originGuard.checkWithoutSession(request)
      const { id } = await recovery.reset(token, password, request)
      // What this browser still holds of the account is dead.
      if (readPresented(request).some(({ userId }) => userId === id)) await leave(reply)
      return null
    }
  })
}
