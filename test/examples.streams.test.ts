import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { OTHER_PASSWORD, PASSWORD, databaseFile } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { HOUR, holdClock, MINUTE } from './support/clock.ts'
import { startWorker } from './support/processes.ts'
import { ROOT } from './support/root.ts'
import { openSocket, openStream, shake, type OpenSocket, type OpenStream } from './support/sockets.ts'
import type { AccountsOptions } from '../types/index.ts'

const BOUND_MS = 1000

/** The example opens its file before it is told of another storage. */
const folder = mkdtempSync(join(tmpdir(), 'accounts-streams-'))
process.chdir(folder)
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })

interface Site {
  readonly app: FastifyInstance
  readonly origin: string
  signedUp (): Promise<Client>
}

/** The example, on a port of its own. */
async function start (t: Test, { file = ':memory:', secret = randomBytes(32), ...options }: Partial<AccountsOptions> & { readonly file?: string, readonly secret?: Buffer } = {}): Promise<Site> {
  const { build } = await import(join(ROOT, 'examples/streams/server.js')) as { build: (options: object) => Promise<FastifyInstance> }
  const { sqliteStorage } = await import(join(ROOT, 'dist/lib/adapters/kysely/index.js')) as { sqliteStorage: (file: string) => Promise<object> }
  const app = await build({ secret, storage: await sqliteStorage(file), rateLimit: false, passwords: { argon2: { memoryKiB: 7168, iterations: 5 } }, ...options })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => { await app.close() })
  let count = 0
  return {
    app,
    origin: app.listeningOrigin,
    async signedUp () {
      const browser = createClient(app)
      const { statusCode, body } = await browser.post('/auth/register', { email: `user${++count}@example.com`, password: PASSWORD })
      if (statusCode !== 201) throw new TypeError(`sign-up answered ${statusCode} ${body}`)
      return browser
    }
  }
}

const cookieOf = ({ cookies }: Client) => ({ cookie: Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ') })

interface Opened { readonly socket: OpenSocket, readonly stream: OpenStream }

/** One of each, open. */
async function openBoth (t: Test, origin: string, headers: Record<string, string>): Promise<Opened> {
  const socket = await openSocket(t, origin, '/socket', headers)
  if ('statusCode' in socket) throw new TypeError(`the handshake answered ${socket.statusCode} ${socket.body}`)
  const stream = await openStream(origin, '/events', headers)
  if (stream.response.status !== 200) throw new TypeError(`the stream answered ${stream.response.status}`)
  return { socket, stream }
}

/** Check that both end within a second, each in its way; how long it took. */
async function checkEnded (t: Test, { socket, stream }: Opened, since: number, reason: string, title: string): Promise<number> {
  const [socketEnd, streamEnd] = await Promise.all([socket.ended, stream.ended])
  t.strictSame(socketEnd.last, { code: 1008, reason }, `${title}: socket`)
  t.match(streamEnd.last, new RegExp(`event: end\ndata: ${reason}\n\n$`), `${title}: stream`)
  const ms = Math.max(socketEnd.at, streamEnd.at) - since
  t.ok(ms <= BOUND_MS, `${title}: ${ms.toFixed(0)} ms`)
  return ms
}

const REVOKED = 'The credential was revoked'
const EXPIRED = 'The credential has expired'

t.test('J-11 a stream and a socket end within a second of their session, whatever ends it, here and in another process', async t => {
  const file = databaseFile(t)
  const secret = randomBytes(32)
  const { app, origin, signedUp } = await start(t, { file, secret })
  const worker = await startWorker(t, 'streams-worker', { file }, secret)
  const servers = { here: origin, elsewhere: await worker.ask<string>('origin') }
  const idOf = async (browser: Client) => (await browser.get('/auth/me')).json<{ user: { id: string } }>().user.id
  const ends: Readonly<Record<string, (browser: Client) => Promise<unknown>>> = {
    'ended in another browser': async browser => {
      const { sessions } = (await browser.get('/auth/sessions')).json<{ sessions: Array<{ id: string }> }>()
      const { user } = (await browser.get('/auth/me')).json<{ user: { email: string } }>()
      const other = createClient(app)
      await other.post('/auth/login', { email: user.email, password: PASSWORD })
      return await other.request('DELETE', `/auth/sessions/${sessions[0]!.id}`)
    },
    'password changed': async browser => await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }),
    disabled: async browser => await app.accounts.users.update(await idOf(browser), { disabled: true }),
    'logged out': async browser => await browser.post('/auth/logout')
  }
  const times: number[] = []
  for (const [where, server] of Object.entries(servers)) {
    const neighbour = await signedUp()
    const other = await openBoth(t, server, cookieOf(neighbour))
    for (const [title, end] of Object.entries(ends)) {
      const browser = await signedUp()
      const cookie = cookieOf(browser)
      const opened = await openBoth(t, server, cookie)
      t.match(await opened.socket.say('hello'), /^user\d+@example\.com: hello$/)
      await end(browser)
      times.push(await checkEnded(t, opened, performance.now(), REVOKED, `${title}, ${where}`))
      t.equal(await shake(t, server, '/socket', cookie), 401, 'who connects again is told so')
      t.match(await other.socket.say('still here'), 'still here', 'nobody else\'s')
    }
    await neighbour.post('/auth/logout')
    await checkEnded(t, other, performance.now(), REVOKED, `the neighbour, ${where}`)
  }
  t.comment(`after the answer: ${times.map(ms => ms.toFixed(0)).join(', ')} ms`)
})

