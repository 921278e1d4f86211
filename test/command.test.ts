import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { databaseFile } from './support/app.ts'
import { command, createDatabase, program } from './support/command.ts'
import { ROOT } from './support/root.ts'
import { connect } from './support/sqlite.ts'

t.test('migrate makes a database, once, and says so; what else is asked of no database makes none', async t => {
  const file = databaseFile(t)
  for (const args of [['user', 'list'], ['user', 'create', '--email', 'ada@example.com', '--no-password'], ['user', 'disable', 'ada'], ['sessions', 'revoke', 'ada']]) {
    t.match(await command([...args, '--database', file]), { code: 1, stdout: '', stderr: /^There is no file .*accounts\.db; .*migrate/ }, args.join(' '))
  }
  t.strictSame(readdirSync(dirname(file)), [])
  t.match(await program(['migrate'], { env: { DATABASE_URL: `sqlite:${file}` } }), { code: 0, stdout: `Created ${file}. Done: 0001-users-and-sessions`, stderr: '' })
  t.match(await command(['migrate', '--database', file]), { code: 0, stdout: 'Up to date, nothing to do.\n' })
  t.strictSame(JSON.parse((await command(['migrate', '--database', file, '--json'])).stdout), { migrations: [] })
  t.match(await program(['user', 'list'], { env: { DATABASE_URL: 'accounts.db' }, cwd: dirname(file) }), { code: 0, stdout: 'No users.\n' })
  t.match(await command(['user', 'list', '--json', '--database', file]), { code: 0, stdout: '[]\n' }, 'A-11 there is no default account')
})

