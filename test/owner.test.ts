import Fastify from 'fastify'
import t, { type Test } from 'tap'
import type { AccountsOptions } from '../types/index.ts'

import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { basic } from './support/basic.ts'
import { listen } from './support/events.ts'
import { countCalls, tapStorage } from './support/tapped-storage.ts'

const LEGACY = { username: 'admin', password: 'sesame 4711' }
const ADA = { email: 'ada@example.com', password: PASSWORD, name: 'Ada' }

async function create (t: Test, options: Partial<AccountsOptions> = {}) {
  const test = await createApp(t, options)
  const claim = async (body: object, headers: Record<string, string> = {}, browser = test.client()) => await browser.post('/auth/owner', body, headers)
  const isClaimed = async () => (await test.client().get('/auth/owner')).json<{ claimed: boolean }>().claimed
  const owners = async () => (await test.app.accounts.users.list()).users.filter(({ roles }) => roles.includes('owner')).map(({ email }) => email)
  return { ...test, claim, isClaimed, owners }
}

const withLegacy = { basic: { legacy: LEGACY } }

t.test('F6 the legacy credentials prove who makes the first account: the owner, signed in, once', async t => {
  const events = listen(t)
  const { app, claim, isClaimed, owners, client } = await create(t, withLegacy)
  t.equal(await isClaimed(), false)
  const browser = client()
  const made = await claim(ADA, basic(LEGACY.username, LEGACY.password), browser)
  t.match([made.statusCode, made.json()], [201, { user: { email: ADA.email, name: 'Ada', roles: ['owner'], emailVerified: true }, session: {} }])
  t.equal((await browser.get('/private')).statusCode, 200)
  t.strictSame([await isClaimed(), await owners()], [true, [ADA.email]])
  const second = await claim({ ...ADA, email: 'bob@example.com' }, basic(LEGACY.username, LEGACY.password))
  t.match([second.statusCode, second.json()], [409, { code: 'FST_ACCOUNTS_OWNER_EXISTS' }])
  t.equal((await claim({ email: 'bob@example.com', password: 'short' }, basic(LEGACY.username, LEGACY.password))).statusCode, 409, 'nothing of it is looked at any more')
  t.match(events.take().find(({ name }) => name === 'owner.claimed'), { userId: made.json<{ user: { id: string } }>().user.id })
  t.equal(await app.accounts.owner.setupCode(), null, 'there is no code where there are legacy credentials')
})

t.test('F6 without the proof nothing is made, whatever is sent in its place', async t => {
  const { claim, owners, isClaimed } = await create(t, { ...withLegacy, throttle: false })
  const refused = [
    {}, basic(LEGACY.username, 'wrong'), basic('Admin', LEGACY.password), basic(LEGACY.username, ''), basic('', LEGACY.password), basic(LEGACY.username, `${LEGACY.password} `),
    { authorization: 'Basic' }, { authorization: `Bearer ${LEGACY.password}` }, { 'x-forwarded-user': LEGACY.username }, { authorization: `Basic ${LEGACY.username}:${LEGACY.password}` }
  ]
  for (const headers of refused) {
    const answer = await claim(ADA, headers as Record<string, string>)
    t.match([answer.statusCode, answer.json()], [401, { code: 'FST_ACCOUNTS_OWNER_PROOF_REFUSED' }], JSON.stringify(headers))
    t.equal(answer.headers['www-authenticate'], 'Basic realm="accounts", charset="UTF-8"')
    t.equal(answer.headers['set-cookie'], undefined)
  }
  t.equal((await claim({ ...ADA, setupCode: 'AAAA-AAAA' })).statusCode, 401)
  t.not((await claim(ADA, { 'sec-fetch-mode': 'cors', 'sec-fetch-site': 'same-origin' })).headers['www-authenticate'], 'Basic realm="accounts", charset="UTF-8"', 'a page shows its own form')
  t.strictSame([await isClaimed(), await owners()], [false, []])
})

t.test('A-05, A-06 the legacy credentials are not guessed through the claim: one network waits, others do not', async t => {
  const { app, claim } = await create(t, withLegacy)
  const guess = async (remoteAddress: string, password: string) => (await app.inject({ method: 'POST', url: '/auth/owner', remoteAddress, payload: ADA, headers: basic(LEGACY.username, password) })).statusCode
  const statuses = []
  for (let attempt = 0; attempt < 7; attempt++) statuses.push(await guess('192.0.2.1', `guess ${attempt}`))
  t.strictSame(statuses, [401, 401, 401, 401, 401, 429, 429])
  t.equal(await guess('192.0.2.1', LEGACY.password), 429, 'also a right one, or guessing would go on')
  t.equal((await claim(ADA, basic(LEGACY.username, LEGACY.password))).statusCode, 201)
})

t.test('F6 of 16 racers exactly one owns the installation, and the others leave nothing', async t => {
  const storage = await openStorage(t)
  const first = await create(t, { ...withLegacy, storage })
  const second = await create(t, { ...withLegacy, storage })
  const answers = await Promise.all(Array.from({ length: 16 }, async (_, index) =>
    await (index % 2 === 0 ? first : second).claim({ ...ADA, email: `racer${index}@example.com` }, basic(LEGACY.username, LEGACY.password))))
  t.strictSame(answers.map(({ statusCode }) => statusCode).sort(), [201, ...new Array<number>(15).fill(409)])
  t.equal((await first.owners()).length, 1)
  t.equal((await first.app.accounts.users.list()).users.length, 1)
})

