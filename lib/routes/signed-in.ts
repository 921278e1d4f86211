import type { FastifyReply } from 'fastify'
import type { Session, User } from '../../types/principal.ts'
import type { OriginGuard } from '../requests/origin.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { Devices } from '../sessions/devices.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { Minted } from '../tokens/tokens.ts'

interface Writers { readonly cookies: Cookies, readonly devices: Devices, readonly originGuard: OriginGuard }
interface SignedInAnswer { user: User, session: Session }

/** Hand a session that has just begun to a browser, which is known to the user from then on. */
export function answerSignedIn (reply: FastifyReply, issued: Issued, writers: Writers): SignedInAnswer {
  const answer = answerSession(reply, issued, writers)
  writers.devices.remember(reply, issued.user.id, issued.remember)
  return answer
}

/** Hand a session to a browser: the tokens in cookies alone, never in a body. */
export function answerSession (reply: FastifyReply, issued: Issued<Minted | null>, { cookies, originGuard }: Pick<Writers, 'cookies' | 'originGuard'>): SignedInAnswer {
  cookies.set(reply, issued, issued.remember)
  sendCsrfToken(reply, issued.session.id, originGuard)
  return { user: issued.user, session: issued.session }
}

export function sendCsrfToken (reply: FastifyReply, sessionId: string, originGuard: OriginGuard): void {
  const token = originGuard.mintToken(sessionId)
  if (token !== null) reply.header('accounts-csrf', token)
}
