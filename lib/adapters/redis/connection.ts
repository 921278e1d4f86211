import { setMaxListeners } from 'node:events'
import { pause } from '../../clock.ts'
import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_STORAGE_UNAVAILABLE } from '../../errors.ts'
import { CLUSTER_OPTIONS, SERVER_OPTIONS } from './connection-options.ts'
import type { FeedClient } from './feed.ts'
import type { Script } from './scripts.ts'
import { followPrimary } from './successor.ts'
import { withoutCommand } from './without-command.ts'

/** A client of `ioredis`, such as `app.redis` of `@fastify/redis`: for one server, by Sentinel, or of a Cluster. */
export interface RedisClient {
  /** A client like this one, with other options. */
  duplicate (...args: never[]): object
}

/** What is needed of a client of ours. */
export interface OwnClient extends FeedClient {
  readonly status: string
  call (command: string, ...args: readonly Argument[]): Promise<unknown>
  nodes?(role: 'master'): OwnClient[]
  on (event: 'ready' | 'error', listener: () => void): unknown
  /** @param reconnect and connect anew */
  disconnect (reconnect?: boolean): void
}

type Argument = string | number

/** A connection of our own: each call is sent once at most, and not after its caller has given up. */
export interface Connection {
  send (command: string, ...args: readonly Argument[]): Promise<unknown>
  /** Run a script, which is about one key, or about several of one slot: so it runs on every Cluster. */
  run (script: Script, keys: string | readonly string[], ...args: readonly Argument[]): Promise<unknown>
  /** The answers of every server that may be written to. */
  askServers (command: string, ...args: readonly Argument[]): Promise<unknown[]>
  /** Twice does no harm. */
  close (): Promise<void>
}

/** How long a call waits for a connection; with an answer on top it is about the boundary's second. */
const CONNECTION_MS = 500

/** @param own with the options of connection-options.ts */
export function createConnection (own: OwnClient, onReady: (connection: Connection) => void): Connection {
  let connected = createOccasion()
  const onFailure = followPrimary(own)
  own.on('ready', () => {
    connected.abort()
    onReady(connection)
  })
  // Whoever calls is told; without a listener it would be printed as well.
  own.on('error', () => {})

  async function send (command: string, ...args: readonly Argument[]): Promise<unknown> {
    if (own.status !== 'ready') await waitForConnection()
    try {
      return await call(command, ...args)
    } catch (error) {
      if (!isUnsent(error as Error)) throw error
      await waitForConnection()
      return await call(command, ...args)
    }
  }

  async function call (command: string, ...args: readonly Argument[]): Promise<unknown> {
    try {
      return await own.call(command, ...args)
    } catch (error) {
      onFailure(error as Error)
      throw withoutCommand(error)
    }
  }

  /** The next one, or not for long. */
  async function waitForConnection (): Promise<void> {
    if (connected.signal.aborted) connected = createOccasion()
    await pause(CONNECTION_MS, connected.signal)
    // A Cluster would keep what it is given, and send it when nobody waits any more.
    if (own.status !== 'ready') throw new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: 'no connection to Redis' })
  }

  const connection: Connection = {
    send,
    async run ({ digest, text }, keys, ...args) {
      const named = [keys].flat()
      try {
        return await send('evalsha', digest, named.length, ...named, ...args)
      } catch (error) {
        // A server that is new, or was told to forget; nothing has run.
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
        return await send('eval', text, named.length, ...named, ...args)
      }
    },
    askServers: async (command, ...args) => await Promise.all((own.nodes?.('master') ?? [own]).map(async server => await server.call(command, ...args))),
    close: async () => { own.disconnect() }
  }
  return connection
}

/** For any number of calls to wait for; Node would take more than ten for a leak. */
function createOccasion (): AbortController {
  const occasion = new AbortController()
  setMaxListeners(0, occasion.signal)
  return occasion
}

/**
 * A client that connects as that of a host's does. That one may have been told to repeat what was not answered, or to wait
 * without end: the defaults of `ioredis`.
 */
export function duplicate (client: RedisClient): OwnClient {
  const { duplicate, call, isCluster } = (client ?? {}) as { readonly duplicate?: unknown, readonly call?: unknown, readonly isCluster?: unknown }
  if (typeof duplicate !== 'function' || typeof call !== 'function') throw new FST_ACCOUNTS_OPTION_INVALID('client', 'of redisStorage must be a client of ioredis, such as app.redis')
  return (isCluster === true ? duplicate.call(client, [], CLUSTER_OPTIONS) : duplicate.call(client, SERVER_OPTIONS)) as OwnClient
}

/**
 * Do it once more if the connection broke before it was answered: for what only reads, or has the same effect when it runs twice.
 * What the server has said stands, and so does its silence.
 */
export async function repeatable<T> (call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (!isLost(error as Error)) throw error
    return await call()
  }
}

/** The connection had broken, and the client did not know it yet. */
const isUnsent = ({ message }: Error) => message.includes('enableOfflineQueue options is false')

const isLost = ({ name, message }: Error) => name === 'MaxRetriesPerRequestError' || name === 'AbortError' || message === 'Connection is closed.'
