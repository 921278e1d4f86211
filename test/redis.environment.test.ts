import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { openRedisStorage } from '../lib/adapters/redis/index.ts'
import { optionsFromEnv } from '../lib/index.ts'
import { freePort } from './services/free-port.js'
import { startRedis } from './services/redis.js'
import { createApp, databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { command, program } from './support/command.ts'
import { needed, startFromEnvironment } from './support/from-environment.ts'

const PASSWORD_OF_REDIS = 'zQ7marker'
const EMAIL = 'ada@example.com'

const { url, stop } = await startRedis({ requirepass: PASSWORD_OF_REDIS })
t.teardown(stop)
const withPassword = (password: string) => url.replace('://', `://:${password}@`)
const REDIS_URL = withPassword(PASSWORD_OF_REDIS)
const unreachable = `redis://:${PASSWORD_OF_REDIS}@127.0.0.1:${await freePort()}`

/** A server on a database of its own, and on the Redis that all here have. */
async function start (t: Test, variables = { ...needed(), DATABASE_URL: databaseFile(t), REDIS_URL }) {
  return { ...await startFromEnvironment(t, variables), variables }
}

t.test('REDIS_URL: sessions, attempts and one-time tokens are in Redis, and outlive the server', async t => {
  const { signedUp, client, options, variables } = await start(t)
  const ada = await signedUp(EMAIL)
  t.equal((await client().post('/auth/login', { email: EMAIL, password: OTHER_PASSWORD })).statusCode, 401)
  const redis = new Redis(REDIS_URL)
  t.teardown(() => { redis.disconnect() })
  const kinds = new Set((await redis.keys('accounts:*')).map(key => key.split(':')[1]))
  t.ok(kinds.has('session') && kinds.has('throttle'), [...kinds].join())
  t.strictSame(options.rateLimit, { shared: true })
  const database = await sqliteStorage(variables.DATABASE_URL)
  t.strictSame(await database.sessions.listForUser((await database.users.findByEmail(EMAIL))!.id, null), [])
  await database.close()

  const again = (await start(t, variables)).client()
  Object.assign(again.cookies, ada.cookies)
  t.strictSame((await again.get('/private')).json(), { email: EMAIL })
})

t.test('REDIS_URL: a Redis that can\'t be had stops the start, by its host, and never with the password', async t => {
  for (const [address, host, why] of [
    [unreachable, new URL(unreachable).host, /ECONNREFUSED/],
    [withPassword(`${PASSWORD_OF_REDIS}2`), new URL(url).host, /WRONGPASS/],
    [url, new URL(url).host, /NOAUTH/]
  ] as const) {
    const error = await optionsFromEnv({ ...needed(), REDIS_URL: address }).then(() => null, (thrown: Error) => thrown)
    t.match(error, { code: 'FST_ACCOUNTS_STORAGE_UNOPENED' }, address)
    t.ok(error?.message.startsWith(`Could not open Redis at ${host}: `), String(error?.message))
    t.match(error?.message, why)
    t.notMatch(`${inspect(error, { depth: 9 })} ${JSON.stringify(error)}`, PASSWORD_OF_REDIS)
  }
})

t.test('what Redis refuses is logged without the command, which names people', async t => {
  const parts = await openRedisStorage(REDIS_URL)
  t.teardown(async () => await parts.sessions.close!())
  const redis = new Redis(REDIS_URL)
  t.teardown(async () => {
    await redis.config('SET', 'maxmemory', '0')
    redis.disconnect()
  })
  await redis.config('SET', 'maxmemory', '1')
  const error = await parts.throttles.attempt('zQ7-somebody', { at: new Date(), delays: [0], limit: 9, forgetAfter: 1000 }).then(() => null, (thrown: Error) => thrown)
  t.match(error?.message, /^OOM /)
  t.notMatch(`${inspect(error, { depth: 9 })} ${JSON.stringify(error)}`, 'zQ7-somebody')
})

t.test('a command that ends sessions ends those in Redis, by --redis or REDIS_URL', async t => {
  const { client, variables } = await start(t)
  const at = ['--database', variables.DATABASE_URL]
  const ends: ReadonlyArray<readonly [string[], RegExp | string, string?]> = [
    [['sessions', 'revoke', EMAIL], 'Ended 1 session of ada@example.com in Redis.\n'],
    [['user', 'password', EMAIL, '--password-stdin'], /sessions have ended/, `${PASSWORD}\n`],
    [['user', 'disable', EMAIL], /sessions have ended/]
  ]
  await client().post('/auth/register', { email: EMAIL, password: PASSWORD })
  for (const [args, said, input] of ends) {
    const browser = client()
    t.equal((await browser.post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 200)
    await command(['sessions', 'revoke', EMAIL, ...at, '--redis', REDIS_URL])
    await browser.post('/auth/login', { email: EMAIL, password: PASSWORD })
    t.match(await command([...args, ...at, '--redis', REDIS_URL], input), { code: 0, stdout: said, stderr: '' }, args.join(' '))
    t.equal((await browser.get('/private')).statusCode, 401, args.join(' '))
  }
  t.match(await program(['sessions', 'revoke', EMAIL, ...at], { env: { REDIS_URL } }), { code: 0, stdout: /^Ended 0 sessions/ })
})

t.test('sessions under a prefix are ended by --redis-prefix; where they were looked for is said, and others end by their user', async t => {
  const file = databaseFile(t)
  const prefix = 'shop:'
  const { app, client } = await createApp(t, { storage: { ...await sqliteStorage(file), ...await openRedisStorage(REDIS_URL, { prefix }) } })
  await app.accounts.users.create({ email: EMAIL, password: PASSWORD })
  const login = async () => {
    const browser = client()
    t.equal((await browser.post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode, 200)
    return browser
  }
  const browser = await login()
  const revoke = async (...args: string[]) => await command(['sessions', 'revoke', EMAIL, '--database', file, ...args])
  t.match(await revoke(), { code: 0, stdout: `Ended 0 sessions of ${EMAIL} in SQLite (--redis was not given).\n` })
  t.match(await revoke('--redis', REDIS_URL), { code: 0, stdout: `Ended 0 sessions of ${EMAIL} in Redis (--redis-prefix was not given).\n` })
  t.equal((await browser.get('/private')).statusCode, 200)
  t.match(await revoke('--redis', REDIS_URL, '--redis-prefix', prefix), { code: 0, stdout: `Ended 1 session of ${EMAIL} in Redis.\n` })
  t.equal((await browser.get('/private')).statusCode, 401)
  t.match(await revoke('--redis', REDIS_URL, '--redis-prefix', prefix), { stdout: `Ended 0 sessions of ${EMAIL} in Redis (under --redis-prefix shop:).\n` })
  t.strictSame(JSON.parse((await revoke('--redis', REDIS_URL, '--redis-prefix', prefix, '--json')).stdout), { ended: 0, sessionsIn: 'redis' })

  for (const args of [['user', 'password', EMAIL, '--password-stdin'], ['user', 'disable', EMAIL]]) {
    const other = await login()
    t.equal((await other.get('/private')).statusCode, 200)
    t.match(await command([...args, '--database', file], PASSWORD), { code: 0, stdout: /sessions have ended/ })
    t.equal((await other.get('/private')).statusCode, 401, args.join(' '))
  }
})

t.test('Redis that can\'t be had is named, without its password, and asked by those commands alone that need it', async t => {
  const { signedUp, variables: { DATABASE_URL } } = await start(t)
  await signedUp(EMAIL)
  const at = ['--database', DATABASE_URL]
  const failed = await command(['sessions', 'revoke', EMAIL, ...at, '--redis', unreachable])
  t.match(failed, { code: 1, stdout: '', stderr: `Could not open Redis at ${new URL(unreachable).host}: ` })
  t.notMatch(failed.stderr, PASSWORD_OF_REDIS)
  const wrong = await command(['user', 'disable', EMAIL, ...at, '--redis', `http://:${PASSWORD_OF_REDIS}@localhost`])
  t.match(wrong, { code: 2, stderr: /^Redis must be a redis:\/\/ or rediss:\/\/ URL\.\n/ })
  t.notMatch(wrong.stderr, PASSWORD_OF_REDIS)
  t.match(await command(['user', 'list', ...at, '--redis', REDIS_URL]), { code: 2, stderr: /^"user list" takes no --redis\.\n/ })
  for (const args of [['user', 'list'], ['user', 'roles', EMAIL, '--role', 'owner'], ['token', 'list', EMAIL]]) {
    t.match(await program([...args, ...at], { env: { REDIS_URL: unreachable } }), { code: 0, stderr: '' }, args.join(' '))
  }
})
