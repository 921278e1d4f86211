import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

const STOP_LIMIT_MS = 15_000
const owned = new Set()
let listening = false
let ending = false

/**
 * Something that must not outlive this process.
 * @typedef {object} Owned
 * @property {() => Promise<unknown>} stop ends it in order; used on SIGINT, SIGTERM and SIGHUP
 * @property {() => void} kill ends it at once, synchronously; used when the process exits otherwise,
 *   an uncaught exception included
 */

/**
 * Ties something to the life of this process.
 * @param {Owned} entry
 * @returns {() => void} call it when the thing has ended, to untie it
 */
export function endWithProcess (entry) {
  if (!listening) listen()
  owned.add(entry)
  return () => { owned.delete(entry) }
}

/**
 * Whether a signal asked this process to end, so that nothing more should be started.
 * @returns {boolean}
 */
export function isEnding () {
  return ending
}

function listen () {
  listening = true
  process.on('exit', killAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal)
}

function newestFirst () {
  return [...owned].reverse()
}

function killAll () {
  for (const entry of newestFirst()) {
    try {
      entry.kill()
    } catch (error) {
      console.error(error)
    }
  }
}

async function onSignal (signal) {
  const code = 128 + constants.signals[signal]
  if (ending) process.exit(code)
  ending = true
  for (const entry of newestFirst()) {
    await Promise.race([entry.stop().catch(console.error), sleep(STOP_LIMIT_MS)])
  }
  process.exit(code)
}
