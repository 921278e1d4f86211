import { beforeDeadline } from '../../clock.ts'
import type { Line } from '../../heartbeat.ts'

/** A server, by a client of `ioredis` for it. */
export interface Server {
  readonly options: { readonly host?: unknown, readonly port?: unknown }
  duplicate (options: object): TrackingConnection
}

interface TrackingConnection {
  connect (): Promise<void>
  call (command: string, ...args: readonly string[]): Promise<unknown>
  subscribe (channel: string): Promise<unknown>
  on (event: 'close' | 'error', listener: () => void): unknown
  on (event: 'messageBuffer', listener: (channel: Buffer, keys: readonly Buffer[] | null) => void): unknown
  disconnect (): void
  readonly stream?: { unref? (): unknown }
}

export interface Tracking {
  readonly server: Server
  /** What the names of keys begin with of which it is to tell. */
  readonly prefixes: readonly string[]
  /** The name of a key that only this server keeps, a new one each time; `null`: it keeps none. */
  nameProbe (): string | null
  /** Write a key, in the way that sessions are written. */
  write (key: string): Promise<unknown>
  /** A key was changed or is gone; `null`: all may be. */
  hear (key: string | null): void
  /** What is told does not arrive, or is not told. */
  onRefusal (reason: string): void
}

const ANSWER_MS = 900

const OPTIONS = {
  // Only so do invalidations come as messages of a channel; what is pushed in RESP3 `ioredis` passes over.
  protocol: 2,
  replyMapping: 'legacy',
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResubscribe: false,
  retryStrategy: null,
  sentinelRetryStrategy: null,
  reconnectOnError: null,
  readOnly: false,
  keyPrefix: '',
  connectTimeout: ANSWER_MS,
  commandTimeout: ANSWER_MS,
  disconnectTimeout: 100
} as const

/**
 * Server-assisted client-side caching in broadcast mode: Redis tells of every change of a key, by whatever it came about, be it an
 * expiry, an eviction or somebody at a prompt. One connection tracks and is told, so neither can be lost without the other, and
 * as a subscriber it can't be told to stop.
 *
 * What Redis has to tell it tells before it answers what comes afterwards. So when a key that was written in the way of sessions is told
 * of here, everything acknowledged before it was sent has been told: whoever listens speaks to the primary that sessions are written to,
 * or to a replica that keeps up with it.
 */
export function createTrackingLine ({ server, prefixes, nameProbe, write, hear, onRefusal }: Tracking, onLoss: () => void): Line {
  const connection = server.duplicate(OPTIONS)
  let awaited: { readonly key: string, readonly arrive: () => void } | null = null
  connection.on('error', onLoss)
  connection.on('close', onLoss)
  connection.on('messageBuffer', (_channel, keys) => {
    if (keys === null) return hear(null)
    for (const key of keys.map(String)) {
      if (key === awaited?.key) awaited.arrive()
      else hear(key)
    }
  })

  async function track (): Promise<void> {
    try {
      const id = String(await connection.call('client', 'id'))
      await connection.call('client', 'tracking', 'on', 'redirect', id, 'bcast', ...prefixes.flatMap(prefix => ['prefix', prefix]))
      await connection.subscribe('__redis__:invalidate')
    } catch (error) {
      const { message } = error as Error
      if (/^(ERR|NOPERM) /.test(message)) onRefusal(message)
      throw error
    }
  }

  async function probe (key: string): Promise<void> {
    let isWritten = false
    const arrived = new Promise<void>(resolve => { awaited = { key, arrive: resolve } })
    const written = write(key).then(() => { isWritten = true })
    try {
      await beforeDeadline(async () => await Promise.all([written, arrived]), ANSWER_MS)
    } catch (error) {
      if (isWritten) onRefusal('invalidations do not arrive; is there a proxy in between?')
      throw error
    }
  }

  async function prove (): Promise<void> {
    const key = nameProbe()
    // A server of a Cluster without a slot of its own: it may be about to get one.
    if (key === null) await connection.call('ping')
    else await probe(key)
  }

  return {
    prove,
    async begin () {
      await beforeDeadline(async () => await connection.connect(), ANSWER_MS)
      // It listens as long as something else keeps the process alive.
      connection.stream?.unref?.()
      await track()
      await prove()
    },
    hangUp: () => connection.disconnect()
  }
}
