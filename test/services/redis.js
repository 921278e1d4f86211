import { mkdtemp, rm } from 'node:fs/promises'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './find-program.js'
import { startOnFreePort } from './free-port.js'
import { endWithProcess } from './lifetime.js'
import { startServerProcess } from './server-process.js'

/**
 * The path of redis-server.
 * @returns {string | null} null when Redis is not installed
 */
export function findRedis () {
  return findProgram('redis-server')
}

/**
 * @typedef {object} RedisServer
 * @property {string} url
 * @property {() => Promise<void>} stop for good
 * @property {(signal: NodeJS.Signals) => void} signal to the server, as a frozen or killed machine gets it
 * @property {() => Promise<void>} halt at once; what it knew is gone
 * @property {() => Promise<void>} resume start again, at the same address
 */

/**
 * Starts a private Redis on a free loopback port, without persistence.
 * @param {string[]} [settings] further arguments
 * @returns {Promise<RedisServer>}
 */
export async function startRedis (settings = []) {
  const program = findRedis()
  if (!program) throw new Error('redis-server is not installed.')
  const folder = await mkdtemp(join(tmpdir(), 'accounts-redis-'))
  let server
  let stopping

  const stop = () => {
    stopping ??= (async () => {
      signal('SIGCONT')
      await server?.stop()
      await rm(folder, { recursive: true, force: true })
      untie()
    })()
    return stopping
  }
  const signal = (name) => { if (server?.isRunning) process.kill(server.pid, name) }
  const kill = () => rmSync(folder, { recursive: true, force: true })
  const untie = endWithProcess({ stop, kill })

  try {
    return await startOnFreePort(async (port) => {
      const resume = async () => {
        server = await startServerProcess({
          command: program,
          args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no', ...settings],
          options: { cwd: folder },
          isReady: () => answersPing(port),
          stopSignal: 'SIGTERM',
          killSignal: 'SIGKILL'
        })
      }
      const halt = async () => {
        signal('SIGKILL')
        await server.ended
      }
      await resume()
      return { url: `redis://127.0.0.1:${port}`, stop, signal, halt, resume }
    })
  } catch (error) {
    await stop()
    throw error
  }
}

function answersPing (port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.setTimeout(2000, () => socket.destroy(new Error('no answer to PING')))
    socket.once('data', (answer) => {
      socket.destroy()
      resolve(answer.toString().startsWith('+PONG'))
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(false))
  })
}
