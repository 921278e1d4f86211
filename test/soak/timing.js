// Does the time of an answer tell who has an account, or of what kind (A-02)? `node test/soak/timing.js [rounds [lanes [part]]]`,
// 1000 rounds and 4 lanes unless told. Parts: refused logins on a server that has argon2id digests alone, one request after
// the other; on one with old digests, where refusals take a third of a second, in so many lanes side by side (12 minutes);
// then register, forgot and resend; then HTTP Basic, of accounts and of credentials that several share. Real requests over a socket, one of each class a round, in an order drawn anew; for
// every pair of classes the area under the ROC curve (Mann-Whitney) of their times, with its 95 % confidence interval
// (DeLong). 0.5 tells nothing, 0 and 1 everything. Exit code 1 when a pair is past 0.55 (or 0.45) or its interval past
// 0.58 (or 0.42).
import { randomBytes, randomInt, scrypt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import bcrypt from 'bcrypt'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import accounts from 'fastify-accounts'
import { sqliteStorage } from 'fastify-accounts/kysely'

const ROUNDS = Number(process.argv[2] ?? 1000)
const LANES = Number(process.argv[3] ?? 4)
const PART = process.argv[4]
const WARM_UP = Math.min(50, ROUNDS / 10)
const MOST = 0.55
const MOST_OF_INTERVAL = 0.58

const PASSWORD = 'violet harbor 92 lantern'
const WRONG = 'copper meadow 57 compass'
const HOSTILE = `$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$${'A'.repeat(43)}`

/** What only the server knows: between any two of these nobody may tell. */
const SECRET = {
  unknown: { email: 'nobody@example.com', password: PASSWORD },
  wrong: { email: 'ada@example.com', password: WRONG },
  disabled: { email: 'disabled@example.com', password: PASSWORD },
  passwordless: { email: 'passwordless@example.com', password: PASSWORD },
  unverified: { email: 'unverified@example.com', password: PASSWORD },
  hostile: { email: 'hostile@example.com', password: PASSWORD },
  'NUL, unknown': { email: 'nobody@example.com', password: `${PASSWORD}\0` },
  'NUL, wrong': { email: 'ada@example.com', password: `${PASSWORD}\0` }
}

/** What the sender knows as well, so that a difference to the others tells nothing. Measured, not judged. */
const OPEN = {
  malformed: { email: 'no address', password: PASSWORD },
  'too long': { email: 'ada@example.com', password: PASSWORD.repeat(50) }
}

/** The same where people came from other systems. */
const SECRET_OF_OLD = {
  unknown: { email: 'nobody@example.com', password: WRONG },
  argon2id: { email: 'ada@example.com', password: WRONG },
  'bcrypt 10': { email: 'bcrypt-10@example.com', password: WRONG },
  'bcrypt 12': { email: 'bcrypt-12@example.com', password: WRONG },
  foreign: { email: 'foreign@example.com', password: WRONG },
  disabled: { email: 'disabled@example.com', password: PASSWORD },
  'disabled, 12': { email: 'disabled-12@example.com', password: PASSWORD },
  unverified: { email: 'unverified@example.com', password: PASSWORD },
  passwordless: { email: 'passwordless@example.com', password: WRONG }
}

/** What another system may have used: 50 ms. */
const hashScrypt = async password => `$scrypt$${(await promisify(scrypt)(password, 'salt', 32, { N: 16384, r: 8, p: 1 })).toString('hex')}`
const OLD = { legacy: { bcryptRounds: 12, foreignMs: 100 }, verifyForeign: async (digest, password) => digest === await hashScrypt(password) }

const LEGACY = { username: 'admin', password: 'sesame 4711' }

/** By HTTP Basic what could not be a password is no header either, as the sender knows. */
const { 'NUL, unknown': _, 'NUL, wrong': __, ...BY_BASIC } = SECRET
const SHARED = {
  'wrong name': { username: 'root', password: LEGACY.password },
  'wrong password': { username: LEGACY.username, password: 'sesame 4712' },
  'wrong length': { username: LEGACY.username, password: 's' },
  'both wrong': { username: 'root', password: 's' }
}

let count = 0
const KNOWN = { known: 'ada', disabled: 'disabled', unverified: 'unverified', legacy: 'bcrypt-10' }

/** Routes that answer 202 whatever the address. Who is unknown is so each time, as signing up makes an account. */
function addresses (more = {}) {
  const known = Object.entries(KNOWN).map(([name, username]) => [name, () => ({ email: `${username}@example.com`, ...more })])
  return Object.fromEntries([['unknown', () => ({ email: `nobody-${count++}@example.com`, ...more })], ...known])
}

const LOGIN = { path: '/auth/login', status: 401 }
const PARTS = [
  { name: 'argon2id', ...LOGIN, lanes: 1, classes: { ...SECRET, ...OPEN }, passwords: {} },
  { name: 'old', ...LOGIN, lanes: LANES, classes: SECRET_OF_OLD, passwords: OLD },
  { name: 'register', path: '/auth/register', status: 202, lanes: 1, classes: addresses({ password: PASSWORD }), passwords: OLD },
  { name: 'forgot', path: '/auth/password/forgot', status: 202, lanes: 1, classes: addresses(), passwords: OLD },
  { name: 'resend', path: '/auth/email/resend', status: 202, lanes: 1, classes: addresses(), passwords: OLD },
  { name: 'basic', path: '/basic', status: 401, lanes: 1, classes: BY_BASIC, passwords: {}, basic: { users: true } },
  { name: 'shared', path: '/basic', status: 401, lanes: 1, classes: SHARED, passwords: {}, basic: { legacy: LEGACY } }
]

/** A mail server nearby. */
const mailer = { send: async () => await setTimeout(3) }

process.exitCode = 0
for (const { name, path, status, lanes, classes, passwords, basic } of PARTS.filter(part => PART === undefined || part.name === PART)) {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-timing-'))
  const app = await createServer(join(folder, 'accounts.db'), passwords, basic)
  try {
    console.log(`\n${name}: ${ROUNDS} rounds of ${Object.keys(classes).length} classes, ${lanes} at a time, Node ${process.version}`)
    if (!report(await measure(app, { path, status }, classes, lanes))) process.exitCode = 1
  } finally {
    await app.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function createServer (file, passwords, basic = false) {
  const app = Fastify()
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(file), passwords, mailer, basic, throttle: false, rateLimit: false })
  const digests = {
    passwordless: null,
    hostile: HOSTILE,
    'bcrypt-10': await bcrypt.hash(PASSWORD, 10),
    'bcrypt-12': await bcrypt.hash(PASSWORD, 12),
    'disabled-12': await bcrypt.hash(PASSWORD, 12),
    foreign: await hashScrypt(PASSWORD)
  }
  const database = new Database(file)
  const set = database.prepare('update accounts_users set password_digest = ? where username = ?')
  for (const username of ['ada', 'disabled', 'unverified', ...Object.keys(digests)]) {
    const { id } = await app.accounts.users.create({ email: `${username}@example.com`, username, password: PASSWORD, emailVerified: username !== 'unverified' })
    if (username in digests) set.run(digests[username], username)
    if (username.startsWith('disabled')) await app.accounts.users.update(id, { disabled: true })
  }
  database.close()
  if (basic !== false) app.post('/basic', { onRequest: app.verifyBasic }, async () => ({}))
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

async function measure (app, route, classes, lanes) {
  const names = Object.keys(classes)
  const times = Object.fromEntries(names.map(name => [name, []]))
  let round = -WARM_UP
  await Promise.all(Array.from({ length: lanes }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (round < ROUNDS) {
      const isCounted = round++ >= 0
      for (const name of shuffle(names)) {
        const time = await knock(app, agent, route, classes[name])
        if (isCounted) times[name].push(time)
      }
    }
    agent.destroy()
  }))
  return times
}

async function knock (app, agent, { path, status }, body) {
  const given = typeof body === 'function' ? body() : body
  const payload = JSON.stringify(given)
  const authorization = `Basic ${Buffer.from(`${given.email ?? given.username}:${given.password}`).toString('base64')}`
  const start = process.hrtime.bigint()
  const sent = request({ port: app.server.address().port, host: '127.0.0.1', agent, method: 'POST', path, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload), ...(path === '/basic' ? { authorization } : {}) } })
  sent.end(payload)
  const [response] = await once(sent, 'response')
  response.resume()
  await once(response, 'end')
  const time = Number(process.hrtime.bigint() - start) / 1e6
  if (response.statusCode !== status) throw new TypeError(`answered ${response.statusCode}`)
  return time
}

