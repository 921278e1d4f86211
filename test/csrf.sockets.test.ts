import websocket from '@fastify/websocket'
import t, { type Test } from 'tap'
import type { AccountsOptions } from '../types/index.ts'
import { PASSWORD } from './support/app.ts'
import type { Client } from './support/client.ts'
import { HOUR, holdClock, SECOND } from './support/clock.ts'
import { createHost } from './support/host.ts'
import { listenRaw, requestLines } from './support/raw-socket.ts'
import { openSocket, shake } from './support/sockets.ts'

const ORIGIN = 'http://localhost:3000'
const EVIL = 'https://evil.example'
const ADA = { email: 'ada@example.com', password: PASSWORD }

const cookieOf = ({ cookies }: Client) => Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ')

/** A host with two sockets: one for whoever comes, of whom it is kept how they came, and one for callers who are signed in. */
async function start (t: Test, options: Partial<AccountsOptions> = {}) {
  const callers: Array<string | null> = []
  const host = await createHost(t, {
    accounts: options,
    before: async app => { await app.register(websocket) },
    after (app) {
      app.get('/socket', { websocket: true, onRequest: app.guard({ optional: true, via: ['cookie', 'personal-token'] }) }, (_socket, { principal }) => { callers.push(principal?.via ?? null) })
      app.get('/guarded', { websocket: true, onRequest: app.authenticate }, () => {})
      if (options.basic !== undefined) app.get('/old', { websocket: true, onRequest: app.verifyBasic }, () => {})
    }
  })
  const send = await listenRaw(host.app)
  return { ...host, send, url: host.app.listeningOrigin, callers }
}

t.test('X-01 a page of another origin opens no socket with the cookies of a user', async t => {
  const { url, signedUp, callers } = await start(t)
  const cookie = cookieOf(await signedUp(ADA.email))
  for (const site of ['cross-site', 'same-site', 'same-origin', 'none', null]) {
    for (const origin of [ORIGIN, EVIL, 'null', `${ORIGIN}.evil.example`, 'http://localhost:3001', 'https://localhost:3000', 'ws://localhost:3000', null]) {
      const isRefused = site === 'cross-site' || site === 'same-site' || (origin !== null && origin !== ORIGIN)
      const headers = { cookie, ...(site === null ? {} : { 'sec-fetch-site': site }), ...(origin === null ? {} : { origin }) }
      callers.splice(0)
      t.equal(await shake(t, url, '/socket', headers), isRefused ? 403 : 101, JSON.stringify({ site, origin }))
      t.strictSame(callers, isRefused ? [] : ['cookie'])
    }
  }
})

t.test('X-01 nor does it make the session rotate', async t => {
  const clock = holdClock(t)
  const { url, signedUp, callers } = await start(t)
  const browser = await signedUp(ADA.email)
  clock.advance(HOUR + SECOND)
  t.equal(await shake(t, url, '/socket', { cookie: cookieOf(browser), origin: EVIL }), 403)
  t.strictSame(callers, [])
  t.equal((await browser.get('/auth/me')).headers['accounts-refresh'], 'rotated', 'it was still there to be renewed')
})

t.test('X-06 who brings no cookie has nothing that another page could use', async t => {
  const { url, signedUp, callers } = await start(t)
  const browser = await signedUp(ADA.email)
  const { token } = (await browser.post('/auth/tokens', { name: 'Script', context: 'server' })).json<{ token: string }>()
  t.equal(await shake(t, url, '/socket', { origin: EVIL }), 101)
  t.equal(await shake(t, url, '/socket', { origin: EVIL, authorization: `Bearer ${token}` }), 101)
  t.strictSame(callers, [null, 'personal-token'])
  t.equal(await shake(t, url, '/socket', { cookie: cookieOf(browser), authorization: `Bearer ${token}` }), 400)
})

