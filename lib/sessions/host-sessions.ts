import { createHmac } from 'node:crypto'
import type { HostSessions } from '../../types/host-sessions.ts'
import type { HostSessionOwner } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_HOST_SESSION_TOO_LARGE } from '../errors.ts'
import type { GuardedStorage } from '../storage.ts'
import type { Key } from '../tokens/secrets.ts'
import type { Liveness } from './liveness.ts'
import type { ReadPresented } from './presented.ts'

/** What a page needs of a visitor is far less, and all of it is read with each request. */
const MAX_BYTES = 64 * 1024

/** Longer than any request takes that had found the session before it was destroyed. */
const REMEMBER_DESTROYED_MS = 24 * 3_600_000

interface HostSessionDependencies {
  readonly storage: Pick<GuardedStorage, 'hostSessions'>
  readonly liveness: Liveness
  readonly readPresented: ReadPresented
}

/**
 * Sessions that the host keeps, kept by us. One that belongs to a session of ours is worth as much as that: whatever ends
 * ours ends the host's for all nodes, at the moment and by the memory by which guards know of it. `null`: the storage keeps none.
 */
export function createHostSessions ({ storage: { hostSessions: store }, liveness, readPresented }: HostSessionDependencies, keys: readonly Key[]): HostSessions | null {
  if (store === undefined) return null
  // The first signs, all verify, as with every digest.
  const digestsOf = (id: string) => keys.map(key => createHmac('sha256', key.bytes).update(`host-session:${id}`).digest('base64url'))
  const isLive = async (owner: HostSessionOwner | null): Promise<boolean> => owner === null || await liveness.resolve(owner.sessionId, owner.userId, 'checked') !== null

  return {
    deleteForSession: store.deleteForSession,
    async find (id) {
      for (const digest of digestsOf(id)) {
        const record = await store.find(digest, new Date(now()))
        if (record === null) continue
        const { owner, data, expiresAt } = record
        return await isLive(owner) ? { owner, data, expiresAt } : null
      }
      return null
    },
    async ownerOf (request) {
      for (const presented of readPresented(request)) {
        if (await isLive(presented)) return presented
      }
      return null
    },
    async save (id, { owner, data, expiresAt }) {
      const bytes = Buffer.byteLength(data)
      if (bytes > MAX_BYTES) throw new FST_ACCOUNTS_HOST_SESSION_TOO_LARGE(bytes, MAX_BYTES)
      // A slow request of somebody who has been signed out, or has left, puts nothing back.
      if (await isLive(owner)) await store.save({ digest: digestsOf(id)[0]!, owner, data, expiresAt })
    },
    async destroy (id) {
      for (const digest of digestsOf(id)) await store.destroy(digest, new Date(now() + REMEMBER_DESTROYED_MS))
    }
  }
}
