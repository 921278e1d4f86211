// Three nodes, each a process of its own, behind a proxy. `npm run example:cluster` brings PostgreSQL and Redis along; this file
// alone takes those that DATABASE_URL and REDIS_URL name.
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { createProxy } from './proxy.js'

const { PORT = '3000', ACCOUNTS_SECRET = randomBytes(32).toString('base64url') } = process.env
const APP_URL = `http://localhost:${PORT}`
const NAMES = ['1', '2', '3']
const RESTART_MS = 5000

for (const [name, example] of [['DATABASE_URL', 'postgres://localhost/cluster'], ['REDIS_URL', 'redis://localhost']]) {
  if (!process.env[name]) leave(`${name} is missing: set it, for instance ${name}=${example}`)
}

const stopping = new AbortController()
/** Their ports; `null`: it does not run. */
const nodes = new Map(NAMES.map(name => [name, null]))
const children = new Set()

const proxy = createProxy(nodes)
proxy.once('error', ({ message }) => leave(message))
proxy.listen(PORT, '127.0.0.1')

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    stopping.abort()
    for (const child of children) if (child.connected) child.disconnect()
  })
}

await Promise.all(NAMES.map(keepRunning))
process.exit()

/** A node that ends, for whatever reason, is started again. */
async function keepRunning (name) {
  while (!stopping.signal.aborted) {
    const child = fork(new URL('server.js', import.meta.url), { env: { ...process.env, APP_URL, ACCOUNTS_SECRET, NODE_NAME: name } })
    children.add(child)
    child.once('message', ({ port }) => {
      nodes.set(name, port)
      console.log(`Node ${name} is process ${child.pid}`)
      if (![...nodes.values()].includes(null)) console.log(`Open ${APP_URL}`)
    })
    await once(child, 'exit')
    children.delete(child)
    nodes.set(name, null)
    await pause(RESTART_MS, undefined, stopping).catch(() => {})
  }
}

function leave (message) {
  console.error(message)
  process.exit(1)
}
