import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/**
 * A process that runs the built package.
 * @typedef {object} Worker
 * @property {<Result>(name: string, input?: object) => Promise<Result>} ask have it do one of its duties; rejects with what it threw
 * @property {(id: string, listener: (result: never) => void) => void} on what it says of its own accord
 * @property {() => Promise<void>} kill
 * @property {() => Promise<void>} stop ask it to end, and wait
 */

/**
 * Starts `test/workers/NAME.js` on a storage. A loader that a test runner hands down in NODE_OPTIONS stays behind.
 * @param {string} name
 * @param {import('./open-storage.js').StorageAddress} address
 * @param {Buffer} secret
 * @returns {Promise<Worker>}
 */
export async function startWorker (name, address, secret) {
  const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.js`), JSON.stringify(address), secret.toString('base64url')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '' }
  })
  const exited = once(child, 'exit')
  const waiting = new Map()
  const listeners = new Map()
  const ready = new Promise((resolve, reject) => {
    waiting.set('ready', { resolve, reject })
    child.once('exit', status => {
      for (const { reject } of waiting.values()) reject(new TypeError(`${name} ended with ${status}: is the package built?`))
      waiting.clear()
    })
  })
  child.on('message', ({ id, result, error }) => {
    listeners.get(id)?.(result)
    const { resolve, reject } = waiting.get(id) ?? {}
    waiting.delete(id)
    if (error === undefined) resolve?.(result)
    else reject?.(new TypeError(error))
  })
  await ready
  let count = 0
  return {
    on: (id, listener) => { listeners.set(id, listener) },
    ask: async (duty, input = {}) => await new Promise((resolve, reject) => {
      const id = ++count
      waiting.set(id, { resolve, reject })
      child.send({ id, name: duty, ...input })
    }),
    async kill () {
      child.kill('SIGKILL')
      await exited
    },
    async stop () {
      child.kill('SIGTERM')
      await exited
    }
  }
}
