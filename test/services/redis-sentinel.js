import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { startOnFreePort } from './free-port.js'
import { answersPing, findRedis, startRedis } from './redis.js'
import { startServerProcess } from './server-process.js'

const NAME = 'accounts'
const LIMIT_MS = 30_000

/**
 * Starts a private primary, a replica of it, and a Sentinel that watches both.
 * `failOver` makes each what the other was, when nothing is on its way between them, and resolves when they are.
 * @returns {Promise<{ sentinels: Array<{ host: string, port: number }>, failOver: () => Promise<void>, stop: () => Promise<void> }>}
 */
export async function startRedisSentinel () {
  const folder = await mkdtemp(join(tmpdir(), 'accounts-sentinel-'))
  const [primary, replica] = await Promise.all([startRedis({ 'repl-diskless-sync-delay': '0' }), startRedis()])
  await ask(replica.url, 'REPLICAOF', '127.0.0.1', new URL(primary.url).port)
  const deadline = Date.now() + LIMIT_MS
  while (!String(await ask(replica.url, 'INFO', 'replication')).includes('master_link_status:up')) await pause(deadline)
  const file = join(folder, 'sentinel.conf')
  await writeFile(file, `sentinel monitor ${NAME} 127.0.0.1 ${new URL(primary.url).port} 1\nsentinel failover-timeout ${NAME} 3000\n`)
  const { server, url } = await startOnFreePort(async (port) => ({
    url: `redis://127.0.0.1:${port}`,
    server: await startServerProcess({
      command: findRedis(),
      args: [file, '--sentinel', '--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
      options: { cwd: folder },
      isReady: () => answersPing(port),
      stopSignal: 'SIGTERM',
      killSignal: 'SIGKILL'
    })
  }))
  // It would look at them every ten seconds.
  await ask(url, 'SENTINEL', 'DEBUG', 'INFO-PERIOD', '200')
  return {
    sentinels: [{ host: '127.0.0.1', port: Number(new URL(url).port) }],
    async failOver () {
      const deadline = Date.now() + LIMIT_MS
      const written = await offsetOf(primary.url)
      while (await offsetOf(replica.url) < written) await pause(deadline)
      // Refused until it has heard of the replica.
      while (await ask(url, 'SENTINEL', 'FAILOVER', NAME).catch(() => null) === null) await pause(deadline)
      // From then on nothing can be written to the old one.
      while (!String(await ask(primary.url, 'INFO', 'replication')).includes('role:slave')) await pause(deadline)
    },
    async stop () {
      await server.stop()
      await Promise.all([primary.stop(), replica.stop()])
      await rm(folder, { recursive: true, force: true })
    }
  }
}

async function pause (deadline) {
  if (Date.now() > deadline) throw new Error('Sentinel did not fail over in time.')
  await sleep(20)
}

/** How much was written, or has arrived. */
async function offsetOf (url) {
  const info = String(await ask(url, 'INFO', 'replication'))
  return info.includes('master_link_status:down') ? 0 : Number(/^master_repl_offset:(\d+)/m.exec(info)[1])
}

async function ask (url, command, ...args) {
  const client = new Redis(url)
  try {
    return await client.call(command, ...args)
  } finally {
    client.disconnect()
  }
}
