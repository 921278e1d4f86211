import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { ChangeUserBody, NoContent, UserAnswer, UsersAnswer, UsersQuery } from './schemas.ts'

/** Users as owners and admins manage them. */
export function addUsers (app: FastifyInstance, { guardSession, accounts, administration, leave }: RoutesDependencies): void {
  if (administration === null) {
    app.log.info('fastify-accounts: the users store has no list, so there are no routes to manage users')
    return
  }
  const roles = ['owner', 'admin']
  // What changes somebody else's account rests on the roles as the store has them, not on memory.
  const strictly = guardSession({ roles, liveness: 'strict' })

  addRoute(app, {
    method: 'GET',
    url: '/users',
    summary: 'Users, the newest first',
    guard: guardSession({ roles }),
    query: UsersQuery,
    answers: { 200: UsersAnswer },
    handle: async (_request, _reply, _body, query) => await accounts.users.list(query)
  })

  addRoute(app, {
    method: 'PATCH',
    url: '/users/:id',
    summary: 'Disable or enable a user, or set the roles',
    guard: strictly,
    body: ChangeUserBody,
    answers: { 200: UserAnswer },
    errors: [404, 409, 422],
    async handle (request, reply, body) {
      const { actor, id } = partiesOf(request)
      const user = await administration.change(actor, id, body, request)
      if (user.disabled) await leaveOwn(request, reply)
      return { user }
    }
  })

  addRoute(app, {
    method: 'DELETE',
    url: '/users/:id/sessions',
    summary: 'End all sessions of a user',
    guard: strictly,
    answers: { 204: NoContent },
    errors: [404],
    async handle (request, reply) {
      const { actor, id } = partiesOf(request)
      await administration.endSessions(actor, id, request)
      await leaveOwn(request, reply)
      return null
    }
  })

  /** Who has ended their own session is signed out. */
  async function leaveOwn (request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { actor, id } = partiesOf(request)
    if (actor.id === id) await leave(reply)
  }
}

function partiesOf (request: FastifyRequest) {
  return { actor: request.principal!.user, id: (request.params as { id: string }).id }
}
