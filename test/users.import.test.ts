import bcrypt from 'bcrypt'
import Fastify from 'fastify'
import t from 'tap'
import { createImport } from '../lib/accounts/import.ts'
import { createHooks } from '../lib/hooks.ts'
import { createBcrypt, type BcryptLibrary } from '../lib/passwords/bcrypt.ts'
import { guardStorage } from '../lib/storage.ts'
import type { ImportedAccount } from '../types/index.ts'
import { createApp, openStorage, PASSWORD } from './support/app.ts'
import { createCountedPasswords } from './support/counting-hasher.ts'
import { listen } from './support/events.ts'
import { tapStorage } from './support/tapped-storage.ts'

const EMAIL = 'ada@example.com'
const ID = '3b0f6a52-6f0c-4c57-9a3e-0f1f4f3f9f10'
const SHORT = 'sesame'
const digest = await bcrypt.hash(SHORT, 4)

t.test('users.import brings an account along with its id, its age and its digest, which the first login makes anew', async t => {
  const asked: string[] = []
  const { app, client, storage } = await createApp(t, { hooks: { beforeRegister () { asked.push('before') }, afterRegister () { asked.push('after') } } })
  const { users } = app.accounts
  const newest = await users.create({ email: 'bob@example.com' })
  asked.length = 0
  const events = listen(t)
  const createdAt = new Date('2024-02-29T12:00:00.123Z')
  const user = await users.import({ id: ID, email: 'Ada@example.com', username: 'Ada', name: 'Ada', roles: ['owner', 'editor'], emailVerified: true, passwordDigest: digest, createdAt })
  t.strictSame(user, { id: ID, email: 'Ada@example.com', emailVerified: true, username: 'Ada', name: 'Ada', roles: ['owner', 'editor'], disabled: false, createdAt })
  t.strictSame(await users.findByEmail(EMAIL), user)
  t.strictSame([events.takeNames(), asked], [['account.registered: imported'], []], 'it is told, and nobody is asked')
  t.strictSame((await users.list()).users.map(({ id }) => id), [newest.id, ID])
  t.equal((await client().post('/auth/login', { email: EMAIL, password: SHORT })).statusCode, 200)
  t.match((await storage.users.find(ID))!.passwordDigest, /^\$argon2id\$/)
})

t.test('users.import takes what it is not told for granted: a new id, now, nobody\'s password', async t => {
  const { app, client } = await createApp(t)
  const before = Date.now()
  const user = await app.accounts.users.import({ email: EMAIL })
  t.match(user, { emailVerified: false, username: null, name: null, roles: [], disabled: false })
  t.ok(user.id.length >= 20 && user.createdAt.getTime() >= before)
  t.equal((await client().post('/auth/login', { email: EMAIL, password: SHORT })).statusCode, 401)
})

t.test('P-10 users.import refuses what could not be verified, found or stored, does not repeat it, and stores nothing', async t => {
  const { app } = await createApp(t)
  const { users } = app.accounts
  const invalid: object[] = [
    ...['', 'plain text', 'sha1:xxxx', '$2x$10$' + digest.slice(7), '$2b$03$' + digest.slice(7), '$2b$16$' + digest.slice(7), digest.slice(0, -1), `${digest}\0`, '$argon2id$v=19$m=999999,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA'].map(passwordDigest => ({ passwordDigest })),
    { passwordDigest: null }, { passwordDigest: Buffer.from(digest) }, { password: PASSWORD },
    ...['', 'x'.repeat(129), 'x'.repeat(256), 'a b', 'a/b', 'ü', '__proto__', 'a\0', '\ud800', 'legacy', 7, null].map(id => ({ id })),
    ...[new Date(NaN), '2024-02-29', 1709208000000, null, {}].map(createdAt => ({ createdAt })),
    { disabled: 'true' }, { disabled: 1 }, { epoch: 1 }, { email: undefined }
  ]
  for (const change of invalid) {
    const { code, statusCode, message } = await users.import({ email: EMAIL, ...change } as ImportedAccount).then(() => ({ code: 'none', statusCode: 0, message: '' }), (error: { code: string, statusCode: number, message: string }) => error)
    t.strictSame([code, statusCode], ['FST_ACCOUNTS_INPUT_INVALID', 400], JSON.stringify(change))
    for (const value of Object.values(change)) if (typeof value === 'string' && value.length > 6) t.notOk(message.includes(value), message)
  }
  for (const [change, code] of [[{ email: 'nobody' }, 'EMAIL_INVALID'], [{ username: 'x' }, 'USERNAME_INVALID'], [{ name: 'a\n' }, 'NAME_INVALID'], [{ roles: ['Owner'] }, 'ROLE_INVALID']] as const) {
    await t.rejects(users.import({ email: EMAIL, ...change }), { code: `FST_ACCOUNTS_${code}` })
  }
  t.strictSame((await users.list()).users, [])
})

