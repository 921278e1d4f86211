// Two processes ask for mail of every kind and send it. They are killed (SIGKILL) at random moments, again and again,
// while the mail server is refused, silent or cut at random. Afterwards every mail that was acknowledged must have
// arrived, hardly any twice, and of the links of an account the newest must work and no other. Prints a table; fails
// unless it is so.
//   node test/soak/mail.js [--on sqlite,postgres] [--kills 100] [--json]
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { register } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import BetterSqlite from 'better-sqlite3'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import pg from 'pg'
import { startPostgres } from '../services/postgres.js'
import { openStorage } from '../workers/open-storage.js'
import { startWorker } from '../workers/start.js'

register('../typescript/hooks.js', import.meta.url)
const { startSmtp } = await import('../support/smtp.ts')

const { values: options } = parseArgs({
  options: { on: { type: 'string', default: 'sqlite,postgres' }, kills: { type: 'string', default: '100' }, json: { type: 'boolean', default: false } }
})
const kills = Number(options.kills)
const PASSWORD = 'granite tulip 41 ferry'
/** Of all mails; and one for each kill: of up to five that are under way, one may be accepted and not yet noted. */
const MAX_DUPLICATES = 0.01
/** What a dead process had claimed goes to the others after this. */
const CLAIM_MS = 61_000
/** So often at most, so that no link expires meanwhile. */
const MAX_LEAPS = 20

const TROUBLES = [null, null, null, 'cut in data', 'cut after data', 'silence', { refuse: 'data', code: 451 }, 'away']
const KINDS = {
  'verify-email': /^Confirm your e-mail/,
  'reset-password': /^Reset your password/,
  'change-email': /^Confirm your new/,
  'email-change-requested': /about to change$/,
  'password-changed': /^Your password for .* was changed/
}
const ROUTES = { 'verify-email': '/auth/email/verify', 'change-email': '/auth/email/verify', 'reset-password': '/auth/password/reset' }

const WAITING = 'select count(*) as count from accounts_outbox'

const { now } = Date
const pause = async milliseconds => await new Promise(resolve => setTimeout(resolve, milliseconds))

const figures = []
for (const on of options.on.split(',')) figures.push(await run(on))
if (options.json) console.log(JSON.stringify(figures))
else {
  console.table(figures.map(({ faults, ...figure }) => figure))
  for (const { on, acknowledged, lost } of figures) if (lost === 0) console.log(`${on}: none lost of ${acknowledged}: under ${(300 / acknowledged).toFixed(2)} % of them, with 95 % confidence (3/n)`)
  for (const { faults } of figures) for (const fault of faults) console.log(fault)
}
process.exitCode = figures.every(({ faults }) => faults.length === 0) ? 0 : 1

async function run (on) {
  const database = on === 'sqlite' ? createFile() : await startServer()
  const secret = randomBytes(32)
  await (await openStorage(database.address)).close()
  const endings = []
  const smtp = await startSmtp({ teardown: end => endings.push(end) })
  const [begun, acknowledged] = [new Map(), new Map()]
  const note = history => mails => { for (const mail of mails) history.set(mail.join(' '), (history.get(mail.join(' ')) ?? 0) + 1) }
  const figure = { on, kills, begun: 0, acknowledged: 0, mails: 0, arrived: 0, lost: 0, duplicates: 0, unanswered: 0, links: 0, wrong: 0, overtaken: 0, drainedMs: 0, faults: [] }
  let ahead = 0
  const start = async () => {
    const worker = await startWorker('mail-worker', { ...database.address, smtpPort: smtp.port, ahead }, secret)
    worker.on('begun', note(begun))
    worker.on('acknowledged', note(acknowledged))
    return worker
  }
  const startTwo = async () => await Promise.all([start(), start()])

  const weather = stir(smtp)
  let workers = await startTwo()
  for (const worker of workers) await worker.ask('churn')
  const leapEvery = Math.max(4, Math.ceil(kills / MAX_LEAPS))
  for (let kill = 1; kill <= kills; kill++) {
    await pause(100 + Math.random() * 400)
    const victim = Math.floor(Math.random() * 2)
    await workers[victim].kill()
    if (kill % leapEvery > 0) workers[victim] = await start()
    else {
      // Clocks of servers that run side by side agree: both have to die for a leap.
      await workers[1 - victim].kill()
      figure.kills++
      ahead += CLAIM_MS
      workers = await startTwo()
    }
    for (const worker of workers) await worker.ask('churn')
  }
  for (const worker of workers) await worker.kill()
  figure.kills += workers.length
  await weather.end()

  ahead += CLAIM_MS
  const last = await start()
  const storage = await openStorage(database.address)
  const returnedAt = now()
  while (await database.count(WAITING) > 0 && now() - returnedAt < 60_000) {
    await last.ask('kick')
    await pause(100)
  }
  const drainedMs = now() - returnedAt
  await last.kill()

  Object.assign(figure, { begun: sum(begun), acknowledged: sum(acknowledged), arrived: smtp.messages.length, drainedMs })
  const arrived = new Map()
  const ids = new Map()
  for (const { to, subject, headers } of smtp.messages) {
    const [id] = headers['message-id']
    const kind = Object.keys(KINDS).find(kind => KINDS[kind].test(subject))
    if (!ids.has(id)) note(arrived)([[kind, to[0]]])
    ids.set(id, (ids.get(id) ?? 0) + 1)
  }
  figure.mails = ids.size
  // Who dies after the last byte of a mail and before the server's answer can't know: RFC 1047.
  figure.unanswered = smtp.messages.filter(({ headers, abandoned }) => abandoned && ids.get(headers['message-id'][0]) > 1).length
  figure.duplicates = smtp.messages.length - ids.size - figure.unanswered
  for (const [mail, count] of acknowledged) {
    // Of links that wait only the newest is sent: that it is among those that arrived is for the links to show.
    if (ROUTES[mail.split(' ')[0]] !== undefined) continue
    const missing = count - (arrived.get(mail) ?? 0)
    if (missing <= 0) continue
    figure.lost += missing
    figure.faults.push(`${on}: ${missing} lost of ${count} × ${mail}`)
  }
  for (const [mail, count] of arrived) if (count > (begun.get(mail) ?? 0)) figure.faults.push(`${on}: ${count} of ${mail}, which nobody asked for so often`)
  if (figure.duplicates > Math.max(figure.kills, figure.mails * MAX_DUPLICATES)) figure.faults.push(`${on}: ${figure.duplicates} duplicates of ${figure.mails} mails`)
  const promised = new Set([...acknowledged.keys()].map(accountOf).filter(account => account !== null))
  const has = new Set([...arrived.keys()].map(accountOf))
  for (const account of promised) {
    if (has.has(account)) continue
    figure.lost++
    figure.faults.push(`${on}: no link for ${account}`)
  }
  Object.assign(figure, await judge({ storage, secret, ahead, messages: smtp.messages, fault: text => figure.faults.push(`${on}: ${text}`) }))
  for (const end of endings.reverse()) await end()
  await database.remove()
  return figure
}