function shuffle (names) {
  const shuffled = [...names]
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    [shuffled[last], shuffled[other]] = [shuffled[other], shuffled[last]]
  }
  return shuffled
}

function report (times) {
  for (const [name, values] of Object.entries(times)) {
    console.log(`${name.padEnd(13)} median ${quantile(values, 0.5).toFixed(2)} ms, 90 % ${quantile(values, 0.9).toFixed(2)} ms`)
  }
  const pairs = Object.keys(times).flatMap((first, index, names) => names.slice(index + 1).map(second => [first, second]))
  const rows = pairs.map(([first, second]) => ({ first, second, ...separation(times[first], times[second]) }))
  let isGood = true
  console.log('\nAUC (95 % CI)')
  for (const { first, second, auc, margin } of rows) {
    const distance = Math.abs(auc - 0.5)
    const passes = distance <= MOST - 0.5 && distance + margin <= MOST_OF_INTERVAL - 0.5
    const isJudged = !(first in OPEN) && !(second in OPEN)
    if (isJudged && !passes) isGood = false
    console.log(`${`${first} / ${second}`.padEnd(28)} ${auc.toFixed(3)} (${(auc - margin).toFixed(3)} to ${(auc + margin).toFixed(3)})${isJudged ? '' : '  (open)'}${passes ? '' : '  FAR'}`)
  }
  console.log(`\n${isGood ? 'No class can be told from another.' : 'A class can be told from another.'}`)
  return isGood
}

/** AUC as the share of pairs in which the first is slower, ties half; its variance by DeLong. */
function separation (first, second) {
  const sortedFirst = [...first].sort((a, b) => a - b)
  const sortedSecond = [...second].sort((a, b) => a - b)
  const ofFirst = first.map(value => rank(sortedSecond, value))
  const ofSecond = second.map(value => 1 - rank(sortedFirst, value))
  const auc = mean(ofFirst)
  return { auc, margin: 1.96 * Math.sqrt(variance(ofFirst) / first.length + variance(ofSecond) / second.length) }
}

/** The share of a sorted list that lies below a value, equal ones half. */
function rank (sorted, value) {
  return (bound(sorted, other => other < value) + bound(sorted, other => other <= value)) / 2 / sorted.length
}

function bound (sorted, isBefore) {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBefore(sorted[middle])) low = middle + 1
    else high = middle
  }
  return low
}

function quantile (values, share) {
  return [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))]
}

function mean (values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function variance (values) {
  const center = mean(values)
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1)
}
