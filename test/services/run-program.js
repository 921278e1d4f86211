import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { endWithProcess } from './lifetime.js'

const OUTPUT_KEPT = 8000

/**
 * Runs a program to its end, in a process group of its own: a Ctrl-C does not reach it.
 * @param {string} command
 * @param {string[]} args
 * @param {object} [settings]
 * @param {import('node:child_process').SpawnOptions} [settings.options]
 * @param {NodeJS.Signals | null} [settings.stopSignal] what it gets when this process is asked to end;
 *   null for a program that had better finish
 * @returns {Promise<void>} rejects, with its output, when it fails
 */
export async function runProgram (command, args, { options, stopSignal = null } = {}) {
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const onOutput = (text) => { output = (output + text).slice(-OUTPUT_KEPT) }
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', onOutput)

  const ended = once(child, 'close')
  const stop = async () => {
    if (stopSignal) child.kill(stopSignal)
    await ended
  }
  const untie = endWithProcess({ stop, kill: () => child.kill('SIGTERM') })
  const [code] = await ended.finally(untie)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${output}`)
}
