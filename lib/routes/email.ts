import type { FastifyInstance } from 'fastify'
import { addMailRequest } from './ask-for-mail.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { Accepted, ChangeEmailBody, NoContent, VerifyEmailBody } from './schemas.ts'

/** Proof of an address. Links in mail lead to pages of the host, and only a POST consumes their token: scanners of mail follow links. */
export function addEmail (app: FastifyInstance, { emails, guardSession, originGuard }: RoutesDependencies): void {
  if (emails === null) return

  addRoute(app, {
    method: 'POST',
    url: '/email/verify',
    summary: 'Verify an address, new account or new address, by the token of a link',
    guard: null,
    body: VerifyEmailBody,
    answers: { 204: NoContent },
    errors: [409, 422],
    async handle (request, _reply, { token }) {
      originGuard.checkWithoutSession(request)
      await emails.verify(token, request)
      return null
    }
  })

  addMailRequest(app, originGuard, { url: '/email/resend', summary: 'Mail the link again, if an account waits for it', ask: emails.resend })

  addRoute(app, {
    method: 'POST',
    url: '/email/change',
    summary: 'Ask for another address; a link goes to the new one',
    guard: guardSession(),
    body: ChangeEmailBody,
    answers: { 202: Accepted },
    errors: [422],
    async handle (request, reply, body) {
      await emails.change(request.principal!.user.id, body, request)
      reply.code(202)
      return {}
    }
  })
}
