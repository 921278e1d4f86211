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
 * Starts a private Redis on a free loopback port, without persistence.
 * @returns {Promise<{ url: string, stop: () => Promise<void> }>}
 */
export async function startRedis () {
  const program = findRedis()
  if (!program) throw new Error('redis-server is not installed.')
  const folder = await mkdtemp(join(tmpdir(), 'accounts-redis-'))
  let server
  let stopping

  const stop = () => {
    stopping ??= (async () => {
      await server?.stop()
      await rm(folder, { recursive: true, force: true })
      untie()
    })()
    return stopping
  }
  const kill = () => rmSync(folder, { recursive: true, force: true })
  const untie = endWithProcess({ stop, kill })

  try {
    return await startOnFreePort(async (port) => {
      server = await startServerProcess({
        command: program,
        args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'],
        options: { cwd: folder },
        isReady: () => answersPing(port),
        stopSignal: 'SIGTERM',
        killSignal: 'SIGKILL'
      })
      return { url: `redis://127.0.0.1:${port}`, stop }
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
