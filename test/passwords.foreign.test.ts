import { scrypt } from 'node:crypto'
import { Writable } from 'node:stream'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { createForeign, FOREIGN_DEADLINE_MS } from '../lib/passwords/foreign.ts'
import type { PasswordOptions, VerifyForeign } from '../types/index.ts'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'

const EMAIL = 'ada@example.com'
const DIGEST = 'vendor:1:c2FsdA:b00b5'

const hashScrypt = async (password: string) => `$scrypt$${(await promisify<string, string, number, Buffer>(scrypt)(password, 'salt', 32)).toString('hex')}`

/** An account with a digest of another system, on a server that writes its log down. */
async function withForeign (t: Test, digest: string, verifyForeign?: VerifyForeign, passwords: PasswordOptions = {}) {
  const storage = await openStorage(t)
  const lines: string[] = []
  const stream = new Writable({
    write (chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    }
  })
  const test = await createApp(t, { storage, throttle: false, passwords: { ...(verifyForeign === undefined ? {} : { verifyForeign }), ...passwords } }, () => {}, Fastify({ logger: { level: 'trace', stream } }))
  const { id } = await test.app.accounts.users.create({ email: EMAIL })
  const { epoch } = (await storage.users.find(id))!
  await storage.users.changePassword(id, epoch, digest)
  return {
    ...test,
    lines,
    digest: async () => (await storage.users.find(id))!.passwordDigest!,
    login: async (password = PASSWORD) => (await test.client().post('/auth/login', { email: EMAIL, password })).statusCode
  }
}

t.test('P-10 a digest of another system fits when the host says so, and becomes ours', async t => {
  const asked: unknown[][] = []
  const old = await hashScrypt(PASSWORD)
  const { login, digest, client, signedUp } = await withForeign(t, old, async (...args) => {
    asked.push(args)
    return args[0] === await hashScrypt(args[1])
  })
  t.equal(await login(OTHER_PASSWORD), 401)
  t.equal(await digest(), old)
  t.equal(await login(), 200)
  t.match(await digest(), /^\$argon2id\$/)
  t.equal(await login(), 200)
  t.strictSame(asked, [[old, OTHER_PASSWORD], [old, PASSWORD]], 'and is never asked for again')
  await signedUp('b@example.com')
  await client().post('/auth/login', { email: 'b@example.com', password: OTHER_PASSWORD })
  await client().post('/auth/login', { email: 'nobody@example.com', password: OTHER_PASSWORD })
  t.equal(asked.length, 2, 'nor for those that are ours, or nobody\'s')
})

t.test('P-10 with algorithm bcrypt it becomes a bcrypt digest', async t => {
  const { login, digest } = await withForeign(t, DIGEST, (_digest, password) => password === PASSWORD, { algorithm: 'bcrypt', rounds: 10 })
  t.equal(await login(), 200)
  t.match(await digest(), /^\$2b\$10\$/)
})

t.test('P-04 the host\'s function gets the password in NFC, then as it came', async t => {
  const asked: string[] = []
  const { login } = await withForeign(t, DIGEST, (_digest, password) => {
    asked.push(password)
    return false
  })
  const nfd = 'très chaud le café'.normalize('NFD')
  await login(nfd)
  await login(' Spaces stay 🦊 ')
  t.strictSame(asked, [nfd.normalize('NFC'), nfd, ' Spaces stay 🦊 '])
  await login(`${PASSWORD}\0`)
  await login(`${PASSWORD}\ud800`)
  await login('x'.repeat(1025))
  t.equal(asked.length, 3, 'what could be nobody\'s password does not reach it')
})

t.test('without such a function a digest of another system is a wrong password', async t => {
  const { login, digest } = await withForeign(t, DIGEST)
  t.equal(await login(), 401)
  t.equal(await digest(), DIGEST)
})

const SECRET = new RegExp(`${DIGEST}|${PASSWORD}|violet|vendor`)

