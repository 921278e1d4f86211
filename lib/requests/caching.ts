import type { FastifyInstance, FastifyReply } from 'fastify'
import { BASIC_CHALLENGE, CHALLENGE, TOKEN_CHALLENGE } from '../errors.ts'

// What an answer must say besides its content; said last, so that no header of the host's can unsay it.
const VARIES = 1
const IS_SECRET = 2
const WAS_REFUSED = 4

const MARKS = Symbol('fastify-accounts.marks')
type Marked = FastifyReply & { [MARKS]: number }

const mark = (reply: FastifyReply, flag: number) => { (reply as Marked)[MARKS] |= flag }

/** This answer depends on who calls: a cache must not hand it to another (RFC 9110, 12.5.5). */
export const varyByCaller = (reply: FastifyReply): void => mark(reply, VARIES)

/** This answer sets a cookie: nobody may keep it (RFC 9111, 5.2.2.5). */
export const forbidStorage = (reply: FastifyReply): void => mark(reply, IS_SECRET)

/** A guard has refused. Another one may yet let the caller in, as in an "or" of @fastify/auth. */
export const noteRefusal = (reply: FastifyReply): void => mark(reply, WAS_REFUSED)

/** Write the headers of marked answers when they are sent. */
export function addCachingHeaders (app: FastifyInstance): void {
  app.decorateReply(MARKS, 0)
  app.addHook('onSend', (_request, reply, payload, done) => {
    const marks = (reply as Marked)[MARKS]
    if ((marks & VARIES) !== 0) reply.header('vary', withCaller(reply.getHeader('vary')))
    if ((marks & IS_SECRET) !== 0) reply.header('cache-control', 'no-store')
    if ((marks & WAS_REFUSED) !== 0 && reply.statusCode !== 401) withdrawChallenge(reply)
    done(null, payload)
  })
}

function withCaller (vary: number | string | string[] | undefined): string {
  if (vary === undefined) return 'Cookie, Authorization'
  const names = String(vary).split(',').map(name => name.trim()).filter(name => name !== '')
  const missing = ['Cookie', 'Authorization'].filter(name => !names.some(other => other === '*' || other.toLowerCase() === name.toLowerCase()))
  return [...names, ...missing].join(', ')
}

function withdrawChallenge (reply: FastifyReply): void {
  const challenge = String(reply.getHeader('www-authenticate'))
  // RFC 6750, 3.1: which scopes would do is said with 403.
  if (reply.statusCode === 403 && challenge.includes('insufficient_scope')) return
  if ([CHALLENGE, TOKEN_CHALLENGE, BASIC_CHALLENGE].some(ours => challenge.startsWith(ours))) reply.removeHeader('www-authenticate')
}
