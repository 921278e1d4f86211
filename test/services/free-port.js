import { once } from 'node:events'
import { createServer } from 'node:net'
import { isEnding } from './lifetime.js'

/**
 * A loopback TCP port nobody listens on at this moment.
 * @returns {Promise<number>}
 */
export async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/**
 * Starts something on a free port, with another port when that fails, since a port can be taken
 * between the search and the start.
 * @template T
 * @param {(port: number) => Promise<T>} start
 * @param {number} [attempts]
 * @returns {Promise<T>}
 */
export async function startOnFreePort (start, attempts = 3) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (attempt === attempts || !error.endedEarly || isEnding()) throw error
    }
  }
}
