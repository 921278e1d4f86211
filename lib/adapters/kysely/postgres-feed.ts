import { setTimeout as pause } from 'node:timers/promises'
import { sql, type Kysely } from 'kysely'
import type { Client } from 'pg'
import type { Change, RevocationFeed } from '../../../types/storage.ts'
import { monotonic } from '../../clock.ts'
import { randomFraction, randomId } from '../../random.ts'
import { ANSWER_MS, hangUp, inTime } from './postgres-pool.ts'
import type { Tables } from './tables.ts'

/** What `pg` makes a client with: an address, or an object of its options. */
export type ListenConfig = string | object

/** How long an answered heartbeat vouches for the connection. With the way of the last request, the bound stays under a second. */
const CURRENT_MS = 800
const HEARTBEAT_MS = 200

/** Without anybody who asks whether it is current, the connection is not spoken to. */
const IDLE_MS = 5000

const LONGEST_PAUSE_MS = 1000

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
  const closing = new AbortController()
  const { signal } = closing
  let provenAt = -Infinity
  let askedAt = monotonic()
  let wake = () => {}
  let markStarted = () => {}
  const started = new Promise<void>(resolve => { markStarted = resolve })
  const probes = new Map<string, () => void>()

  const send = async (payload: string) => { await sql`select pg_notify(${channel}, ${payload})`.execute(db) }

  function receive (payload = ''): void {
    if (payload.startsWith('?')) probes.get(payload)?.()
    else for (const listener of listeners) listener(toChange(payload))
  }

  async function run (): Promise<void> {
    for (let longest = 50; !signal.aborted; longest = Math.min(2 * longest, LONGEST_PAUSE_MS)) {
      await listen(() => { longest = 50 }).catch(() => {})
      provenAt = -Infinity
      markStarted()
      await sleep(randomFraction() * longest)
    }
  }

  /** Returns never but by a rejection, or when the feed is closed. */
  async function listen (onCurrent: () => void): Promise<void> {
    const { default: { Client } } = await import('pg')
    const client = new Client(config)
    client.on('error', () => { provenAt = -Infinity })
    client.on('end', () => { provenAt = -Infinity })
    client.on('notification', ({ payload }) => receive(payload))
    try {
      await inTime(client.connect(), 'no connection')
      await ask(client, `listen "${channel}"`)
      await proveDelivery()
      // Whatever happened until now, nobody may have told us.
      receive('*')
      onCurrent()
      // It listens as long as something else keeps the process alive.
      ;(client as Client & { unref? (): void }).unref?.()
      while (!signal.aborted) {
        const sentAt = monotonic()
        await ask(client, 'select 1')
        provenAt = sentAt
        markStarted()
        await sleep(HEARTBEAT_MS)
        if (!signal.aborted && monotonic() - askedAt > IDLE_MS) await new Promise<void>(resolve => { wake = resolve })
      }
    } finally {
      provenAt = -Infinity
      // Never waited for: where nobody answers, a farewell isn't answered either.
      client.end().catch(() => {})
      hangUp(client)
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
    if (hasWarned || signal.aborted) return
    hasWarned = true
    process.emitWarning('notifications of PostgreSQL do not arrive (is there a transaction pooler in between?), so every request asks the database; give a direct connection as "listen"', { type: 'FastifyAccountsWarning' })
  }

  const sleep = async (milliseconds: number) => await pause(milliseconds, undefined, { signal, ref: false }).catch(() => {})
  signal.addEventListener('abort', () => wake())
  const running = run()

  return {
    started,
    subscribe (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    isCurrent () {
      askedAt = monotonic()
      wake()
      return askedAt - provenAt < CURRENT_MS
    },
    age: () => provenAt === -Infinity ? null : monotonic() - provenAt,
    publish: async change => await send(toPayload(change)),
    async close () {
      closing.abort()
      await running
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
