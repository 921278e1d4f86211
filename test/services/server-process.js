import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWithProcess } from './lifetime.js'

const OUTPUT_KEPT = 4000
const READY_LIMIT_MS = 30_000
const STOP_LIMIT_MS = 10_000

/**
 * @typedef {object} ServerProcess
 * @property {number} pid
 * @property {() => Promise<void>} stop asks the program to end, and forces it when it does not
 * @property {Promise<void>} ended
 * @property {boolean} isRunning
 */

/**
 * Starts a server program, which will not outlive this process, and waits until it answers.
 * @param {object} settings
 * @param {string} settings.command
 * @param {string[]} settings.args
 * @param {import('node:child_process').SpawnOptions} [settings.options]
 * @param {() => Promise<boolean>} settings.isReady whether it answers by now; may reject for "not yet"
 * @param {NodeJS.Signals} settings.stopSignal
 * @param {NodeJS.Signals} settings.killSignal
 * @returns {Promise<ServerProcess>}
 */
export async function startServerProcess ({ command, args, options, isReady, stopSignal, killSignal }) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let running = true
  let output = ''
  const ended = new Promise((resolve) => {
    child.once('exit', resolve)
    child.once('error', (error) => {
      output += error.message
      resolve()
    })
  }).then(() => {
    running = false
    untie()
  })

  const onOutput = (text) => { output = (output + text).slice(-OUTPUT_KEPT) }
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', onOutput)
    stream.unref()
  }
  child.unref()

  const kill = () => { if (running) child.kill(killSignal) }
  const stop = async () => {
    if (running) child.kill(stopSignal)
    const waiting = new AbortController()
    const limit = sleep(STOP_LIMIT_MS, null, { signal: waiting.signal }).then(kill, () => {})
    await Promise.race([ended, limit.then(() => ended)])
    waiting.abort()
  }
  const untie = endWithProcess({ stop, kill })

  const deadline = Date.now() + READY_LIMIT_MS
  while (true) {
    const ready = await isReady().catch(() => false)
    if (!running) {
      throw Object.assign(new Error(`${command} ended before it answered:\n${output}`), { endedEarly: true })
    }
    if (ready) return { pid: child.pid, stop, ended, get isRunning () { return running } }
    if (Date.now() > deadline) {
      await stop()
      throw new Error(`${command} did not answer within ${READY_LIMIT_MS / 1000} s:\n${output}`)
    }
    await sleep(50)
  }
}