/** What a host's function may do instead of answering. */
const BROKEN: Readonly<Record<string, () => unknown>> = {
  'throws an error that tells all': () => { throw new TypeError(`${DIGEST} ${PASSWORD}\n    at violet (vendor)`) },
  rejects: async () => await Promise.reject(new RangeError(PASSWORD)),
  'throws null': () => { throw null }, // eslint-disable-line no-throw-literal
  'throws a text': () => { throw PASSWORD },
  'throws what throws when it is read': () => { throw Object.defineProperty(new TypeError('x'), 'stack', { get () { throw new TypeError(PASSWORD) } }) },
  'throws what has odd members': () => { throw Object.assign(new TypeError(PASSWORD), { message: 7, stack: [PASSWORD] }) },
  'answers 1': () => 1,
  'answers "true"': () => 'true',
  'answers an object': () => ({ valid: true }),
  'answers nothing': () => undefined,
  'answers a promise of 1': async () => 1,
  'answers a thenable that throws': () => ({ then () { throw new TypeError(PASSWORD) } })
}

t.test('P-08 a function that fails is a wrong password, and the log says so without digest or password', async t => {
  let answer: () => unknown = () => false
  const { login, digest, lines } = await withForeign(t, DIGEST, (() => answer()) as VerifyForeign)
  for (const [what, broken] of Object.entries(BROKEN)) {
    answer = broken
    lines.length = 0
    t.equal(await login(), 401, what)
    const errors = lines.filter(line => line.includes('"level":50'))
    t.equal(errors.length, 1)
    t.match(errors[0], 'passwords.verifyForeign ')
    t.notMatch(lines.join(''), SECRET)
  }
  t.equal(await digest(), DIGEST)
  answer = BROKEN.rejects!
  lines.length = 0
  await login()
  t.match(lines.join(''), /"frames":\["at .*passwords\.foreign\.test/, 'where it threw stands there')
  answer = () => true
  t.equal(await login(), 200, 'and when it works again it is believed')
})

t.test('V-01 one that never answers does not fit after two seconds, and its place in the queue is free again', async t => {
  t.ok(FOREIGN_DEADLINE_MS <= 2000)
  let isHanging = true
  // More than there are places in the queue.
  const { login, lines } = await withForeign(t, DIGEST, async () => isHanging ? await new Promise<boolean>(() => {}) : true, { maxQueue: 10 })
  const { setTimeout: set } = globalThis
  globalThis.setTimeout = ((run: () => void, ms = 0) => set(run, ms === FOREIGN_DEADLINE_MS ? 20 : ms)) as typeof setTimeout
  t.teardown(() => { globalThis.setTimeout = set })
  t.strictSame(await Promise.all(Array.from({ length: 5 }, async () => await login())), Array(5).fill(401))
  t.equal(lines.filter(line => line.includes('has not answered within 2000 ms')).length, 5)
  isHanging = false
  t.equal(await login(), 200)
})

t.test('V-01 a rejection that comes after the deadline is nobody\'s unhandled rejection', async t => {
  const { setTimeout: set } = globalThis
  globalThis.setTimeout = ((run: () => void, ms = 0) => set(run, ms === FOREIGN_DEADLINE_MS ? 5 : ms)) as typeof setTimeout
  t.teardown(() => { globalThis.setTimeout = set })
  const unhandled: unknown[] = []
  const note = (error: unknown) => { unhandled.push(error) }
  process.on('unhandledRejection', note)
  t.teardown(() => { process.off('unhandledRejection', note) })
  let reject = (_: unknown) => {}
  const { verify } = createForeign(async () => await new Promise<boolean>((_resolve, _reject) => { reject = _reject }), { error () {} })
  t.equal(await verify(DIGEST, PASSWORD), false)
  reject(new TypeError('late'))
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(unhandled, [])
})

t.test('P-08 what claims to be argon2id or bcrypt never reaches it', async t => {
  const { costsOf } = createForeign(() => true, { error () {} })
  for (const digest of ['', '$argon2id$', '$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdA$aGFzaA', '$2b$31$x', '$2x$10$', '$2$10$']) t.equal(costsOf(digest), null, digest)
  for (const digest of [DIGEST, '$scrypt$ln=14,r=8,p=1$c2FsdA$aGFzaA', '$argon2i$v=19$m=4096,t=3,p=1$c2FsdA$aGFzaA', '5f4dcc3b5aa765d61d8327deb882cf99', '{SSHA}x', 'pbkdf2_sha256$720000$salt$hash', '$2']) t.equal(costsOf(digest), 'foreign', digest)
})
