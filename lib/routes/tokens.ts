import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_ACCOUNTS_AUTHENTICATION_REQUIRED, FST_ACCOUNTS_PERSONAL_TOKEN_NOT_FOUND } from '../errors.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { ChangeTokenBody, CreatedTokenAnswer, CreateTokenBody, NoContent, RotateTokenBody, TokenAnswer, TokensAnswer } from './schemas.ts'

/** Personal tokens, as their owner manages them: in person. A token can't, or one that leaked could make itself a successor. */
export function addTokens (app: FastifyInstance, { guardSession, personalTokens }: RoutesDependencies): void {
  if (personalTokens === null) return
  const bySession = guardSession()
  // ASVS 7.5.1: what makes or widens a credential needs a recent proof.
  const freshly = guardSession({ fresh: '15m' })

  addRoute(app, {
    method: 'GET',
    url: '/tokens',
    summary: 'Own personal tokens',
    guard: bySession,
    answers: { 200: TokensAnswer },
    handle: async request => ({ tokens: await personalTokens.list(request.principal!.user.id) })
  })

  addRoute(app, {
    method: 'POST',
    url: '/tokens',
    summary: 'Make a personal token; it is shown this once',
    guard: freshly,
    body: CreateTokenBody,
    answers: { 201: CreatedTokenAnswer },
    errors: [409, 422],
    async handle (request, reply, body) {
      const created = await personalTokens.create(request.principal!.user.id, body, request)
      // Deleted by another request of this moment.
      if (created === null) throw new FST_ACCOUNTS_AUTHENTICATION_REQUIRED()
      reply.code(201)
      return created
    }
  })

  addRoute(app, {
    method: 'PATCH',
    url: '/tokens/:id',
    summary: 'Change the name, the limits or the end of a personal token',
    guard: freshly,
    body: ChangeTokenBody,
    answers: { 200: TokenAnswer },
    errors: [404, 422],
    async handle (request, _reply, body) {
      const { userId, id } = named(request)
      return { personalToken: found(await personalTokens.update(userId, id, body, request)) }
    }
  })

  addRoute(app, {
    method: 'DELETE',
    url: '/tokens/:id',
    summary: 'Revoke a personal token',
    guard: bySession,
    answers: { 204: NoContent },
    errors: [404],
    async handle (request) {
      const { userId, id } = named(request)
      if (!await personalTokens.revoke(userId, id, request)) throw new FST_ACCOUNTS_PERSONAL_TOKEN_NOT_FOUND()
      return null
    }
  })

  addRoute(app, {
    method: 'POST',
    url: '/tokens/:id/rotate',
    summary: 'Replace a personal token by another with the same limits; it is shown this once',
    guard: freshly,
    body: RotateTokenBody,
    isBodyOptional: true,
    answers: { 201: CreatedTokenAnswer },
    errors: [404, 409],
    async handle (request, reply, { overlap }) {
      const { userId, id } = named(request)
      const created = found(await personalTokens.rotate(userId, id, overlap, request))
      reply.code(201)
      return created
    }
  })
}

const named = (request: FastifyRequest) => ({ userId: request.principal!.user.id, id: (request.params as { id: string }).id })

function found<T> (value: T | null): T {
  if (value === null) throw new FST_ACCOUNTS_PERSONAL_TOKEN_NOT_FOUND()
  return value
}
