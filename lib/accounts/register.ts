import type { FastifyRequest } from 'fastify'
import type { Registration } from '../../types/accounts.ts'
import type { NewUser, UserRecord } from '../../types/storage.ts'
import { FST_ACCOUNTS_USERNAME_TAKEN } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { insert, type Prepare } from './new-account.ts'
import { readRegistration } from './shapes.ts'

/** `null`: the address has to be verified first, by a link in the mail that is on its way. */
export type Register = (input: Registration, request: FastifyRequest | null) => Promise<Issued | null>

/** Create an account and its first session, together or not at all. */
export function createRegister ({ settings, storage, throttle, signIn, signOut, readPresented, post, hooks }: AccountsDependencies, prepare: Prepare): Register {
  async function registerNow (newUser: NewUser, request: FastifyRequest | null): Promise<Issued> {
    await hooks.before('beforeSignIn', { user: null, request })
    const replaced = readPresented(request)
    const created = await storage.atomically(async stores => {
      const user = await insert(stores.users, newUser)
      const session = signIn.prepare(user, request, true)
      return { user, session, ended: await signIn.store(stores.sessions, session, replaced) }
    })
    for (const { userId, sessionId, reason } of created.ended) signOut.announce(userId, [sessionId], reason, request)
    const issued = signIn.issue(created.user, created.session)
    hooks.record('account.registered', { userId: created.user.id, sessionId: created.session.id, request })
    const state = { user: issued.user, session: issued.session, request }
    await hooks.after('afterSignIn', state)
    await hooks.after('afterRegister', state)
    return issued
  }

  /**
   * Create an account that waits for the proof of its address. Whether there was one already is told by mail to its owner
   * alone (ASVS 6.3.8): the answer, the work and what is awaited are the same.
   */
  async function registerUnverified (newUser: NewUser, request: FastifyRequest | null): Promise<void> {
    // User names are no secret, so they are looked at first, whatever is the matter with the address.
    if (newUser.usernameKey !== null && await storage.users.findByUsername?.(newUser.usernameKey)) throw new FST_ACCOUNTS_USERNAME_TAKEN()
    const isAllowed = await throttle.allow(throttle.bucketOf('register', { email: newUser.email }, null, request))
    const created = await storage.atomically(async stores => {
      const created = await stores.users.create(newUser)
      if (created === 'username-taken') throw new FST_ACCOUNTS_USERNAME_TAKEN()
      // Looked up in either case, for the same work.
      const owner = await stores.users.findByEmail(newUser.emailKey)
      if (owner === null || !isAllowed) await post.enqueueNothing(stores, request)
      else await post.enqueue(stores, { kind: created === 'email-taken' ? kindForOwner(owner) : 'verify-email', user: owner, request })
      return created === 'email-taken' ? null : created
    })
    post.kick()
    if (created === null) return
    hooks.record('account.registered', { userId: created.id, request })
    void hooks.after('afterRegister', { user: toUser(created), session: null, request })
  }

  /**
   * An address that nobody has proved yet may have been used by anybody: whoever owns it gets in by setting a password,
   * and who was first is out.
   */
  const kindForOwner = ({ emailVerified }: UserRecord) => emailVerified ? 'email-taken' : 'reset-password'

  return async function register (input, request) {
    const newUser = await prepare(readRegistration(input), request)
    if (!settings.registration.verifyEmail) return await registerNow(newUser, request)
    await registerUnverified(newUser, request)
    return null
  }
}
