import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { PASSWORD } from './support/app.ts'
import { command, createDatabase, program } from './support/command.ts'
import { databaseUrl, schemaName } from './support/postgres.ts'

t.test('the first owner is made from the command line, and logs in', async t => {
  const { file, stored, serve } = await createDatabase(t)
  const made = await program(['user', 'create', '--email', 'Ada@example.com', '--username', 'ada', '--name', 'Ada Lovelace', '--role', 'owner', '--role', 'editor', '--password-stdin', '--database', file], { input: `${PASSWORD}\n` })
  const [ada] = await stored()
  t.match(ada, { email: 'Ada@example.com', username: 'ada', name: 'Ada Lovelace', roles: ['owner', 'editor'], disabled: false })
  t.match(made, { code: 0, stdout: `Created Ada@example.com, id ${ada!.id}, roles owner, editor.\n`, stderr: '' })
  const { client } = await serve()
  const browser = client()
  t.equal((await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200, 'the end of the line is none of the password')
  t.equal((await browser.get('/auth/users')).statusCode, 200)
  for (const name of readdirSync(dirname(file))) t.notOk(readFileSync(join(dirname(file), name)).includes(PASSWORD), `not in ${name}`)
})

t.test('user create keeps to every rule of the server', async t => {
  const { run, stored } = await createDatabase(t)
  const create = async (...args: string[]) => await run(['user', 'create', ...args])
  t.match(await create('--email', 'ada@example.com', '--username', 'ada', '--no-password'), { code: 0, stdout: /^Created ada@example\.com, id \S+, no roles\.\n$/ })
  t.match(await create('--email', 'ADA@example.com', '--no-password'), { code: 1, stderr: 'This e-mail address has an account already\n' })
  t.match(await create('--email', 'bob@example.com', '--username', 'Ada', '--no-password'), { code: 1, stderr: 'This user name is taken\n' })
  t.match(await create('--email', 'bob', '--no-password'), { code: 1, stderr: 'Not a usable e-mail address\n' })
  t.match(await create('--email', 'bob@example.com', '--role', 'Owner', '--no-password'), { code: 1, stderr: /^A user has at most 32 different roles/ })
  t.match(await create('--email', 'bob@example.com'), { code: 2, stderr: /--password-stdin/ }, 'without a terminal nobody can be asked')
  for (const [input, message] of [['short\n', /at least 15 characters/], ['\r\n', /no password/], [`${PASSWORD}\n\0\n`, /NUL/], [Buffer.from([0xff, 0xfe]), /not in UTF-8/], ['x'.repeat(20_000), /too long/]] as const) {
    const { code, stdout, stderr } = await run(['user', 'create', '--email', 'bob@example.com', '--password-stdin'], input)
    t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: message })
    t.notMatch(stderr, /lantern|\n {4}at /)
  }
  t.strictSame((await stored()).map(({ email }) => email), ['ada@example.com'])
})

t.test('user list shows people a table and programs JSON; what users call themselves steers no terminal', async t => {
  const { run, list, serve } = await createDatabase(t)
  const { app } = await serve()
  const { users } = app.accounts
  for (let index = 0; index < 120; index++) await users.create({ email: `crowd${index}@example.org` })
  // Of one moment the order is that of random ids.
  await setTimeout(2)
  const { id } = await users.create({ email: 'eve@example.com', username: 'eve', name: 'E\u202eve\u200b', roles: ['editor', 'author'] })
  await users.update(id, { disabled: true })
  const all = await list()
  t.strictSame([all.length, new Set(all.map(user => user.id)).size, all[0]!.id], [121, 121, id], 'more than one page')
  t.strictSame(Object.keys(all[0]!).sort(), ['createdAt', 'disabled', 'email', 'emailVerified', 'id', 'name', 'roles', 'username'])
  t.strictSame((await list('--search', 'EVE')).map(({ name }) => name), ['E\u202eve\u200b'])
  const { stdout } = await run(['user', 'list', '--search', 'eve'])
  const [head, row, ...rest] = stdout.split('\n')
  t.match(head, /^ADDRESS +USER NAME +NAME +ROLES +STATE +CREATED +ID$/)
  t.match(row, new RegExp(`^eve@example\\.com  eve        E\uFFFDve\uFFFD  editor author  disabled  \\d{4}-\\d\\d-\\d\\d  ${id}$`))
  t.strictSame(rest, [''])
  t.match(await run(['user', 'list', '--search', 'nobody at all']), { code: 0, stdout: 'No users.\n' })
  t.match(await run(['user', 'list', '--search', 'x'.repeat(300)]), { code: 1, stderr: /^search must be/ })
})

t.test('all of it works on PostgreSQL too, in a schema and under a prefix', async t => {
  const where = ['--database', databaseUrl(), '--schema', schemaName(t), '--table-prefix', 'shop_']
  t.match(await command(['user', 'list', ...where]), { code: 1, stderr: /^The database lacks migrations \(.*\): run "npx fastify-accounts migrate --schema test_\w+ --table-prefix shop_"/ })
  t.match(await command(['migrate', ...where]), { code: 0, stdout: /^Done: 0001/ })
  t.match(await command(['user', 'create', '--email', 'ada@example.com', '--role', 'owner', '--no-password', ...where]), { code: 0, stdout: /^Created ada@example\.com/ })
  t.match(await command(['sessions', 'revoke', 'ada@example.com', ...where]), { code: 0, stdout: 'Ended 0 sessions of ada@example.com in PostgreSQL (--redis was not given).\n' })
  t.match(await command(['user', 'disable', 'ada@example.com', ...where]), { code: 1, stderr: 'The last active owner must stay one\n' })
  t.match(JSON.parse((await command(['user', 'list', '--json', ...where])).stdout), [{ email: 'ada@example.com', roles: ['owner'], disabled: false }])
})
