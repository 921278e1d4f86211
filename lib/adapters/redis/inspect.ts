import type { RedisInspection } from '../../../types/storage.ts'
import { monotonic } from '../../clock.ts'
import { repeatable, type Connection } from './connection.ts'
import { readField } from './info.ts'

/** The first answer may have waited for a connection, and one alone for something else. */
const PINGS = 3

/** Ask how the server is, or each primary of a Cluster. A host that rents it may be told little. */
export async function inspect (connection: Connection): Promise<RedisInspection> {
  const times: number[] = []
  while (times.length < PINGS) times.push(await time(async () => await repeatable(async () => await connection.send('ping'))))
  const [servers, saves] = await Promise.all([ask(connection, 'info'), ask(connection, 'config', 'get', 'save')])
  const policies = fieldsOf(servers, 'maxmemory_policy')
  return {
    ms: Math.min(...times),
    version: fieldsOf(servers, 'redis_version').sort(byVersion)[0] ?? null,
    evictionPolicy: policies.find(policy => policy !== 'noeviction') ?? policies[0] ?? null,
    isPersistent: allOf(servers.map((info, index) => isPersistent(info, saves[index])))
  }
}

async function time (act: () => Promise<unknown>): Promise<number> {
  const since = monotonic()
  await act()
  return monotonic() - since
}

/** Nothing of those who may not be asked. */
async function ask ({ askServers }: Connection, command: string, ...args: readonly string[]): Promise<unknown[]> {
  return await askServers(command, ...args).catch(() => [])
}

const fieldsOf = (servers: readonly unknown[], name: string) => servers.map(info => readField(info, name)).filter(value => value !== null)

const byVersion = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true })

/** @param save the answer to `CONFIG GET save`: a name, and when snapshots are made */
function isPersistent (info: unknown, save: unknown): boolean | null {
  if (readField(info, 'aof_enabled') === '1') return true
  return Array.isArray(save) ? Boolean(save[1]) : null
}

function allOf (answers: ReadonlyArray<boolean | null>): boolean | null {
  if (answers.includes(false)) return false
  return answers.length === 0 || answers.includes(null) ? null : true
}
