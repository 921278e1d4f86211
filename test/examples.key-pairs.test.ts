import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { ROOT } from './support/root.ts'
import { freePort } from './services/free-port.js'

/** The example opens its file before it is told of another storage. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-keys-'))
process.chdir(folder)
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })

type Build = (options: object) => Promise<FastifyInstance>
const load = async (file: string) => (await import(join(ROOT, 'examples/key-pairs', file)) as { build: Build }).build

t.test('key pairs: another service takes the tokens of the server, and only those, as long as it could read the keys', async t => {
  const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  Object.assign(process.env, { ACCOUNTS_SECRET: randomBytes(48).toString('base64url'), ACCOUNTS_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }) })
  const port = await freePort() as number
  const appUrl = `http://localhost:${port}`
  const server = await (await load('server.js'))({ appUrl })
  await server.listen({ port, host: 'localhost' })
  const [reports, late] = await Promise.all([1, 2].map(async () => await (await load('reports.js'))({ appUrl })))
  t.teardown(async () => { await Promise.all([reports!.close(), late!.close()]) })

  const browser = createClient(server)
  const { user } = (await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })).json()
  t.strictSame((await browser.get('/hello')).json(), { hello: 'ada@example.com' })
  const ask = async (app: FastifyInstance, token?: string) => await app.inject({ url: '/reports', headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })
  const { accounts_access: access, accounts_refresh: refresh } = browser.cookies
  t.match((await ask(reports!, access)).json(), { userId: user.id, reports: ['2026-Q2', '2026-Q3'] })
  for (const token of [undefined, '', 'x', refresh, access!.replace(/\.(.)([^.]*)$/, (_match, first: string, rest: string) => `.${first === 'A' ? 'B' : 'A'}${rest}`), access!.replace(/\..*\./, '.e30.')]) t.equal((await ask(reports!, token)).statusCode, 401)
  await server.close()
  t.equal((await ask(reports!, access)).statusCode, 200, 'nobody is asked for each token')
  t.equal((await ask(late!, access)).statusCode, 503)
})
