import type { Change, RevocationFeed } from '../../../types/storage.ts'
import { createHeartbeat, type Heartbeat } from '../../heartbeat.ts'
import { randomId } from '../../random.ts'
import type { Connection } from './connection.ts'
import { slotOf } from './slots.ts'
import { createTrackingLine, type Server } from './tracking.ts'

/** The client that sessions are read and written with. */
export interface FeedClient extends Server {
  readonly options: Server['options'] & { readonly keyPrefix?: unknown }
  /** Of a Cluster: those that may be written to, and for each slot who has it, the primary first. */
  nodes? (role: 'master'): Server[]
  readonly slots?: ReadonlyArray<readonly string[] | undefined>
}

export interface RedisFeed extends RevocationFeed {
  close (): Promise<void>
}

/** Longer than anybody waits to be told of it: a key that has served goes by itself. */
const PROBE_MS = '2000'

/** Some key in so many is kept by every server that has its share of slots. */
const PROBE_NAMES = 1000

const REFUSALS_BEFORE_WARNING = 3

/**
 * Tells of sessions, from wherever they were changed. To every primary there is a line of its own; when there are others than before, nobody
 * may have told what they did until now.
 * @param send as sessions are written, by this client: who only reads notices so that its server has become a replica
 */
export function createRedisFeed (client: FeedClient, send: Connection['send'], prefix: string): RedisFeed {
  const listeners = new Set<(change: Change) => void>()
  const lines = new Map<Server, Heartbeat>()
  const alone = [client]
  // Of what it tells at once Redis tells in the order of prefixes: sessions first.
  const own = `${prefix}watch:${randomId()}:`
  /** What the client puts before every key by itself; what is heard has it. */
  const added = String(client.options.keyPrefix ?? '')
  const sessionKeys = `${added}${prefix}session:{`
  let isClosed = false
  let names = 0
  let refusals = 0

  const tell = (change: Change) => { for (const listener of listeners) listener(change) }

  function hear (key: string | null): void {
    if (key === null) tell({ kind: 'gap' })
    else if (key.startsWith(sessionKeys) && key.endsWith('}')) tell({ kind: 'session', sessionId: key.slice(sessionKeys.length, -1) })
  }

  function nameProbe (server: Server): string | null {
    const address = `${String(server.options.host)}:${String(server.options.port)}`
    for (let tries = 0; tries < PROBE_NAMES; tries++) {
      const key = `${added}${own}{${names++}}`
      if (client.slots === undefined || client.slots[slotOf(key)]?.[0] === address) return key
    }
    return null
  }

  function openLine (server: Server): Heartbeat {
    const tracking = {
      server,
      prefixes: [sessionKeys, added + own],
      nameProbe: () => nameProbe(server),
      write: async (key: string) => await send('set', key.slice(added.length), '', 'PX', PROBE_MS),
      hear,
      onRefusal
    }
    return createHeartbeat(onLoss => createTrackingLine(tracking, onLoss), () => {
      refusals = 0
      hear(null)
    })
  }

  /** While a server is replaced it may look like one that doesn't tell. */
  function onRefusal (reason: string): void {
    if (++refusals === REFUSALS_BEFORE_WARNING && !isClosed) process.emitWarning(`Redis does not tell of changes (${reason}), so every request asks it`, { type: 'FastifyAccountsWarning' })
  }

  /** Each server that sessions may be read from has a line, and no other. */
  function attend (): void {
    const servers = client.nodes?.('master') ?? alone
    if (isClosed || (servers.length === lines.size && servers.every(server => lines.has(server)))) return
    for (const [server, line] of lines) {
      if (servers.includes(server)) continue
      lines.delete(server)
      void line.close()
    }
    for (const server of servers) if (!lines.has(server)) lines.set(server, openLine(server))
    hear(null)
  }

  return {
    subscribe (listener) {
      listeners.add(listener)
      attend()
      return () => { listeners.delete(listener) }
    },
    isCurrent () {
      attend()
      let isCurrent = lines.size > 0
      for (const line of lines.values()) isCurrent = line.isCurrent() && isCurrent
      return isCurrent
    },
    age () {
      const ages = [...lines.values()].map(line => line.age())
      return ages.length === 0 || ages.includes(null) ? null : Math.max(...ages as number[])
    },
    async close () {
      isClosed = true
      await Promise.all([...lines.values()].map(async line => await line.close()))
    }
  }
}
