import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import bcrypt from 'bcrypt'
import Database from 'better-sqlite3'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { createLogin } from '../lib/accounts/login.ts'
import { createProof } from '../lib/accounts/proof.ts'
import type { AccountsDependencies } from '../lib/accounts/dependencies.ts'
import { noThrottle } from '../lib/accounts/throttle.ts'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createHooks } from '../lib/hooks.ts'
import { guardStorage } from '../lib/storage.ts'
import type { LoginInput } from '../types/index.ts'
import { createApp, databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createCountedPasswords } from './support/counting-hasher.ts'

const HOSTILE = '$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
const LONG = PASSWORD.repeat(50)

/** Every way in which a login can be refused. The first is what all others must look like. */
const REFUSED: Readonly<Record<string, LoginInput>> = {
  'unknown e-mail address': { email: 'nobody@example.com', password: PASSWORD },
  'wrong password': { email: 'ada@example.com', password: OTHER_PASSWORD },
  'disabled, right password': { email: 'disabled@example.com', password: PASSWORD },
  'disabled, wrong password': { email: 'disabled@example.com', password: OTHER_PASSWORD },
  'account without a password': { email: 'passwordless@example.com', password: PASSWORD },
  'hostile stored digest': { email: 'hostile@example.com', password: PASSWORD },
  'stored digest of another system': { email: 'foreign@example.com', password: PASSWORD },
  'bcrypt digest, wrong password': { email: 'bcrypt@example.com', password: OTHER_PASSWORD },
  'bcrypt digest, disabled, right password': { email: 'former@example.com', password: PASSWORD },
  'malformed e-mail address': { email: 'ada', password: PASSWORD },
  'empty e-mail address': { email: '', password: PASSWORD },
  'e-mail address with a NUL': { email: 'ada@example.com\0', password: PASSWORD },
  'e-mail address with a lone surrogate': { email: 'ada\ud800@example.com', password: PASSWORD },
  'look-alike of an e-mail address': { email: 'ⓐda@example.com', password: PASSWORD },
  'e-mail address of 320 characters': { email: `${'a'.repeat(308)}@example.com`, password: PASSWORD },
  'unknown user name': { username: 'nobody', password: PASSWORD },
  'user name, wrong password': { username: 'ada', password: OTHER_PASSWORD },
  'malformed user name': { username: ' ', password: PASSWORD },
  'e-mail address as user name': { username: 'ada@example.com', password: PASSWORD },
  'NUL in the password': { email: 'ada@example.com', password: `${PASSWORD}\0` },
  'lone surrogate in the password': { email: 'ada@example.com', password: `${PASSWORD}\ud800` },
  'password over the maximum': { email: 'ada@example.com', password: LONG },
  'empty password': { email: 'ada@example.com', password: '' },
  'unknown, empty password': { email: 'nobody@example.com', password: '' },
  'unknown, password over the maximum': { email: 'nobody@example.com', password: LONG }
}

/** One account of each state; `ada` is the one that can log in. */
async function createAccounts (t: Test) {
  const file = databaseFile(t)
  const storage = await sqliteStorage(file)
  // What each refusal looks like, however many came before.
  const app = await createApp(t, { storage, throttle: false })
  for (const name of ['ada', 'disabled', 'passwordless', 'hostile', 'foreign', 'bcrypt', 'former']) {
    await app.app.accounts.register({ email: `${name}@example.com`, username: name, password: PASSWORD })
  }
  for (const name of ['disabled', 'former']) {
    const { id } = (await app.app.accounts.users.findByUsername(name))!
    await app.app.accounts.users.update(id, { disabled: true })
  }
  const database = new Database(file)
  const set = database.prepare('update accounts_users set password_digest = ? where username = ?')
  set.run(null, 'passwordless')
  set.run(HOSTILE, 'hostile')
  set.run('$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'foreign')
  const bcryptDigest = await bcrypt.hash(PASSWORD, 4)
  for (const name of ['bcrypt', 'former']) set.run(bcryptDigest, name)
  database.close()
  return app
}

/** What an attacker sees of an answer: every byte but the time of day. */
async function knock (app: FastifyInstance, agent: Agent, body: unknown, headers: Record<string, string> = {}): Promise<{ seen: unknown, statusCode: number }> {
  const { port } = app.server.address() as AddressInfo
  const sent = httpRequest({ port, agent, method: 'POST', path: '/auth/login', headers: { 'content-type': 'application/json', ...headers } })
  sent.end(JSON.stringify(body))
  const [response] = await once(sent, 'response') as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const raw = response.rawHeaders.map((text, index, all) => all[index - 1]?.toLowerCase() === 'date' ? '' : text)
  return { statusCode: response.statusCode!, seen: { status: `${response.statusCode} ${response.statusMessage}`, headers: raw, body: Buffer.concat(chunks).toString('latin1') } }
}

async function listen (t: Test, app: FastifyInstance): Promise<Agent> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  return agent
}

