import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Fastify, { type FastifyServerOptions } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { nodemailerMailer, type SmtpOptions } from '../lib/adapters/nodemailer/index.ts'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { RedisStorage } from '../lib/adapters/redis/index.ts'
import { FINDINGS } from '../lib/diagnosis/finding.ts'
import { examine } from '../lib/diagnosis/index.ts'
import { examineRedis } from '../lib/diagnosis/redis.ts'
import type { AccountsOptions } from '../types/index.ts'
import type { RedisInspection } from '../types/storage.ts'
import { startRedis, type RedisServer } from './services/redis.js'
import { createApp, databaseFile } from './support/app.ts'
import { CERTIFICATE, KEY } from './support/certificate.ts'
import { holdClock, SECOND } from './support/clock.ts'
import { openPostgres, query, schemaName } from './support/postgres.ts'
import { ROOT } from './support/root.ts'
import { openRedis } from './support/redis.ts'
import { startSmtp } from './support/smtp.ts'
import { connect } from './support/sqlite.ts'

// Certificates of the tests are asked for.
process.removeAllListeners('warning')

const HTTPS = 'https://shop.example.com'
const ALLOWED = { allowUnauthorizedCerts: true, pool: false } as const

/** What doctor finds of a server, in short. */
async function find (t: Test, options: Partial<AccountsOptions> = {}, fastify: FastifyServerOptions = {}): Promise<string[]> {
  const { app } = await createApp(t, options, () => {}, Fastify(fastify))
  const facts = await app.accounts.diagnose()
  for (const secret of [options.secret, ...Object.values(options.secrets ?? {})].flat().filter(one => one !== undefined)) t.notMatch(JSON.stringify(facts), String(secret), 'no secret is among the facts')
  return examine(facts, null).map(({ code, what }) => `${code}: ${what}`)
}

function matchAll (t: Test, found: readonly string[], expected: readonly RegExp[], title = 'and nothing else'): void {
  t.equal(found.length, expected.length, title)
  t.match(found, expected)
}

t.test('of a healthy server there is nothing to find, whatever it is made of', async t => {
  const smtp = await startSmtp(t, { user: { name: 'shop', password: 'Pa55word-of-the-shop' } })
  const mailer = () => nodemailerMailer({ host: smtp.host, port: smtp.port, requireTls: true, user: 'shop', password: 'Pa55word-of-the-shop', ...ALLOWED }, { from: 'shop@example.com' })
  t.strictSame(await find(t), [], 'without a mailer, on localhost')
  t.strictSame(await find(t, { storage: await sqliteStorage(databaseFile(t)), appUrl: HTTPS, mailer: mailer() }, { trustProxy: '10.0.0.0/8' }), [], 'SQLite')
  t.strictSame(await find(t, { storage: await openPostgres(t), appUrl: HTTPS, mailer: mailer(), cookies: { domain: 'example.com' } }, { trustProxy: ['127.0.0.1', '::1'] }), [], 'PostgreSQL')
  const secrets = { access: text(), refresh: text(), hash: text() }
  t.strictSame(await find(t, { appUrl: HTTPS, secrets }, { https: { key: KEY, cert: CERTIFICATE } } as FastifyServerOptions), [], 'TLS of its own')
  t.equal(smtp.messages.length, 0, 'no mail was sent')
})

const text = () => randomBytes(32).toString('base64url')

t.test('D8 proxy: whom the server trusts to say who the client is', async t => {
  const cases: ReadonlyArray<readonly [FastifyServerOptions['trustProxy'], RegExp | null]> = [
    [true, /^proxy-trusts-everybody/], [() => true, /^proxy-trusts-everybody/], [address => address.includes(':'), /^proxy-trusts-everybody/],
    [1 as unknown as string, /^proxy-hops/], [0 as unknown as string, /^proxy-unknown/], [(_address: string, hop: number) => hop < 1, null], ['loopback', null], [false, /^proxy-unknown/], [undefined, /^proxy-unknown/]
  ]
  for (const [trustProxy, expected] of cases) {
    const found = await find(t, { appUrl: HTTPS }, trustProxy === undefined ? {} : { trustProxy })
    matchAll(t, found, expected === null ? [] : [expected], String(trustProxy))
  }
})

t.test('cookies: a domain that is everybody\'s, and plain http', async t => {
  const trustProxy = '127.0.0.1'
  for (const [appUrl, domain] of [['https://shop.co.uk', 'co.uk'], ['https://ada.github.io', 'github.io']] as const) {
    matchAll(t, await find(t, { appUrl, cookies: { domain } }, { trustProxy }), [new RegExp(`^cookie-domain-public-suffix: cookies\\.domain is ${domain.replace('.', '\\.')},`)])
  }
  matchAll(t, await find(t, { appUrl: 'http://shop.example.com', cookies: { insecure: true } }), [/^cookies-insecure: .*http:\/\/shop\.example\.com/])
})

