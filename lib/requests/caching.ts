import type { FastifyInstance, FastifyReply } from 'fastify'
import { CHALLENGE } from '../errors.ts'

/** What caches must know of an answer; said last, so that no header of the host's can unsay it. */
interface Caching { readonly varies: boolean, readonly isSecret: boolean }

const CACHING = Symbol('fastify-accounts.caching')
type Marked = FastifyReply & { [CACHING]?: Caching }

/** This answer depends on who calls: a cache must not hand it to another (RFC 9110, 12.5.5). */
export function varyByCaller (reply: FastifyReply): void {
  const marked = reply as Marked
  marked[CACHING] ??= VARIES
}

/** This answer sets a cookie: nobody may keep it (RFC 9111, 5.2.2.5). */
export function forbidStorage (reply: FastifyReply): void {
  const marked = reply as Marked
  marked[CACHING] = marked[CACHING]?.varies === true ? VARIES_AND_SECRET : SECRET
}

const VARIES: Caching = { varies: true, isSecret: false }
const SECRET: Caching = { varies: false, isSecret: true }
const VARIES_AND_SECRET: Caching = { varies: true, isSecret: true }

/** Write the headers of marked answers when they are sent. */
export function addCachingHeaders (app: FastifyInstance): void {
  app.decorateReply(CACHING, undefined)
  app.addHook('onSend', (_request, reply, payload, done) => {
    const caching = (reply as Marked)[CACHING]
    if (caching?.varies === true) {
      reply.header('vary', withCaller(reply.getHeader('vary')))
      // A guard has refused, and then another let the caller in, as in an "or" of @fastify/auth.
      if (reply.statusCode !== 401 && String(reply.getHeader('www-authenticate')).startsWith(CHALLENGE)) reply.removeHeader('www-authenticate')
    }
    if (caching?.isSecret === true) reply.header('cache-control', 'no-store')
    done(null, payload)
  })
}

function withCaller (vary: number | string | string[] | undefined): string {
  if (vary === undefined) return 'Cookie, Authorization'
  const names = String(vary).split(',').map(name => name.trim()).filter(name => name !== '')
  const missing = ['Cookie', 'Authorization'].filter(name => !names.some(other => other === '*' || other.toLowerCase() === name.toLowerCase()))
  return [...names, ...missing].join(', ')
}