t.test('A-01 every refused login is answered with the same bytes', async t => {
  const { app } = await createAccounts(t)
  const agent = await listen(t, app)
  const expected = await knock(app, agent, REFUSED['unknown e-mail address'])
  t.equal(expected.statusCode, 401)
  t.match(expected.seen, { body: '"code":"FST_ACCOUNTS_CREDENTIALS_INVALID"' })
  for (const [what, input] of Object.entries(REFUSED)) {
    t.strictSame((await knock(app, agent, input)).seen, expected.seen, what)
  }
  t.equal((await knock(app, agent, { email: 'ada@example.com', password: PASSWORD })).statusCode, 200, 'and whoever knows the password comes in')
})

t.test('A-01 nor does it show who is signed in, or was, in the same browser', async t => {
  const { app, signedUp } = await createAccounts(t)
  const agent = await listen(t, app)
  const browser = await signedUp('eve@example.com')
  const cookie = Object.entries(browser.cookies).map(pair => pair.join('=')).join('; ')
  const expected = await knock(app, agent, REFUSED['unknown e-mail address'], { cookie })
  for (const what of ['wrong password', 'disabled, right password', 'malformed e-mail address', 'hostile stored digest']) {
    t.strictSame((await knock(app, agent, REFUSED[what], { cookie })).seen, expected.seen, what)
  }
  t.notMatch(expected.seen, { headers: ['set-cookie'] })
  t.equal((await browser.get('/private')).statusCode, 200, 'a refused login ends nothing')
})

