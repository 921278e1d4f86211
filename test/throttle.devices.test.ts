import { randomBytes } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { AccountsOptions } from '../types/index.ts'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import type { Client } from './support/client.ts'
import { DAY, holdClock, MINUTE, SECOND } from './support/clock.ts'

const RIGHT = { email: 'ada@example.com', password: PASSWORD }
const WRONG = { email: 'ada@example.com', password: OTHER_PASSWORD }
const HTTPS = { appUrl: 'https://app.example.com' }

const deviceCookie = (response: LightMyRequestResponse) => [response.headers['set-cookie'] ?? []].flat().find(line => /^[\w-]*device=/.test(line))

/** An app with an account of Ada's, and the browser in which she signed up. */
async function createAda (t: Test, options: Partial<AccountsOptions> = {}) {
  const test = await createApp(t, options)
  const owner = await test.signedUp(RIGHT.email)
  const login = async (browser: Client, body: object = RIGHT) => (await browser.post('/auth/login', body)).statusCode
  const clock = holdClock(t)
  /** A stranger uses up what attempts there are, not all in one moment: another server might yet let one in. */
  const lock = async () => {
    do clock.advance(2 * SECOND); while (await login(test.client(), WRONG) !== 429)
  }
  return { ...test, clock, owner, login, lock }
}

/** A browser that has nothing but this device cookie. */
function withDevice (client: () => Client, value: string): Client {
  const browser = client()
  browser.cookies.accounts_device = value
  return browser
}

t.test('A-03 every way of signing in makes the browser known, by a cookie that scripts can not read; failures and refreshs do not', async t => {
  const { client, app } = await createApp(t, { ...HTTPS, refresh: 'explicit' }, app => {
    app.post('/sso', async (_request, reply) => await reply.signIn((await app.accounts.users.findByEmail(RIGHT.email))!, { remember: false }))
  })
  const browser = client()
  const line = /^__Host-accounts_device=[\w-]{24}\.\d{10}\.[\w-]{43}; Max-Age=31536000; Path=\/; HttpOnly; Secure; SameSite=Lax$/
  const registered = await browser.post('/auth/register', RIGHT)
  const loggedIn = await browser.post('/auth/login', RIGHT)
  const changed = await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  for (const response of [registered, loggedIn, changed]) t.match(deviceCookie(response), line)
  t.equal(new Set([registered, loggedIn, changed].map(deviceCookie)).size, 3, 'a new one each time')
  const session = /^__Host-accounts_device=[\w.-]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/
  t.match(deviceCookie(await browser.post('/auth/login', { ...WRONG, remember: false })), session, 'without remember it ends with the browser')
  t.match(deviceCookie(await client().post('/sso')), session)

  t.equal(deviceCookie(await browser.post('/auth/login', RIGHT)), undefined, 'the old password')
  t.equal(deviceCookie(await browser.post('/auth/refresh')), undefined)
  t.equal(deviceCookie(await browser.post('/auth/logout')), undefined, 'it outlives logout')
  await app.accounts.login(WRONG)
  await browser.post('/auth/login', WRONG)
  t.match(deviceCookie(await browser.request('DELETE', '/auth/me', { password: OTHER_PASSWORD })), /^__Host-accounts_device=; Max-Age=0; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
})

t.test('A-03 the name of the cookie and its prefix follow the options', async t => {
  for (const [cookies, start] of [[{ names: { device: 'known' } }, '__Host-known='], [{ domain: 'example.com' }, '__Secure-accounts_device=']] as const) {
    const { client } = await createApp(t, { ...HTTPS, cookies })
    const response = await client().post('/auth/register', RIGHT)
    t.ok([response.headers['set-cookie']].flat().some(line => line!.startsWith(start)), start)
  }
  await t.rejects(createApp(t, { cookies: { names: { device: 'accounts_access' } } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "cookies\.names" / })
  await t.rejects(createApp(t, { cookies: { names: { device: '__Host-x' } } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "cookies\.names\.device" / })
})

t.test('A-03 a device cookie that was altered, is another user\'s, came twice or is too old is none, and neither helps nor harms', async t => {
  const { clock, client, owner, login, lock, signedUp } = await createAda(t)
  const good = owner.cookies.accounts_device!
  const eve = (await signedUp('eve@example.com')).cookies.accounts_device!
  const [id, end, signature] = good.split('.') as [string, string, string]
  const flipped = (text: string, at: number) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
  const forged: Record<string, string> = {
    'another id': [flipped(id, 0), end, signature].join('.'),
    'a later end': [id, String(Number(end) + 1), signature].join('.'),
    'another signature': [id, end, flipped(signature, 0)].join('.'),
    'trailing bits': [id, end, flipped(signature, 42)].join('.'),
    'no signature': [id, end, ''].join('.'),
    'a part more': `${good}.x`,
    'another user\'s': eve,
    'the id of another user\'s': [eve.split('.')[0], end, signature].join('.'),
    empty: '',
    'not one at all': 'true',
    'came twice': `${good}; accounts_device=${good}`
  }
  await lock()
  t.equal(await login(withDevice(client, good)), 200)
  for (const [what, value] of Object.entries(forged)) t.equal(await login(withDevice(client, value)), 429, what)
  t.equal(await login(withDevice(client, good)), 200)
  t.equal((await withDevice(client, good).get('/private')).statusCode, 401, 'it proves nothing else')
  t.equal((await withDevice(client, good).post('/auth/login', { email: 'eve@example.com', password: PASSWORD })).statusCode, 200)

  clock.advance(365 * DAY - 2 * MINUTE)
  await lock()
  t.equal(await login(withDevice(client, good)), 200)
  clock.advance(2 * MINUTE)
  await lock()
  t.equal(await login(withDevice(client, good)), 429, 'after a year')
})

t.test('A-03 a known browser may guess as little as a stranger, and its success helps no stranger', async t => {
  const { clock, client, owner, login, lock } = await createAda(t)
  const copy = owner.cookies.accounts_device!
  for (let count = 0; count < 5; count++) t.equal(await login(owner, WRONG), 401)
  clock.advance(2 * SECOND)
  t.equal(await login(owner), 429)
  t.equal(await login(withDevice(client, copy)), 429, 'whoever presents it')
  t.equal(await login(client()), 200, 'strangers are counted apart')
  clock.advance(30 * SECOND)
  t.equal(await login(owner), 200)
  await lock()
  t.equal(await login(owner), 200)
  t.equal(await login(client()), 429)
})

t.test('A-03 a secret that only verifies any more still knows its devices; another one does not', async t => {
  const storage = await openStorage(t)
  const [old, fresh] = [randomBytes(32), randomBytes(32)]
  const { clock, owner } = await createAda(t, { storage, secrets: { access: old } })
  for (const [access, expected] of [[[fresh, old], 200], [fresh, 429]] as const) {
    const { client } = await createApp(t, { storage, secrets: { access } })
    const login = async (browser: Client, body: object) => (await browser.post('/auth/login', body)).statusCode
    do clock.advance(2 * SECOND); while (await login(client(), WRONG) !== 429)
    t.equal(await login(withDevice(client, owner.cookies.accounts_device!), RIGHT), expected)
  }
})
