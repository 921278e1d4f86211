import { Writable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { AccountsOptions, BasicPrincipal } from '../types/index.ts'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { basic } from './support/basic.ts'
import { DAY, holdClock } from './support/clock.ts'
import { listen } from './support/events.ts'
import { createHost } from './support/host.ts'
import { countCalls } from './support/tapped-storage.ts'

const LEGACY = { username: 'admin', password: 'sesame 4711' }
const EMAIL = 'ada@example.com'

interface Use { readonly method?: string, readonly url?: string, readonly headers?: Record<string, string>, readonly from?: string }

async function create (t: Test, options: Partial<AccountsOptions> = {}, setup: (app: FastifyInstance) => void = () => {}) {
  const test = await createApp(t, { basic: { users: true }, ...options }, app => {
    const who = async (request: { principal: unknown }) => {
      const { via, isShared, user } = request.principal as BasicPrincipal
      return { via, isShared, id: user.id, email: user.email, username: user.username, roles: user.roles }
    }
    app.get('/old', { onRequest: app.verifyBasic }, who)
    app.post('/old', { onRequest: app.verifyBasic }, who)
    app.get('/both', { onRequest: app.guard({ via: ['cookie', 'basic'] }) }, who)
    app.get('/owners', { onRequest: app.guard({ via: 'basic', roles: ['owner'] }) }, who)
    setup(app)
  })
  const ada = await test.app.accounts.users.create({ email: EMAIL, username: 'ada', password: PASSWORD })
  const use = async (username: string, password: string, { method = 'GET', url = '/old', headers = {}, from = '127.0.0.1' }: Use = {}) =>
    await test.app.inject({ method: method as 'GET', url, remoteAddress: from, headers: { ...basic(username, password), ...headers } })
  const status = async (...given: Parameters<typeof use>) => (await use(...given)).statusCode
  return { ...test, ada, use, status }
}

t.test('B-01 HTTP Basic is off unless it is switched on, and open to no route that does not name it', async t => {
  const off = await createApp(t)
  await off.app.accounts.users.create({ email: EMAIL, password: PASSWORD })
  t.equal((await off.app.inject({ url: '/private', headers: basic(EMAIL, PASSWORD) })).statusCode, 401)
  t.throws(() => off.app.verifyBasic, { code: 'FST_ACCOUNTS_BASIC_OFF' })
  t.throws(() => off.app.guard({ via: 'basic' }), { code: 'FST_ACCOUNTS_POLICY_INVALID' })
  t.strictSame(await off.app.accounts.basicUsage(), [], 'what was is told nevertheless')
  t.equal((await off.client().post('/auth/basic/token', { name: 'x' }, basic(EMAIL, PASSWORD))).statusCode, 404)

  const { use, status } = await create(t)
  const answer = await use(EMAIL, PASSWORD, { url: '/private' })
  t.equal(answer.statusCode, 401)
  t.notMatch(answer.headers['www-authenticate'], /Basic/, 'B-04')
  for (const url of ['/auth/me', '/auth/tokens', '/auth/sessions']) t.equal(await status(EMAIL, PASSWORD, { url }), 401)
})

t.test('an account comes in by address or user name; nothing becomes a session', async t => {
  const { use, status, ada, app } = await create(t)
  for (const name of [EMAIL, 'ADA@EXAMPLE.com', 'ada', 'Ada']) {
    const answer = await use(name, PASSWORD)
    t.match([answer.statusCode, answer.json()], [200, { via: 'basic', isShared: false, id: ada.id }], name)
    t.equal(answer.headers['set-cookie'], undefined, 'B-05')
  }
  t.equal((await app.accounts.sessions.list(ada.id)).length, 0)
  t.equal(await status(EMAIL, PASSWORD, { url: '/owners' }), 403)
  await app.accounts.users.update(ada.id, { roles: ['owner'] })
  t.equal(await status(EMAIL, PASSWORD, { url: '/owners' }), 200)
})

t.test('B-02 strange spellings of an account\'s credentials are refused, usual ones accepted', async t => {
  const { app, use } = await create(t, { throttle: false })
  await app.accounts.users.create({ email: 'grace@example.com', username: 'grace', password: 'münchen:harbor 92 läntern' })
  const token = Buffer.from(`ada:${PASSWORD}`).toString('base64')
  const send = async (authorization: string) => (await app.inject({ url: '/old', headers: { authorization } })).statusCode
  for (const good of [`Basic ${token}`, `basic ${token}`, `BASIC ${token}`, `Basic  ${token}`]) t.equal(await send(good), 200, good)
  t.equal((await use('grace', 'münchen:harbor 92 läntern')).statusCode, 200, 'the first colon divides, and the text is UTF-8')
  t.equal((await use('grace', 'münchen:harbor 92 läntern'.normalize('NFD'))).statusCode, 200)
  const encode = (text: string | Buffer) => `Basic ${Buffer.from(text as string).toString('base64')}`
  const refused = [
    'Basic', 'Basic ', 'Basic =', `Basic\t${token}`, `Basic${token}`, `Basic ${token}=`, `Basic ${token.slice(0, -1)}`, `Basic ${token} `, `Basic ${token},`,
    `Basic ${token}, Bearer x`, `Basic "${token}"`, 'Basic realm="x"', `Basic ${token.slice(0, 8)} ${token.slice(8)}`, `Basic ${encodeURIComponent(token)}%3D`, 'Digest username="ada"', 'Basic %zz',
    encode('ada'), encode(':'), encode(`:${PASSWORD}`), encode('ada:'), encode(`ada:${PASSWORD}\n`), encode(`ada\0:${PASSWORD}`), encode(`ada:${PASSWORD}\u007f`), encode(` ada:${PASSWORD}`), encode(`ada :${PASSWORD}`),
    encode(Buffer.concat([Buffer.from(`ada:${PASSWORD}`), Buffer.from([0xff])])), encode(Buffer.from('grace:münchen:harbor 92 läntern', 'latin1')), encode(`ada:${PASSWORD}${' '.repeat(65_536)}`).slice(0, 12_000),
    encode(`аda:${PASSWORD}`), encode(`ada:${PASSWORD}:`), `Basic ${Buffer.from(`ada:${PASSWORD}?>`).toString('base64url')}`
  ]
  for (const [name, password] of [['tab', 'violet\tharbor 92 lantern'], ['long', 'violet harbor '.repeat(60)], ['rune', 'violet harbor \ufffd lantern']] as const) {
    await app.accounts.users.create({ email: `${name}@example.com`, username: name, password })
    t.equal((await app.inject({ method: 'POST', url: '/auth/login', payload: { username: name, password } })).statusCode, 200)
    refused.push(name === 'rune' ? encode(Buffer.from(`${name}:${password}`.replace('\ufffd', 'ÿ'), 'latin1')) : encode(`${name}:${password}`))
  }
  for (const header of refused) t.equal(await send(header), 401, JSON.stringify(header.slice(0, 80)))
})

t.test('A-01 all refusals look alike, and ask for HTTP Basic', async t => {
  const { app, use } = await create(t, { throttle: false })
  await app.accounts.users.create({ email: 'none@example.com' })
  const { id } = await app.accounts.users.create({ email: 'gone@example.com', password: PASSWORD })
  await app.accounts.users.update(id, { disabled: true })
  const answers = [await use(EMAIL, OTHER_PASSWORD), await use('nobody@example.com', PASSWORD), await use('none@example.com', PASSWORD), await use('gone@example.com', PASSWORD), await use('ada\n', PASSWORD)]
  for (const answer of answers) {
    t.match([answer.statusCode, answer.json()], [401, { code: 'FST_ACCOUNTS_CREDENTIALS_INVALID' }])
    t.equal(answer.headers['www-authenticate'], 'Basic realm="accounts", charset="UTF-8"', 'B-04')
    t.strictSame([answer.body, Object.keys(answer.headers)], [answers[0]!.body, Object.keys(answers[0]!.headers)])
  }
  t.equal((await app.inject('/old')).headers['www-authenticate'], 'Basic realm="accounts", charset="UTF-8"')
  t.match((await app.inject('/both')).headers['www-authenticate'], /^Cookie realm="accounts", Basic /)
  for (const headers of [{ 'sec-fetch-mode': 'cors' }, { 'x-requested-with': 'XMLHttpRequest' }]) {
    for (const answer of [await app.inject({ url: '/old', headers: headers as Record<string, string> }), await use(EMAIL, OTHER_PASSWORD, { headers: headers as Record<string, string> })]) t.notMatch(answer.headers['www-authenticate'], /Basic/, 'B-04 the browser shows no form of its own')
  }
})

t.test('B-03, A-05 guesses are counted together with those at login', async t => {
  const { client, status } = await create(t)
  for (let attempt = 0; attempt < 3; attempt++) t.equal(await status(EMAIL, `guess ${attempt}`), 401)
  for (let attempt = 0; attempt < 2; attempt++) t.equal((await client().post('/auth/login', { email: EMAIL, password: `guess ${attempt}` })).statusCode, 401)
  t.strictSame([await status(EMAIL, PASSWORD), (await client().post('/auth/login', { email: EMAIL, password: PASSWORD })).statusCode], [429, 429])
})

t.test('B-05 one who was let in is let in again without a hash, also while strangers guess; another password, or none, ends it at once', async t => {
  const { app, ada, status } = await create(t)
  t.equal(await status(EMAIL, PASSWORD), 200)
  for (let attempt = 0; attempt < 5; attempt++) await status(EMAIL, `guess ${attempt}`)
  t.equal(await status(EMAIL, 'guess'), 429)
  t.equal(await status(EMAIL, PASSWORD), 200, 'whoever has proved the password is not locked out by strangers')
  await app.accounts.passwords.set(ada.id, OTHER_PASSWORD)
  t.equal(await status(EMAIL, PASSWORD), 401)
  t.equal(await status(EMAIL, OTHER_PASSWORD), 200)
  await app.accounts.users.update(ada.id, { disabled: true })
  t.equal(await status(EMAIL, OTHER_PASSWORD), 401)
  await app.accounts.users.update(ada.id, { disabled: false })
  t.equal(await status(EMAIL, OTHER_PASSWORD), 200)
  await app.accounts.users.delete(ada.id)
  t.equal(await status(EMAIL, OTHER_PASSWORD), 429, 'now it is a guess like any')
})

t.test('B-05 a change on another server ends it as well', async t => {
  const storage = await openStorage(t)
  const { ada, status } = await create(t, { storage })
  const other = await createApp(t, { storage })
  t.equal(await status(EMAIL, PASSWORD), 200)
  await other.app.accounts.users.update(ada.id, { disabled: true })
  await setTimeout(100)
  t.equal(await status(EMAIL, PASSWORD), 401)
})

t.test('a hook that refuses logins refuses HTTP Basic, and hears of what failed', async t => {
  const failures: string[] = []
  const { status } = await create(t, { hooks: { beforeLogin: () => { throw new TypeError('not today') }, loginFailed: ({ reason }) => { failures.push(reason) } } })
  t.equal(await status(EMAIL, PASSWORD), 403)
  await status(EMAIL, OTHER_PASSWORD)
  await status('', PASSWORD)
  t.strictSame(failures, ['wrong-password', 'ill-formed'])
})

t.test('F13 the credentials that several share come in as nobody in particular', async t => {
  const { use, status } = await create(t, { basic: { legacy: LEGACY } })
  const answer = await use(LEGACY.username, LEGACY.password)
  t.match([answer.statusCode, answer.json()], [200, { via: 'basic', isShared: true, id: 'legacy', email: '', username: LEGACY.username, roles: [] }])
  t.equal(await status(LEGACY.username, LEGACY.password, { url: '/owners' }), 403)
  t.equal(await status(EMAIL, PASSWORD), 401, 'accounts are not switched on')
  for (const [username, password] of [['admin', 'sesame 4712'], ['Admin', LEGACY.password], ['admin', ''], ['root', LEGACY.password]] as const) t.equal(await status(username, password), 401)
  t.equal(await status('x', 'y'), 429, 'A-06')
  t.equal(await status('x', 'y', { from: '192.0.2.7' }), 401, 'another network')
  t.equal(await status(LEGACY.username, LEGACY.password), 200, 'who was let in before is not locked out')
})

t.test('F13 accounts and shared credentials stand side by side; wrong ones of an account do not lock the others', async t => {
  const { app, use, status } = await create(t, { basic: { users: true, legacy: LEGACY } })
  await app.accounts.users.create({ email: 'admin@example.com', username: 'admin', password: OTHER_PASSWORD })
  for (let attempt = 0; attempt < 8; attempt++) await status(EMAIL, `guess ${attempt}`)
  t.match((await use('admin', LEGACY.password)).json(), { isShared: true })
  t.match((await use('admin', OTHER_PASSWORD)).json(), { isShared: false, email: 'admin@example.com' })
})

t.test('a session counts before what the browser remembers, and pages of other origins can\'t use it', async t => {
  const { use, signedUp, status } = await create(t)
  const browser = await signedUp('bob@example.com')
  t.match((await browser.get('/both', basic(EMAIL, PASSWORD))).json(), { via: 'cookie' })
  t.match((await use(EMAIL, PASSWORD, { url: '/both' })).json(), { via: 'basic' })
  t.equal(await status(EMAIL, PASSWORD, { method: 'POST' }), 200)
  for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }, { origin: 'null' }]) t.equal(await status(EMAIL, PASSWORD, { method: 'POST', headers: headers as Record<string, string> }), 403)
  const strict = await create(t, { csrf: 'strict' })
  t.equal(await strict.status(EMAIL, PASSWORD, { method: 'POST' }), 403)
  t.equal(await strict.status(EMAIL, PASSWORD, { method: 'POST', headers: { origin: 'http://localhost:3000' } }), 200)
})

