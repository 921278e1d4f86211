import type { FastifyInstance } from 'fastify'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { KeySetAnswer } from './schemas.ts'

/** For how long others may keep it: a key must be in the set for that long before it signs. */
const FIVE_MINUTES = 'public, max-age=300'

/** The public keys, for others who verify access tokens. */
export function addKeySet (app: FastifyInstance, { keySet }: RoutesDependencies): void {
  if (keySet === null) return

  addRoute(app, {
    method: 'GET',
    url: '/.well-known/jwks.json',
    summary: 'The public keys that access tokens are verified with',
    guard: null,
    answers: { 200: KeySetAnswer },
    async handle (_request, reply) {
      reply.header('cache-control', FIVE_MINUTES)
      return keySet
    }
  })
}
