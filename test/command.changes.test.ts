import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createDatabase, program } from './support/command.ts'

t.test('users are disabled, enabled, given roles and passwords, and a running server obeys', async t => {
  const { file, run, stored, serve } = await createDatabase(t)
  const { app, client } = await serve()
  const { id } = await app.accounts.users.create({ email: 'ada@example.com', username: 'ada', password: PASSWORD })
  const login = async (password = PASSWORD) => {
    const browser = client()
    return { statusCode: (await browser.post('/auth/login', { username: 'ada', password })).statusCode, browser }
  }
  const reach = async (browser: ReturnType<typeof client>) => (await browser.get('/private')).statusCode
  const first = (await login()).browser
  t.equal(await reach(first), 200)
  t.match(await program(['user', 'disable', 'ADA@example.com', '--database', file]), { code: 0, stdout: 'Disabled ada@example.com, all sessions have ended.\n' })
  t.equal(await reach(first), 401)
  t.equal((await login()).statusCode, 401)
  t.match(await run(['user', 'enable', 'Ada']), { code: 0, stdout: 'Enabled ada@example.com.\n' })
  t.equal(await reach(first), 401)
  const second = (await login()).browser
  const third = (await login()).browser
  t.match(await run(['sessions', 'revoke', '--', id]), { code: 0, stdout: 'Ended 2 sessions of ada@example.com in SQLite.\n' })
  for (const browser of [second, third]) t.equal(await reach(browser), 401)
  t.match(await run(['sessions', 'revoke', 'ada']), { code: 0, stdout: 'Ended 0 sessions of ada@example.com in SQLite (--redis was not given).\n' })
  t.strictSame(JSON.parse((await run(['sessions', 'revoke', 'ada', '--json'])).stdout), { ended: 0, sessionsIn: 'sqlite' }, 'for programs')

  t.match(await run(['user', 'roles', 'ada', '--role', 'editor', '--role', 'author']), { code: 0, stdout: 'ada@example.com: roles editor, author\n' })
  t.match(await run(['user', 'roles', 'ada']), { code: 0, stdout: 'ada@example.com: roles editor, author\n' }, 'to look changes nothing')
  t.match(JSON.parse((await run(['user', 'roles', 'ada', '--json'])).stdout), { id, roles: ['editor', 'author'] })
  t.strictSame((await stored())[0]!.roles, ['editor', 'author'])

  const fourth = (await login()).browser
  t.match(await run(['user', 'password', 'ada', '--password-stdin'], `${OTHER_PASSWORD}\r\n`), { code: 0, stdout: 'The password of ada@example.com is set, all sessions have ended.\n' })
  t.equal(await reach(fourth), 401)
  t.strictSame([(await login()).statusCode, (await login(OTHER_PASSWORD)).statusCode], [401, 200])
  t.match(await run(['user', 'password', 'ada', '--password-stdin'], 'short'), { code: 1, stderr: /at least 15/ })
})

t.test('the last owner stays one, and who is nobody is told', async t => {
  const { run, stored } = await createDatabase(t)
  await run(['user', 'create', '--email', 'ada@example.com', '--role', 'owner', '--no-password'])
  for (const args of [['user', 'disable', 'ada@example.com'], ['user', 'roles', 'ada@example.com', '--none'], ['user', 'roles', 'ada@example.com', '--role', 'admin']]) {
    t.match(await run(args), { code: 1, stdout: '', stderr: 'The last active owner must stay one\n' })
  }
  t.match(await stored(), [{ roles: ['owner'], disabled: false }])
  for (const who of ['nobody', 'ada@', '%', 'ada@example.com\u001b[2J']) {
    t.match(await run(['user', 'disable', who]), { code: 1, stdout: '', stderr: `There is no user ${JSON.stringify(who)}.\n` }, who)
  }
})

t.test('an id stands for its user, also when somebody has taken it for a user name', async t => {
  const { run, stored, file } = await createDatabase(t)
  const storage = await sqliteStorage(file)
  t.teardown(async () => { await storage.close() })
  await storage.users.create({ id: 'victim', email: 'victim@example.com', emailKey: 'victim@example.com', username: null, usernameKey: null, name: null, roles: [], passwordDigest: null, emailVerified: false, createdAt: new Date() })
  await run(['user', 'create', '--email', 'mallory@example.com', '--username', 'victim', '--no-password'])
  t.match(await run(['user', 'disable', 'victim']), { code: 0, stdout: /^Disabled victim@example\.com/ })
  t.match((await stored()).filter(({ username }) => username === 'victim'), [{ disabled: false }])
})
