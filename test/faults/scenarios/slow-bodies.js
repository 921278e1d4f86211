import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from '../client.js'
import { at, figureOf } from '../figures.js'
import { PASSWORD } from '../people.js'

const SOCKETS = 1000
const HEAD = 'POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{'
/** The `requestTimeout` of these servers, and how often they look. */
const CUT_MS = 2000 + 500

/** Each sends a byte now and then, and never ends. */
export default {
  id: 'F-29',
  title: '1000 bodies that never end',
  setups: ['postgres'],
  async run (world, { rounds, patience }) {
    const history = []
    const [node] = world.nodes
    const reader = createClient('reader', history)
    await reader.send('join', node.port, 'POST', '/auth/register', { body: { email: `slow-${Date.now()}@example.com`, password: PASSWORD } })
    const [times, lives] = [[], []]
    let left = 0
    for (let round = 0; round < rounds; round++) {
      const open = new Set()
      await Promise.all(Array.from({ length: SOCKETS }, async () => await openSlow(node.port, open, lives)))
      for (const end = Date.now() + CUT_MS + 1000 + patience; Date.now() < end && open.size > 0;) {
        const start = performance.now()
        await reader.enter(node.port)
        times.push(performance.now() - start)
        for (const socket of open) if (Math.random() < 0.01) socket.write(' ')
        await pause(10)
      }
      left += open.size
      for (const socket of open) socket.destroy()
    }
    reader.close()
    return {
      n: rounds,
      ...figureOf(history),
      faults: left > 0 ? [`${left} slow clients were never cut off`] : [],
      remark: `others are served in ${at(times, 0.99)} ms (p99), slow ones cut off after ${at(lives, 1)} ms at the latest`
    }
  }
}

async function openSlow (port, open, lives) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const start = Date.now()
  open.add(socket)
  socket.resume().on('close', () => {
    open.delete(socket)
    lives.push(Date.now() - start)
  })
  socket.write(HEAD)
}
