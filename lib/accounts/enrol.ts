import type { FastifyRequest } from 'fastify'
import type { UserRecord, UserStore } from '../../types/storage.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'

/** Create an account and its first session, together or not at all, in place of the session that the request presents. */
export type Enrol = (insert: (users: UserStore) => Promise<UserRecord>, request: FastifyRequest | null) => Promise<Issued>

export function createEnrol ({ storage, signIn, signOut, readPresented, hooks }: Pick<AccountsDependencies, 'storage' | 'signIn' | 'signOut' | 'readPresented' | 'hooks'>): Enrol {
  return async function enrol (insert, request) {
    await hooks.before('beforeSignIn', { user: null, request })
    const replaced = readPresented(request)
    const created = await storage.atomically(async stores => {
      const user = await insert(stores.users)
      const session = signIn.prepare(user, request, { remember: true })
      return { user, session, ended: await signIn.store(stores.sessions, session, replaced) }
    })
    for (const { userId, sessionId, reason } of created.ended) signOut.announce(userId, [sessionId], reason, request)
    const issued = await signIn.issue(created.user, created.session, request)
    hooks.record('account.registered', { userId: created.user.id, sessionId: created.session.id, request })
    const state = { user: issued.user, session: issued.session, request }
    await hooks.after('afterSignIn', state)
    await hooks.after('afterRegister', state)
    return issued
  }
}
