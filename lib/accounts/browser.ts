import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SignInOptions } from '../../types/accounts.ts'
import type { Session, User } from '../../types/principal.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_CREDENTIALS_INVALID, FST_ACCOUNTS_FORBIDDEN, FST_ACCOUNTS_INPUT_INVALID } from '../errors.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Devices } from '../sessions/devices.ts'
import type { Leave } from '../sessions/leave.ts'
import type { AccountsDependencies } from './dependencies.ts'
import type { Begin } from './login.ts'

/** What a host does with a browser whose user it has authenticated itself: `reply.signIn` and `reply.signOut`. */
export interface Browser {
  /**
   * @throws {FST_ACCOUNTS_CREDENTIALS_INVALID} no such user, or disabled
   * @throws {FST_ACCOUNTS_FORBIDDEN} the request was let in by a personal token, as in the next
   * @throws {FST_ACCOUNTS_INPUT_INVALID}
   */
  signIn (reply: FastifyReply, user: Pick<User, 'id'>, options?: SignInOptions): Promise<Session>
  signOut (reply: FastifyReply): Promise<void>
}

export function createBrowser ({ storage, signOut, readPresented, hooks }: AccountsDependencies, { begin, cookies, devices, leave }: { readonly begin: Begin, readonly cookies: Cookies, readonly devices: Devices, readonly leave: Leave }): Browser {
  return {
    async signIn (reply, { id }, { remember = true, authenticatedAt = new Date(now()) } = {}) {
      const { request } = reply
      refuseTokens(request)
      // A typing error must not pass for a proof of this moment.
      if (!(authenticatedAt instanceof Date && authenticatedAt.getTime() >= 0)) throw new FST_ACCOUNTS_INPUT_INVALID('authenticatedAt must be a Date since 1970')
      const user = await storage.users.find(id)
      if (user === null || user.disabled) throw new FST_ACCOUNTS_CREDENTIALS_INVALID()
      const issued = await begin(user, request, remember, authenticatedAt)
      cookies.set(reply, issued, remember)
      devices.remember(reply, user.id, remember)
      hooks.record('login.succeeded', { userId: user.id, sessionId: issued.session.id, request })
      return issued.session
    },
    async signOut (reply) {
      const { request } = reply
      refuseTokens(request)
      const named = request.principal?.via === 'bearer' ? [{ userId: request.principal.user.id, sessionId: request.principal.session.id }] : readPresented(request)
      for (const { userId, sessionId } of named) await signOut.end(userId, sessionId, 'signed-out', request)
      await leave(reply)
      request.principal = null
    }
  }
}

/** A token limited to some requests must not become a session that is limited to none (CVE-2023-31139). */
function refuseTokens ({ principal }: FastifyRequest): void {
  if (principal?.via === 'personal-token') throw new FST_ACCOUNTS_FORBIDDEN()
}
