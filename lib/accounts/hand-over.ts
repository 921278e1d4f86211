import type { FastifyRequest } from 'fastify'
import type { Stores, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { endsTokens, endTokens } from '../personal-tokens/endings.ts'
import { toUser } from '../sessions/records.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { emailKey } from './identifiers.ts'

/** What the account must still be, or all is undone. */
interface Proof { readonly email: string, readonly epoch: number }

/**
 * Give an account to whoever has proved its address: with this digest, a verified address, and an end of all that was begun before.
 * Whoever had signed up with the address of another, and whatever password they had set, is out (OWASP Forgot Password;
 * GHSA-qq9h-g4jm-xgf3).
 * @param useUp does so with the proof, as the last thing in the unit of work: what is undone has used up nothing
 * @throws a `Stale`: the account is another by now
 */
export type HandOver = (user: UserRecord, passwordDigest: string, proof: Proof, useUp: (stores: Stores) => Promise<unknown>, Stale: new () => Error, request: FastifyRequest | null) => Promise<UserRecord>

export function createHandOver ({ settings, storage, tokenEndings, post, changes, signOut, hooks }: AccountsDependencies): HandOver {
  return async function handOver (user, passwordDigest, { email, epoch }, useUp, Stale, request) {
    const at = new Date(now())
    // A token from before the first proof may be a stranger's, whatever the option says.
    const isEndOfTokens = !user.emailVerified || endsTokens(settings.passwords.revokeTokens, 'reset')
    const { confirmed, ended, endedTokens } = await storage.atomically(async stores => {
      const changed = await stores.users.changePassword(user.id, epoch, passwordDigest)
      const confirmed = changed === null ? null : await stores.users.confirmEmail!(user.id, emailKey(email)!, at)
      if (confirmed === null) throw new Stale()
      const ended = await stores.sessions.revokeAllForUser(user.id, { at, reason: 'password-reset' })
      const endedTokens = await endTokens(stores, user, confirmed, isEndOfTokens)
      await post.enqueue(stores, { kind: 'password-changed', user: confirmed, request })
      await useUp(stores)
      return { confirmed, ended, endedTokens }
    })
    post.kick()
    signOut.announce(user.id, ended, 'password-reset', request)
    tokenEndings.announce(user.id, endedTokens, 'password-reset', request)
    hooks.record('password.reset', { userId: user.id, request })
    hooks.notify('passwordChanged', { user: toUser(confirmed), request })
    await changes.announce({ kind: 'user', userId: user.id })
    return confirmed
  }
}
