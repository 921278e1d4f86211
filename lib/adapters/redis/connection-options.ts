import { randomFraction } from '../../random.ts'

/** Under the boundary's second, so that whoever waits is told the cause. */
const ANSWER_MS = 900

/** Far longer than an answer may take, and than this process is ever busy: a server that hangs, or a network that swallows. */
const SILENCE_MS = 2500

const FAREWELL_MS = 100

const LONGEST_PAUSE_MS = 1000

/** Not all processes at once. */
const retry = (attempt: number) => randomFraction() * Math.min(50 * 2 ** attempt, LONGEST_PAUSE_MS)

const NODE_OPTIONS = {
  // What was not answered may have been done: nobody sends it again.
  autoResendUnfulfilledCommands: false,
  reconnectOnError: null,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: false,
  commandTimeout: ANSWER_MS,
  connectTimeout: SILENCE_MS,
  socketTimeout: SILENCE_MS,
  // A server that hangs does not hang up either.
  disconnectTimeout: FAREWELL_MS,
  maxLoadingRetryTime: LONGEST_PAUSE_MS,
  stringNumbers: false
} as const

/** Options for a connection to one server, or to the primary that Sentinel names. */
export const SERVER_OPTIONS = {
  ...NODE_OPTIONS,
  enableOfflineQueue: false,
  enableReadyCheck: true,
  lazyConnect: false,
  retryStrategy: retry
} as const

/** Options for connections to all servers of a Cluster. */
export const CLUSTER_OPTIONS = {
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
  redisOptions: NODE_OPTIONS
} as const