t.test('J-11 a personal token that is revoked, or expires, ends what it has opened', async t => {
  const clock = holdClock(t)
  const { origin, signedUp } = await start(t)
  const browser = await signedUp()
  const make = async (fields: object = {}) => (await browser.post('/auth/tokens', { name: 'Script', context: 'server', ...fields })).json<{ token: string, personalToken: { id: string } }>()
  const revoked = await make()
  const opened = await openBoth(t, origin, { authorization: `Bearer ${revoked.token}` })
  await browser.request('DELETE', `/auth/tokens/${revoked.personalToken.id}`)
  await checkEnded(t, opened, performance.now(), REVOKED, 'revoked')

  const short = await make({ expiresAt: new Date(Date.now() + HOUR).toISOString() })
  const other = await openBoth(t, origin, { authorization: `Bearer ${short.token}` })
  await browser.post('/auth/logout')
  clock.advance(HOUR - MINUTE)
  t.match(await other.socket.say('still here'), 'still here', 'a logout is none of its business')
  clock.advance(MINUTE)
  await checkEnded(t, other, performance.now(), EXPIRED, 'expired')
})

t.test('J-11 both end with the access token, also if the session goes on by another one; then the browser connects again', async t => {
  const clock = holdClock(t)
  const { origin, signedUp } = await start(t)
  const browser = await signedUp()
  const opened = await openBoth(t, origin, cookieOf(browser))
  clock.advance(56 * MINUTE)
  t.equal((await browser.post('/auth/refresh')).headers['accounts-refresh'], 'rotated')
  t.match(await opened.socket.say('still here'), 'still here')
  clock.advance(4 * MINUTE)
  await checkEnded(t, opened, performance.now(), EXPIRED, 'expired')
  const again = await openBoth(t, origin, cookieOf(browser))
  t.match(await again.socket.say('here again'), 'here again')
})

t.test('J-11 both end with their session, when its time is over', async t => {
  const clock = holdClock(t)
  const { origin, signedUp } = await start(t, { sessionTtl: '20m' })
  const browser = await signedUp()
  const opened = await openBoth(t, origin, cookieOf(browser))
  clock.advance(20 * MINUTE)
  await checkEnded(t, opened, performance.now(), EXPIRED, 'over')
  t.equal(await shake(t, origin, '/socket', cookieOf(browser)), 401)
  t.equal((await openStream(origin, '/events', cookieOf(browser))).response.status, 401)
})

