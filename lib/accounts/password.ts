import type { FastifyRequest } from 'fastify'
import type { User } from '../../types/principal.ts'
import type { SessionRecord, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_PASSWORD_WRONG, FST_ACCOUNTS_STORAGE_UNAVAILABLE } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import type { Issued, SessionTraits } from '../sessions/sign-in.ts'
import { isId } from '../shape.ts'
import { endsTokens, endTokens } from '../personal-tokens/endings.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { readNewPassword, readPasswordChange } from './shapes.ts'

interface PasswordChange { readonly currentPassword: string, readonly newPassword: string }
export type ChangePassword = (userId: string, passwords: PasswordChange, request: FastifyRequest | null) => Promise<Issued>
type SetPassword = (userId: string, newPassword: string, request: FastifyRequest | null) => Promise<User | null>

/** Other changes of the same account can come first; each one that does has read the account after us. */
const MAX_ATTEMPTS = 4

export interface PasswordChanges {
  /**
   * Prove the current password, set another, end every session of the user and begin a new one, all in one transaction.
   * The proof in the same request is fresher than any session can be (ASVS 6.2.3, 7.5.1).
   */
  readonly change: ChangePassword
  /** Set another without a proof, for an operator, and end every session of the user; `null`: no such user. */
  readonly set: SetPassword
}

export function createPasswordChanges ({ settings, storage, passwords, tokenEndings, throttle, changes, signIn, signOut, readPresented, post, hooks }: AccountsDependencies): PasswordChanges {
  /** `null`: the account is no longer as it was read. */
  async function replace (user: UserRecord, digest: string, how: 'change' | 'reset', begin: ((changed: UserRecord) => SessionRecord) | null, request: FastifyRequest | null) {
    const done = await storage.atomically(async stores => {
      const changed = await stores.users.changePassword(user.id, user.epoch, digest)
      if (changed === null) return null
      const ended = await stores.sessions.revokeAllForUser(user.id, { at: new Date(now()), reason: 'password-changed' })
      const endedTokens = await endTokens(stores, user, changed, endsTokens(settings.passwords.revokeTokens, how))
      const session = begin?.(changed)
      if (session !== undefined) await signIn.store(stores.sessions, session, [])
      await post.enqueue(stores, { kind: 'password-changed', user: changed, request })
      return { changed, ended, endedTokens, session }
    })
    if (done === null) return null
    post.kick()
    signOut.announce(user.id, done.ended, 'password-changed', request)
    tokenEndings.announce(user.id, done.endedTokens, 'password-changed', request)
    hooks.record('password.changed', { userId: user.id, ...(done.session === undefined ? {} : { sessionId: done.session.id }), request })
    hooks.notify('passwordChanged', { user: toUser(done.changed), request })
    await changes.announce({ kind: 'user', userId: user.id })
    return done
  }

  const find = async (userId: string) => isId(userId) ? await storage.users.find(userId) : null

  const check = (password: string, user: UserRecord | null) => passwords.check(password, [user?.email ?? '', user?.username ?? '', user?.name ?? ''])

  /** The new session is to the client what the old one was. */
  async function traitsOf (request: FastifyRequest | null): Promise<SessionTraits> {
    const principal = request?.principal
    const sessionId = principal?.via === 'bearer' ? principal.session.id : readPresented(request)[0]?.sessionId
    const session = sessionId === undefined ? null : await storage.sessions.find(sessionId)
    return { remember: session?.remember ?? true, claims: session?.claims ?? null }
  }

  return {
    async change (userId, given, request) {
      const { currentPassword, newPassword } = readPasswordChange(given)
      const user = await find(userId)
      check(newPassword, user)
      const fits = await throttle.prove(userId, user, async () => await passwords.verify(user?.passwordDigest ?? null, currentPassword), request)
      if (!fits || user === null) throw new FST_ACCOUNTS_PASSWORD_WRONG()
      const digest = await passwords.hash(newPassword)
      const traits = await traitsOf(request)
      await hooks.before('beforeSignIn', { user: toUser(user), request })
      const done = await replace(user, digest, 'change', changed => signIn.prepare(changed, request, traits), request)
      // Another change came first, so the password that was proved is no longer the current one.
      if (done === null) throw new FST_ACCOUNTS_PASSWORD_WRONG()
      const issued = await signIn.issue(done.changed, done.session!, request)
      await hooks.after('afterSignIn', { user: issued.user, session: issued.session, request })
      return issued
    },

    async set (userId, newPassword, request) {
      let user = await find(userId)
      if (user === null) return null
      check(readNewPassword(newPassword), user)
      const digest = await passwords.hash(newPassword)
      for (let attempt = 0; attempt < MAX_ATTEMPTS && user !== null; attempt++) {
        const done = await replace(user, digest, 'reset', null, request)
        if (done !== null) return toUser(done.changed)
        user = await find(userId)
      }
      if (user === null) return null
      throw new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: 'the account changes faster than its password can be set' })
    }
  }
}