t.test('answers say that it is deprecated and when it ends; then it is refused', async t => {
  const clock = holdClock(t)
  const sunset = new Date(Date.now() + 30 * DAY)
  const { use, app } = await create(t, { basic: { users: true, legacy: LEGACY, sunset, deprecated: new Date('2026-01-01T00:00:00Z') } })
  for (const answer of [await use(EMAIL, PASSWORD), await use(EMAIL, OTHER_PASSWORD)]) t.match(answer.headers, { deprecation: '@1767225600', sunset: sunset.toUTCString() })
  t.equal((await app.inject('/old')).headers.deprecation, undefined)
  clock.advance(30 * DAY)
  const over = await use(EMAIL, PASSWORD)
  t.match([over.statusCode, over.json(), over.headers.sunset], [401, { code: 'FST_ACCOUNTS_BASIC_ENDED' }, sunset.toUTCString()])
  t.notMatch(over.headers['www-authenticate'], /Basic/)
  t.notMatch((await app.inject('/old')).headers['www-authenticate'], /Basic/)
  t.match((await app.inject({ method: 'POST', url: '/auth/owner', payload: { email: 'o@example.com', password: PASSWORD }, headers: basic(LEGACY.username, LEGACY.password) })).json(), { code: 'FST_ACCOUNTS_OWNER_PROOF_REFUSED', message: /setup code/ })
  const setupCode = await app.accounts.owner.setupCode()
  t.equal((await app.inject({ method: 'POST', url: '/auth/owner', payload: { email: 'o@example.com', password: PASSWORD, setupCode } })).statusCode, 201, 'nobody is left without a way in')
  const forever = await create(t)
  const { headers } = await forever.use(EMAIL, PASSWORD)
  t.match([headers.deprecation, headers.sunset], ['@0', undefined])
})

