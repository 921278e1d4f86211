import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { OriginGuard } from '../requests/origin.ts'
import { addRoute } from './route.ts'
import { Accepted, EmailBody } from './schemas.ts'

/** A route at which anybody may ask for a mail to an address. Its answer is one and the same, whatever comes of it. */
export function addMailRequest (app: FastifyInstance, originGuard: OriginGuard, { url, summary, ask }: { readonly url: string, readonly summary: string, ask (email: string, request: FastifyRequest): Promise<void> }): void {
  addRoute(app, {
    method: 'POST',
    url,
    summary,
    guard: null,
    body: EmailBody,
    answers: { 202: Accepted },
    errors: [422],
    async handle (request, reply, { email }) {
      originGuard.checkWithoutSession(request)
      await ask(email, request)
      reply.code(202)
      return {}
    }
  })
}
