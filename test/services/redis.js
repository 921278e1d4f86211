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
 * @property {() => Promise<void>} stop
 * @property {(isFrozen: boolean) => void} freeze it holds its connections open, and answers nothing
 * @property {() => Promise<void>} kill at once, as a power cut does
 * @property {() => Promise<void>} restart at the same address; what it kept is gone, unless the settings make it persist
 */

/**
 * Starts a private Redis on a free loopback port, without persistence.
 * @param {Record<string, string>} [settings] of its configuration
 * @returns {Promise<RedisServer>}
 */
export async function startRedis (settings = {}) {
  const program = findRedis()
  if (!program) throw new Error('redis-server is not installed.')
  const folder = await mkdtemp(join(tmpdir(), 'accounts-redis-'))
  let server
  let stopping

  const freeze = (isFrozen) => { process.kill(server.pid, isFrozen ? 'SIGSTOP' : 'SIGCONT') }
  const stop = () => {
    stopping ??= (async () => {
      if (server?.isRunning) freeze(false)
      await server?.stop()
      await rm(folder, { recursive: true, force: true })
      untie()
    })()
    return stopping
  }
  const kill = () => rmSync(folder, { recursive: true, force: true })
  const untie = endWithProcess({ stop, kill })
  const start = async (port) => {
    server = await startServerProcess({
      command: program,
      args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no', ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])],
      options: { cwd: folder },
      isReady: () => answersPing(port),
      stopSignal: 'SIGTERM',
      killSignal: 'SIGKILL'
    })
  }

  try {
    return await startOnFreePort(async (port) => {
      await start(port)
      return {
        url: `redis://127.0.0.1:${port}`,
        stop,
        freeze,
        async kill () {
          process.kill(server.pid, 'SIGKILL')
          await server.ended
        },
        restart: async () => await start(port)
      }
    })
  } catch (error) {
    await stop()
    throw error
  }
}

export function answersPing (port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.setTimeout(2000, () => socket.destroy(new Error('no answer to PING')))
    socket.once('data', (answer) => {
      socket.destroy()
      resolve(/^(\+PONG|-NOAUTH)/.test(answer.toString()))
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(false))
  })
}
