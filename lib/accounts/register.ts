import type { FastifyRequest } from 'fastify'
import type { Registration } from '../../types/accounts.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { insert, type Prepare } from './new-account.ts'
import { readRegistration } from './shapes.ts'

export type Register = (input: Registration, request: FastifyRequest | null) => Promise<Issued>

/** Create an account and its first session, together or not at all. */
export function createRegister ({ storage, signIn, signOut, readPresented, hooks }: AccountsDependencies, prepare: Prepare): Register {
  return async function register (input, request) {
    const newUser = await prepare(readRegistration(input), request)
    const replaced = readPresented(request)
    const created = await storage.atomically(async stores => {
      const user = await insert(stores.users, newUser)
      const session = signIn.prepare(user, request, true)
      return { user, session, ended: await signIn.store(stores.sessions, session, replaced) }
    })

    for (const { userId, sessionId, reason } of created.ended) signOut.announce(userId, [sessionId], reason, request)
    const issued = signIn.issue(created.user, created.session)
    hooks.record('account.registered', { userId: created.user.id, sessionId: created.session.id, request })
    await hooks.after('afterRegister', { user: issued.user, session: issued.session, request })
    return issued
  }
}
