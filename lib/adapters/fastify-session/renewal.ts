import type { FastifySessionObject } from '@fastify/session'
import type { HostSessions } from '../../../types/host-sessions.ts'
import { dataNames, isKnown } from './session-data.ts'

export interface Renewal {
  /** Give a session another id with the same data; not one that this request has begun, for nobody knows its id yet. */
  renew (session: FastifySessionObject | null): Promise<void>
  /** What the store does when it is told to destroy one. */
  destroy (id: string): Promise<void>
}

/**
 * `@fastify/session` destroys the old one and then saves the new one; if that fails everything is lost. Here the old one is
 * there until the new one is.
 */
export function createRenewal (sessions: Pick<HostSessions, 'destroy'>): Renewal {
  const renewed = new Set<string>()
  return {
    async renew (session) {
      if (session === null || !isKnown(session)) return
      const { sessionId } = session
      renewed.add(sessionId)
      try {
        await session.regenerate(dataNames(session).concat('accountSession'))
      } finally {
        renewed.delete(sessionId)
      }
      await sessions.destroy(sessionId)
    },
    async destroy (id) {
      if (!renewed.has(id)) await sessions.destroy(id)
    }
  }
}
