import type { FastifyRequest } from 'fastify'
import type { User } from '../../types/principal.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_EMAIL_TAKEN, FST_ACCOUNTS_LINK_INVALID, FST_ACCOUNTS_PASSWORD_WRONG } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import { isId } from '../shape.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { emailKey, parseEmail } from './identifiers.ts'
import { consume, findLink } from './recovery.ts'
import { readEmailChange, readText } from './shapes.ts'

export interface Emails {
  /**
   * Take the proof that an address is its owner's: that of a new account, or a new one of an old account.
   * @throws {FST_ACCOUNTS_LINK_INVALID}
   * @throws {FST_ACCOUNTS_EMAIL_TAKEN} another account has been given the new address since
   */
  verify (token: string, request: FastifyRequest | null): Promise<User>
  /** Mail a link to verify an address again, if an account waits for it; nobody learns whether. @throws {FST_ACCOUNTS_EMAIL_INVALID} */
  resend (email: string, request: FastifyRequest | null): Promise<void>
  /**
   * Ask for another address: a link goes to the new one, a word to the old one. Whether the new one has an account
   * already is told to its owner alone.
   * @throws {FST_ACCOUNTS_EMAIL_INVALID}
   * @throws {FST_ACCOUNTS_PASSWORD_WRONG}
   */
  change (userId: string, change: { readonly email: string, readonly password: string }, request: FastifyRequest | null): Promise<void>
}

export function createEmails ({ storage, passwords, throttle, oneTimeTokens, post, changes, hooks }: AccountsDependencies): Emails {
  const find = findLink.bind(null, { storage, oneTimeTokens })

  async function confirm (token: string, request: FastifyRequest | null): Promise<User> {
    const { digest, record, user } = await find(token, 'verify-email')
    const confirmed = await storage.atomically(async stores => {
      const confirmed = await stores.users.confirmEmail!(user.id, emailKey(record.email)!, new Date(now()))
      if (confirmed === null) throw new FST_ACCOUNTS_LINK_INVALID()
      await consume(stores.oneTimeTokens!, digest, 'verify-email')
      return confirmed
    })
    hooks.record('email.verified', { userId: user.id, request })
    await changes.announce({ kind: 'user', userId: user.id })
    return toUser(confirmed)
  }

  async function replace (token: string, request: FastifyRequest | null): Promise<User> {
    const { digest, record, user } = await find(token, 'change-email')
    const changed = await storage.atomically(async stores => {
      const { text, key } = parseEmail(record.email)
      const changed = await stores.users.changeEmail!(user.id, record.epoch, { email: text, emailKey: key }, new Date(now()))
      if (changed === 'email-taken') throw new FST_ACCOUNTS_EMAIL_TAKEN()
      if (changed === null) throw new FST_ACCOUNTS_LINK_INVALID()
      await post.enqueue(stores, { kind: 'email-changed', user, newEmail: text, request })
      await consume(stores.oneTimeTokens!, digest, 'change-email')
      return changed
    })
    post.kick()
    hooks.record('email.changed', { userId: user.id, request })
    await changes.announce({ kind: 'user', userId: user.id })
    return toUser(changed)
  }

  return {
    async verify (token, request) {
      // One page of the host's may serve both kinds of link.
      try {
        return await confirm(readText(token), request)
      } catch (error) {
        if (!(error instanceof FST_ACCOUNTS_LINK_INVALID)) throw error
        return await replace(token, request)
      }
    },

    async resend (email, request) {
      const { key } = parseEmail(readText(email))
      const user = await storage.users.findByEmail(key)
      if (await throttle.allow(throttle.bucketOf('verify', { email }, user, request))) {
        if (user === null || user.disabled || user.emailVerified) await post.enqueueNothing(storage, request)
        else await post.enqueue(storage, { kind: 'verify-email', user, request })
        post.kick()
      }
    },

    async change (userId, given, request) {
      const { email, password } = readEmailChange(given)
      const { text, key } = parseEmail(email)
      const user = isId(userId) ? await storage.users.find(userId) : null
      const fits = await throttle.prove(userId, user, async () => await passwords.verify(user?.passwordDigest ?? null, password), request)
      if (!fits || user === null) throw new FST_ACCOUNTS_PASSWORD_WRONG()
      if (!await throttle.allow(throttle.bucketOf('change', { email }, user, request))) return
      const owner = await storage.users.findByEmail(key)
      await storage.atomically(async stores => {
        if (owner === null || owner.id === user.id) await post.enqueue(stores, { kind: 'change-email', user, newEmail: text, request })
        else await post.enqueue(stores, { kind: 'email-taken', user: owner, request })
        await post.enqueue(stores, { kind: 'email-change-requested', user, newEmail: text, request })
      })
      post.kick()
    }
  }
}
