import { randomBytes } from 'node:crypto'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { freePort } from './services/free-port.js'
import { databaseFile } from './support/app.ts'
import { command, program } from './support/command.ts'
import { databaseUrl, schemaName } from './support/postgres.ts'
import { createServerFolder, serverText } from './support/server-file.ts'
import { connect } from './support/sqlite.ts'

interface Report { readonly errors: number, readonly warnings: number, readonly findings: ReadonlyArray<Record<'code' | 'severity' | 'what' | 'cure', string>> }

const SECRET = randomBytes(48).toString('base64url')

t.test('of a healthy server doctor says nothing, on SQLite and on PostgreSQL, whatever that prints itself', async t => {
  const { folder, write } = createServerFolder(t)
  const storages = { 'sqlite.js': `await sqliteStorage('${databaseFile(t)}')`, 'postgres.js': `await postgresStorage('${databaseUrl()}', { schema: '${schemaName(t)}' })` }
  for (const [file, storage] of Object.entries(storages)) {
    write(file, serverText({ secret: SECRET, storage, fastify: 'logger: true' }))
    const { code, stdout } = await program(['doctor', file, '--strict'], { cwd: folder })
    t.strictSame({ code, stdout }, { code: 0, stdout: '0 errors, 0 warnings.\n' }, file)
  }
})

t.test('a finding has a code, a cure and a weight: errors fail, warnings with --strict', async t => {
  const { write } = createServerFolder(t)
  const file = databaseFile(t)
  await (await sqliteStorage(file)).close()
  const server = write('server.js', serverText({ secret: SECRET, storage: `await sqliteStorage('${file}')`, fastify: 'trustProxy: true' }))
  const doctor = async (...args: string[]) => await command(['doctor', server, ...args])
  const warning = 'warning  proxy-trusts-everybody: trustProxy trusts every address: whoever sends x-forwarded-for chooses the address that limits are about.\n         Set trustProxy to the addresses of the proxies in front of this server.\n'
  t.match(await doctor(), { code: 0, stdout: `${warning}0 errors, 1 warning.\n` })
  t.match(await doctor('--strict'), { code: 1, stdout: `${warning}0 errors, 1 warning.\n` })
  connect(t, file).exec('drop index accounts_sessions_idle')
  const { code, stdout } = await doctor('--json', '--url', `http://127.0.0.1:${await freePort()}`)
  t.equal(code, 1)
  const { errors, warnings, findings } = JSON.parse(stdout) as Report
  t.strictSame([errors, warnings, findings.map(finding => finding.code)], [3, 1, ['proxy-trusts-everybody', 'indexes-missing', 'url-differs', 'url-unreachable']])
  t.strictSame(Object.keys(findings[0]!).sort(), ['code', 'cure', 'severity', 'what'])
})

t.test('a server that does not start is a finding as well, if it is for a reason of ours', async t => {
  const { write } = createServerFolder(t)
  const file = databaseFile(t)
  await (await sqliteStorage(file)).close()
  connect(t, file).exec("delete from accounts_migrations where name like '0004%'; drop table accounts_personal_tokens")
  const storage = `await sqliteStorage('${file}', { migrate: false })`
  let count = 0
  const doctor = async (text: string) => await command(['doctor', write(`server-${count++}.js`, text)])
  t.match(await doctor(serverText({ secret: SECRET, storage })), { code: 1, stdout: /^error {4}migrations-missing: The server does not start: The database lacks migrations \(0004-personal-tokens\).*\n.*\n1 error, 0 warnings\.\n$/ })
  t.match(await doctor(serverText({ secret: 'correct horse battery staple, as they say', storage: "await sqliteStorage(':memory:')", options: "cookies: { domain: 'example.org' }" })), { code: 1, stdout: /^error {4}start-refused: The server does not start: Option "cookies\.domain" must be/ })
  t.match(await doctor(serverText({ secret: 'my secret my secret my secret my secret', storage: "await sqliteStorage(':memory:')" })), { code: 1, stdout: /^error {4}start-refused: .*Option "secret" is predictable/ })
  t.match(await doctor('throw new TypeError("no configuration")'), { code: 1, stdout: '', stderr: 'no configuration\n' })
})

t.test('what others say does not steer the terminal, nor look like a finding', async t => {
  const { write } = createServerFolder(t)
  const evil = 'no\\u001b[2J\\u009b2J\\u202e\\nerror    made-up: \\u{e0041}'
  const mailer = write('mailer.js', serverText({ secret: SECRET, storage: "await sqliteStorage(':memory:')", options: `mailer: { send: async () => {}, verify: async () => { throw new Error('${evil}') } }` }))
  // A driver's words, as they come with FST_ACCOUNTS_STORAGE_UNOPENED.
  const start = write('start.js', `throw Object.assign(new Error('${evil}'), { code: 'FST_ACCOUNTS_STORAGE_UNOPENED' })`)
  const storage = write('storage.js', serverText({ secret: SECRET, storage: `{ ...await sqliteStorage(':memory:'), inspect: async () => ({ now: new Date(), missingMigrations: [], missingIndexes: [], missingTriggers: [], disabledTriggers: ['${evil}'] }) }` }))
  for (const args of [[mailer], [start], [start, '--json'], [storage]]) {
    const { code, stdout } = await command(['doctor', ...args])
    t.equal(code, 1)
    // eslint-disable-next-line no-control-regex
    t.notMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]|\u{e0041}/u)
    t.notMatch(stdout, /^error +made-up/m)
  }
})