t.test('R-05 a renewal goes with the answer of a stream; the one of a handshake is lost, and nobody is logged out by that', async t => {
  const clock = holdClock(t)
  const { app, origin, signedUp } = await start(t)
  const browser = await signedUp()
  clock.advance(HOUR)
  const { response } = await openStream(origin, '/events', cookieOf(browser))
  t.equal(response.headers.get('accounts-refresh'), 'rotated')
  t.equal(response.headers.getSetCookie().length, 2)

  const other = await signedUp()
  for (let hour = 0; hour < 3; hour++) {
    clock.advance(HOUR)
    t.equal(await shake(t, origin, '/socket', cookieOf(other)), 101, 'with an expired access cookie')
  }
  t.equal((await other.get('/auth/me')).headers['accounts-refresh'], 'window')
  clock.advance(HOUR)
  t.equal((await other.get('/auth/me')).headers['accounts-refresh'], 'recovered')
  t.equal((await createClient(app, { ...other.cookies }).get('/auth/me')).statusCode, 200)
})

t.test('what a revoked caller still sends over a socket is not listened to, and whoever keeps it open is cut off', async t => {
  const { origin, signedUp } = await start(t)
  const browser = await signedUp()
  const mute = await openMute(t, origin, cookieOf(browser).cookie)
  mute.say('hello')
  await mute.hear('user1@example.com: hello')
  await browser.post('/auth/logout')
  await mute.hear(REVOKED)
  const since = performance.now()
  mute.say('not over yet')
  await mute.ended
  t.notMatch(mute.heard(), 'not over yet')
  t.ok(performance.now() - since <= 5 * BOUND_MS)
})

t.test('a server with open streams and sockets stops at once, or within a second of those who do not answer', async t => {
  for (const hasMute of [false, true]) {
    const { app, origin, signedUp } = await start(t)
    const browser = await signedUp()
    const { socket, stream } = await openBoth(t, origin, cookieOf(browser))
    if (hasMute) await openMute(t, origin, cookieOf(browser).cookie)
    const since = performance.now()
    await app.close()
    const ms = performance.now() - since
    t.ok(ms <= (hasMute ? 5 : 1) * BOUND_MS, `${ms.toFixed(0)} ms`)
    t.not((await socket.ended).last.code, 1008, 'that is no reason to sign in again')
    t.match((await stream.ended).last, 'The server is closing')
  }
})

t.test('a host tests its sockets with injectWS, by cookie and by token', async t => {
  const { app, signedUp } = await start(t)
  const browser = await signedUp()
  const { token } = (await browser.post('/auth/tokens', { name: 'Script', context: 'server' })).json<{ token: string }>()
  for (const headers of [cookieOf(browser), { authorization: `ApiToken ${token}` }]) {
    const socket = await app.injectWS('/socket', { headers })
    socket.send('hello')
    t.equal(String((await once(socket, 'message'))[0]), 'user1@example.com: hello')
    socket.terminate()
  }
  await t.rejects(app.injectWS('/socket'), { message: 'Unexpected server response: 401' })
})

/** A client that shakes hands and never answers a close frame. */
async function openMute (t: Test, origin: string, cookie: string) {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1')
  t.teardown(() => { socket.destroy() })
  let heard = ''
  socket.on('data', chunk => { heard += chunk.toString() })
  socket.on('error', () => {})
  const ended = once(socket, 'close')
  const hear = async (text: string) => { while (!heard.includes(text)) await once(socket, 'data') }
  socket.write(['GET /socket HTTP/1.1', 'Host: localhost:3000', `Cookie: ${cookie}`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', ''].join('\r\n'))
  await hear('101 Switching Protocols')
  return {
    ended,
    hear,
    heard: () => heard,
    /** RFC 6455, 5.2: one frame of text, masked with zeros. */
    say (text: string) { socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])) }
  }
}