t.test('a start warns of a password that is guessed, of an end that has passed, and of a network that reads along; and of nothing else', async t => {
  const warnings = async (accounts: Partial<AccountsOptions>) => {
    const lines: string[] = []
    const stream = new Writable({ write (chunk, _encoding, done) { lines.push(JSON.parse(String(chunk)).msg); done() } })
    await createHost(t, { server: { logger: { level: 'warn', stream } }, accounts })
    return lines.filter(line => line.includes('basic'))
  }
  const soon = new Date(Date.now() + DAY)
  t.strictSame(await warnings({}), [])
  t.strictSame(await warnings({ basic: { users: true, legacy: { ...LEGACY, password: '12345678' }, sunset: soon } }), [])
  const [network, guessed, over, ...more] = await warnings({ appUrl: 'http://app.example.com', cookies: { insecure: true }, basic: { users: true, legacy: { ...LEGACY, password: '1234567' }, sunset: new Date(0) } })
  t.match(network, /whoever can listen on the network can read passwords/)
  t.match(guessed, /basic\.legacy\.password has less than 8 characters/)
  t.match(over, /basic\.sunset has passed/)
  t.strictSame(more, [])
})

t.test('who uses it where is kept, and told once', async t => {
  const events = listen(t)
  const { app, ada, use, storage } = await create(t, { basic: { users: true, legacy: LEGACY } })
  await use(EMAIL, PASSWORD)
  await use(EMAIL, PASSWORD, { from: '::ffff:192.0.2.7' })
  await use('ada', PASSWORD, { method: 'POST' })
  await use(LEGACY.username, LEGACY.password, { url: '/both' })
  await use(EMAIL, OTHER_PASSWORD)
  t.strictSame(events.takeNames().filter(name => name.startsWith('basic')), ['basic.used: GET /old', 'basic.used: POST /old', 'basic.used: GET /both'])
  const usage = await app.accounts.basicUsage()
  t.strictSame(usage.map(({ userId, user, method, route, lastUsedAddress }) => [userId, user?.email, method, route, lastUsedAddress]).sort(), [
    [ada.id, EMAIL, 'GET', '/old', '192.0.2.7'], [ada.id, EMAIL, 'POST', '/old', '127.0.0.1'], [null, undefined, 'GET', '/both', '127.0.0.1']
  ].sort())
  t.match((await app.accounts.users.export(ada.id))?.basicUses, { length: 2 })
  await app.accounts.users.delete(ada.id)
  t.strictSame((await storage.basicUses!.list(10)).map(({ userId }) => userId), [null])
})

