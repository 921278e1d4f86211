import type { FastifyRequest } from 'fastify'
import type { LoginInput } from '../../types/accounts.ts'
import type { UserRecord } from '../../types/storage.ts'
import { toUser } from '../sessions/records.ts'
import type { Issued, SessionTraits } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import type { Proof } from './proof.ts'
import { readLogin } from './shapes.ts'

export type Login = (input: LoginInput, request: FastifyRequest | null) => Promise<Issued>

/** Check a password and begin a session. */
export function createLogin ({ hooks }: Pick<AccountsDependencies, 'hooks'>, { prove, upgrade }: Proof, begin: Begin): Login {
  return async function login (given, request) {
    const input = readLogin(given)
    const user = await prove(input, request)
    const issued = await begin(user, request, { remember: input.remember ?? true })
    await upgrade(user, input.password)
    hooks.record('login.succeeded', { userId: user.id, sessionId: issued.session.id, request })
    await hooks.after('afterLogin', { user: issued.user, session: issued.session, request })
    return issued
  }
}

export type Begin = (user: UserRecord, request: FastifyRequest | null, traits: SessionTraits) => Promise<Issued>

/** Begin a session of a user who has proved who they are, in place of the one that the request presents. */
export function createBegin ({ storage, signIn, signOut, readPresented, hooks }: Pick<AccountsDependencies, 'storage' | 'signIn' | 'signOut' | 'readPresented' | 'hooks'>): Begin {
  return async function begin (user, request, traits) {
    await hooks.before('beforeSignIn', { user: toUser(user), request })
    const session = signIn.prepare(user, request, traits)
    // Before it is stored: a hook may yet refuse.
    const issued = await signIn.issue(user, session, request)
    // No transaction: if it stops half-way the browser still has the old session, and of racers the last must see all.
    const ended = await signIn.store(storage.sessions, session, readPresented(request))
    for (const { userId, sessionId, reason } of ended) signOut.announce(userId, [sessionId], reason, request)
    await hooks.after('afterSignIn', { user: issued.user, session: issued.session, request })
    return issued
  }
}
