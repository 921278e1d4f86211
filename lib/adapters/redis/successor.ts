import { monotonic } from '../../clock.ts'
import { SERVER_OPTIONS } from './connection-options.ts'
import type { OwnClient } from './connection.ts'

/** As often as it is worth looking. */
const SEEK_MS = 1000

/**
 * To be told of errors. When the server has become a replica, its address, or Sentinel, may lead to the primary by now: then the client
 * connects anew. While there is none, what reads keeps its connection. (Nodes of a Cluster name their successor themselves.)
 */
export function followPrimary (own: OwnClient): (error: Error) => void {
  let soughtAt = -Infinity
  return ({ message }) => {
    // Of a script Redis 6 says so further on.
    if (own.nodes !== undefined || !message.includes('READONLY') || monotonic() - soughtAt < SEEK_MS) return
    soughtAt = monotonic()
    void hasSuccessor(own).then(found => { if (found) own.disconnect(true) })
  }
}

async function hasSuccessor (own: OwnClient): Promise<boolean> {
  const other = own.duplicate({ ...SERVER_OPTIONS, lazyConnect: true, retryStrategy: null, sentinelRetryStrategy: null })
  other.on('error', () => {})
  try {
    await other.connect()
    // Whoever may not ask finds out by connecting.
    return await other.call('role').then(role => (role as string[])[0] === 'master', () => true)
  } catch {
    return false
  } finally {
    other.disconnect()
  }
}
