import type { FastifyInstance } from 'fastify'
import { FST_ACCOUNTS_AUTHENTICATION_REQUIRED } from '../errors.ts'
import type { RoutesDependencies } from './index.ts'
import { addRoute } from './route.ts'
import { ChangeMeBody, DeleteMeBody, ExportAnswer, NoContent, UserAnswer } from './schemas.ts'
import { sendCsrfToken } from './signed-in.ts'

export function addMe (app: FastifyInstance, { guard, guardSession, accounts, users, devices, leave, originGuard }: RoutesDependencies): void {
  addRoute(app, {
    method: 'GET',
    url: '/me',
    summary: 'Who is signed in',
    guard: guard(),
    answers: { 200: UserAnswer },
    async handle (request, reply) {
      const principal = request.principal!
      if (principal.via === 'cookie') sendCsrfToken(reply, principal.session.id, originGuard)
      return { user: principal.user }
    }
  })

  addRoute(app, {
    method: 'GET',
    url: '/me/export',
    summary: 'All that is stored on who is signed in',
    guard: guardSession({ fresh: '15m' }),
    answers: { 200: ExportAnswer },
    async handle (request, reply) {
      const exported = await accounts.users.export(request.principal!.user.id)
      if (exported === null) throw new FST_ACCOUNTS_AUTHENTICATION_REQUIRED()
      reply.header('content-disposition', 'attachment; filename="account.json"')
      return exported
    }
  })

  addRoute(app, {
    method: 'PATCH',
    url: '/me',
    summary: 'Change the name',
    guard: guardSession(),
    body: ChangeMeBody,
    answers: { 200: UserAnswer },
    errors: [422],
    async handle (request, _reply, { name }) {
      const user = await users.update(request.principal!.user.id, { name }, { request })
      // Deleted by another request of this moment.
      if (user === null) throw new FST_ACCOUNTS_AUTHENTICATION_REQUIRED()
      return { user }
    }
  })

  addRoute(app, {
    method: 'DELETE',
    url: '/me',
    summary: 'Delete the account',
    guard: guardSession({ fresh: '15m' }),
    body: DeleteMeBody,
    answers: { 204: NoContent },
    errors: [409],
    async handle (request, reply, { password }) {
      await users.deleteOwn(request.principal!.user.id, password, request)
      await leave(reply)
      if (request.principal!.via === 'cookie') devices.forget(reply)
      return null
    }
  })
}