t.test('secrets: one for two purposes, one twice in a list, and a rotation that is under way', async t => {
  const [one, other] = [text(), text()]
  matchAll(t, await find(t, { secrets: { access: one, refresh: one, hash: other } }), [/^secret-shared: secrets\.access and secrets\.refresh/])
  t.equal((await find(t, { secrets: { access: one, refresh: one, hash: one, session: one } })).length, 6)
  t.strictSame(await find(t, { secrets: { access: one } }), [], 'what is left out is derived')
  matchAll(t, await find(t, { secret: [one, other] }), [/^secret-rotation: Up to 2 /])
  matchAll(t, await find(t, { secret: [one, Buffer.from(one)] }), [/^secret-repeated: secret names/, /^secret-rotation/])
  matchAll(t, await find(t, { secrets: { access: other, hash: [one, one] } }), [/^secret-repeated: secrets\.hash names/, /^secret-rotation/])
})

t.test('K1 keys: which signs and which verify as well, and no more of them', async t => {
  const [one, two] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ec', { namedCurve: 'P-256' })]
  const keys = [{ kid: 'one', algorithm: 'EdDSA', privateKey: one.privateKey }, { kid: 'two', algorithm: 'ES256', publicKey: two.publicKey }] as const
  t.strictSame(await find(t, { keys: keys.slice(0, 1) }), [])
  t.strictSame(await find(t, { keys }), ['key-rotation: one (EdDSA) signs access tokens, and two (ES256) verifies them as well.'])
  const { app } = await createApp(t, { keys })
  t.strictSame((await app.accounts.diagnose()).keys, [{ kid: 'one', algorithm: 'EdDSA', canSign: true }, { kid: 'two', algorithm: 'ES256', canSign: false }])
})

t.test('the database: what it lacks, whether it answers, and the time that it has', async t => {
  const file = databaseFile(t)
  const storage = await sqliteStorage(file)
  const { app } = await createApp(t, { storage })
  const look = async () => examine(await app.accounts.diagnose(), null).map(({ code, what }) => `${code}: ${what}`)
  const database = connect(t, file)
  database.exec('drop index accounts_sessions_idle; drop trigger accounts_user_changed')
  matchAll(t, await look(), [/^indexes-missing: .*\(accounts_sessions_idle\)/, /^triggers-missing: .*\(accounts_users\.accounts_user_changed\)/])
  database.exec("delete from accounts_migrations where name like '0002%'; drop index accounts_users_created")
  matchAll(t, await look(), [/^migrations-missing: .*\(0002-list-of-users\)/, /^indexes-missing: .*\(accounts_sessions_idle\)/, /^triggers/])
  rmSync(file)
  matchAll(t, await look(), [/^storage-failed: The storage could not be checked: .*accounts\.db is gone\.$/])

  // One of a host's own, which knows nothing of triggers that are switched off.
  const inspect = async () => ({ now: new Date(), missingMigrations: [], missingIndexes: [], missingTriggers: [] })
  const { app: own } = await createApp(t, { storage: { ...await sqliteStorage(':memory:'), inspect } })
  t.strictSame(examine(await own.accounts.diagnose(), null), [])

  const schema = schemaName(t)
  const postgres = (await createApp(t, { storage: await openPostgres(t, { schema }) })).app
  await query(`drop index ${schema}.accounts_sessions_idle`)
  await query(`alter table ${schema}.accounts_users disable trigger accounts_user_changed; alter table ${schema}.accounts_sessions disable trigger accounts_emptied; drop trigger accounts_session_ended on ${schema}.accounts_sessions`)
  const found = examine(await postgres.accounts.diagnose(), null)
  t.match(found, [
    { code: 'indexes-missing', severity: 'error', what: /accounts_sessions_idle/ },
    { code: 'triggers-missing', severity: 'error', what: /\(accounts_sessions\.accounts_session_ended\)/, cure: /^Make them again/ },
    { code: 'triggers-disabled', severity: 'error', what: `Triggers of the database are switched off (${schema}.accounts_sessions.accounts_emptied, ${schema}.accounts_users.accounts_user_changed): what one process`, cure: `alter table ${schema}.accounts_sessions enable trigger accounts_emptied; alter table ${schema}.accounts_users enable trigger accounts_user_changed;` }
  ])
  await query(found[2]!.cure)
  t.strictSame(examine(await postgres.accounts.diagnose(), null).map(({ code }) => code), ['indexes-missing', 'triggers-missing'])

  const clock = holdClock(t)
  const { app: other } = await createApp(t, { storage: await openPostgres(t) })
  const skew = async () => examine(await other.accounts.diagnose(), null)
  clock.jump(4 * SECOND)
  t.strictSame(await skew(), [])
  clock.jump(4 * SECOND)
  t.match(await skew(), [{ code: 'clock-skew', severity: 'warning', what: /^The clock of the database is 8 s behind the one here\.$/ }])
  clock.jump(-16 * SECOND)
  t.match(await skew(), [{ code: 'clock-skew', what: /8 s ahead of/ }])
})

