import type { FastifyInstance } from 'fastify'
import { answerHeaders } from '../errors.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { HealthAnswer } from './schemas.ts'

/** For whoever decides whether this server gets requests. */
export function addHealth (app: FastifyInstance, { accounts, hasHealth }: RoutesDependencies): void {
  if (!hasHealth) return

  addRoute(app, {
    method: 'GET',
    url: '/health',
    summary: 'How this server and its storage are',
    guard: null,
    isUnlimited: true,
    answers: { 200: HealthAnswer, 503: HealthAnswer },
    async handle (_request, reply) {
      const health = await accounts.health()
      if (!health.ok) reply.code(503).headers(answerHeaders({ statusCode: 503 }))
      return health
    }
  })
}
