import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import Fastify from 'fastify'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts from '../lib/index.ts'

t.test('F-29 a server that waits for ever for a request is warned of when it listens, and one that does not is not', async t => {
  for (const [requestTimeout, expected] of [[0, 1], [60_000, 0]] as const) {
    for (const inChild of [false, true]) {
      const lines: string[] = []
      const stream = new Writable({ write (line, _encoding, done) { lines.push(String(line)); done() } })
      const app = Fastify({ requestTimeout, logger: { level: 'warn', stream } })
      t.teardown(async () => { await app.close() })
      const options = { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:') }
      await (inChild ? app.register(async child => { await child.register(accounts, options) }) : app.register(accounts, options))
      await app.ready()
      const warnings = () => lines.filter(line => line.includes('requestTimeout is 0')).length
      t.equal(warnings(), 0)
      await app.listen({ port: 0, host: '127.0.0.1' })
      t.equal(warnings(), expected, `${requestTimeout}${inChild ? ', in a child' : ''}`)
    }
  }
})