t.test('Redis: whether it answers, what it may forget, and which stores that is about', async t => {
  const durable = await startRedis({ appendonly: 'yes' })
  const careless = await startRedis({ 'maxmemory-policy': 'allkeys-lru' })
  t.teardown(async () => { await Promise.all([durable.stop(), careless.stop()]) })
  const ask = async ({ url }: RedisServer, pick = (parts: RedisStorage): Partial<RedisStorage> => parts) => await find(t, { storage: { ...await sqliteStorage(':memory:'), ...pick(openRedis(t, url).parts) } })
  t.strictSame(await ask(durable), [])
  matchAll(t, await ask(careless), [/^redis-evicts: .*allkeys-lru/, /^redis-forgets: .*forgets sessions, oneTimeTokens, throttles: it logs everybody out\.$/])
  matchAll(t, await ask(careless, ({ throttles }) => ({ throttles })), [/^redis-evicts/, /^redis-forgets: .*forgets throttles\.$/])
  const snapshots = new Redis(careless.url)
  await snapshots.config('SET', 'save', '3600 1')
  snapshots.disconnect()
  matchAll(t, await ask(careless), [/^redis-evicts/])
  const { app } = await createApp(t, { storage: { ...await sqliteStorage(':memory:'), ...openRedis(t, durable.url).parts } })
  await durable.kill()
  matchAll(t, examine(await app.accounts.diagnose(), null).map(({ code, what }) => `${code}: ${what}`), [/^redis-failed: Redis, which keeps sessions, oneTimeTokens, throttles, could not be asked: no connection to Redis\.$/])
})

t.test('Redis: one that is old, far away, or tells little', t => {
  const judge = (answer: Partial<RedisInspection>) => examineRedis({ redis: [{ stores: ['sessions'], inspection: { state: 'answered', answer: { ms: 1, version: '7.0.15', evictionPolicy: 'noeviction', isPersistent: true, ...answer } } }] }).map(({ code, what }) => `${code}: ${what}`)
  for (const version of ['6.0.16', '5.9.9', '6.1']) matchAll(t, judge({ version }), [new RegExp(`^redis-old: .*${version}, which is older than 6\\.2`)], version)
  for (const version of ['6.2.0', '6.10.1', '7.0.0', '10.0.0', null]) t.strictSame(judge({ version }), [], String(version))
  matchAll(t, judge({ ms: 80.4 }), [/^redis-slow: Redis takes 80 ms/])
  t.strictSame(judge({ evictionPolicy: null, isPersistent: null }), [])
  t.end()
})

t.test('parts of a host\'s own that do not tell how they are count as not checked', async t => {
  const { inspect, ...storage } = await sqliteStorage(':memory:')
  matchAll(t, await find(t, { storage, mailer: { send: async () => {} } }), [/^storage-unchecked/, /^mail-unchecked/])
  matchAll(t, await find(t, { mailer: { send: async () => {}, verify: async () => { throw new TypeError('out of\nstamps\u001b[2J.') } } }), [/^mail-failed: No mail can be sent: out of stamps \[2J\.$/], 'in one line')
})

t.test('mail: a server that is down, has no TLS, takes no such login, or is somebody else', async t => {
  const user = { name: 'shop', password: 'Pa55word-of-the-shop' }
  const ask = async ({ port }: { port: number }, smtp: Partial<SmtpOptions>) => await find(t, { mailer: nodemailerMailer({ host: '127.0.0.1', port, pool: false, ...smtp }, { from: 'shop@example.com' }) })
  const login = { user: user.name, password: 'wrong-Pa55word', ...ALLOWED }
  matchAll(t, await ask(await startSmtp(t, { user }), login), [/^mail-failed: .*the login was refused 535/])
  matchAll(t, await ask(await startSmtp(t, { tls: 'none' }), { requireTls: true }), [/^mail-failed: .*STARTTLS/i])
  matchAll(t, await ask(await startSmtp(t), { requireTls: true }), [/^mail-failed: .*self[- ]signed certificate/])
  const smtp = await startSmtp(t, { user })
  smtp.trouble({ refuse: 'connect', code: 554, reply: 'go \u001b[2J away' })
  const [refused] = await ask(smtp, login)
  t.match(refused, /^mail-failed: .*554 go .*away/)
  t.notMatch(refused, '\u001b')
  await smtp.stop()
  const [down] = await ask(smtp, login)
  t.match(down, /^mail-failed: .*ECONNREFUSED/)
  t.notMatch(down, login.password)
})

t.test('docs/operation.md lists every finding, and no other', async t => {
  const guide = readFileSync(join(ROOT, 'docs/operation.md'), 'utf8')
  const section = guide.slice(guide.indexOf('### doctor'), guide.indexOf('## Health'))
  const documented = [...section.matchAll(/^\| `([a-z-]+)` \| (ok|warning|error) \|/gm)].map(([, code, severity]) => [code, severity])
  t.strictSame(documented, Object.entries(FINDINGS).map(([code, { severity }]) => [code, severity]))
})
