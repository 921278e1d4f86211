import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { command, program } from './support/command.ts'
import { createServerFolder } from './support/server-file.ts'

const serverText = (logger: boolean, rest: string) => `
  import { randomBytes } from 'node:crypto'
  import Fastify from 'fastify'
  import accounts from 'fastify-accounts'
  import { sqliteStorage } from 'fastify-accounts/kysely'
  const make = async () => {
    const app = Fastify({ logger: ${logger} })
    await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), routes: false })
    app.get('/hello', { config: { accounts: { roles: ['editor'] } } }, async () => 'hello')
    return app
  }
  ${rest}
`
const PRINTED = 'GET, HEAD  /hello  cookie or bearer or personal-token, roles editor\n'

t.test('policies prints the matrix of a server, and nothing of what the server prints', async t => {
  const { folder, write } = createServerFolder(t)
  // The timer is one that is never cleared, as servers have.
  write('loud.js', serverText(true, "console.log('made')\nsetInterval(() => {}, 60_000)\nexport default await make()"))
  const { code, stdout, stderr } = await program(['policies', 'loud.js'], { cwd: folder })
  t.strictSame({ code, stdout }, { code: 0, stdout: PRINTED })
  t.match(stderr, /^made\n\{.*there is no mailer.*\}\n$/, 'that goes to the error output')
  t.match(JSON.parse((await program(['policies', 'loud.js', '--json'], { cwd: folder })).stdout), [{ method: 'GET', url: '/hello', policy: { roles: ['editor'] } }, { method: 'HEAD' }])
  write('broken.js', "throw new Error('no \\u001b[2Jconfiguration')\n")
  t.match(await program(['policies', 'broken.js'], { cwd: folder }), { code: 1, stdout: '', stderr: /^no \uFFFD\[2Jconfiguration\n$/ })
})

t.test('a module exports its server in any of several ways, and one that does not is told so', async t => {
  const { folder, write } = createServerFolder(t)
  const files = { 'default.js': 'export default await make()', 'app.js': 'export const app = make', 'build.js': 'export const build = make' }
  for (const [file, text] of Object.entries(files)) {
    t.strictSame(await command(['policies', write(file, serverText(false, text))]), { code: 0, stdout: PRINTED, stderr: '' }, file)
  }
  write('none.js', 'export const server = 1\n')
  write('bare.js', "import Fastify from 'fastify'\nexport default Fastify()\n")
  const failures: ReadonlyArray<readonly [string, RegExp]> = [
    ['none.js', /none\.js exports no Fastify server as default, "app" or "build": export the function that makes the server \("export async function build"\), .*"if \(process\.argv\[1\] === import\.meta\.filename\)".*\.\n$/],
    ['bare.js', /^The server in .*bare\.js has no fastify-accounts at its root/],
    ['missing.js', /^Cannot find module .*missing\.js/]
  ]
  for (const [file, stderr] of failures) t.match(await command(['policies', join(folder, file)]), { code: 1, stdout: '', stderr }, file)
})

t.test('a file that listens when it is loaded, beside the server that runs, is told how not to', async t => {
  const running = createServer().listen(0, '127.0.0.1')
  await once(running, 'listening')
  t.teardown(() => { running.close() })
  const listen = `listen({ port: ${(running.address() as AddressInfo).port}, host: '127.0.0.1' })`
  const { folder, write } = createServerFolder(t)
  const listeners = { 'top.js': `export const app = await make()\nawait app.${listen}`, 'main.js': `export default async () => { await (await make()).${listen} }` }
  for (const [file, text] of Object.entries(listeners)) {
    t.match(await command(['policies', write(file, serverText(false, text))]), { code: 1, stdout: '', stderr: /js listens when it is loaded, .*EADDRINUSE.*: export the function that makes the server .*import\.meta\.filename.*\.\n$/ }, file)
  }
  // As many servers end that can't listen, whatever the exit code.
  for (const code of [0, 1]) {
    write('ends.js', serverText(false, `export const app = await make()\ntry { await app.${listen} } catch { process.exit(${code}) }`))
    t.match(await program(['doctor', 'ends.js'], { cwd: folder }), { code: 1, stdout: '', stderr: /^The server ended the process in which it was loaded\. If it listens there: export the function .*\n$/ })
  }
})

t.test('a file in TypeScript is loaded where Node does so, and has to be compiled first where it does not', async t => {
  const { write } = createServerFolder(t)
  write('part.ts', 'export const part: number = 1\n')
  const loads = 'typescript' in process.features && process.features.typescript !== false
  const stderr = loads ? /exports no Fastify server as default/ : /^Unknown file extension "\.ts" for .*\.ts: compile it first, and name the \.js file\.\n$/
  for (const file of [write('server.ts', 'export default 1 as number\n'), write('server.js', "export * from './part.ts'\n")]) {
    t.match(await command(['policies', file]), { code: 1, stdout: '', stderr }, file)
  }
})
