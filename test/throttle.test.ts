import { randomBytes } from 'node:crypto'
import Fastify, { type LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { AccountsDependencies } from '../lib/accounts/dependencies.ts'
import { createLogin } from '../lib/accounts/login.ts'
import { createProof } from '../lib/accounts/proof.ts'
import { createThrottle } from '../lib/accounts/throttle.ts'
import { createHooks } from '../lib/hooks.ts'
import { resolveThrottle } from '../lib/options/throttle.ts'
import { noDevices } from '../lib/sessions/devices.ts'
import { startHousekeeping } from '../lib/sessions/housekeeping.ts'
import { guardStorage } from '../lib/storage.ts'
import { createKeyRing } from '../lib/tokens/secrets.ts'
import type { AccountsOptions, Storage } from '../types/index.ts'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { DAY, holdClock, HOUR, MINUTE, SECOND, stopClock } from './support/clock.ts'
import { createCountedPasswords } from './support/counting-hasher.ts'
import { listen } from './support/events.ts'
import { tapStorage } from './support/tapped-storage.ts'

const ADA = { email: 'ada@example.com', username: 'ada', password: PASSWORD }
const RIGHT = { email: ADA.email, password: PASSWORD }
const WRONG = { email: ADA.email, password: OTHER_PASSWORD }
const { hash } = createKeyRing({ secret: randomBytes(32) })

/** An app with an account of Ada's. `login` comes from a browser that nobody knows, unless one is given, and answers the status. */
async function createAda (t: Test, options: Partial<AccountsOptions> = {}) {
  const test = await createApp(t, options)
  const { user } = (await test.app.accounts.register(ADA))!
  const login = async (body: object, browser = test.client()) => (await browser.post('/auth/login', body)).statusCode
  return {
    ...test,
    id: user.id,
    login,
    async fail (times: number, body: object = WRONG, browser = test.client()) {
      for (let count = 0; count < times; count++) t.equal(await login(body, browser), 401)
    }
  }
}

/** What servers share is the storage; each has a throttle of its own. */
function createThrottles (t: Test, storage: Storage, count: number) {
  t.teardown(async () => { await storage.close?.() })
  const dependencies = { rule: resolveThrottle({}, storage)!, throttles: guardStorage(storage).throttles!, keys: hash, devices: noDevices, hooks: createHooks(Fastify().log, {}) }
  return Array.from({ length: count }, () => createThrottle(dependencies))
}

const seen = ({ statusCode, headers: { date, ...headers }, rawPayload }: LightMyRequestResponse) => ({ statusCode, headers, body: rawPayload.toString('latin1') })

t.test('A-03 five failures are free, then delays double to an hour; a success or 30 days make it anew', async t => {
  const clock = holdClock(t)
  const { login, fail, client } = await createAda(t)
  await fail(5)
  for (const delay of [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]) {
    // Not in the same moment, in which an attempt on another server might yet succeed.
    clock.advance(2 * SECOND)
    const refused = await client().post('/auth/login', RIGHT)
    t.match(refused.json(), { statusCode: 429, code: 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', error: 'Too Many Requests' })
    const seconds = Number(refused.headers['retry-after'])
    t.ok(seconds <= delay - 2 && seconds > delay - 5, `${delay} s: ${seconds}`)
    clock.advance((delay - 7) * SECOND)
    t.equal(await login(RIGHT), 429, 'refused attempts are not counted, but neither do they help')
    clock.advance(5 * SECOND)
    t.equal(await login(WRONG), 401)
  }
  clock.advance(HOUR)
  t.equal(await login(RIGHT), 200)
  await fail(5)
  clock.advance(2 * SECOND)
  t.equal(await login(RIGHT), 429, 'and so again')
  clock.advance(30 * DAY)
  await fail(5)
})

t.test('A-05 of 200 wrong logins at once on two servers five are checked', async t => {
  const storage = await openStorage(t)
  await createAda(t, { storage })
  const { passwords, hasher } = await createCountedPasswords()
  const hooks = createHooks(Fastify().log, {})
  const servers = [1, 2].map(() => {
    const guarded = guardStorage(storage)
    const throttle = createThrottle({ rule: resolveThrottle({}, storage)!, throttles: guarded.throttles!, keys: hash, devices: noDevices, hooks })
    const dependencies = { settings: { registration: { verifyEmail: false } }, storage: guarded, passwords, hooks, throttle } as unknown as AccountsDependencies
    return createLogin(dependencies, createProof(dependencies), async () => { throw new TypeError('begun') })
  })
  const codes = await Promise.all(Array.from({ length: 200 }, async (_, index) => await servers[index % 2]!(WRONG, null).then(() => 'in', (error: { code: string }) => error.code)))
  t.equal(hasher.take().verify, 5)
  const count = (code: string) => codes.filter(one => one === code).length
  t.strictSame([count('FST_ACCOUNTS_CREDENTIALS_INVALID'), count('FST_ACCOUNTS_TOO_MANY_ATTEMPTS')], [5, 195])
})

t.test('A-05 32 right logins of one account at once all come in, on one server and on two', async t => {
  const { app, storage, secret, client, login } = await createAda(t)
  const second = await createApp(t, { storage, secret })
  for (const clients of [[client], [client, second.client]]) {
    const statuses = await Promise.all(Array.from({ length: 32 }, async (_, index) => await login(RIGHT, clients[index % clients.length]!())))
    t.strictSame(statuses, new Array(32).fill(200))
  }
  await t.resolves(app.accounts.login(RIGHT))
})

t.test('A-05 who finds no place waits for those of this server however long they take, in the order in which they came', async t => {
  const clock = holdClock(t)
  const [throttle] = createThrottles(t, await openStorage(t), 1)
  const began: number[] = []
  const slowly = async (index: number, outcome: boolean) => await throttle!.guard('one', async () => {
    began.push(index)
    // A full queue, say.
    clock.advance(5 * SECOND)
    await new Promise(resolve => setTimeout(resolve, 20))
    return outcome
  }, good => good, () => {})
  t.strictSame(await Promise.all(Array.from({ length: 12 }, async (_, index) => await slowly(index, true))), new Array(12).fill(true))
  t.strictSame(began, Array.from(began.keys()))
  began.length = 0
  const refused = await Promise.allSettled(Array.from({ length: 300 }, async (_, index) => await slowly(index, false)))
  t.equal(began.length, 5)
  const codes = refused.map(one => one.status === 'rejected' ? (one.reason as { code: string }).code : 'checked')
  t.strictSame([...new Set(codes)].sort(), ['FST_ACCOUNTS_BUSY', 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', 'checked'])
  t.equal(codes.filter(code => code === 'FST_ACCOUNTS_BUSY').length, 300 - 256, 'no more than that wait')
})

t.test('A-05 who finds no place on another server looks again for a second', async t => {
  const [first, second] = createThrottles(t, await openStorage(t), 2)
  const work = async () => await new Promise<boolean>(resolve => setTimeout(resolve, 200, true))
  const refusals: string[] = []
  const five = Array.from({ length: 5 }, async () => await first!.guard('one', work, good => good, () => refusals.push('first')))
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(await second!.guard('one', work, good => good, () => refusals.push('second')), true)
  t.strictSame([await Promise.all(five), refusals], [new Array(5).fill(true), []])
})

t.test('A-03 who fails 100 times from 50 networks locks strangers out, and not the owner', async t => {
  const clock = holdClock(t)
  const { app, storage, client, login } = await createAda(t, { rateLimit: {} })
  const owner = client()
  t.equal(await login(RIGHT, owner), 200)
  await owner.post('/auth/logout')
  const attack = async (network: number) => (await app.inject({ method: 'POST', url: '/auth/login', payload: WRONG, remoteAddress: `192.0.2.${network}` })).statusCode
  for (let count = 0; count < 100; count++) {
    if (await attack(count % 50) !== 401) t.fail(`attempt ${count}`)
    clock.advance(HOUR)
  }
  t.equal(await attack(50), 429, 'at a hundred it ends')
  const refused = await client().post('/auth/login', RIGHT)
  t.equal(refused.statusCode, 429)
  t.equal(refused.headers['retry-after'], String(30 * 24 * 3600 - 3600), 'until it is forgotten')
  t.equal(await login({ username: 'ADA', password: PASSWORD }), 200, 'another name of the account is another bucket')
  t.equal(await login(RIGHT, owner), 200, 'the browser of the owner is known')
  t.equal(await login(RIGHT), 429, 'which helps no stranger')

  // The command, say: it has a secret of its own.
  const command = await createApp(t, { storage })
  await command.app.accounts.passwords.set((await command.app.accounts.users.findByEmail(ADA.email))!.id, OTHER_PASSWORD)
  t.equal(await login({ ...RIGHT, password: OTHER_PASSWORD }), 200, 'recovery ends the lock')
})

t.test('A-01 A-08 too many attempts look the same to the byte, whoever the account is, or is not', async t => {
  const clock = stopClock(t)
  const { client, fail, login } = await createAda(t)
  const eve = client()
  await eve.post('/auth/register', { email: 'eve@example.com', password: PASSWORD })
  const names = [{ email: 'nobody@example.com' }, { email: ADA.email }, { username: 'ada' }, { username: 'nobody' }, { email: 'no address' }, { username: ' ' }]
  for (const name of names) await fail(5, { ...name, password: OTHER_PASSWORD })
  clock.advance(2 * SECOND)
  const [expected, ...others] = await Promise.all(names.map(async name => seen(await client().post('/auth/login', { ...name, password: PASSWORD }))))
  t.equal(expected!.statusCode, 429)
  t.equal(expected!.headers['retry-after'], '28')
  t.equal(expected!.headers['cache-control'], 'no-store')
  t.equal(expected!.headers['www-authenticate'], undefined)
  for (const [index, other] of others.entries()) t.strictSame(other, expected, JSON.stringify(names[index + 1]))
  t.strictSame(seen(await eve.post('/auth/login', RIGHT)), expected, 'nor does a device help that is known to another user')
  t.equal(await login({ email: 'ADA@EXAMPLE.COM', password: PASSWORD }), 429, 'another spelling is the same name')
  t.equal(await login({ email: 'eve@example.com', password: PASSWORD }), 200, 'and nobody else is touched')
})

t.test('A-03 the storage sees no name, and a rule; unknown names cost the same calls', async t => {
  const calls: Array<{ verb: string, key: unknown }> = []
  const storage = tapStorage(await openStorage(t), async (verb, [key], call) => {
    calls.push({ verb, key })
    return await call()
  })
  const { login, client } = await createAda(t, { storage })
  const known = client()
  await login(RIGHT, known)
  const callsOf = async (body: object, browser = client()) => {
    calls.length = 0
    await login(body, browser)
    return calls.filter(({ verb }) => !verb.startsWith('sessions.'))
  }
  const [first, again] = [await callsOf(WRONG), await callsOf({ ...WRONG, email: 'Ada@EXAMPLE.com' })]
  t.strictSame(first.map(({ verb }) => verb), ['users.findByEmail', 'throttles.attempt'])
  t.match(first[1]!.key, /^login:[\w-]{43}$/)
  t.equal(again[1]!.key, first[1]!.key)
  const unknown = await callsOf({ ...WRONG, email: 'nobody@example.com' }, known)
  t.strictSame(unknown.map(({ verb }) => verb), ['users.findByEmail', 'throttles.attempt'])
  t.match(unknown[1]!.key, /^login:[\w-]{43}$/)
  const device = await callsOf(WRONG, known)
  t.not(device[1]!.key, first[1]!.key, 'a known browser has a bucket of its own')
  t.strictSame((await callsOf(RIGHT)).map(({ verb }) => verb), ['users.findByEmail', 'throttles.attempt', 'throttles.reset'])
})

t.test('A-06 whoever is signed in may not guess the password either, and no stranger can use that up', async t => {
  const clock = holdClock(t)
  const events = listen(t)
  const { app, id, client, login, fail, signedUp } = await createAda(t)
  const browser = client()
  const eve = await signedUp('eve@example.com')
  await login(RIGHT, browser)
  const change = async (currentPassword: string) => (await browser.post('/auth/password/change', { currentPassword, newPassword: OTHER_PASSWORD })).statusCode
  const remove = async (password: string) => (await browser.request('DELETE', '/auth/me', { password })).statusCode
  await fail(5)
  for (let count = 0; count < 4; count++) t.equal(await change('guess number one is wrong'), 403)
  t.equal(await remove(OTHER_PASSWORD), 403, 'all proofs of an account are counted together')
  clock.advance(2 * SECOND)
  events.take()
  t.equal(await remove(PASSWORD), 429)
  t.match(events.take(), [{ name: 'proof.throttled', userId: id }])
  await t.rejects(app.accounts.passwords.change(id, { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }), { code: 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', retryAfter: 28 })
  t.equal(await login(RIGHT, browser), 200, 'signing in is another matter')
  t.equal((await eve.request('DELETE', '/auth/me', { password: PASSWORD })).statusCode, 204, 'and so are other users')
  clock.advance(30 * SECOND)
  t.equal(await change(PASSWORD), 204)
  await fail(5, RIGHT)
  t.equal(await remove(PASSWORD), 403)
  t.equal(await remove(OTHER_PASSWORD), 204)
})

t.test('A-03 the services are throttled too; the hook and the channel say so', async t => {
  const clock = holdClock(t)
  const events = listen(t)
  const { app, id } = await createAda(t, { throttle: { free: 2, limit: 3 } })
  const reasons: string[] = []
  app.accounts.addHook('loginFailed', ({ identifier, reason }) => { reasons.push(`${identifier} ${reason}`) })
  for (let count = 0; count < 2; count++) await t.rejects(app.accounts.login(WRONG), { code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' })
  clock.advance(2 * SECOND)
  events.take()
  await t.rejects(app.accounts.login(RIGHT), { code: 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', statusCode: 429, retryAfter: 28, headers: { 'retry-after': '28' } })
  t.match(events.take(), [{ name: 'login.throttled', userId: id, reason: 'throttled' }])
  t.strictSame(reasons, ['ada@example.com wrong-password', 'ada@example.com wrong-password', 'ada@example.com throttled'])
  clock.advance(MINUTE)
  await t.rejects(app.accounts.login(WRONG), { code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' })
  clock.advance(DAY)
  await t.rejects(app.accounts.login(RIGHT), { code: 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', retryAfter: 29 * 24 * 3600 })
})

t.test('A-05 a server whose clock is ahead does not make the free attempts of others wait', async t => {
  let ahead = 0
  const storage = await openStorage(t)
  const { login } = await createAda(t, {
    storage: tapStorage(storage, async (verb, [key, rule], call) => verb === 'throttles.attempt' && ahead > 0
      ? await storage.throttles!.attempt(key as string, { ...rule as { at: Date, delays: number[], limit: number, forgetAfter: number }, at: new Date(Date.now() + ahead) })
      : await call())
  })
  ahead = 5 * SECOND
  t.equal(await login(WRONG), 401)
  ahead = 0
  t.equal(await login(RIGHT), 200)
})

t.test('V-02 F-35 while the storage is down a login is 503, not refused; while only attempts can\'t be counted there the process counts them', async t => {
  let down = ''
  const storage = tapStorage(await openStorage(t), async (verb, _args, call) => {
    if (down !== '' && verb.startsWith(down)) throw new Error('down')
    return await call()
  })
  const { login, client, fail } = await createAda(t, { storage })
  await fail(5)
  down = 'users.'
  const { statusCode, headers } = await client().post('/auth/login', { username: 'ada', password: PASSWORD })
  t.equal(statusCode, 503)
  t.equal(headers['set-cookie'], undefined)
  for (const verb of ['throttles.attempt', 'throttles.reset']) {
    down = verb
    t.equal(await login(RIGHT), 429, `${verb}: what was counted before still holds`)
    t.equal(await login({ username: 'ada', password: PASSWORD }), 200, verb)
  }
  down = ''
  t.equal(await login({ username: 'ada', password: PASSWORD }), 200)
})

t.test('A-06 mails are had three an hour, and known browsers have three of their own', async t => {
  const clock = holdClock(t)
  const storage = await openStorage(t)
  const guarded = guardStorage(storage)
  let device: string | null = null
  const throttle = createThrottle({ rule: resolveThrottle({}, storage)!, throttles: guarded.throttles!, keys: hash, devices: { ...noDevices, find: () => device }, hooks: createHooks(Fastify().log, {}) })
  const ask = async (times: number, purpose = 'forgot') => await Promise.all(Array.from({ length: times }, async () => await throttle.allow(throttle.bucketOf(purpose, { email: 'Ada@example.com' }, null, null))))
  t.strictSame((await ask(20)).filter(Boolean).length, 3)
  t.strictSame(await ask(1, 'resend'), [true], 'each purpose is counted apart')
  device = 'known'
  t.strictSame((await ask(4)).filter(Boolean).length, 3)
  device = null
  clock.advance(HOUR - SECOND)
  t.strictSame(await ask(1), [false])
  clock.advance(SECOND)
  t.strictSame(await ask(1), [true])
})

t.test('V-05 housekeeping forgets what was not asked for in 30 days, and no sooner', async t => {
  const clock = holdClock(t)
  const storage = await openStorage(t)
  t.teardown(async () => { await storage.close?.() })
  if (storage.throttles!.deleteForgotten === undefined) return t.pass('Redis forgets by itself, by its own clock')
  const { setTimeout: set } = globalThis
  const due: Array<() => void> = []
  globalThis.setTimeout = ((run: () => void, delay: number, ...args: []) => {
    if (delay < HOUR / 2) return set(run, delay, ...args)
    due.push(run)
    return set(() => {}, 0)
  }) as typeof setTimeout
  t.teardown(() => { globalThis.setTimeout = set })
  const stop = startHousekeeping(guardStorage(storage), null)
  const attempt = async (key: string) => await storage.throttles!.attempt(key, { ...resolveThrottle({}, storage)!, at: new Date(Date.now()) })
  await attempt('old')
  clock.advance(DAY)
  await attempt('new')
  clock.advance(29 * DAY + SECOND)
  due.shift()!()
  await new Promise(resolve => set(resolve, 100))
  t.strictSame([await storage.throttles!.find('old'), (await storage.throttles!.find('new'))?.count], [null, 1])
  stop()
})

t.test('throttle: false counts nothing, needs no store and knows no devices; without the store it is refused by name', async t => {
  const { throttles, ...storage } = await openStorage(t)
  await t.rejects(createApp(t, { storage: storage as Storage }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "storage\.throttles" is missing: .*throttle: false$/ })
  const { login, fail, client } = await createAda(t, { storage: storage as Storage, throttle: false })
  await fail(7)
  const browser = client()
  t.equal(await login(RIGHT, browser), 200)
  t.strictSame(Object.keys(browser.cookies).sort(), ['accounts_access', 'accounts_refresh'])
})
