import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { CreatedPersonalToken, PersonalToken } from '../types/index.ts'
import { createApp, databaseFile } from './support/app.ts'
import { command, program } from './support/command.ts'
import { createServerFolder, serverText } from './support/server-file.ts'

const SECRET = randomBytes(48).toString('base64url')

/** A server that runs here, and the file from which the command makes one like it. */
async function start (t: Test, options = '') {
  const file = databaseFile(t)
  const { write } = createServerFolder(t)
  const text = { secret: SECRET, storage: `await sqliteStorage('${file}')`, options }
  const server = write('server.js', serverText(text))
  const loudServer = write('loud-server.js', `console.log('starting')\n${serverText({ ...text, fastify: 'logger: true' })}`)
  const { app } = await createApp(t, { secret: SECRET, storage: await sqliteStorage(file), personalTokens: { prefix: 'shop' } })
  const user = await app.accounts.users.create({ email: 'ada@example.com', username: 'ada' })
  const reach = async (token: string, method: 'GET' | 'POST' = 'GET') => (await app.inject({ method, url: '/private', headers: { authorization: `Bearer ${token}` } })).statusCode
  return { file, server, loudServer, app, user, reach }
}

t.test('a token is made for a running server, printed this once and nowhere else, and ends there when it is revoked', async t => {
  const { file, server, loudServer, user, reach } = await start(t, "personalTokens: { prefix: 'shop' }")
  const made = await program(['token', 'create', 'ada', '--app', loudServer, '--name', 'nightly', '--context', 'server'])
  t.match(made, { code: 0, stdout: /^shop_[0-9A-Za-z]{42}\n$/, stderr: /Made the token \S+ of ada@example\.com, good until \d{4}-/ })
  const token = made.stdout.trim()
  t.equal(await reach(token), 200, 'the server knows it')
  t.notMatch(made.stderr, token)

  const list = async (...args: string[]) => JSON.parse((await command(['token', 'list', 'ada', '--json', ...args])).stdout) as PersonalToken[]
  const [listed] = await list('--app', server)
  t.match(listed, { name: 'nightly', context: 'server', allowedMethods: null, scopes: null })
  t.strictSame((await list('--database', file)).map(({ id }) => id), [listed!.id], 'which needs no secret')
  t.match(await command(['token', 'revoke', 'ada', 'another', '--database', file]), { code: 1, stdout: '', stderr: /^ada@example\.com has no live token "another"\.\n$/ })
  t.match(await program(['token', 'revoke', '--database', file, '--', user.id, listed!.id]), { code: 0, stdout: `Ended the token ${listed!.id} of ada@example.com.\n`, stderr: '' })
  for (let tries = 0; await reach(token) !== 401 && tries < 50; tries++) await setTimeout(20)
  t.equal(await reach(token), 401)
  t.match(await command(['token', 'list', 'ada', '--database', file]), { code: 0, stdout: 'No tokens.\n' })
  // At the end: to read the file of an open database takes the locks of this process away (SQLite, "How To Corrupt", 2.2).
  for (const name of readdirSync(dirname(file))) t.notOk(readFileSync(join(dirname(file), name)).includes(token.slice(5, 37)), `not in ${name}`)
})

t.test('a path of a database leads from the current folder, and where that made a new one nobody is there', async t => {
  const { folder, write } = createServerFolder(t)
  write('server.js', serverText({ secret: SECRET, storage: "await sqliteStorage('accounts.db')" }))
  const made = await program(['token', 'create', 'ada@example.com', '--app', 'server.js', '--name', 'x', '--context', 'server'], { cwd: folder })
  t.strictSame(made, { code: 1, stdout: '', stderr: 'There is no user "ada@example.com", nor any other. Is this the right database? Users in a table of your own are not seen here.\n' })
  t.ok(existsSync(join(folder, 'accounts.db')))
})

t.test('token create takes what the route takes, and refuses what it refuses', async t => {
  const { app, file, server, user, reach } = await start(t)
  const create = async (...args: string[]) => await command(['token', 'create', 'ada@example.com', '--app', server, '--name', 'x\u202ey', ...args])
  const { stdout } = await create('--context', 'server', '--expires', '2d', '--method', 'GET', '--method', 'POST', '--ip', '127.0.0.1', '--ip', '10.0.0.0/8', '--scope', 'reports:read', '--json')
  const { token, personalToken } = JSON.parse(stdout) as CreatedPersonalToken
  t.match(personalToken, { allowedMethods: ['GET', 'POST'], allowedIps: ['127.0.0.1', '10.0.0.0/8'], scopes: ['reports:read'], allowedReferrers: null })
  t.ok(Math.abs(new Date(personalToken.expiresAt).getTime() - Date.now() - 2 * 86_400_000) < 60_000)
  t.equal(await reach(token), 401, 'another server does not know it: its prefix is another')
  t.notMatch(stdout, '\u202e', 'what names the token does not steer the terminal')
  t.match((await command(['token', 'list', 'ada', '--database', file])).stdout, /^ID +NAME .*\n\S+ +x\uFFFDy +server +\S+ +never +GET POST 127\.0\.0\.1 10\.0\.0\.0\/8 reports:read\n$/)
  t.match(await create('--context', 'browser', '--referrer', 'https://www.example.com', '--expires', '2099-01-01T00:00:00Z'), { code: 1, stdout: '', stderr: /expiresAt is too late/ })
  t.match(await create('--context', 'browser', '--ip', '127.0.0.1'), { code: 1, stdout: '', stderr: /allowedIps is only for/ })
  await app.accounts.users.update(user.id, { disabled: true })
  t.match(await create('--context', 'server'), { code: 1, stdout: '', stderr: /^ada@example\.com is disabled\.$/m })
})