t.test('one call exchanges a name and a password for a personal token', async t => {
  const { app, client } = await create(t, { basic: { users: true, legacy: LEGACY } })
  const exchange = async (body: object, headers: Record<string, string>) => await client().post('/auth/basic/token', body, headers)
  const made = await exchange({ name: 'nightly', allowedMethods: ['GET'] }, basic(EMAIL, PASSWORD))
  t.match([made.statusCode, made.json()], [201, { personalToken: { name: 'nightly', context: 'server', allowedMethods: ['GET'] } }])
  const { token } = made.json<{ token: string }>()
  t.equal((await app.inject({ url: '/private', headers: { authorization: `Bearer ${token}` } })).statusCode, 200)
  t.equal((await exchange({ name: 'x' }, basic(EMAIL, OTHER_PASSWORD))).statusCode, 401)
  t.match((await exchange({ name: 'x' }, basic(LEGACY.username, LEGACY.password))).json(), { statusCode: 403, code: 'FST_ACCOUNTS_BASIC_SHARED' }, 'nobody owns what several share')
  t.equal((await exchange({ name: 'x' }, { authorization: `Bearer ${token}` })).statusCode, 401, 'no token makes a token')
  t.equal((await exchange({}, basic(EMAIL, PASSWORD))).statusCode, 400)
})

