import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ROOT } from './support/root.ts'
import { PASSWORD } from './support/app.ts'

/** The example opens its file before it is told of another storage; the program keeps its token where it runs. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-program-'))
process.chdir(folder)
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })

t.test('the program of the client example signs in once, goes on with its session at every run, and says when that is over', async t => {
  const { build } = await import(join(ROOT, 'examples/client/server.js')) as { build: (options: object) => Promise<FastifyInstance> }
  const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<object> }
  const app = await build({ secret: randomBytes(32), storage: await sqliteStorage(':memory:') })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => { await app.close() })
  const { id } = await app.accounts.users.create({ email: 'ada@example.com', password: PASSWORD })
  const run = async (env: object = {}) => await promisify(execFile)(process.execPath, [join(ROOT, 'examples/client/hello.js')], { cwd: folder, env: { PATH: process.env.PATH, NODE_OPTIONS: '', ACCOUNTS_URL: app.listeningOrigin, ...env } })
    .then(({ stdout }) => stdout, (error: { stderr: string }) => error.stderr)
  const HELLO = "{ hello: 'ada@example.com', via: 'bearer' }\n"
  const kept = join(folder, 'refresh-token')

  t.equal(await run({ ACCOUNTS_USERNAME: 'ada@example.com', ACCOUNTS_PASSWORD: 'not the password of Ada' }), 'Wrong name or password\n')
  t.notOk(existsSync(kept))
  t.equal(await run({ ACCOUNTS_USERNAME: 'ada@example.com', ACCOUNTS_PASSWORD: PASSWORD }), HELLO)
  t.equal(statSync(kept).mode & 0o777, 0o600)
  t.match(readFileSync(kept, 'utf8'), /^[\w-]+\.[\w-]+\.[\w-]+$/)
  for (let count = 0; count < 2; count++) t.equal(await run(), HELLO, 'without a password')
  t.equal((await app.accounts.sessions.list(id)).length, 1)
  await app.accounts.sessions.endAll(id)
  t.equal(await run(), 'The session is over: sign in again\n')
  t.notOk(existsSync(kept))
})
