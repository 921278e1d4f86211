import { once } from 'node:events'
import { createServer, Socket } from 'node:net'

/** PostgreSQL's protocol, "NotificationResponse". */
const NOTIFICATION = 'A'.charCodeAt(0)

/** The real time, whatever a test does to the clocks. */
const realTime = performance.now.bind(performance)

/**
 * A network between a client and a server that does what networks do.
 * @typedef {object} TcpProxy
 * @property {string} url
 * @property {() => number} count connections that the client has open
 * @property {() => number} bytes that have come from clients
 * @property {() => void} cut every connection, now
 * @property {(url: string) => void} lead new connections to another server, as a name does that was given to it
 * @property {(isRefused: boolean) => void} refuse new connections
 * @property {(isFrozen: boolean) => void} freeze hold all bytes of both ways back, and tell nobody
 * @property {() => void} abandon let no more bytes through on the connections that there are, ever, and tell nobody
 * @property {(milliseconds: number, jitter?: number) => void} delay what the server says, by up to `jitter` more
 * @property {(pattern: RegExp, when: 'on the way' | 'when answered') => () => boolean} lose cut a connection over the next
 *   message that matches, before the server gets it or when it has answered; whether it has happened
 * @property {() => void} dropNotifications of PostgreSQL, as a transaction pooler does
 * @property {() => Promise<void>} close
 */

/**
 * Starts a proxy on a free loopback port.
 * @param {string} target the URL of a server of PostgreSQL or Redis, without TLS
 * @returns {Promise<TcpProxy>}
 */
export async function startTcpProxy (target) {
  const speaksPostgres = target.startsWith('postgres')
  const links = new Set()
  const state = { target, isRefused: false, isFrozen: false, milliseconds: 0, jitter: 0, dropsNotifications: false, pattern: null, when: '', hasLost: false, bytes: 0 }

  const server = createServer({ noDelay: true }, (client) => {
    if (state.isRefused) return reset(client)
    const upstream = new Socket()
    upstream.setNoDelay(true)
    const link = { client, upstream, isDoomed: false, isAbandoned: false, held: [], late: [], lastAt: 0 }
    links.add(link)
    const end = () => {
      links.delete(link)
      for (const socket of [client, upstream]) socket.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', () => pass(link, end)).on('close', () => pass(link, end))
    const { port, hostname } = new URL(state.target)
    pass(link, () => upstream.connect({ port: Number(port), host: hostname }))
    client.on('data', (bytes) => pass(link, () => {
      state.bytes += bytes.length
      if (state.pattern?.test(bytes.toString('latin1'))) {
        state.pattern = null
        link.isDoomed = true
        if (state.when === 'on the way') return lose(link, end)
      }
      upstream.write(bytes)
    }))
    const frames = speaksPostgres ? createFrames((message) => !(state.dropsNotifications && message[0] === NOTIFICATION)) : (bytes) => bytes
    upstream.on('data', (bytes) => {
      const hand = () => pass(link, () => {
        if (!link.isDoomed) return client.write(frames(bytes))
        lose(link, end)
      })
      // In order, however the delay changes and whichever timer comes first.
      link.lastAt = Math.max(link.lastAt, realTime() + state.milliseconds + Math.random() * state.jitter)
      const milliseconds = link.lastAt - realTime()
      if (milliseconds <= 0 && link.late.length === 0) return hand()
      link.late.push(hand)
      setTimeout(() => link.late.shift()(), milliseconds)
    })
  })

  /** Do it now, or when the network moves again: in order. */
  function pass (link, step) {
    if (link.isAbandoned) return
    if (state.isFrozen || link.held.length > 0) link.held.push(step)
    else step()
  }

  function lose ({ client }, end) {
    state.hasLost = true
    reset(client)
    end()
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(target)
  url.port = String(server.address().port)
  const cut = () => {
    for (const { client, upstream } of links) {
      reset(client)
      upstream.destroy()
    }
    links.clear()
  }
  return {
    url: url.href,
    count: () => [...links].filter(({ client }) => !client.destroyed).length,
    bytes: () => state.bytes,
    cut,
    lead: (url) => { state.target = url },
    refuse: (isRefused) => { state.isRefused = isRefused },
    freeze (isFrozen) {
      state.isFrozen = isFrozen
      if (isFrozen) return
      for (const link of links) for (const step of link.held.splice(0)) step()
    },
    abandon: () => { for (const link of links) link.isAbandoned = true },
    delay: (milliseconds, jitter = 0) => { Object.assign(state, { milliseconds, jitter }) },
    lose (pattern, when) {
      Object.assign(state, { pattern, when, hasLost: false })
      return () => state.hasLost
    },
    dropNotifications: () => { state.dropsNotifications = true },
    async close () {
      cut()
      server.close()
      await once(server, 'close')
    }
  }
}

/** A reset of a socket that is ending by itself would never come to an end, and neither would the process. */
function reset (socket) {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/** Reads the server's stream as messages (a letter, a length that counts itself, a body), and lets those through that may pass. */
function createFrames (mayPass) {
  let rest = Buffer.alloc(0)
  return (bytes) => {
    rest = Buffer.concat([rest, bytes])
    const passed = []
    while (rest.length >= 5 && rest.length >= 1 + rest.readUInt32BE(1)) {
      const message = rest.subarray(0, 1 + rest.readUInt32BE(1))
      rest = rest.subarray(message.length)
      if (mayPass(message)) passed.push(message)
    }
    return Buffer.concat(passed)
  }
}
