import { spawnSync } from 'node:child_process'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { isExecutable, pathFolders } from './find-program.js'
import { startOnFreePort } from './free-port.js'
import { endWithProcess, isEnding } from './lifetime.js'
import { runProgram } from './run-program.js'
import { startServerProcess } from './server-process.js'

const DEBIAN_ROOT = '/usr/lib/postgresql'
const EXIT_LIMIT_MS = 3000
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '16MB',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  timezone: 'UTC'
}

/**
 * The folder with PostgreSQL's server programs: from PATH, else Debian's newest version.
 * @returns {string | null} null when PostgreSQL is not installed
 */
export function findPostgresFolder () {
  const versions = existsSync(DEBIAN_ROOT) ? readdirSync(DEBIAN_ROOT) : []
  const debian = versions
    .sort((a, b) => Number.parseFloat(b) - Number.parseFloat(a))
    .map((version) => join(DEBIAN_ROOT, version, 'bin'))
  const complete = (folder) => ['initdb', 'postgres'].every((name) => isExecutable(join(folder, name)))
  return [...pathFolders(), ...debian].find(complete) ?? null
}

/**
 * @typedef {object} PostgresServer
 * @property {string} url
 * @property {() => Promise<void>} stop for good, with its data
 * @property {(signal: NodeJS.Signals) => void} signal to the server and all of its processes, as a frozen or killed machine gets it
 * @property {(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL') => Promise<void>} halt fast, immediately or by force; the data stay
 * @property {() => Promise<void>} resume start again, at the same address and on the same data
 */

/**
 * Starts a private PostgreSQL on a free loopback port, with its data in a temporary folder.
 * @param {Record<string, string>} [settings] other than those that make tests fast
 * @returns {Promise<PostgresServer>}
 */
export async function startPostgres (settings = {}) {
  const programs = findPostgresFolder()
  if (!programs) throw new Error('PostgreSQL (initdb, postgres) is not installed.')
  const owner = ownerOfData()
  const folder = await mkdtemp(join(tmpdir(), 'accounts-postgres-'))
  const data = join(folder, 'data')
  const options = { ...owner, cwd: folder, env: { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C' } }
  let server
  let stopping

  const stop = () => {
    stopping ??= (async () => {
      signal('SIGCONT')
      await server?.stop()
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
      untie()
    })()
    return stopping
  }
  const signal = (name) => {
    if (server?.isRunning) for (const pid of [server.pid, ...childrenOf(server.pid)]) send(pid, name)
  }
  const kill = () => {
    signal('SIGCONT')
    waitForEnd(join(data, 'postmaster.pid'))
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  const untie = endWithProcess({ stop, kill })

  try {
    if (owner.uid !== undefined) await chown(folder, owner.uid, owner.gid)
    const initArgs = ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C']
    await runProgram(join(programs, 'initdb'), initArgs, { options })
    if (isEnding()) throw new Error('asked to end')
    return await startOnFreePort(async (port) => {
      const url = `postgres://postgres@127.0.0.1:${port}/postgres`
      const args = ['-D', data, '-p', String(port)]
      for (const [name, value] of Object.entries({ ...SETTINGS, ...settings })) args.push('-c', `${name}=${value}`)
      const resume = async () => {
        // SIGINT: "fast shutdown". SIGQUIT: "immediate shutdown", which unlike SIGKILL frees shared memory.
        server = await startServerProcess({
          command: join(programs, 'postgres'),
          args,
          options,
          isReady: () => accepts(url),
          stopSignal: 'SIGINT',
          killSignal: 'SIGQUIT'
        })
      }
      const halt = async (name) => {
        if (name === 'SIGKILL') signal(name)
        else send(server.pid, name)
        await server.ended
      }
      await resume()
      return { url, stop, signal, halt, resume }
    })
  } catch (error) {
    await stop()
    throw error
  }
}

function childrenOf (pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').map(Number).filter(Boolean)
}

function send (pid, signal) {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // It has ended in the meantime.
    if (error.code !== 'ESRCH') throw error
  }
}

// PostgreSQL refuses to run as root. The ids are set by spawn itself rather than by `runuser`, so that
// the process we hold, and signal, is the server and not a parent that watches it.
function ownerOfData () {
  if (process.getuid() !== 0) return {}
  for (const user of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, user], { encoding: 'utf8' }))
    if (uid.status === 0 && gid.status === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  }
  throw new Error('PostgreSQL cannot run as root, and there is no user "postgres" or "nobody".')
}

async function accepts (url) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  await client.connect()
  await client.end()
  return true
}

function waitForEnd (pidFile) {
  const deadline = Date.now() + EXIT_LIMIT_MS
  const clock = new Int32Array(new SharedArrayBuffer(4))
  while (existsSync(pidFile) && Date.now() < deadline) Atomics.wait(clock, 0, 0, 20)
}
