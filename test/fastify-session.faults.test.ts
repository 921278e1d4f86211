import { randomBytes } from 'node:crypto'
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { sessionStore, type SessionStoreOptions } from '../lib/adapters/fastify-session/index.ts'
import accounts from '../lib/index.ts'
import { openStorage, PASSWORD } from './support/app.ts'
import { COOKIE, createShop, openTwo, put, SESSION_SECRET, visitOf } from './support/host-sessions.ts'
import { tapStorage } from './support/tapped-storage.ts'

const ADA = 'ada@example.com'

/** A shop on a storage in which the verb named `broken` fails. */
async function createFragileShop (t: Test) {
  const fault = { broken: '' }
  const storage = tapStorage(await openStorage(t), async (verb, _args, call) => {
    if (fault.broken === verb) throw new TypeError('connection reset')
    return await call()
  })
  return { fault, ...await createShop(t, { accounts: { storage } }) }
}

function checkOutage (t: Test, { statusCode, headers, json }: LightMyRequestResponse, title: string): void {
  t.match({ statusCode, code: json().code, headers }, { statusCode: 503, code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE', headers: { 'retry-after': /^[123]$/ } }, title)
  t.equal(headers['set-cookie'], undefined, `${title}: the cookie is not touched`)
}

t.test('F-28 while a session can\'t be read or saved the answer is 503, and nobody is logged out or loses a cart', async t => {
  const { fault, signedUp, client } = await createFragileShop(t)
  for (const browser of [await signedUp(ADA), client()]) {
    await put(browser, 'tea')
    const id = browser.cookies[COOKIE]
    for (const broken of ['hostSessions.find', 'hostSessions.save']) {
      fault.broken = broken
      for (const url of ['/cart', '/nowhere', ...browser.cookies.accounts_access === undefined ? [] : ['/orders', '/auth/me']]) checkOutage(t, await browser.get(url), `${broken}: ${url}`)
      checkOutage(t, await browser.post('/cart', { item: 'lost' }), broken)
      checkOutage(t, await browser.post('/auth/login', { email: ADA, password: PASSWORD }), broken)
      fault.broken = ''
      t.equal(browser.cookies[COOKIE], id)
      t.strictSame((await visitOf(browser)).cart, ['tea'], broken)
    }
  }
})

t.test('F-28 while it is not known whether its owner is still signed in, likewise', async t => {
  const [here, there] = await openTwo(t)
  const fault = { broken: '' }
  const tapped = tapStorage(there, async (verb, _args, call) => {
    if (fault.broken === verb) throw new TypeError('connection reset')
    return await call()
  })
  const secret = randomBytes(32)
  const browser = await (await createShop(t, { accounts: { storage: here, secret } })).signedUp(ADA)
  await put(browser, 'tea')
  // Another process, which has nothing in memory.
  const { client } = await createShop(t, { accounts: { storage: tapped, secret } })
  const elsewhere = client()
  elsewhere.cookies[COOKIE] = browser.cookies[COOKIE]!
  for (const broken of ['sessions.find', 'users.find']) {
    fault.broken = broken
    checkOutage(t, await elsewhere.get('/cart'), broken)
  }
})

t.test('A-09 a sign-in that can\'t give the host\'s session another id does not happen', async t => {
  const { app, fault, client } = await createFragileShop(t)
  const { user } = (await app.accounts.register({ email: ADA, password: PASSWORD }))!
  await app.accounts.sessions.endAll(user.id)
  const browser = client()
  await put(browser, 'tea')
  fault.broken = 'hostSessions.destroy'
  for (const [url, body] of [['/auth/login', { email: ADA, password: PASSWORD }], ['/auth/register', { email: 'bob@example.com', password: PASSWORD }], [`/as/${user.id}`, undefined]] as const) {
    const answer = await browser.copy().post(url, body)
    t.match({ statusCode: answer.statusCode, code: answer.json().code }, { statusCode: 503, code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' }, url)
    t.notMatch(String(answer.headers['set-cookie']), /accounts_/)
  }
  t.strictSame(await app.accounts.sessions.list(user.id), [])
  t.equal(await app.accounts.users.findByEmail('bob@example.com'), null)
  fault.broken = ''
  t.equal((await browser.post('/auth/login', { email: ADA, password: PASSWORD })).statusCode, 200)
  t.strictSame((await visitOf(browser)).cart, ['tea'])
})

t.test('a session of more than 64 KiB is refused in words, and what was there before stays', async t => {
  const { client } = await createShop(t)
  const browser = client()
  await put(browser, 'tea')
  const id = browser.cookies[COOKIE]
  const answer = await browser.post('/cart', { item: 'ü'.repeat(33_000) })
  t.match(answer.json(), { statusCode: 500, code: 'FST_ACCOUNTS_HOST_SESSION_TOO_LARGE', message: /^The session of the host would have \d{6} bytes; at most 65536 are kept$/ })
  t.equal(browser.cookies[COOKIE], id)
  t.strictSame((await visitOf(browser)).cart, ['tea'])
  t.equal((await browser.post('/cart', { item: 'x'.repeat(30_000) })).statusCode, 200)
})

const OPTIONS = { appUrl: 'http://localhost:3000', secret: randomBytes(32) }
const SESSION = { secret: SESSION_SECRET, cookie: { secure: false } }

async function starting (t: Test, setup: (app: FastifyInstance) => Promise<void>): Promise<void> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(fastifyCookie)
  await setup(app)
  await app.ready()
}

t.test('what can\'t work is refused by name at start', async t => {
  const storage = await openStorage(t)
  const refused = async (option: string, message: RegExp, setup: (app: FastifyInstance) => Promise<void>) => {
    await t.rejects(starting(t, setup), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`^Option "${option}" ${message.source}`) }, option)
  }
  await refused('app', /of sessionStore has no accounts: await app\.register/, async app => { await app.register(fastifySession, { ...SESSION, store: sessionStore(app) }) })
  await refused('app', /of sessionStore has no sessions: register @fastify\/session on the same instance/, async app => {
    await app.register(accounts, { ...OPTIONS, storage })
    app.register(async child => { await child.register(fastifySession, { ...SESSION, store: sessionStore(app) }) })
  })
  const { hostSessions: _, ...without } = storage
  await refused('storage.hostSessions', /is missing/, async app => {
    await app.register(accounts, { ...OPTIONS, storage: without })
    sessionStore(app)
  })
  for (const [option, options] of Object.entries({ keeps: { keeps: [] }, keep: { keep: 'cart' }, ttl: { ttl: '1 day' } })) {
    await refused(option, /(is unknown|must be)/, async app => {
      await app.register(accounts, { ...OPTIONS, storage })
      sessionStore(app, options as SessionStoreOptions)
    })
  }
})

t.test('A-09 where a cookie of another path hides the session from the routes, nobody signs in', async t => {
  const { app, client } = await createShop(t, { session: { cookie: { secure: false, path: '/shop' } } })
  t.equal((await client().post('/auth/register', { email: ADA, password: PASSWORD })).statusCode, 403)
  t.equal(await app.accounts.users.findByEmail(ADA), null)
})
