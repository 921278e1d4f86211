import { randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Writable } from 'node:stream'
import { inspect } from 'node:util'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts from '../lib/index.ts'
import type { AccountsHooks } from '../types/index.ts'
import { databaseFile } from './support/app.ts'
import { createClient } from './support/client.ts'
import { CHEAP_COSTS } from './support/counting-hasher.ts'

const CURRENT = 'canary currant 4417 zephyr'
const NEXT = 'canary nutmeg 9023 gondola'
const WRONG = 'canary wrong 5561 trellis'
const ILL_FORMED = `${WRONG}\0`
const CANARIES = [CURRENT, NEXT, WRONG, 'currant', 'nutmeg', 'trellis']

/** A server that writes down all that leaves it: log lines of every level, events, hook states, answers. */
async function createWatched (t: Test) {
  const lines: string[] = []
  const events: string[] = []
  const states: string[] = []
  const answers: string[] = []
  const stream = new Writable({
    write (chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    }
  })
  const listen = (event: unknown) => { events.push(inspect(event, { depth: 9 })) }
  subscribe('fastify-accounts', listen)
  t.teardown(() => { unsubscribe('fastify-accounts', listen) })

  const note = (name: string) => ({ request, ...state }: { request: unknown }) => { states.push(`${name} ${inspect(state, { depth: 9 })}`) }
  const hooks: Partial<AccountsHooks> = {
    authorize (principal) {
      states.push(`authorize ${inspect(principal, { depth: 9 })}`)
      return true
    }
  }
  for (const name of ['beforeRegister', 'afterRegister', 'beforeLogin', 'afterLogin', 'loginFailed', 'sessionRefreshed', 'sessionReused', 'sessionRevoked', 'passwordChanged'] as const) hooks[name] = note(name)

  const app = Fastify({ logger: { level: 'trace', stream } })
  const file = databaseFile(t)
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(file), passwords: { argon2: CHEAP_COSTS }, hooks })
  app.addHook('onSend', async (_request, reply, payload) => {
    answers.push(`${reply.statusCode} ${inspect(reply.getHeaders())} ${String(payload)}`)
  })
  t.teardown(async () => { await app.close() })
  return { app, file, lines, events, states, answers, client: () => createClient(app) }
}

t.test('P-15 neither a password nor its digest leaves in an answer, a log line, an event or a hook', async t => {
  const { client, file, lines, events, states, answers } = await createWatched(t)
  const email = 'ada@example.com'
  const seen = new Set<number>()
  const expect = async (statusCode: number, answer: Promise<{ statusCode: number, body: string }>) => {
    const { statusCode: actual, body } = await answer
    t.equal(actual, statusCode, body)
    seen.add(actual)
  }
  const browser = client()

  await expect(201, browser.post('/auth/register', { email, username: 'ada', name: 'Ada', password: CURRENT }))
  await expect(409, client().post('/auth/register', { email, password: CURRENT }))
  await expect(422, client().post('/auth/register', { email: 'b@example.com', password: ILL_FORMED }))
  await expect(422, client().post('/auth/register', { email: 'not an address', password: CURRENT }))
  await expect(422, client().post('/auth/register', { email: 'b@example.com', password: CURRENT + CURRENT.repeat(60) }))
  await expect(422, client().post('/auth/register', { email: `${CURRENT.replaceAll(' ', '.')}@example.com`, password: CURRENT.replaceAll(' ', '.') }))
  await expect(200, client().post('/auth/login', { username: 'ada', password: CURRENT }))
  await expect(401, client().post('/auth/login', { email, password: WRONG }))
  await expect(401, client().post('/auth/login', { email: 'nobody@example.com', password: WRONG }))
  await expect(401, client().post('/auth/login', { email, password: ILL_FORMED }))
  await expect(400, client().post('/auth/login', { email, password: [CURRENT] }))
  await expect(400, client().post('/auth/login', { email, password: CURRENT, pasword: WRONG }))
  await expect(400, client().post('/auth/login', `{"email":"${email}","password":"${CURRENT}"`, { 'content-type': 'application/json' }))
  await expect(400, client().post('/auth/login', `{"email":"${email}","password":"${CURRENT}","password":"${WRONG}"}`, { 'content-type': 'application/json' }))
  await expect(415, client().post('/auth/login', `password=${CURRENT}`, { 'content-type': 'application/x-www-form-urlencoded' }))
  await expect(413, client().post('/auth/login', { email, password: CURRENT.repeat(2000) }))
  await expect(403, client().post('/auth/login', { email, password: CURRENT }, { origin: 'https://evil.example' }))
  await expect(403, browser.post('/auth/password/change', { currentPassword: WRONG, newPassword: NEXT }))
  await expect(422, browser.post('/auth/password/change', { currentPassword: CURRENT, newPassword: ILL_FORMED }))
  await expect(204, browser.post('/auth/password/change', { currentPassword: CURRENT, newPassword: NEXT }))
  await expect(200, browser.get('/auth/me'))
  await expect(200, browser.get('/auth/sessions'))
  await expect(403, browser.request('DELETE', '/auth/me', { password: WRONG }))
  await expect(204, browser.request('DELETE', '/auth/me', { password: NEXT }))
  await expect(201, browser.post('/auth/register', { email, password: CURRENT }))

  const database = new Database(file)
  t.match(database.prepare('select password_digest as digest from accounts_users').get(), { digest: /^\$argon2id\$/ }, 'there is a digest to be seen')
  database.exec('drop table accounts_sessions; alter table accounts_users rename column password_digest to lost')
  database.close()
  await expect(503, client().post('/auth/register', { email: 'c@example.com', password: CURRENT }))
  await expect(503, client().post('/auth/login', { email, password: CURRENT }))
  await new Promise(resolve => setImmediate(resolve))

  t.ok(lines.some(line => line.includes('"level":50')) && lines.some(line => line.includes('"level":20')), 'the log speaks, of errors and of decisions')
  t.ok(lines.some(line => /has no column named/.test(line)), 'the cause of a failure stands in the log')
  t.strictSame([...seen].sort(), [200, 201, 204, 400, 401, 403, 409, 413, 415, 422, 503])
  t.strictSame([...new Set(states.map(state => state.split(' ', 1)[0]))].sort(), ['afterLogin', 'afterRegister', 'authorize', 'beforeLogin', 'beforeRegister', 'loginFailed', 'passwordChanged', 'sessionRevoked'])
  t.ok(events.length >= 10, 'events were published')

  for (const [where, texts] of Object.entries({ lines, events, states, answers })) {
    for (const canary of [...CANARIES, '$argon2']) {
      t.strictSame(texts.filter(text => text.includes(canary)), [], `${where}: ${canary}`)
    }
  }
  for (const [where, texts] of Object.entries({ lines, events, states })) {
    t.strictSame(texts.filter(text => /eyJ[\w-]+\.[\w-]+/.test(text)), [], `${where}: no token either`)
  }
})

t.test('P-15 a member of the body that nobody asked for is neither answered nor logged by its name', async t => {
  const { client, lines, answers } = await createWatched(t)
  for (const url of ['/auth/login', '/auth/register']) {
    t.equal((await client().post(url, { email: 'ada@example.com', password: CURRENT, [WRONG]: '' })).statusCode, 400)
  }
  t.strictSame([...lines, ...answers].filter(text => text.includes(WRONG)), [])
})
