import { monotonic } from '../../clock.ts'
import { randomFraction } from '../../random.ts'

/** Under the boundary's second, so that whoever waits is told the cause. */
const ANSWER_MS = 900

/** Far longer than an answer may take, and than this process is ever busy: a server that hangs, or a network that swallows. */
const SILENCE_MS = 2500

const FAREWELL_MS = 100

const LONGEST_PAUSE_MS = 1000

/** Not all processes at once. */
const retry = (attempt: number) => randomFraction() * Math.min(50 * 2 ** attempt, LONGEST_PAUSE_MS)

/** Reconnecting loses what is under way on that connection: not at each of many refusals. */
const RECONNECT_MS = 1000

const nodeOptions = () => ({
  // What was not answered may have been done: nobody sends it again.
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: false,
  commandTimeout: ANSWER_MS,
  connectTimeout: SILENCE_MS,
  socketTimeout: SILENCE_MS,
  // A server that hangs does not hang up either.
  disconnectTimeout: FAREWELL_MS,
  maxLoadingRetryTime: LONGEST_PAUSE_MS,
  // The primary has become a replica: the address leads to another by now. What was refused is not repeated.
  reconnectOnError: createReconnectOnError(),
  stringNumbers: false
}) as const

/** Options for a connection to one server, or to the primary that Sentinel names. */
export const serverOptions = () => ({
  ...nodeOptions(),
  enableOfflineQueue: false,
  enableReadyCheck: true,
  lazyConnect: false,
  retryStrategy: retry
}) as const

/** Options for connections to all servers of a Cluster. */
export const clusterOptions = () => ({
  // Else what comes while a node is being connected to would be refused.
  enableOfflineQueue: true,
  enableReadyCheck: true,
  lazyConnect: false,
  enableAutoPipelining: false,
  clusterRetryStrategy: retry,
  // A replica may not know yet what was revoked.
  scaleReads: 'master',
  // Left at its default it would send again what was not answered.
  retryDelayOnFailover: 0,
  shardedSubscribers: false,
  redisOptions: nodeOptions()
}) as const

function createReconnectOnError (): (error: Error) => boolean {
  let last = -Infinity
  return ({ message }) => {
    if (!message.startsWith('READONLY') || monotonic() - last < RECONNECT_MS) return false
    last = monotonic()
    return true
  }
}
