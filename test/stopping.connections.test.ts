import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import * as http from 'node:http'
import * as https from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { closeWithServer } from '../lib/closing.ts'
import { CERTIFICATE, KEY } from './support/certificate.ts'
import { pause, realTime, until } from './support/postgres-server.ts'

const LATE_MS = 300
/** Far less than a connection that is kept open would hold a server: Fastify keeps it for 72 s. */
const BOUND_MS = 3000

const nothing = { close () {} }
const PARTS = { signals: nothing, passwords: nothing, batches: [], mail: { close: async () => {} }, stop: [], closeStorage: async () => {} }

const KINDS: Readonly<Record<string, () => { readonly app: FastifyInstance, readonly protocol: typeof http | typeof https }>> = {
  'plain http': () => ({ app: Fastify(), protocol: http }),
  TLS: () => ({ app: Fastify({ https: { key: KEY, cert: CERTIFICATE } }) as unknown as FastifyInstance, protocol: https })
}

/** When the server begins to close, the answer has not begun, or is half-way. */
const ANSWERS = {
  '/late': { connection: 'close', body: 'late' },
  '/half': { connection: 'keep-alive', body: 'half and half' }
} as const

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const portOf = (app: FastifyInstance) => (app.server.address() as AddressInfo).port

const read = async (response: IncomingMessage) => ({ connection: response.headers.connection, body: (await response.toArray()).join('') })

for (const [kind, create] of Object.entries(KINDS)) {
  for (const [path, { connection, body }] of Object.entries(ANSWERS)) {
    t.test(`V-06 ${kind}, ${path}: the answer that is under way when a server closes is whole, and the last of its connection`, async t => {
      const { app, protocol } = create()
      closeWithServer(app, PARTS)
      app.get('/late', async () => {
        await pause(LATE_MS)
        return 'late'
      })
      app.get('/half', (_request, reply) => reply.send(Readable.from((async function * () {
        yield 'half '
        await pause(LATE_MS)
        yield 'and half'
      })())))
      await app.listen({ port: 0, host: '127.0.0.1' })
      const agent = new protocol.Agent({ keepAlive: true })
      t.teardown(() => agent.destroy())
      const request = protocol.get({ host: '127.0.0.1', port: portOf(app), path, agent, ca: CERTIFICATE })
      const answered = once(request, 'response').then(async ([response]) => await read(response as IncomingMessage))
      await pause(LATE_MS / 2)
      const since = realTime()
      await app.close()
      const ms = realTime() - since
      t.ok(ms < BOUND_MS, `closed after ${ms.toFixed(0)} ms`)
      t.strictSame(await answered, { connection, body })
    })
  }
}

t.test('V-06 a server that goes on forgets the connections that have ended', async t => {
  const app = Fastify()
  closeWithServer(app, PARTS)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => await app.close())
  const opened: Array<WeakRef<Socket>> = []
  app.server.on('connection', connection => opened.push(new WeakRef(connection)))
  for (let round = 0; round < 10; round++) {
    const client = connect(portOf(app), '127.0.0.1')
    await once(client, 'connect')
    client.end()
    await once(client.resume(), 'close')
  }
  t.equal(opened.length, 10)
  await until(() => {
    collectGarbage()
    return opened.every(reference => reference.deref() === undefined)
  }, BOUND_MS)
})
