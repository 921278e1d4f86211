import type { FastifyReply } from 'fastify'
import type { SignInOptions } from '../../types/accounts.ts'
import type { Session, User } from '../../types/principal.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Devices } from '../sessions/devices.ts'
import type { Leave } from '../sessions/leave.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { refuseTokens, type Vouch } from './vouch.ts'

/** What a host does with a browser whose user it has authenticated itself: `reply.signIn` and `reply.signOut`. */
export interface Browser {
  /** @throws what `Vouch` throws */
  signIn (reply: FastifyReply, user: Pick<User, 'id'>, options?: SignInOptions): Promise<Session>
  /** @throws {FST_ACCOUNTS_FORBIDDEN} the request was let in by a personal token */
  signOut (reply: FastifyReply): Promise<void>
}

export function createBrowser ({ signOut, readPresented }: AccountsDependencies, { vouch, cookies, devices, leave }: { readonly vouch: Vouch, readonly cookies: Cookies, readonly devices: Devices, readonly leave: Leave }): Browser {
  return {
    async signIn (reply, { id }, options = {}) {
      const issued = await vouch(id, options, reply.request)
      cookies.set(reply, issued, issued.remember)
      devices.remember(reply, issued.user.id, issued.remember)
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