t.test('a wrong call is told in a sentence, on the error output, with the exit code 2, before anything is touched', async t => {
  const file = databaseFile(t)
  writeFileSync(file, 'not a database')
  const at = ['--database', file]
  const calls: Array<[string[], RegExp]> = [
    [[], /^Which command\?\n/],
    [['user'], /^Unknown command "user"\.\n/],
    [['users', 'list'], /^Unknown command "users list"\.\n/],
    [['constructor'], /^Unknown command/],
    [['user', 'list'], /^Which database\?/],
    [['user', 'list', 'ada', ...at], /^Usage: user list \[/],
    [['user', 'disable', ...at], /^Usage: user disable WHO\n/],
    [['user', 'disable', 'ada', 'bob', ...at], /^Usage: user disable WHO\n/],
    [['user', 'password', 'ada', 'hunter2hunter2', ...at], /^Usage: user password WHO/],
    [['user', 'password', 'ada', '--password', 'hunter2hunter2', ...at], /^Unknown option '--password'\.\n/],
    [['user', 'password', 'ada', '--password=hunter2hunter2', ...at], /^Unknown option '--password'\.\n/],
    [['user', 'create', ...at], /^Whose account\?/],
    [['user', 'create', '--email'], /^Option '--email <value>' argument missing/],
    [['user', 'create', '--email', 'a@example.com', '--email', 'b@example.com', ...at], /^--email came twice\.\n/],
    [['user', 'create', '--email', 'a@example.com', '--password-stdin', '--no-password', ...at], /contradict each other/],
    [['user', 'roles', 'ada', '--role', 'x', '--none', ...at], /contradict each other/],
    [['user', 'list', '--role', 'x', ...at], /^"user list" takes no --role\.\n/],
    [['secret', '--json'], /^"secret" takes no --json\.\n/],
    [['keypair', '--algorithm', 'HS256'], /^Which algorithm\? There are ES256, EdDSA, RS256, PS256\.\n/],
    [['sessions', 'revoke', '--all', ...at], /^Unknown option '--all'\.\n/],
    [['user', 'list', '--schema', 'x', ...at], /are for PostgreSQL/],
    [['sessions', 'revoke', 'ada', '--redis-prefix', 'x:', ...at], /^--redis-prefix is for Redis: give --redis URL or set REDIS_URL\.\n/],
    [['token', 'create', 'ada', '--name', 'x', '--context', 'server'], /^Which server\? Give --app FILE\.\n/],
    [['token', 'create', 'ada', '--name', 'x', '--context', 'server', ...at], /^"token create" takes no --database\.\n/],
    [['token', 'create', 'ada', '--context', 'server', '--app', 'none.js'], /^What is it for\?/],
    [['token', 'create', 'ada', '--name', 'x', '--context', 'phone', '--app', 'none.js'], /^Where is it used\?/],
    [['token', 'revoke', 'ada', ...at], /^Usage: token revoke WHO ID/],
    [['token', 'list', 'ada', '--app', 'none.js', ...at], /^--app brings its own database/],
    [['doctor'], /^Usage: doctor FILE/],
    [['doctor', 'none.js', '--url', 'ftp://localhost'], /^--url must be an address/],
    [['doctor', 'none.js', '--url', 'localhost:3000'], /^--url must be an address/],
    [['migrate', '--database', 'mysql://ada:hunter2hunter2@db/x'], /^The database must be the path of a SQLite file .* or a postgres:\/\/ URL\.\n/]
  ]
  for (const [args, message] of calls) {
    const { code, stdout, stderr } = await command(args)
    t.match({ code, stdout, stderr }, { code: 2, stdout: '', stderr: message }, args.join(' '))
    t.match(stderr, /\n\n"npx fastify-accounts help" tells what there is\.\n$/)
    t.notMatch(stderr, /hunter2|\n {4}at /, 'nothing secret, and no stack')
  }
  t.match(await program(['user', 'list', '--role', 'x']), { code: 2, stdout: '', stderr: /^"user list" takes no --role\.\n/ }, 'and so by the program')
  t.equal(readFileSync(file, 'utf8'), 'not a database')
  const { stdout } = await command(['help'])
  const guide = readFileSync(join(ROOT, 'docs/operation.md'), 'utf8')
  const names = [...stdout.matchAll(/^ {2}([a-z]+(?: [a-z]+)?)/gm)].map(match => match[1]!)
  t.strictSame(names, ['secret', 'keypair', 'migrate', 'user create', 'user list', 'user disable', 'user enable', 'user roles', 'user password', 'sessions revoke', 'token create', 'token list', 'token revoke', 'basic usage', 'policies', 'doctor'])
  for (const name of names) t.match(guide, new RegExp(`^\\| .*\`${name}\\b`, 'm'), `${name} is in docs/operation.md`)
  for (const args of [['--help'], ['-h'], ['user', 'create', '--help']]) t.match(await command(args), { code: 0, stdout })
})

t.test('a database that can\'t be used is told in a sentence, with the exit code 1', async t => {
  const file = databaseFile(t)
  writeFileSync(file, 'not a database'.repeat(100))
  const databases: Array<[string, RegExp]> = [
    [file, /^file is not a database\n$/],
    [dirname(file), /^Could not open the SQLite file .*\n$/],
    [join(dirname(file), 'none', 'x.db'), /^There is no file .*\n$/]
  ]
  for (const [database, message] of databases) {
    t.match(await command(['user', 'list', '--database', database]), { code: 1, stdout: '', stderr: message })
  }
  t.notOk(existsSync(join(dirname(file), 'none')))
  const { code, stderr } = await command(['user', 'list', '--database', 'postgres://ada:hunter2hunter2@127.0.0.1:1/x'])
  t.equal(code, 1)
  t.notMatch(stderr, /hunter2|\n {4}at /)
})

t.test('a database of another version is left as it is: user and sessions commands bring no tables up to date', async t => {
  const { file, run } = await createDatabase(t)
  connect(t, file).prepare('delete from accounts_migrations where name like ?').run('0002%')
  t.match(await run(['user', 'list']), { code: 1, stderr: /^The database lacks migrations \(0002-[^"]*\): run "npx fastify-accounts migrate"\n$/ })
})

t.test('of a database that has no table of ours it is said that the command knows no other users', async t => {
  const file = databaseFile(t)
  connect(t, file).exec('create table members (id text)')
  for (const args of [['user', 'list'], ['user', 'disable', 'ada@example.com']]) {
    t.match(await command([...args, '--database', file]), { code: 1, stderr: /^The database lacks migrations \(0001-[^"]*\): run "npx fastify-accounts migrate"\. There is no table of this package: if your users are in a table of your own, this command does not know them\.\n$/ })
  }
})
