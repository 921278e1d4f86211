import type { FastifyReply } from 'fastify'
import type { Session, User } from '../../types/principal.ts'
import type { OriginGuard } from '../requests/origin.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { Minted } from '../tokens/tokens.ts'

/** Hand a session to a browser: the tokens in cookies alone, never in a body. */
export function answerSignedIn (reply: FastifyReply, issued: Issued<Minted | null>, { cookies, originGuard }: { readonly cookies: Cookies, readonly originGuard: OriginGuard }): { user: User, session: Session } {
  cookies.set(reply, issued, issued.remember)
  sendCsrfToken(reply, issued.session.id, originGuard)
  return { user: issued.user, session: issued.session }
}

export function sendCsrfToken (reply: FastifyReply, sessionId: string, originGuard: OriginGuard): void {
  const token = originGuard.mintToken(sessionId)
  if (token !== null) reply.header('accounts-csrf', token)
}
