import pg from 'pg'
import type { Test } from 'tap'
import { startPostgres, type PostgresServer } from '../services/postgres.js'
import { startTcpProxy, type TcpProxy } from '../services/tcp-proxy.js'

/** A server that the test may do anything to, and a network to it. */
export interface PrivateServer extends PostgresServer {
  /** Another way to it, on which the network may fail. */
  readonly proxy: TcpProxy
  /** Run statements on one connection that takes no part in what fails. */
  query<Row extends object> (text: string, values?: readonly unknown[]): Promise<Row[]>
}

/** Start PostgreSQL for one test file; it ends with the test. */
export async function startServer (t: Test, settings: Record<string, string> = {}): Promise<PrivateServer> {
  const server = await startPostgres(settings)
  const proxy = await startTcpProxy(server.url)
  t.teardown(async () => {
    await proxy.close()
    await server.stop()
  })
  return {
    ...server,
    proxy,
    async query<Row extends object> (text: string, values: readonly unknown[] = []) {
      const client = new pg.Client({ connectionString: server.url, options: '-c default_transaction_read_only=off' })
      client.on('error', () => {})
      await client.connect()
      try {
        return (await client.query<Row>(text, [...values])).rows
      } finally {
        await client.end()
      }
    }
  }
}

/** How many connections there are to a database, besides the one that asks. */
export async function countConnections ({ query }: Pick<PrivateServer, 'query'>): Promise<number> {
  const [row] = await query<{ count: string }>('select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')
  return Number(row!.count)
}

/** Ask again and again until it is so; the milliseconds that it took, or rejects after `limit`. */
export async function until (isSo: () => boolean | Promise<boolean>, limit = 10_000): Promise<number> {
  const start = realTime()
  while (!await isSo()) {
    if (realTime() - start > limit) throw new TypeError(`not so within ${limit} ms`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  return realTime() - start
}

/** The real time, whatever a test does to the clocks. */
export const realTime = performance.now.bind(performance)

export const pause = async (milliseconds: number) => await new Promise(resolve => setTimeout(resolve, milliseconds))

export function describeTimes (times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN).toFixed(0)
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms, largest ${at(1)} ms of ${sorted.length}`
}
