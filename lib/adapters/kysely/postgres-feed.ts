import { sql, type Kysely } from 'kysely'
import type { Client } from 'pg'
import type { Change, RevocationFeed } from '../../../types/storage.ts'
import { createHeartbeat, type Line } from '../../heartbeat.ts'
import { randomId } from '../../random.ts'
import { ANSWER_MS, hangUp, inTime } from './postgres-pool.ts'
import type { Tables } from './tables.ts'

/** What `pg` makes a client with: an address, or an object of its options. */
export type ListenConfig = string | object

export interface PostgresFeed extends RevocationFeed {
  /** Resolves when the first attempt to listen has succeeded or failed. */
  readonly started: Promise<void>
  close (): Promise<void>
}

/**
 * `LISTEN` on a connection of its own. PostgreSQL signals every listener before it acknowledges a commit, and hands a
 * listener what was signalled before it says that it is ready for the next query. So when a heartbeat is answered,
 * everything acknowledged before that heartbeat was sent has been delivered.
 */
export function createPostgresFeed (db: Kysely<Tables>, channel: string, config: ListenConfig): PostgresFeed {
  const listeners = new Set<(change: Change) => void>()
  const probes = new Map<string, () => void>()
  let isClosed = false

  const send = async (payload: string) => { await sql`select pg_notify(${channel}, ${payload})`.execute(db) }

  function receive (payload = ''): void {
    if (payload.startsWith('?')) probes.get(payload)?.()
    else for (const listener of listeners) listener(toChange(payload))
  }

  function open (onLoss: () => void): Line {
    let client: Client | undefined
    return {
      async begin () {
        const { default: pg } = await import('pg')
        client = new pg.Client(config)
        for (const event of ['error', 'end'] as const) client.on(event, onLoss)
        client.on('notification', ({ payload }) => receive(payload))
        await inTime(client.connect(), 'no connection')
        await ask(client, `listen "${channel}"`)
        await proveDelivery()
        // It listens as long as something else keeps the process alive.
        ;(client as Client & { unref? (): void }).unref?.()
      },
      async prove () { await ask(client!, 'select 1') },
      hangUp () {
        client?.end().catch(() => {})
        if (client !== undefined) hangUp(client)
      }
    }
  }

  /** A transaction pooler takes a `LISTEN` and forgets it; only a message that arrives shows that messages do. */
  async function proveDelivery (): Promise<void> {
    const probe = `?${randomId()}`
    const arrived = new Promise<void>(resolve => { probes.set(probe, resolve) })
    try {
      await send(probe)
      await inTime(arrived, 'no notification').catch(error => {
        warnOnce()
        throw error
      })
    } finally {
      probes.delete(probe)
    }
  }

  let hasWarned = false
  function warnOnce (): void {
    if (hasWarned || isClosed) return
    hasWarned = true
    process.emitWarning('notifications of PostgreSQL do not arrive (is there a transaction pooler in between?), so every request asks the database; give a direct connection as "listen"', { type: 'FastifyAccountsWarning' })
  }

  const heartbeat = createHeartbeat(open, () => receive('*'))

  return {
    ...heartbeat,
    subscribe (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    publish: async change => await send(toPayload(change)),
    async close () {
      isClosed = true
      await heartbeat.close()
    }
  }
}

const ask = async (client: Client, text: string) => await client.query({ text, query_timeout: ANSWER_MS } as { text: string })

/** One letter for the kind, then the id; triggers in the database write the same. */
function toPayload (change: Change): string {
  switch (change.kind) {
    case 'session': return `s${change.sessionId}`
    case 'user': return `u${change.userId}`
    case 'personal-token': return `t${change.tokenId}`
    default: return '*'
  }
}

/** What a later release may have to say, this one takes for the worst. */
function toChange (payload: string): Change {
  const id = payload.slice(1)
  switch (payload[0]) {
    case 's': return { kind: 'session', sessionId: id }
    case 'u': return { kind: 'user', userId: id }
    case 't': return { kind: 'personal-token', tokenId: id }
    default: return { kind: 'gap' }
  }
}