t.test('users.import refuses a digest that nobody could log in with, as the package that verifies it is not installed', async t => {
  const storage = guardStorage(await openStorage(t))
  const withoutBcrypt = async () => await import('bcrypt-is-not-installed' as string) as BcryptLibrary
  const lines: unknown[] = []
  const { passwords } = await createCountedPasswords(undefined, await createBcrypt({ algorithm: 'argon2id', rounds: 12, legacy: null }, { error: (line: unknown) => { lines.push(line) } }, withoutBcrypt))
  const importUser = createImport({ storage, passwords, hooks: createHooks(Fastify().log, {}) })
  await t.rejects(importUser({ id: ID, email: EMAIL, passwordDigest: digest }), { code: 'FST_ACCOUNTS_PASSWORD_UNVERIFIABLE', cause: { message: 'a bcrypt digest needs the package "bcrypt": npm install bcrypt', cause: { code: 'ERR_MODULE_NOT_FOUND' } } })
  t.equal(await storage.users.find(ID), null)
  t.strictSame(lines, [], 'no account has it')
  t.match(await importUser({ email: EMAIL, passwordDigest: await passwords.hash(PASSWORD) }), { email: EMAIL }, 'others are not affected')
})

t.test('users.import takes a digest of another system where there is a function that verifies it', async t => {
  const { app, client } = await createApp(t, { passwords: { verifyForeign: (digest, password) => digest === `plain:${password}` } })
  await app.accounts.users.import({ email: EMAIL, passwordDigest: `plain:${SHORT}` })
  await t.rejects(app.accounts.users.import({ email: 'bob@example.com', passwordDigest: `plain:\0${SHORT}` }), { code: 'FST_ACCOUNTS_INPUT_INVALID' })
  t.equal((await client().post('/auth/login', { email: EMAIL, password: SHORT })).statusCode, 200)
})

t.test('users.import says what is taken: the id, the address, the user name; of racers with one id exactly one gets in', async t => {
  const { app } = await createApp(t)
  const { users } = app.accounts
  const race = await Promise.allSettled(Array.from({ length: 8 }, async (_, index) => await users.import({ id: ID, email: `ada${index}@example.com` })))
  t.strictSame(race.map(one => one.status === 'fulfilled' ? 'in' : (one.reason as { code: string }).code).sort(), [...Array<string>(7).fill('FST_ACCOUNTS_USER_EXISTS'), 'in'])
  await users.import({ email: EMAIL, username: 'ada' })
  await t.rejects(users.import({ id: ID, email: EMAIL }), { code: 'FST_ACCOUNTS_USER_EXISTS', statusCode: 409 })
  await t.rejects(users.import({ email: 'ADA@example.com' }), { code: 'FST_ACCOUNTS_EMAIL_TAKEN' })
  await t.rejects(users.import({ email: 'bob@example.com', username: 'Ada' }), { code: 'FST_ACCOUNTS_USERNAME_TAKEN' })
  t.equal((await users.list()).users.length, 2)
})

t.test('A-10 an account that comes disabled is at no moment another, nor the owner who has to stay', async t => {
  const storage = await openStorage(t)
  let isBroken = false
  const states: unknown[] = []
  const tapped = tapStorage(storage, async (verb, _args, call) => {
    if (verb === 'atomically users.update' && isBroken) throw new TypeError('the database has gone')
    const result = await call()
    if (verb === 'atomically users.create') states.push((result as { roles?: unknown } | null)?.roles)
    return result
  })
  const { app, client } = await createApp(t, { storage: tapped })
  const { users } = app.accounts
  const account = { email: EMAIL, roles: ['owner'], passwordDigest: digest, disabled: true }
  isBroken = true
  await t.rejects(users.import(account), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' })
  isBroken = false
  t.strictSame((await users.list()).users, [], 'half of it is nothing')
  t.match(await users.import(account), { roles: ['owner'], disabled: true })
  t.strictSame(states.filter(roles => Array.isArray(roles) && roles.length > 0), [], 'no active owner was there')
  t.equal((await client().post('/auth/login', { email: EMAIL, password: SHORT })).statusCode, 401)
  const owner = await users.import({ email: 'bob@example.com', roles: ['owner'] })
  await t.rejects(users.update(owner.id, { disabled: true }), { code: 'FST_ACCOUNTS_LAST_OWNER' })
})

t.test('S-11 no route takes a digest', async t => {
  const { app, client } = await createApp(t)
  t.equal((await client().post('/auth/register', { email: EMAIL, password: PASSWORD, passwordDigest: digest })).statusCode, 400)
  t.strictSame((await app.accounts.users.list()).users, [])
})
