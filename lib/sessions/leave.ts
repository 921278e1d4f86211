import type { FastifyReply } from 'fastify'
import type { Hooks } from '../hooks.ts'
import type { Cookies } from './cookies.ts'

/** Let a browser go whose session has ended at its own wish: its cookies are cleared, and hooks end what they keep for it. */
export type Leave = (reply: FastifyReply) => Promise<void>

export function createLeave (cookies: Pick<Cookies, 'clear'>, hooks: Pick<Hooks, 'after'>): Leave {
  return async function leave (reply) {
    // Such a client has no cookies of ours, and is none of the browsers that hooks know.
    if (reply.request.principal?.via === 'bearer') return
    cookies.clear(reply)
    await hooks.after('afterSignOut', { request: reply.request })
  }
}
