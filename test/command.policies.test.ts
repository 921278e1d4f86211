import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { command } from './support/command.ts'

const ROOT = join(import.meta.dirname, '..')

const SERVER = `
  import { randomBytes } from 'node:crypto'
  import Fastify from 'fastify'
  import accounts from 'fastify-accounts'
  import { sqliteStorage } from 'fastify-accounts/kysely'
  const make = async () => {
    const app = Fastify()
    await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), routes: false })
    app.get('/hello', { config: { accounts: { roles: ['editor'] } } }, async () => 'hello')
    return app
  }
  // Opened and never closed, as servers do.
  setInterval(() => {}, 60_000)
`
const PRINTED = 'GET, HEAD  /hello  cookie or personal-token, roles editor\n'

t.test('policies prints the matrix of a server that a module exports, in whatever way', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-policies-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const files = { 'default.js': 'export default await make()', 'app.js': 'export const app = make', 'build.js': 'export const build = make' }
  for (const [file, text] of Object.entries(files)) {
    writeFileSync(join(folder, file), `${SERVER.replaceAll("'fastify-accounts", `'${ROOT}/dist/lib`).replace('/dist/lib\'', '/dist/lib/index.js\'').replace('/dist/lib/kysely', '/dist/lib/adapters/kysely/index.js')}\n${text}\n`)
    t.match(await command(['policies', file], { cwd: folder }), { code: 0, stdout: PRINTED, stderr: '' }, file)
  }
  const { stdout } = await command(['policies', 'app.js', '--json'], { cwd: folder })
  t.match(JSON.parse(stdout), [{ method: 'GET', url: '/hello', policy: { roles: ['editor'] } }, { method: 'HEAD' }])

  writeFileSync(join(folder, 'none.js'), 'export const server = 1\n')
  writeFileSync(join(folder, 'bare.js'), "import Fastify from 'fastify'\nexport default Fastify()\n")
  writeFileSync(join(folder, 'broken.js'), "throw new Error('no configuration')\n")
  const failures: ReadonlyArray<readonly [string, RegExp]> = [
    ['none.js', /^none\.js exports no Fastify server as default, "app" or "build"\.\n$/],
    ['bare.js', /^The server in bare\.js has no fastify-accounts at its root/],
    ['broken.js', /^no configuration\n$/],
    ['missing.js', /^Cannot find module .*missing\.js/]
  ]
  for (const [file, stderr] of failures) t.match(await command(['policies', file], { cwd: folder }), { code: 1, stdout: '', stderr }, file)
})
