import type { FastifyRequest } from 'fastify'
import type { RevokeReason } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { Hooks } from '../hooks.ts'
import type { Changes } from '../liveness/changes.ts'
import type { GuardedStorage } from '../storage.ts'

/** End sessions, on the server first. */
export interface SignOut {
  /** `true`: this call ended it; only a session of that user. */
  end (userId: string, sessionId: string, reason: RevokeReason, request?: FastifyRequest | null): Promise<boolean>
  endAll (userId: string, reason: RevokeReason, options?: { readonly except?: string | undefined, readonly request?: FastifyRequest | null }): Promise<number>
  /** Make known what a transaction of the caller's has ended. */
  announce (userId: string, sessionIds: readonly string[], reason: RevokeReason, request: FastifyRequest | null): void
}

export function createSignOut (storage: Pick<GuardedStorage, 'sessions'>, changes: Changes, hooks: Hooks): SignOut {
  const announce: SignOut['announce'] = (userId, sessionIds, reason, request) => {
    for (const sessionId of sessionIds) {
      changes.hear({ kind: 'session', sessionId })
      hooks.record('session.revoked', { userId, sessionId, request, reason })
      hooks.notify('sessionRevoked', { userId, sessionId, request, reason })
    }
  }
  return {
    announce,
    async end (userId, sessionId, reason, request = null) {
      const ended = await storage.sessions.revoke(sessionId, { at: new Date(now()), reason, userId })
      // Also when another node was first and its news are still on their way.
      changes.hear({ kind: 'session', sessionId })
      if (ended) announce(userId, [sessionId], reason, request)
      return ended
    },
    async endAll (userId, reason, { except, request = null } = {}) {
      const ids = await storage.sessions.revokeAllForUser(userId, { at: new Date(now()), reason, ...(except === undefined ? {} : { except }) })
      announce(userId, ids, reason, request)
      return ids.length
    }
  }
}