/** Whose link a mail brings, and for what: new addresses of one account are told apart by a number. `null`: none. */
function accountOf (mail) {
  const [kind, to] = mail.split(' ')
  return ROUTES[kind] === undefined ? null : `${kind} ${to.replace(/^\d\./, '')}`
}

function sum (history) {
  return [...history.values()].reduce((total, count) => total + count, 0)
}

/** Change the weather of the mail server at random moments. */
function stir (smtp) {
  const over = new AbortController()
  const stirring = (async () => {
    while (!over.signal.aborted) {
      const trouble = TROUBLES[Math.floor(Math.random() * TROUBLES.length)]
      if (trouble === 'away') {
        await smtp.stop()
        await pause(Math.random() * 200)
        await smtp.start()
      } else smtp.trouble(trouble)
      await pause(Math.random() * 200)
    }
    smtp.trouble(null)
  })()
  return {
    async end () {
      over.abort()
      await stirring
    }
  }
}

/** Try every link, the oldest of each account and purpose first. */
async function judge ({ storage, secret, ahead, messages, fault }) {
  Date.now = () => now() + ahead
  const app = Fastify()
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret, storage, throttle: false, rateLimit: false, mailer: { send: async () => {} }, passwords: { argon2: { memoryKiB: 7168, iterations: 5 } } })
  await app.ready()
  const tokens = new Map()
  for (const { to, subject, text } of messages) {
    const token = /[?&]token=([\w-]+)/.exec(text)?.[1]
    if (token === undefined) continue
    const kind = Object.keys(KINDS).find(kind => KINDS[kind].test(subject))
    const account = accountOf(`${kind} ${to[0]}`)
    tokens.set(account, [...tokens.get(account) ?? [], token])
  }
  let [links, wrong, overtaken] = [0, 0, 0]
  for (const [account, all] of tokens) {
    const [kind] = account.split(' ')
    const answers = []
    for (const token of all) answers.push((await app.inject({ method: 'POST', url: ROUTES[kind], payload: { token, ...(kind === 'reset-password' ? { password: PASSWORD } : {}) } })).statusCode)
    links += all.length
    const working = answers.filter(statusCode => statusCode === 204).length
    // Two processes that send to one person in the same moment may overtake each other on the way to the server.
    if (working === 1 && answers.at(-1) !== 204) overtaken++
    if (working === 1 && answers.every(statusCode => statusCode === 204 || statusCode === 422)) continue
    wrong++
    fault(`${account}: ${answers.join(', ')}`)
  }
  await app.close()
  Date.now = now
  return { links, wrong, overtaken }
}

function createFile () {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-mail-'))
  const file = join(folder, 'accounts.db')
  return {
    address: { file },
    async count (text) {
      const database = new BetterSqlite(file, { timeout: 1000, readonly: true })
      const { count } = database.prepare(text).get()
      database.close()
      return count
    },
    remove: async () => rmSync(folder, { recursive: true })
  }
}

async function startServer () {
  const server = await startPostgres()
  return {
    address: { url: server.url },
    async count (text) {
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      const { rows: [{ count }] } = await client.query(text)
      await client.end()
      return Number(count)
    },
    remove: server.stop
  }
}
