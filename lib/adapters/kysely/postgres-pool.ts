import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PostgresPool as KyselyPool } from 'kysely'
import { FST_ACCOUNTS_STORAGE_UNAVAILABLE } from '../../errors.ts'

/** The `Pool` of `pg`, as far as it is needed. */
export interface PostgresPool {
  connect (): Promise<PostgresClient>
  end (): Promise<void>
  on (event: 'error', listener: (error: Error) => void): unknown
  on (event: 'connect' | 'remove', listener: (client: PostgresClient) => void): unknown
  off (event: 'connect' | 'remove', listener: (client: PostgresClient) => void): unknown
  listenerCount (event: 'error'): number
  /** What it makes its clients with. */
  readonly options: object
}

interface PostgresClient {
  query (config: { readonly text: string, readonly values: unknown[], readonly query_timeout: number }): Promise<unknown>
  release (destroy?: boolean): void
  on (event: 'error', listener: () => void): unknown
  off (event: 'error', listener: () => void): unknown
  /** Where it is connected, and as whom the server knows it. */
  readonly host?: string
  readonly port?: number
  readonly processID?: unknown
  readonly secretKey?: unknown
  readonly connection?: { readonly stream: Duplex }
}

/** Under the boundary's second, so that whoever waits is gone by then. */
export const ANSWER_MS = 900

/**
 * A pool in which nobody waits for ever, neither for a connection nor for an answer (`pg` by itself waits without
 * end), and to which no connection returns that has not answered. Nothing is ever sent twice.
 * @param patience milliseconds for an answer; 0: whoever asks takes their time
 */
export function boundPool (pool: PostgresPool, patience = ANSWER_MS): KyselyPool {
  return {
    async connect () {
      const client = await acquire(pool)
      let isBroken = false
      // While a connection is lent the pool doesn't listen, and an error that nobody listens to would end the process.
      const onError = () => { isBroken = true }
      client.on('error', onError)
      const query = async (text: string, values: readonly unknown[] = []) => {
        // A roll-back would only wait for the same silence; the server does it when the connection is gone.
        if (isBroken) throw new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: 'the connection is lost' })
        try {
          return await client.query({ text, values: [...values], query_timeout: patience })
        } catch (error) {
          isBroken = !isAnswer(error)
          if (isBroken) cancel(client)
          throw error
        }
      }
      const release = () => {
        client.release(isBroken)
        client.off('error', onError)
      }
      // Of the overloads of `query` this is the one that Kysely uses for all but streams.
      return { query: query as unknown as Awaited<ReturnType<KyselyPool['connect']>>['query'], release }
    },
    end: async () => await pool.end()
  }
}

/**
 * Listen to the errors of every client: one that breaks is replaced, but an error that nobody listens to would end the
 * process. It can come with the very bytes that say that a connection is ready, before anybody has borrowed it.
 */
export function watchClients (pool: PostgresPool): { hangUp (): void, unwatch (): void } {
  const ignore = () => {}
  const clients = new Set<PostgresClient>()
  const meet = (client: PostgresClient) => {
    client.on('error', ignore)
    clients.add(client)
  }
  const part = (client: PostgresClient) => { clients.delete(client) }
  if (pool.listenerCount('error') === 0) pool.on('error', ignore)
  pool.on('connect', meet)
  pool.on('remove', part)
  return {
    hangUp () { clients.forEach(hangUp) },
    unwatch () {
      pool.off('connect', meet)
      pool.off('remove', part)
    }
  }
}

/** PostgreSQL, "Canceling Requests in Progress": a message of its own, on a connection of its own. */
const CANCEL_REQUEST = 80877102

/**
 * A server whose statement waits for a lock does not see that nobody waits for the statement any more. Left alone it
 * would keep the connection, we would open the next, and soon there would be none left for anybody.
 */
function cancel ({ host, port, processID, secretKey }: PostgresClient): void {
  if (host === undefined || port === undefined || typeof processID !== 'number' || typeof secretKey !== 'number') return
  const request = Buffer.alloc(16)
  for (const [index, field] of [request.length, CANCEL_REQUEST, processID, secretKey].entries()) request.writeInt32BE(field, 4 * index)
  const socket = connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port })
  socket.setTimeout(ANSWER_MS, () => socket.destroy())
  socket.on('error', () => {})
  socket.end(request)
}

/** Say what is still to be said and close the socket; a server that is frozen would keep it, and the process, for ever. */
export function hangUp ({ connection }: Pick<PostgresClient, 'connection'>): void {
  // Every socket has it; what a host may put in its place need not.
  (connection?.stream as Partial<Socket> | undefined)?.destroySoon?.()
}

async function acquire (pool: PostgresPool): Promise<PostgresClient> {
  const connecting = pool.connect()
  try {
    return await inTime(connecting, 'no connection was free')
  } catch (error) {
    // One that comes too late goes straight back.
    connecting.then(client => client.release(), () => {})
    throw error
  }
}

/** Reject if `work` takes longer than an answer may; what it does then is the caller's business. */
export async function inTime<T> (work: Promise<T>, complaint: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: `${complaint} within ${ANSWER_MS} ms` })), ANSWER_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A word from the server after which it goes on listening, as opposed to silence, a lost connection, or a farewell. */
function isAnswer (error: unknown): boolean {
  const { severity } = (error ?? {}) as { severity?: unknown }
  return severity === 'ERROR'
}
