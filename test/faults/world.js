import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { startPostgres } from '../services/postgres.js'
import { startRedis } from '../services/redis.js'
import { startTcpProxy } from '../services/tcp-proxy.js'
import { openStorage } from '../workers/open-storage.js'
import { startWorker } from '../workers/start.js'

/** What a crash could take back must have been written: these are PostgreSQL's own defaults. */
const DURABLE = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }
const KEEPING = { appendonly: 'yes', 'enable-debug-command': 'yes' }

/** Longer than the window of a rotation and than an access token lives. */
const STEP_MS = 31_000

/** For messages to all processes to have arrived. */
const NOTICE_MS = 60

/**
 * PostgreSQL and Redis, to which anything may be done.
 * @returns {Promise<object>}
 */
export async function startStores () {
  const [postgres, redis] = await Promise.all([startPostgres(DURABLE), startRedis(KEEPING)])
  const operator = new Redis(redis.url, { maxRetriesPerRequest: null })
  operator.on('error', () => {})
  return {
    postgres: {
      ...postgres,
      /** On a connection of its own, which takes no part in what fails. */
      async connect () {
        const client = new pg.Client({ connectionString: postgres.url, options: '-c default_transaction_read_only=off' })
        client.on('error', () => {})
        await client.connect()
        return client
      }
    },
    redis: {
      ...redis,
      operator,
      /** Keep what there is now beside, as a replica may that hears of nothing more. */
      async keepCopy () {
        await operator.config('SET', 'appendonly', 'no')
        await operator.save()
      },
      async returnToCopy () {
        await operator.call('DEBUG', 'RELOAD', 'NOSAVE')
        await operator.config('SET', 'appendonly', 'yes')
        while (/aof_rewrite_(in_progress|scheduled):1/.test(await operator.info('persistence'))) await pause(20)
      }
    },
    async stop () {
      operator.disconnect()
      await Promise.all([postgres.stop(), redis.stop()])
    }
  }
}

/**
 * Several servers on those stores, each store behind a network that may fail.
 * @param {'postgres' | 'redis'} setup where sessions are; the rest is in PostgreSQL
 * @param {Awaited<ReturnType<typeof startStores>>} stores
 */
export async function createWorld (setup, stores, count = 2) {
  const secret = randomBytes(32)
  const schema = `faults_${setup}`
  const prefix = `${schema}:`
  const networks = { postgres: await startTcpProxy(stores.postgres.url), redis: await startTcpProxy(stores.redis.url) }
  const addressBy = (postgres, redis) => ({ url: postgres, schema, ...(setup === 'redis' && { redis: { url: redis, prefix } }) })
  const storage = await openStorage(addressBy(stores.postgres.url, stores.redis.url))
  const decisions = []
  let ahead = 0
  const nodes = await Promise.all(Array.from({ length: count }, start))

  async function start () {
    const worker = await startWorker('fleet-worker', addressBy(networks.postgres.url, networks.redis.url), secret)
    if (ahead > 0) await worker.ask('skew', { milliseconds: ahead })
    const node = { ...worker, port: await worker.ask('port') }
    const stopped = new Promise(resolve => worker.on('stopped', resolve))
    node.stop = async () => {
      await worker.stop()
      const { decisions: last, counts } = await stopped
      decisions.push(...last)
      return counts
    }
    return node
  }

  return {
    setup,
    stores,
    networks,
    storage,
    nodes,
    port: () => nodes[Math.floor(Math.random() * nodes.length)].port,
    /** Another server in place of one that has stopped. */
    async replace (index) { nodes[index] = await start() },
    /** Let so much time pass, on all servers in one moment, that access tokens have expired and a refresh rotates. */
    async step () {
      const at = Date.now() + NOTICE_MS
      await Promise.all(nodes.map(async node => await node.ask('step', { at, milliseconds: STEP_MS })))
      ahead += STEP_MS
      await pause(Math.max(0, at - Date.now()) + 1)
    },
    async takeDecisions () {
      for (const node of nodes) decisions.push(...await node.ask('decisions'))
      return decisions
    },
    async close () {
      await Promise.all(nodes.map(async node => await node.kill()))
      await storage.close()
      await Promise.all(Object.values(networks).map(async network => await network.close()))
    }
  }
}