t.test('many requests at once with one new pair cost one verification', async t => {
  const { storage, calls } = countCalls(await openStorage(t))
  const { status } = await create(t, { storage })
  calls.length = 0
  t.strictSame(new Set(await Promise.all(Array.from({ length: 32 }, async () => await status(EMAIL, PASSWORD)))), new Set([200]))
  t.strictSame(calls.filter(verb => verb === 'throttles.attempt').length, 1)
  calls.length = 0
  t.equal(await status(EMAIL, PASSWORD), 200)
  t.strictSame(calls, [], 'and then none')
})

t.test('streams end when the password is changed, and at the sunset', async t => {
  const signals: AbortSignal[] = []
  const clock = holdClock(t)
  // Without a feed all that is held is looked up now and then.
  const { feed: _, ...storage } = await openStorage(t)
  const { app, ada, status } = await create(t, { storage, basic: { users: true, legacy: LEGACY, sunset: new Date(Date.now() + DAY) } }, app => {
    app.get('/stream', { onRequest: app.verifyBasic }, async request => {
      signals.push(request.principal!.signal)
      return {}
    })
  })
  await status(EMAIL, PASSWORD, { url: '/stream' })
  await status(LEGACY.username, LEGACY.password, { url: '/stream' })
  await app.accounts.passwords.set(ada.id, OTHER_PASSWORD)
  await setTimeout(600)
  t.strictSame(signals.map(({ aborted }) => aborted), [true, false])
  clock.advance(DAY)
  await setTimeout(400)
  t.equal(signals[1]!.aborted, true)
})

t.test('B-01 what can\'t be meant is refused at the start, by name', async t => {
  const refused: Array<readonly [unknown, string]> = [
    [true, 'basic'], [{}, 'basic'], [{ users: 'yes' }, 'basic.users'], [{ user: true }, 'basic.user'], [{ legacy: { username: 'a:b', password: 'x' } }, 'basic.legacy.username'],
    [{ legacy: { username: '', password: 'x' } }, 'basic.legacy.username'], [{ legacy: { username: 'admin' } }, 'basic.legacy.password'], [{ legacy: { username: 'admin', password: '' } }, 'basic.legacy.password'],
    [{ legacy: { username: 'admin', password: 'a\nb' } }, 'basic.legacy.password'], [{ users: true, sunset: '2027-01-01' }, 'basic.sunset'], [{ users: true, sunset: new Date(NaN) }, 'basic.sunset'], [{ users: true, deprecated: 0 }, 'basic.deprecated']
  ]
  for (const [options, name] of refused) await t.rejects(createApp(t, { basic: options as AccountsOptions['basic'] & object }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`^Option "${name}" `) })
  const { basicUses: _, ...storage } = await openStorage(t)
  await t.rejects((await createApp(t, { storage })).app.accounts.basicUsage(), { code: 'FST_ACCOUNTS_BASIC_OFF' })
  await t.rejects(createApp(t, { storage, basic: { users: true } }), { message: /^Option "storage.basicUses" is missing/ })
})
