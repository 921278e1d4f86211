import type { FastifyRequest } from 'fastify'
import type { HostSessionOwner, HostSessionRecord } from './host-session-store.ts'

/** A session that the host keeps for a browser. */
export type HostSession = Omit<HostSessionRecord, 'digest'>

/**
 * A store for a session plugin of the host's, by the ids that browsers hold. Digests of them are kept, keyed by `secrets.hash`.
 * @throws {FST_ACCOUNTS_STORAGE_UNAVAILABLE} from each; then nothing is known of the session, not even that there is none
 */
export interface HostSessions {
  /** `null`: unknown, past its end, destroyed, or of a session of ours that is over. */
  find (id: string): Promise<HostSession | null>
  /** The live session of ours that the cookies of a request name, be its tokens expired; on any route, whether it has a guard or none. */
  ownerOf (request: FastifyRequest): Promise<HostSessionOwner | null>
  /**
   * Insert or replace; what is destroyed, or belongs to a session of ours that is over, stays gone.
   * @throws {FST_ACCOUNTS_HOST_SESSION_TOO_LARGE} above 64 KiB of data
   */
  save (id: string, session: HostSession): Promise<void>
  /** For good: no request that is still under way brings it back. */
  destroy (id: string): Promise<void>
  /** Remove what belongs to a session of ours that is over. Nobody can read it any more: a matter of tidiness. */
  deleteForSession (sessionId: string): Promise<void>
}
