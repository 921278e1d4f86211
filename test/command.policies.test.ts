import t from 'tap'
import { command } from './support/command.ts'
import { createServerFolder } from './support/server-file.ts'

const SERVER = `
  import { randomBytes } from 'node:crypto'
  import Fastify from 'fastify'
  import accounts from 'fastify-accounts'
  import { sqliteStorage } from 'fastify-accounts/kysely'
  const make = async () => {
    const app = Fastify({ logger: true })
    await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), routes: false })
    app.get('/hello', { config: { accounts: { roles: ['editor'] } } }, async () => 'hello')
    console.log('made')
    return app
  }
  // Opened and never closed, as servers do.
  setInterval(() => {}, 60_000)
`
const PRINTED = 'GET, HEAD  /hello  cookie or bearer or personal-token, roles editor\n'

t.test('policies prints the matrix of a server that a module exports, in whatever way, and nothing of what the server prints', async t => {
  const { folder, write } = createServerFolder(t)
  const files = { 'default.js': 'export default await make()', 'app.js': 'export const app = make', 'build.js': 'export const build = make' }
  for (const [file, text] of Object.entries(files)) {
    write(file, `${SERVER}\n${text}\n`)
    const { code, stdout, stderr } = await command(['policies', file], { cwd: folder })
    t.match({ code, stdout }, { code: 0, stdout: PRINTED }, file)
    t.equal(stdout, PRINTED)
    t.match(stderr, /^\{.*there is no mailer.*\}\nmade\n$/, 'that goes to the error output')
  }
  const { stdout } = await command(['policies', 'app.js', '--json'], { cwd: folder })
  t.match(JSON.parse(stdout), [{ method: 'GET', url: '/hello', policy: { roles: ['editor'] } }, { method: 'HEAD' }])

  write('none.js', 'export const server = 1\n')
  write('bare.js', "import Fastify from 'fastify'\nexport default Fastify()\n")
  write('broken.js', "throw new Error('no \\u001b[2Jconfiguration')\n")
  const failures: ReadonlyArray<readonly [string, RegExp]> = [
    ['none.js', /^none\.js exports no Fastify server as default, "app" or "build"\.\n$/],
    ['bare.js', /^The server in bare\.js has no fastify-accounts at its root/],
    ['broken.js', /^no \uFFFD\[2Jconfiguration\n$/],
    ['missing.js', /^Cannot find module .*missing\.js/]
  ]
  for (const [file, stderr] of failures) t.match(await command(['policies', file], { cwd: folder }), { code: 1, stdout: '', stderr }, file)
})