t.test('A-01 the services refuse with one error as well, and only the hook is told why', async t => {
  const { app } = await createAccounts(t)
  const reasons: Record<string, string> = {}
  let what = ''
  app.accounts.addHook('loginFailed', ({ reason }) => { reasons[what] = reason })
  const errors = new Set<string>()
  for (const [name, input] of Object.entries(REFUSED)) {
    what = name
    await t.rejects(app.accounts.login(input), { code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' }, name)
    const error = await app.accounts.login(input).catch((error: unknown) => error as Error & { code: string, statusCode: number })
    errors.add(JSON.stringify({ ...error, message: (error as Error).message, cause: (error as Error).cause }))
  }
  t.equal(errors.size, 1)
  t.match(reasons, {
    'unknown e-mail address': 'unknown-user',
    'malformed e-mail address': 'unknown-user',
    'wrong password': 'wrong-password',
    'disabled, right password': 'disabled',
    'disabled, wrong password': 'wrong-password',
    'bcrypt digest, wrong password': 'wrong-password',
    'bcrypt digest, disabled, right password': 'disabled',
    'account without a password': 'no-password',
    'hostile stored digest': 'wrong-password'
  })
})

t.test('A-01 a password that could not have been set is told to the hook as ill-formed', async t => {
  const { app } = await createAccounts(t)
  const reasons: string[] = []
  app.accounts.addHook('loginFailed', ({ reason }) => { reasons.push(reason) })
  for (const what of ['NUL in the password', 'lone surrogate in the password']) await app.accounts.login(REFUSED[what]!).catch(() => {})
  t.strictSame(reasons, ['ill-formed', 'ill-formed'])
})

t.test('A-02 every refused login costs exactly one verification and no hash; of a bcrypt digest the verification is its own library\'s', async t => {
  const { storage } = await createAccounts(t)
  const { passwords, hasher } = await createCountedPasswords()
  const hooks = createHooks(Fastify().log, {})
  // A login that is refused needs no more of the dependencies than these.
  const dependencies = { storage: guardStorage(storage), passwords, throttle: noThrottle, hooks } as unknown as AccountsDependencies
  let begun = 0
  const login = createLogin(dependencies, createProof({ ...dependencies, settings: { registration: { verifyEmail: false } } } as AccountsDependencies), async () => {
    begun++
    throw new TypeError('begun')
  })
  for (const [what, input] of Object.entries(REFUSED)) {
    await t.rejects(login(input, null), { code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' })
    t.strictSame(hasher.take(), { hash: 0, verify: what.startsWith('bcrypt') ? 0 : 1 }, what)
  }
  t.equal(begun, 0)
  await t.rejects(login({ email: 'ada@example.com', password: PASSWORD }, null), { message: 'begun' })
  t.strictSame(hasher.take(), { hash: 0, verify: 1 }, 'and so does one that succeeds')
})

t.test('A-02 whatever is wrong, the library verifies with the costs of today\'s digests, and nothing but what could be a password', async t => {
  const seen = new Set<string>()
  const passwordsSeen = new Set<string>()
  const { hasher: library } = await createCountedPasswords()
  const { passwords } = await createCountedPasswords({
    hash: library.hash,
    async verify (digest, password) {
      seen.add(digest.split('$').slice(0, 4).join('$'))
      passwordsSeen.add(password)
      return await library.verify(digest, password)
    }
  })
  const digest = await passwords.hash(PASSWORD)
  for (const [stored, password] of [[null, PASSWORD], [digest, PASSWORD], [digest, OTHER_PASSWORD], [digest, `${PASSWORD}\0`], [digest, LONG], [HOSTILE, PASSWORD], ['', ''], [null, LONG]] as const) {
    await passwords.verify(stored, password)
  }
  t.strictSame([...seen], ['$argon2id$v=19$m=7168,t=5,p=1'])
  t.strictSame([...passwordsSeen].filter(password => !passwords.isUsable(password)), [])
})

t.test('A-02 sign-up with a taken address waits for its hash like any other', async t => {
  const { client, signedUp } = await createApp(t, { passwords: { maxQueue: 1 }, throttle: false })
  await signedUp('ada@example.com')
  const register = async (email: string) => await client().post('/auth/register', { email, password: OTHER_PASSWORD })
  const storm = Array.from({ length: 60 }, async () => await client().post('/auth/login', REFUSED['wrong password']))
  const [taken, free] = await Promise.all([register('ADA@example.com'), register('free@example.com')])
  t.equal(taken.statusCode, 503, 'the queue is full, and a taken address stands in it too')
  t.equal(free.statusCode, 503)
  await Promise.all(storm)
  t.match((await register('ADA@example.com')).json(), { statusCode: 409, code: 'FST_ACCOUNTS_EMAIL_TAKEN' })
})

t.test('W-06 an address has one canonical form at sign-up and login; look-alikes are refused, not merged', async t => {
  const { client } = await createApp(t)
  const register = async (email: string) => await client().post('/auth/register', { email, password: PASSWORD })
  const login = async (email: string) => await client().post('/auth/login', { email, password: PASSWORD })
  t.equal((await register('Zoë@Bücher.Example')).statusCode, 201)
  for (const same of ['zoë@bücher.example', 'ZOË@BÜCHER.EXAMPLE', 'zoë@xn--bcher-kva.example', 'zoe\u0308@bu\u0308cher.example']) {
    t.equal((await login(same)).statusCode, 200, same)
    t.match((await register(same)).json(), { code: 'FST_ACCOUNTS_EMAIL_TAKEN' }, same)
  }
  t.equal((await register('demo@example.com')).statusCode, 201)
  for (const lookAlike of ['demⓞ@example.com', 'ｄｅｍｏ@example.com', 'demo@ⓔxample.com', 'demo＠example.com', 'demo﹫example.com', 'ﬁn@example.com']) {
    t.match((await register(lookAlike)).json(), { statusCode: 422, code: 'FST_ACCOUNTS_EMAIL_INVALID' }, lookAlike)
    t.equal((await login(lookAlike)).statusCode, 401, lookAlike)
  }
  t.equal((await login(' demo@example.com')).statusCode, 401, 'nothing is trimmed')
  t.equal((await register('demo@example.com.')).statusCode, 422, 'a dot at the end is no other host')
})

t.test('W-06 a domain that only IDNA mapping (UTS 46) turns into another one is refused too', async t => {
  const { client } = await createApp(t)
  for (const email of ['demo@example\u3002com', 'demo@exam\u00adple.com', 'demo@exam\u200bple.com', 'demo@exam\u2060ple.com']) {
    const { statusCode } = await client().post('/auth/register', { email, password: PASSWORD })
    t.equal(statusCode, 422, JSON.stringify(email))
  }
})
