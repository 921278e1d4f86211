import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { Writable } from 'node:stream'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { postgresStorage, sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { AccountsHooks, Mail, Mailer, Storage } from '../types/index.ts'
import { createApp, databaseFile, PASSWORD, type TestApp } from './support/app.ts'
import { holdClock, SECOND } from './support/clock.ts'
import { listen } from './support/events.ts'
import { kick, mailerFor, tokenOf } from './support/mail.ts'
import { until } from './support/postgres-server.ts'
import { databaseUrl, query, schemaName } from './support/postgres.ts'
import { startSmtp } from './support/smtp.ts'
import { connect } from './support/sqlite.ts'

const NEW_PASSWORD = 'granite tulip 41 ferry'

interface Database {
  open (): Promise<Storage>
  /** All that it holds, as text. */
  dump (): Promise<string>
}

/** One that several servers share. */
function createDatabase (t: Test): Database {
  if (process.env.TEST_STORAGE === 'postgres') {
    const schema = schemaName(t)
    return {
      open: async () => await postgresStorage(databaseUrl(), { schema }),
      async dump () {
        const tables = await query<{ name: string }>('select table_name as name from information_schema.tables where table_schema = $1', [schema])
        const rows = await Promise.all(tables.map(async ({ name }) => await query(`select * from ${schema}.${name}`)))
        return JSON.stringify(rows.flat())
      }
    }
  }
  const file = databaseFile(t)
  return {
    open: async () => await sqliteStorage(file),
    async dump () {
      const database = connect(t, file)
      const tables = database.prepare("select name from sqlite_master where type = 'table'").all() as Array<{ name: string }>
      return JSON.stringify(tables.flatMap(({ name }) => database.prepare(`select * from "${name}"`).all()))
    }
  }
}

/** Two servers on one database, and one mail server. */
async function createPair (t: Test) {
  const smtp = await startSmtp(t)
  const database = createDatabase(t)
  const secret = randomBytes(32)
  const sent = [0, 0]
  const servers: TestApp[] = []
  for (const index of [0, 1]) {
    const real = mailerFor(smtp)
    const mailer: Mailer = {
      async send (mail) {
        sent[index]!++
        await real.send(mail)
      }
    }
    servers.push(await createApp(t, { secret, storage: await database.open(), mailer, throttle: false }))
  }
  return { servers: servers as [TestApp, TestApp], smtp, sent }
}

t.test('F-18 two servers on one database send each mail once', async t => {
  const { servers, smtp, sent } = await createPair(t)
  const emails = Array.from({ length: 40 }, (_, index) => `user${index}@example.com`)
  const ids = await Promise.all(emails.map(async email => (await servers[0].app.accounts.users.create({ email, emailVerified: true })).id))
  const answers = await Promise.all(emails.map(async (email, index) => (await servers[index % 2]!.client().post('/auth/password/forgot', { email })).statusCode))
  t.strictSame([...new Set(answers)], [202])
  await Promise.all(servers.map(kick))
  // To look into the outbox all the time takes what is needed to send.
  await until(() => smtp.messages.length >= emails.length, 30_000)
  await until(async () => (await Promise.all(ids.map(async id => await servers[0].storage.outbox!.listForUser(id)))).flat().length === 0)
  t.strictSame(smtp.messages.map(({ to }) => to[0]).toSorted(), emails.toSorted())
  t.equal(new Set(smtp.messages.map(({ headers }) => headers['message-id']![0])).size, emails.length)
  t.ok(sent.every(count => count > 0), `${sent[0]} by the one, ${sent[1]} by the other`)
})

t.test('W-01 S-I17 of 16 racers at two servers with one link exactly one gets what it is for', async t => {
  const { servers, smtp } = await createPair(t)
  const race = async (url: string, body: (racer: number) => object) => {
    const answers = await Promise.all(Array.from({ length: 16 }, async (_, racer) => (await servers[racer % 2]!.client().post(url, body(racer))).statusCode))
    t.strictSame(answers.toSorted(), [204, ...Array<number>(15).fill(422)], url)
    return answers.indexOf(204)
  }
  const take = async (count: number) => tokenOf((await smtp.received(count))[count - 1]!)

  await servers[0].client().post('/auth/register', { email: 'ada@example.com', password: PASSWORD })
  let token = await take(1)
  await race('/auth/email/verify', () => ({ token }))

  for (const [round, asked] of servers.entries()) {
    const count = smtp.messages.length + 1
    await asked.client().post('/auth/password/forgot', { email: 'ada@example.com' })
    token = await take(count)
    const winner = await race('/auth/password/reset', racer => ({ token, password: `${NEW_PASSWORD} ${round} ${racer}` }))
    for (const { client } of servers) t.equal((await client().post('/auth/login', { email: 'ada@example.com', password: `${NEW_PASSWORD} ${round} ${winner}` })).statusCode, 200)
    // That the password was changed.
    await smtp.received(count + 1)
  }

  const browser = servers[0].client()
  await servers[0].app.accounts.passwords.set((await servers[0].app.accounts.users.findByEmail('ada@example.com'))!.id, PASSWORD)
  await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  await browser.post('/auth/email/change', { email: 'countess@example.com', password: PASSWORD })
  await until(() => smtp.messages.some(({ to }) => to[0] === 'countess@example.com'))
  token = tokenOf(smtp.messages.find(({ to }) => to[0] === 'countess@example.com')!)
  await race('/auth/email/verify', () => ({ token }))
})

t.test('W-03 S-I20 no token stands in the database, a log line, an event or a hook state, whatever mailers, texts and links throw', async t => {
  const clock = holdClock(t)
  const lines: string[] = []
  const states: string[] = []
  const events = listen(t)
  const logger = { level: 'trace', stream: new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } }) }
  const hooks = Object.fromEntries((['afterRegister', 'mailFailed', 'passwordChanged', 'sessionRevoked'] as const).map(name => [name, ({ request, ...state }: { request?: unknown }) => { states.push(inspect(state, { depth: 9 })) }])) as Partial<AccountsHooks>
  const smtp = await startSmtp(t)
  const real = mailerFor(smtp)
  const handed: Mail[] = []
  const made: string[] = []
  let fault: 'link' | 'text' | 'error' | 'cause' | 'server' | 'long answer' | 'permanent' | null = null
  const database = createDatabase(t)
  const test = await createApp(t, {
    storage: await database.open(),
    throttle: false,
    hooks,
    mailer: {
      async send (mail) {
        handed.push(mail)
        if (fault === 'error' || fault === 'permanent') throw Object.assign(new TypeError(`can't send ${mail.text}`), { mail, permanent: fault === 'permanent' })
        if (fault === 'cause') throw new TypeError('see the cause', { cause: mail })
        if (fault === 'server') smtp.trouble({ refuse: 'data', code: 451, reply: `this looks like spam: ${mail.text.match(/http\S+/)![0]}` })
        // Long enough for its end, and that of the token, to be cut off.
        if (fault === 'long answer') smtp.trouble({ refuse: 'data', code: 451, reply: `${'much ado '.repeat(27)}${mail.text.match(/http\S+/)![0]}` })
        await real.send(mail)
      }
    },
    links: {
      resetPassword (token) {
        made.push(token)
        if (fault === 'link') throw new TypeError(`no link for ${token}`)
        return `http://localhost:3000/reset/${token}`
      }
    },
    mail: { messages: { 'reset-password': ({ data }) => { if (fault === 'text') throw new TypeError(`no words for ${data.link}`) } } }
  }, () => {}, Fastify({ logger }))
  const { id } = await test.app.accounts.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true })
  const waiting = async () => await test.storage.outbox!.listForUser(id)

  for (const next of ['link', 'text', 'error', 'cause', 'server', 'long answer', 'permanent', null] as const) {
    fault = next
    t.equal((await test.client().post('/auth/password/forgot', { email: 'ada@example.com' })).statusCode, 202)
    await until(async () => (await waiting()).every(({ attempts, dueAt }) => attempts > 0 && dueAt.getTime() < Date.now() + 40 * SECOND))
    t.equal((await waiting()).length, next === null || next === 'permanent' || next === 'text' ? 0 : 1, String(next))
    lines.push(await database.dump())
    smtp.trouble(null)
    fault = null
    clock.advance(40 * SECOND)
    await kick(test)
    await until(async () => (await waiting()).length === 0)
  }
  const last = /\/reset\/([\w-]+)/.exec(smtp.messages.at(-1)!.text)![1]!
  t.equal((await test.client().post('/auth/password/reset', { token: last, password: NEW_PASSWORD })).statusCode, 204)
  await until(async () => (await waiting()).length === 0)

  const tokens = made.filter(token => !token.startsWith('probe'))
  t.ok(tokens.length >= 12 && tokens.includes(last) && handed.length >= 11, `${tokens.length} tokens, ${handed.length} mails`)
  const told = [...lines, ...states, ...events.take().map(event => inspect(event, { depth: 9 })), await database.dump()]
  for (const words of ['no link for', 'no words for', "can't send", 'see the cause', 'looks like spam', 'much ado', 'mail.given-up', "kind: 'reset-password'"]) t.ok(told.some(text => text.includes(words)), `it is told: ${words}`)
  for (const token of tokens) t.strictSame(told.filter(text => text.includes(token.slice(0, 17))), [])
})