t.test('without legacy credentials the log shows a setup code, until there is an owner', async t => {
  const lines: string[] = []
  const logging = () => Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  const storage = await openStorage(t)
  const { app, secret } = await createApp(t, { storage }, () => {}, logging())
  const [, code = ''] = /setup code ([\w-]+)/.exec(lines.join('')) ?? []
  t.match(code, /^([0-9A-Z]{4}-){5}[0-9A-Z]{4}$/)
  t.equal(await app.accounts.owner.setupCode(), code)
  const post = async (body: object) => await app.inject({ method: 'POST', url: '/auth/owner', payload: body })
  for (const setupCode of [undefined, '', code.slice(1), `${code}0`, code.replace(/.$/, last => last === '0' ? '1' : '0')]) {
    const answer = await post({ ...ADA, setupCode })
    t.match([answer.statusCode, answer.json()], [401, { code: 'FST_ACCOUNTS_OWNER_PROOF_REFUSED' }])
    t.notMatch(answer.headers['www-authenticate'], /Basic/)
  }
  t.equal((await post({ ...ADA, setupCode: code, roles: ['owner'] })).statusCode, 400, 'an unknown member')
  const twin = await createApp(t, { storage, secrets: { access: secret } })
  t.equal(typeof await twin.app.accounts.owner.setupCode(), 'string')
  const made = await post({ ...ADA, setupCode: ` ${code.toLowerCase().replaceAll('-', ' ')}` })
  t.match([made.statusCode, made.json()], [201, { user: { roles: ['owner'] } }], 'however it is typed')
  t.equal((await post({ ...ADA, setupCode: code })).statusCode, 409)
  t.strictSame([await app.accounts.owner.setupCode(), await twin.app.accounts.owner.setupCode()], [null, null])
  lines.length = 0
  await createApp(t, { storage }, () => {}, logging())
  t.notMatch(lines.join(''), /setup code|no owner/)
})

t.test('processes with one secret show one setup code', async t => {
  const storage = await openStorage(t)
  const { app, secret } = await createApp(t, { storage })
  const twin = await createApp(t, { storage, secret })
  const stranger = await createApp(t, { storage })
  const codes = await Promise.all([app, twin.app, stranger.app].map(async app => await app.accounts.owner.setupCode()))
  t.equal(codes[1], codes[0])
  t.not(codes[2], codes[0])
})

t.test('registration never makes an owner, nor does an account keep the installation from being claimed', async t => {
  const { app, claim, signedUp, client, owners } = await create(t, { ...withLegacy, registration: { open: true } })
  await signedUp('mallory@example.com')
  t.equal((await client().post('/auth/register', { ...ADA, roles: ['owner'] })).statusCode, 400)
  t.strictSame(await owners(), [])
  const taken = await claim({ ...ADA, email: 'mallory@example.com' }, basic(LEGACY.username, LEGACY.password))
  t.match([taken.statusCode, taken.json()], [409, { code: 'FST_ACCOUNTS_EMAIL_TAKEN' }])
  t.equal((await claim({ ...ADA, password: 'short' }, basic(LEGACY.username, LEGACY.password))).statusCode, 422)
  t.equal((await claim(ADA, basic(LEGACY.username, LEGACY.password))).statusCode, 201)
  t.strictSame(await owners(), [ADA.email])
  await t.rejects(app.accounts.owner.claim({ email: 'eve@example.com', password: OTHER_PASSWORD }), { code: 'FST_ACCOUNTS_OWNER_EXISTS' })
})

t.test('whoever asks whether there is an owner does not make the store look for one each time', async t => {
  const { storage, calls } = countCalls(await openStorage(t))
  const { isClaimed, claim } = await create(t, { ...withLegacy, storage })
  calls.length = 0
  await Promise.all(Array.from({ length: 50 }, isClaimed))
  t.equal(calls.filter(verb => verb === 'users.hasOwner').length, 1)
  await claim(ADA, basic(LEGACY.username, LEGACY.password))
  t.equal(await isClaimed(), true, 'what this server has done it knows')
  let isDown = true
  const flaky = await create(t, { ...withLegacy, storage: tapStorage(await openStorage(t), async (verb, _args, call) => verb === 'users.hasOwner' && isDown ? await Promise.reject(new TypeError('down')) : await call()) })
  t.equal((await flaky.client().get('/auth/owner')).statusCode, 503)
  isDown = false
  t.equal(await flaky.isClaimed(), false, 'a failure is not remembered')
})

t.test('a page of another origin can\'t claim with what the browser remembers', async t => {
  const { claim, owners } = await create(t, withLegacy)
  for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) t.equal((await claim(ADA, { ...basic(LEGACY.username, LEGACY.password), ...headers as Record<string, string> })).statusCode, 403)
  t.strictSame(await owners(), [])
  const strict = await create(t, { ...withLegacy, csrf: 'strict' })
  t.equal((await strict.claim(ADA, basic(LEGACY.username, LEGACY.password))).statusCode, 403)
  t.equal((await strict.claim(ADA, { ...basic(LEGACY.username, LEGACY.password), origin: 'http://localhost:3000' })).statusCode, 201)
})

t.test('a users table of the host\'s that can\'t tell who is first has no claim', async t => {
  const { hasOwner: _has, createFirstOwner: _create, ...users } = (await openStorage(t)).users
  const { app, client } = await createApp(t, { storage: { ...await openStorage(t), users } })
  t.equal((await client().get('/auth/owner')).statusCode, 404)
  await t.rejects(app.accounts.owner.isClaimed(), { code: 'FST_ACCOUNTS_OWNER_UNSUPPORTED' })
  t.equal(await app.accounts.owner.setupCode(), null)
})
