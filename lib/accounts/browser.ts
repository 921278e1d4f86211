import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SigningInContext, SignInOptions } from '../../types/accounts.ts'
import type { Session, User } from '../../types/principal.ts'
import type { OriginGuard } from '../requests/origin.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Devices } from '../sessions/devices.ts'
import type { Leave } from '../sessions/leave.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { refuseTokens, type Vouch } from './vouch.ts'

/** What a host does with a browser: `reply.signIn` and `reply.signOut`, and services that are given a reply. */
export interface Browser {
  /** Begin a session on behalf of a request, and hand it to the browser if there is a reply. @throws {FST_ACCOUNTS_ORIGIN_REFUSED} */
  admit<Outcome extends Issued | null> (context: SigningInContext, begin: (request: FastifyRequest | null) => Promise<Outcome>): Promise<Outcome>
  /** @throws what `Vouch` throws */
  signIn (reply: FastifyReply, user: Pick<User, 'id'>, options?: SignInOptions): Promise<Session>
  /** @throws {FST_ACCOUNTS_FORBIDDEN} the request was let in by a personal token */
  signOut (reply: FastifyReply): Promise<void>
}

export function createBrowser ({ signOut, readPresented }: AccountsDependencies, { vouch, cookies, devices, originGuard, leave }: { readonly vouch: Vouch, readonly cookies: Cookies, readonly devices: Devices, readonly originGuard: OriginGuard, readonly leave: Leave }): Browser {
  function hand (reply: FastifyReply, issued: Issued): void {
    cookies.set(reply, issued, issued.remember)
    devices.remember(reply, issued.user.id, issued.remember)
  }

  return {
    async admit ({ reply = null, request = null }, begin) {
      if (reply === null) return await begin(request)
      // Nobody may be logged in, or signed up, by another page (login CSRF).
      originGuard.checkWithoutSession(reply.request)
      const issued = await begin(reply.request)
      if (issued !== null) hand(reply, issued)
      return issued
    },
    async signIn (reply, { id }, options = {}) {
      const issued = await vouch(id, options, reply.request)
      hand(reply, issued)
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
