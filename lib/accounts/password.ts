import type { FastifyRequest } from 'fastify'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_PASSWORD_WRONG } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'

interface PasswordChange { readonly currentPassword: string, readonly newPassword: string }
export type ChangePassword = (userId: string, passwords: PasswordChange, request: FastifyRequest | null) => Promise<Issued>

/**
 * Prove the current password, set another, end every session of the user and begin a new one, all in one transaction.
 * The proof in the same request is fresher than any session can be (ASVS 6.2.3, 7.5.1).
 */
export function createChangePassword ({ storage, passwords, liveness, signIn, signOut, readPresented, hooks }: AccountsDependencies): ChangePassword {
  return async function changePassword (userId, { currentPassword, newPassword }, request) {
    const user = await storage.users.find(userId)
    passwords.check(newPassword, [user?.email ?? '', user?.username ?? '', user?.name ?? ''])
    if (!await passwords.verify(user?.passwordDigest ?? null, currentPassword) || user === null) throw new FST_ACCOUNTS_PASSWORD_WRONG()
    const digest = await passwords.hash(newPassword)
    const remember = await remembers(readPresented(request)[0]?.sessionId)

    const done = await storage.atomically(async stores => {
      const changed = await stores.users.changePassword(user.id, user.epoch, digest)
      if (changed === null) return null
      const ended = await stores.sessions.revokeAllForUser(user.id, { at: new Date(now()), reason: 'password-changed' })
      const session = signIn.prepare(changed, request, remember)
      await signIn.store(stores.sessions, session, [])
      return { changed, ended, session }
    })
    // Another change came first, so the password that was proved is no longer the current one.
    if (done === null) throw new FST_ACCOUNTS_PASSWORD_WRONG()

    signOut.announce(user.id, done.ended, 'password-changed', request)
    hooks.record('password.changed', { userId: user.id, sessionId: done.session.id, request })
    hooks.notify('passwordChanged', { user: toUser(done.changed), request })
    await liveness.announce({ kind: 'user', userId: user.id })
    return signIn.issue(done.changed, done.session)
  }
  /** The new session lives in the browser as the old one did. */
  async function remembers (sessionId: string | undefined): Promise<boolean> {
    const session = sessionId === undefined ? null : await storage.sessions.find(sessionId)
    return session?.remember ?? true
  }
}
