import type { FastifyRequest } from 'fastify'
import type { Registration } from '../../types/accounts.ts'
import type { NewUser } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_EMAIL_TAKEN, FST_ACCOUNTS_USERNAME_TAKEN } from '../errors.ts'
import { randomId } from '../random.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { checkName, parseEmail, parseUsername } from './identifiers.ts'

export type Register = (input: Registration, request: FastifyRequest | null) => Promise<Issued>

/** Create an account and its first session, together or not at all. */
export function createRegister ({ storage, passwords, signIn, signOut, readPresented, hooks }: AccountsDependencies): Register {
  return async function register (input, request) {
    const email = parseEmail(input.email)
    const username = input.username === undefined ? null : parseUsername(input.username)
    if (input.name !== undefined) checkName(input.name)
    passwords.check(input.password, [input.email, input.username ?? '', input.name ?? ''])
    await hooks.before('beforeRegister', { email: email.text, username: username?.text ?? null, name: input.name ?? null, request })

    const newUser: NewUser = {
      id: randomId(),
      email: email.text,
      emailKey: email.key,
      username: username?.text ?? null,
      usernameKey: username?.key ?? null,
      name: input.name ?? null,
      roles: [],
      passwordDigest: await passwords.hash(input.password),
      createdAt: new Date(now())
    }
    const replaced = readPresented(request)
    const created = await storage.atomically(async stores => {
      const user = await stores.users.create(newUser)
      if (user === 'email-taken') throw new FST_ACCOUNTS_EMAIL_TAKEN()
      if (user === 'username-taken') throw new FST_ACCOUNTS_USERNAME_TAKEN()
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
