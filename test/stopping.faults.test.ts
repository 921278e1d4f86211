import { connect } from 'node:net'
import BetterSqlite from 'better-sqlite3'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { closeWithServer } from '../lib/closing.ts'
import { PASSWORD } from './support/app.ts'
import { holdClock } from './support/clock.ts'
import { createHttpBrowser } from './support/http-browser.ts'
import { databaseUrl } from './support/postgres.ts'
import { pause } from './support/postgres-server.ts'
import { startSmtp } from './support/smtp.ts'
import { holdTimers } from './support/timers.ts'
import { checkStopped, createPlace, signUp, startStoppable, type Place } from './support/stopping.ts'
import { startRedis } from './services/redis.js'
import { startTcpProxy } from './services/tcp-proxy.js'

interface Fragile {
  readonly place: Place
  /** From now on the database answers nothing. */
  hang (): void
}

const FRAGILE: Readonly<Record<string, (t: Test) => Promise<Fragile>>> = {
  async SQLite (t) {
    const place = await createPlace(t, 'SQLite')
    return {
      place,
      hang () {
        const other = new BetterSqlite(place.address.file!)
        t.teardown(() => { other.close() })
        other.exec('begin exclusive')
      }
    }
  },
  async PostgreSQL (t) {
    const { address, secret } = await createPlace(t, 'PostgreSQL')
    const proxy = await startTcpProxy(databaseUrl())
    t.teardown(async () => await proxy.close())
    return { place: { address: { ...address, url: proxy.url }, secret }, hang: () => proxy.freeze(true) }
  },
  async Redis (t) {
    const server = await startRedis()
    t.teardown(async () => await server.stop())
    const { address, secret } = await createPlace(t, 'SQLite')
    return { place: { address: { ...address, redis: { url: server.url, prefix: 'accounts:' } }, secret }, hang: () => server.freeze(true) }
  }
}

/** Send the beginning of a request and no more. */
async function openSlow (t: Test, port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => { socket.destroy() })
  socket.write('POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"email":')
  await pause(100)
}

t.test('V-06 a client that never ends its request, a database that hangs and a mail server that says nothing don\'t keep a server that is stopped', async t => {
  const smtp = await startSmtp(t)
  smtp.trouble('silence')
  const options = { smtpPort: smtp.port, registration: { verifyEmail: false } }
  await Promise.all(Object.entries(FRAGILE).map(async ([name, create]) => {
    const { place, hang } = await create(t)
    const server = await startStoppable(t, place, options)
    const browser = await signUp(t, server, 'ada@example.com')
    // Noted for the next batch; and a mail that nobody takes.
    t.equal((await browser.get(server.port, '/private')).status, 200)
    t.equal((await browser.post(server.port, '/auth/password/forgot', { email: 'ada@example.com' })).status, 202)
    await openSlow(t, server.port)
    hang()
    const waiting = browser.post(server.port, '/auth/logout')
    await pause(100)
    const stopped = await server.stop()
    checkStopped(t, stopped, name)
    t.equal((await waiting).status, 503, `${name}: who asked before is told`)
    t.comment(`${name}: gone after ${stopped.ms.toFixed(0)} ms`)
  }))
})

t.test('V-06 F-28 hashes that nobody waits for any more are not made', async t => {
  const server = await startStoppable(t, await createPlace(t, 'SQLite'), { passwords: { algorithm: 'bcrypt', rounds: 12 } })
  const logins = Array.from({ length: 100 }, async () => await createHttpBrowser(t).post(server.port, '/auth/login', { email: 'ada@example.com', password: PASSWORD }).catch(() => null))
  await pause(500)
  const stopped = await server.stop()
  checkStopped(t, stopped, 'a hundred logins')
  const answered = (await Promise.all(logins)).filter(answer => answer !== null).length
  t.ok(answered > 0 && answered < 100, `${answered} were answered`)
  t.comment(`gone after ${stopped.ms.toFixed(0)} ms, ${answered} answered`)
})

t.test('V-06 what never comes to an end is left after a while, and all else is closed', async t => {
  const timers = holdTimers(t, holdClock(t))
  const app = Fastify()
  const never = async () => await new Promise<never>(() => {})
  const closed: string[] = []
  const note = (part: string) => () => { closed.push(part) }
  closeWithServer(app, {
    signals: { close: note('signals') },
    passwords: { close: note('passwords') },
    batches: [{ close: never }],
    mail: { close: async patience => { closed.push(`mail, ${Math.round(patience)} ms`) } },
    stop: [note('feed')],
    closeStorage: never
  })
  let isClosed = false
  const closing = app.close().then(() => { isClosed = true })
  await pause(20)
  t.match(closed, ['signals', 'feed', 'passwords', /^mail, (6000|59\d\d) ms$/])
  await timers.advance(6000)
  await pause(20)
  t.notOk(isClosed)
  await closing
})