t.test('X-01 HTTP Basic, which browsers send by themselves, opens none either', async t => {
  const { url, signedUp } = await start(t, { basic: { users: true } })
  await signedUp(ADA.email)
  const authorization = `Basic ${Buffer.from(`${ADA.email}:${PASSWORD}`).toString('base64')}`
  t.equal(await shake(t, url, '/old', { authorization, origin: EVIL }), 403)
  t.equal(await shake(t, url, '/old', { authorization, origin: ORIGIN }), 101)
  t.equal(await shake(t, url, '/old', { authorization }), 101)
})

t.test('X-01 with csrf strict silence needs the token of the session here too', async t => {
  const { url, client } = await start(t, { csrf: 'strict' })
  const browser = client()
  await browser.post('/auth/register', ADA, { origin: ORIGIN })
  const cookie = cookieOf(browser)
  const token = (await browser.get('/auth/me')).headers['accounts-csrf'] as string
  t.equal(await shake(t, url, '/socket', { cookie }), 403)
  t.equal(await shake(t, url, '/socket', { cookie, 'accounts-csrf': token }), 101)
  t.equal(await shake(t, url, '/socket', { cookie, origin: ORIGIN }), 101, 'browsers always say where a handshake comes from (RFC 6455, 4.1)')
})

t.test('X-07 however a handshake is spelled, and wherever it goes', async t => {
  const { send, signedUp, callers } = await start(t)
  const cookie = `Cookie: ${cookieOf(await signedUp(ADA.email))}`
  const key = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket']
  const handshakes: ReadonlyArray<readonly [expected: number, path: string, lines: readonly string[]]> = [
    [403, '/socket', [...upgrade, `Origin: ${EVIL}`]],
    [403, '/socket', ['CONNECTION: keep-alive, uPGRADE', 'UPGRADE: WebSocket', `origin: ${EVIL}`]],
    [403, '/socket', ['Connection: Upgrade', 'Upgrade: h2c, websocket/13', `Origin: ${EVIL}`]],
    [403, '/socket', ['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: websocket', `Origin: ${EVIL}`]],
    [403, '/socket', ['Upgrade: websocket', `Origin: ${EVIL}`]],
    [403, '/socket', [...upgrade, `Origin: ${ORIGIN}, ${EVIL}`]],
    [403, '/socket', [...upgrade, 'Origin:']],
    [400, '/socket', [...upgrade, `Origin: ${ORIGIN}`, `Origin: ${EVIL}`]],
    [400, '/socket', [...upgrade, `Origin: ${ORIGIN}`, 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site']],
    [403, '/auth/me', [...upgrade, `Origin: ${EVIL}`]],
    [403, '/auth/sessions', [...upgrade, `Origin: ${EVIL}`]]
  ]
  for (const [expected, path, lines] of handshakes) {
    const { statusCode } = await send(requestLines('GET', path, [cookie, ...key, ...lines]))
    t.equal(statusCode, expected, `${path} ${lines.join(' | ')}`)
  }
  t.strictSame(callers, [])
})

t.test('a refused handshake gets an answer of HTTP, whole and with the end of its connection', async t => {
  const { url } = await start(t)
  for (const path of ['/guarded', '/nowhere', '/auth/me']) {
    const answer = await openSocket(t, url, path)
    if (!('statusCode' in answer)) return t.fail(`${path} was opened`)
    t.equal(answer.statusCode, path === '/nowhere' ? 404 : 401, path)
    t.equal((JSON.parse(answer.body) as { statusCode: number }).statusCode, answer.statusCode)
  }
})

t.test('with protect all a socket that says nothing is closed', async t => {
  const { app, signedUp } = await createHost(t, {
    accounts: { protect: 'all' },
    before: async app => { await app.register(websocket) },
    after (app) {
      app.get('/socket', { websocket: true }, () => {})
      app.get('/open', { websocket: true, config: { accounts: false } }, () => {})
    }
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  for (const path of ['/socket', '/socket?x', '/nowhere']) t.equal(await shake(t, url, path), 401, path)
  t.equal(await shake(t, url, '/open'), 101)
  t.equal(await shake(t, url, '/socket', { cookie: cookieOf(await signedUp(ADA.email)) }), 101)
})
