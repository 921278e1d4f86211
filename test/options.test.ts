import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts from '../lib/index.ts'
import { resolveOptions } from '../lib/options/index.ts'
import type { AccountsOptions, Storage } from '../types/index.ts'
import { CHEAP_COSTS } from './support/counting-hasher.ts'

const noop = () => {}
const HTTPS = 'https://app.example.com'

/** Stands in values that are refused: no error may repeat it. */
const MARK = 'zQ7marker'
const NUMBER = 7_654_321

/** Start the plugin with exactly these options beside a storage and a secret. */
async function start (t: Test, options: object): Promise<void> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const { close, ...storage } = await shared
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage, ...options } as AccountsOptions)
  await app.ready()
}

/** Nothing is kept in it, so one is enough. */
const shared = sqliteStorage(':memory:')
t.teardown(async () => { await (await shared).close() })

const ACCEPTED: object[] = [
  { appUrl: 'http://localhost' }, { appUrl: 'http://127.0.0.1:8080' }, { appUrl: 'http://[::1]:3000' },
  { appUrl: HTTPS }, { appUrl: `${HTTPS}/` }, { appUrl: `${HTTPS}:8443/app/` }, { appUrl: 'https://EXAMPLE.com' },
  { appUrl: 'http://intranet.example:3000', cookies: { insecure: true } },
  { accessTokenTtl: 60 }, { accessTokenTtl: '30s' }, { accessTokenTtl: '15m' }, { accessTokenTtl: '12h', refreshTokenTtl: '12h', sessionTtl: '12h' },
  { refreshTokenTtl: '1d', sessionTtl: 86_400 }, { sessionTtl: '3650d' }, { sessionTtl: undefined },
  { refresh: 'transparent' }, { refresh: 'explicit' },
  { csrf: 'standard' }, { csrf: 'strict' },
  { cookies: {} }, { cookies: { sameSite: 'lax' } }, { cookies: { sameSite: 'strict' } }, { cookies: { insecure: false } },
  { cookies: { names: {} } }, { cookies: { names: { access: 'a', refresh: 'b' } } }, { cookies: { names: { access: 'my_app-1.a' } } },
  { appUrl: HTTPS, cookies: { domain: 'example.com' } }, { appUrl: HTTPS, cookies: { domain: 'app.example.com' } }, { appUrl: HTTPS, cookies: { domain: 'Example.COM' } },
  { passwords: {} }, { passwords: { minLength: 8 } }, { passwords: { minLength: 64 } }, { passwords: { maxBytes: 64 } }, { passwords: { maxBytes: 4096 } },
  { passwords: { blocklist: [] } }, { passwords: { blocklist: ['northwind'] } }, { passwords: { blocklist: false } },
  { passwords: { maxQueue: 1 } }, { passwords: { maxQueue: 100_000 } }, { passwords: { argon2: {} } },
  { passwords: { argon2: CHEAP_COSTS } }, { passwords: { argon2: { memoryKiB: 65_536, iterations: 3, parallelism: 4 } } },
  { passwords: { algorithm: 'argon2id' } }, { passwords: { algorithm: 'bcrypt' } }, { passwords: { algorithm: 'bcrypt', rounds: 10 } }, { passwords: { algorithm: 'bcrypt', rounds: undefined, argon2: undefined } },
  { passwords: { verifyForeign: () => false } }, { passwords: { verifyForeign: async () => true, legacy: { foreignMs: 2000 } } }, { passwords: { legacy: {} } }, { passwords: { legacy: { bcryptRounds: 15 } } },
  { registration: {} }, { registration: { open: true } }, { registration: { open: false } },
  { throttle: false }, { throttle: {} }, { throttle: { free: 1 } }, { throttle: { limit: 5 } }, { throttle: { free: 100, limit: 100 } },
  { rateLimit: false }, { rateLimit: {} }, { rateLimit: { max: 1, maxSensitive: 1_000_000, window: '1h' } }, { rateLimit: { window: 30 } }, { rateLimit: { shared: true } },
  { issuer: 'ISSUER', audience: 'AUDIENCE' }, { issuer: ['new', 'old'], audience: ['only'] }, { leeway: '1m' }, { leeway: 0 }, { bearer: false }, { credentialOrder: ['bearer', 'cookie'] }, { issuer: `${HTTPS}/`, audience: 'x'.repeat(500) }, { expireSessionsOnRestart: true }, { expireSessionsOnRestart: false },
  { routes: false }, { routes: {} }, { routes: { prefix: '/accounts' } }, { routes: { prefix: '/api/v1/auth' } }, { routes: { health: true } }, { routes: { health: false } },
  { hooks: {} }, { hooks: { beforeLogin: noop } }, { hooks: { beforeLogin: [] } }, { hooks: { afterLogin: [noop, noop], authorize: undefined } }
]

t.test('every option takes what makes sense', async t => {
  for (const options of ACCEPTED) await t.resolves(start(t, options), JSON.stringify(options))
})

/** Option path, options. */
const REFUSED: ReadonlyArray<readonly [string, object]> = [
  ['appUrl', { appUrl: undefined }], ['appUrl', { appUrl: null }], ['appUrl', { appUrl: 3000 }], ['appUrl', { appUrl: '' }], ['appUrl', { appUrl: [HTTPS] }],
  ['appUrl', { appUrl: `${MARK}.example.com` }], ['appUrl', { appUrl: `ftp://${MARK}.example.com` }], ['appUrl', { appUrl: `javascript:${MARK}` }],
  ['appUrl', { appUrl: `https://ada:${MARK}@example.com` }], ['appUrl', { appUrl: `https://${MARK}@example.com` }],
  ['appUrl', { appUrl: `${HTTPS}/?${MARK}` }], ['appUrl', { appUrl: `${HTTPS}/#${MARK}` }],
  ['appUrl', { appUrl: `http://${MARK}.example.com` }], ['appUrl', { appUrl: 'http://127.0.0.1.example.com' }], ['appUrl', { appUrl: 'http://localhost.example.com' }],
  ['appUrl', { appUrl: 'http://192.168.0.9:3000', cookies: { insecure: false } }],

  ...['0', '15', '15 m', '1.5h', '-5m', '0m', 'PT15M', '15M', '1e3', '', `${MARK}m`, 0, -1, 1.5, NaN, Infinity, 1e300, '99999999999d', true, [], {}, 10n].flatMap(value =>
    (['accessTokenTtl', 'refreshTokenTtl', 'sessionTtl'] as const).map(name => [name, { [name]: value }] as const)),

  ...['', 'x'.repeat(501), `${MARK}\n`, `ü${MARK}`, 7, true, [], [[MARK]], {}].flatMap(value => (['issuer', 'audience'] as const).map(name => [name, { [name]: value }] as const)),
  ...['true', MARK, 1, 0, {}].map(value => ['expireSessionsOnRestart', { expireSessionsOnRestart: value }] as const),

  ['refresh', { refresh: MARK }], ['refresh', { refresh: true }], ['refresh', { refresh: '' }], ['refresh', { refresh: 'Explicit' }],
  ['csrf', { csrf: MARK }], ['csrf', { csrf: false }], ['csrf', { csrf: 'off' }],

  ['cookies', { cookies: false }], ['cookies', { cookies: 'lax' }], ['cookies', { cookies: [] }],
  ['cookies.sameSite', { cookies: { sameSite: 'none' } }], ['cookies.sameSite', { cookies: { sameSite: true } }], ['cookies.sameSite', { cookies: { sameSite: MARK } }],
  ['cookies.insecure', { cookies: { insecure: 'true' } }], ['cookies.insecure', { cookies: { insecure: 1 } }],
  ['cookies.domain', { appUrl: HTTPS, cookies: { domain: `${MARK}.com` } }], ['cookies.domain', { appUrl: HTTPS, cookies: { domain: 'com' } }],
  ['cookies.domain', { appUrl: HTTPS, cookies: { domain: '.example.com' } }], ['cookies.domain', { appUrl: HTTPS, cookies: { domain: 'ample.com' } }],
  ['cookies.domain', { appUrl: HTTPS, cookies: { domain: 'x.app.example.com' } }], ['cookies.domain', { appUrl: HTTPS, cookies: { domain: 'example.com; secure' } }],
  ['cookies.domain', { appUrl: HTTPS, cookies: { domain: '' } }], ['cookies.domain', { appUrl: HTTPS, cookies: { domain: ['example.com'] } }],
  ['cookies.domain', { cookies: { domain: 'localhost' } }],
  ['cookies.names', { cookies: { names: 'session' } }], ['cookies.names', { cookies: { names: { access: 'same', refresh: 'same' } } }],
  ['cookies.names.access', { cookies: { names: { access: '' } } }], ['cookies.names.access', { cookies: { names: { access: `${MARK};` } } }],
  ['cookies.names.refresh', { cookies: { names: { refresh: 'with space' } } }], ['cookies.names.access', { cookies: { names: { access: '__Host-session' } } }],
  ['cookies.names.refresh', { cookies: { names: { refresh: '__secure-session' } } }], ['cookies.names.access', { cookies: { names: { access: 'x'.repeat(65) } } }],

  ['passwords', { passwords: 15 }], ['passwords', { passwords: [] }],
  ['passwords.minLength', { passwords: { minLength: 7 } }], ['passwords.minLength', { passwords: { minLength: 65 } }], ['passwords.minLength', { passwords: { minLength: '15' } }], ['passwords.minLength', { passwords: { minLength: 15.5 } }], ['passwords.minLength', { passwords: { minLength: NUMBER } }],
  ['passwords.maxBytes', { passwords: { maxBytes: 63 } }], ['passwords.maxBytes', { passwords: { maxBytes: 4097 } }], ['passwords.maxBytes', { passwords: { maxBytes: Infinity } }], ['passwords.maxBytes', { passwords: { maxBytes: '1024' } }],
  ['passwords.blocklist', { passwords: { blocklist: true } }], ['passwords.blocklist', { passwords: { blocklist: MARK } }], ['passwords.blocklist', { passwords: { blocklist: [MARK, 7] } }], ['passwords.blocklist', { passwords: { blocklist: new Set([MARK]) } }],
  ['passwords.maxQueue', { passwords: { maxQueue: 0 } }], ['passwords.maxQueue', { passwords: { maxQueue: Infinity } }], ['passwords.maxQueue', { passwords: { maxQueue: -1 } }],
  ['passwords.argon2', { passwords: { argon2: 'argon2id' } }], ['passwords.argon2.memoryKiB', { passwords: { argon2: { memoryKiB: 262_145 } } }], ['passwords.argon2.memoryKiB', { passwords: { argon2: { memoryKiB: '19456' } } }],
  ['passwords.argon2.iterations', { passwords: { argon2: { iterations: 11 } } }], ['passwords.argon2.iterations', { passwords: { argon2: { iterations: 2.5 } } }],
  ['passwords.argon2.parallelism', { passwords: { argon2: { parallelism: 17 } } }], ['passwords.argon2.parallelism', { passwords: { argon2: { parallelism: NaN } } }],

  ['passwords.algorithm', { passwords: { algorithm: MARK } }], ['passwords.algorithm', { passwords: { algorithm: 'argon2i' } }], ['passwords.algorithm', { passwords: { algorithm: ['bcrypt'] } }],
  ['passwords.rounds', { passwords: { rounds: 12 } }], ['passwords.rounds', { passwords: { algorithm: 'argon2id', rounds: 12 } }],
  ...[9, 16, 12.5, '12', NUMBER, NaN].map(rounds => ['passwords.rounds', { passwords: { algorithm: 'bcrypt', rounds } }] as const),
  ['passwords.argon2', { passwords: { algorithm: 'bcrypt', argon2: {} } }], ['passwords.argon2', { passwords: { algorithm: 'bcrypt', argon2: CHEAP_COSTS } }],
  ['passwords.verifyForeign', { passwords: { verifyForeign: MARK } }], ['passwords.verifyForeign', { passwords: { verifyForeign: {} } }],
  ['passwords.legacy', { passwords: { legacy: true } }], ['passwords.legacy', { passwords: { legacy: 12 } }], ['passwords.legacy', { passwords: { legacy: [] } }],
  ...[3, 16, 12.5, '12', NUMBER].map(bcryptRounds => ['passwords.legacy.bcryptRounds', { passwords: { legacy: { bcryptRounds } } }] as const),
  ...[0, 2001, '100', NUMBER].map(foreignMs => ['passwords.legacy.foreignMs', { passwords: { verifyForeign: noop, legacy: { foreignMs } } }] as const),
  ['passwords.legacy.foreignMs', { passwords: { legacy: { foreignMs: 100 } } }],

  ['registration', { registration: false }], ['registration.open', { registration: { open: 'yes' } }], ['registration.open', { registration: { open: 0 } }],

  ['throttle', { throttle: true }], ['throttle', { throttle: 5 }], ['throttle', { throttle: [] }], ['throttle.free', { throttle: { free: 0 } }], ['throttle.free', { throttle: { free: '5' } }], ['throttle.free', { throttle: { free: 101 } }],
  ['throttle.limit', { throttle: { limit: 4 } }], ['throttle.limit', { throttle: { limit: 101 } }], ['throttle.limit', { throttle: { free: 7, limit: 6 } }], ['throttle.limit', { throttle: { limit: NUMBER } }],
  ['rateLimit', { rateLimit: true }], ['rateLimit', { rateLimit: 300 }], ['rateLimit.max', { rateLimit: { max: 0 } }], ['rateLimit.max', { rateLimit: { max: Infinity } }], ['rateLimit.maxSensitive', { rateLimit: { maxSensitive: '30' } }],
  ['rateLimit.window', { rateLimit: { window: MARK } }], ['rateLimit.window', { rateLimit: { window: 0 } }], ['rateLimit.shared', { rateLimit: { shared: MARK as never } }],

  ['routes', { routes: true }], ['routes', { routes: '/auth' }], ['routes.health', { routes: { health: MARK } }], ['routes.health', { routes: { health: 1 } }],
  ...['', '/', 'auth', '/auth/', '//auth', '/a b', '/:id', '/*', '/auth?x', `${MARK}`, 7, '/auth\n'].map(prefix => ['routes.prefix', { routes: { prefix } }] as const),

  ['hooks', { hooks: noop }], ['hooks', { hooks: [] }], ['hooks.beforeLogin', { hooks: { beforeLogin: MARK } }], ['hooks.beforeLogin', { hooks: { beforeLogin: true } }], ['hooks.afterLogin', { hooks: { afterLogin: [noop, MARK] } }],

  // What secrets must be is tested elsewhere.
  ['secret', { secret: MARK }]
]

t.test('every option refuses what makes no sense, at start, by its name and without its value', async t => {
  t.ok(REFUSED.length >= 60)
  for (const [path, options] of REFUSED) {
    const shown = `${path}: ${inspectBriefly(options)}`
    const error = await start(t, options).then(() => null, (thrown: Error & { code?: string }) => thrown)
    t.equal(error?.code, 'FST_ACCOUNTS_OPTION_INVALID', shown)
    t.ok(error?.message.startsWith(`Option "${path}" `), String(error?.message))
    for (const mark of [MARK, String(NUMBER)]) t.notMatch(String(error?.stack), mark)
  }
})

const inspectBriefly = (options: object) => Object.entries(options).map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`).join(', ').slice(0, 100)

t.test('null is not taken for an option that was left out', async t => {
  const paths = ['issuer', 'audience', 'leeway', 'tokenHeader', 'credentialOrder', 'bearer', 'expireSessionsOnRestart', 'accessTokenTtl', 'refreshTokenTtl', 'sessionTtl', 'refresh', 'csrf', 'cookies', 'cookies.sameSite', 'cookies.insecure', 'cookies.domain', 'cookies.names', 'cookies.names.access',
    'passwords', 'passwords.minLength', 'passwords.maxBytes', 'passwords.blocklist', 'passwords.maxQueue', 'passwords.argon2', 'passwords.argon2.memoryKiB', 'passwords.algorithm', 'passwords.verifyForeign', 'passwords.legacy', 'passwords.legacy.bcryptRounds', 'registration', 'registration.open', 'throttle', 'throttle.free', 'throttle.limit', 'rateLimit', 'rateLimit.max', 'rateLimit.maxSensitive', 'rateLimit.window', 'rateLimit.shared', 'routes', 'routes.prefix', 'routes.health', 'hooks', 'hooks.beforeLogin']
  for (const path of paths) {
    const options = path.split('.').reduceRight<unknown>((value, name) => ({ [name]: value }), null) as object
    await t.rejects(start(t, options), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`^Option "${path.replaceAll('.', '\\.')}" `) }, path)
  }
})

t.test('a path that browsers would resolve to another one is no prefix', async t => {
  for (const prefix of ['/..', '/.', '/auth/../admin', '/./auth']) {
    await t.rejects(start(t, { routes: { prefix } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "routes\.prefix" / }, prefix)
  }
})

t.test('an address has no parent domain that could share cookies', async t => {
  for (const [appUrl, domain] of [['https://127.0.0.1', '0.0.1'], ['https://10.1.2.3', '2.3']] as const) {
    await t.rejects(start(t, { appUrl, cookies: { domain } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "cookies\.domain" / }, domain)
  }
})

t.test('a name that no option has is refused at every level', async t => {
  const paths = ['appURL', 'Secret', 'accessTokenTTL', 'prefix', 'constructor', 'secrets.acess', 'cookies.secure', 'cookies.names.session', 'passwords.minlength', 'passwords.argon2.memoryCost', 'passwords.legacy.rounds', 'registration.closed', 'throttle.max', 'rateLimit.timeWindow', 'routes.path', 'hooks.beforLogin']
  for (const path of paths) {
    const options = path.split('.').reduceRight<unknown>((value, name) => ({ [name]: value }), MARK) as object
    const given = path.startsWith('secrets.') ? { secret: undefined, secrets: { access: randomBytes(32), acess: MARK } } : options
    const error = await start(t, given).then(() => null, (thrown: Error & { code?: string }) => thrown)
    t.equal(error?.code, 'FST_ACCOUNTS_OPTION_INVALID', path)
    t.equal(error?.message, `Option "${path}" is unknown`)
  }
})

t.test('lifetimes that contradict each other are refused', async t => {
  for (const [path, options] of [
    ['accessTokenTtl', { accessTokenTtl: '2h', refreshTokenTtl: '1h' }],
    ['accessTokenTtl', { accessTokenTtl: '91d' }],
    ['refreshTokenTtl', { refreshTokenTtl: '2d', sessionTtl: '1d' }],
    ['refreshTokenTtl', { refreshTokenTtl: '366d' }],
    ['accessTokenTtl', { accessTokenTtl: 61, refreshTokenTtl: 60, sessionTtl: 60 }]
  ] as const) {
    await t.rejects(start(t, options), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`^Option "${path}" is longer than`) }, JSON.stringify(options))
  }
})

t.test('a lifetime that is left out gives way to a shorter one around it', async t => {
  const storage = await sqliteStorage(':memory:')
  t.teardown(async () => { await storage.close() })
  const resolve = (options: Partial<AccountsOptions>) => {
    const { accessTokenTtl, refreshTokenTtl, sessionTtl } = resolveOptions({ appUrl: 'http://localhost:3000', secret: randomBytes(32), storage, ...options })
    return [accessTokenTtl, refreshTokenTtl, sessionTtl].map(milliseconds => milliseconds / 60_000)
  }
  t.strictSame(resolve({}), [60, 90 * 24 * 60, 365 * 24 * 60])
  t.strictSame(resolve({ sessionTtl: '30m' }), [30, 30, 30])
  t.strictSame(resolve({ refreshTokenTtl: '59m' }), [59, 59, 365 * 24 * 60])
})

t.test('a storage that is not one is refused, with words for the usual mistakes', async t => {
  const storage = await sqliteStorage(':memory:')
  t.teardown(async () => { await storage.close() })
  const promised = sqliteStorage(':memory:')
  t.teardown(async () => { await (await promised).close() })
  const { users, sessions, throttles } = storage
  for (const [given, message] of [
    [promised, 'Option "storage" is a promise: await it'],
    [undefined, 'Option "storage" must be a storage, not undefined'],
    [null, 'Option "storage" must be a storage, not null'],
    [`sqlite:${MARK}.db`, 'Option "storage" must be a storage, not string'],
    [{}, 'Option "storage.users" is missing'],
    [[], 'Option "storage.users" is missing'],
    [{ sessions }, 'Option "storage.users" is missing'],
    [{ users }, 'Option "storage.sessions" is missing'],
    [{ users, sessions }, 'Option "storage.throttles" is missing: failed logins are counted there. Give the storage one, or set throttle: false'],
    [{ users: {}, sessions, throttles }, 'Option "storage.users.find" is missing'],
    [{ users, sessions, throttles: { ...throttles, attempt: undefined } }, 'Option "storage.throttles.attempt" is missing'],
    [{ users, sessions: { ...sessions, rotate: undefined }, throttles }, 'Option "storage.sessions.rotate" is missing']
  ] as const) {
    await t.rejects(start(t, { storage: given as Storage }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message })
  }
  await t.resolves(start(t, { storage: { users, sessions, throttles: throttles! } }), 'parts alone are enough')
  await t.resolves(start(t, { storage: { users, sessions }, throttle: false }))
  await t.rejects(start(t, { storage: { users, sessions }, throttle: false, rateLimit: { shared: true } }), { message: 'Option "storage.throttles" is missing: rateLimit.shared counts there' })
})

t.test('the options stay as the caller gave them', async t => {
  const deepFreeze = (value: unknown): unknown => {
    if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) Object.values(Object.freeze(value)).forEach(deepFreeze)
    return value
  }
  const options = deepFreeze({ cookies: { names: { access: 'a' } }, passwords: { blocklist: ['northwind'], argon2: { memoryKiB: 19_456 } }, hooks: { afterLogin: [noop] }, routes: { prefix: '/a' } }) as object
  await t.resolves(start(t, options))
})

const MAILER = { send: async () => {} }
const own = (path: string) => (token: string) => `${HTTPS}${path}${token}`

t.test('mail: what makes sense is taken, and resolved', async t => {
  const storage = await shared
  const resolve = (options: object) => resolveOptions({ appUrl: 'https://app.example.com:8443/shop/', secret: randomBytes(32), storage, ...options }).mail
  t.equal(resolve({}), null)
  t.match(resolve({ mailer: MAILER }), { mailer: MAILER, appName: 'app.example.com:8443', appUrl: 'https://app.example.com:8443/shop', messages: {} })
  for (const options of [
    { mailer: { ...MAILER, verify: async () => {}, close: async () => {} } }, { mailer: new (class { async send () {} })() },
    { mailer: MAILER, mail: {}, links: {} }, { mailer: MAILER, mail: { appName: 'Ada\'s Shop & Söhne' } }, { mailer: MAILER, mail: { messages: {} } }, { mailer: MAILER, mail: { messages: { 'reset-password': () => null, 'email-taken': undefined } } },
    { appUrl: HTTPS, mailer: MAILER, links: { resetPassword: own('/r/'), verifyEmail: own('/#'), changeEmail: own('/c?x=1&t=') } }
  ]) await t.resolves(start(t, options), JSON.stringify(options))
})

t.test('mail: what makes no sense is refused by name, never with its value', async t => {
  const withMailer = (options: object) => ({ appUrl: HTTPS, mailer: MAILER, ...options })
  const refused: ReadonlyArray<readonly [string, object]> = [
    ['mail', { mail: {} }], ['links', { links: {} }], ['mail', { mail: null }], ['links', { links: null }],
    ...[null, MARK, 7, true, async () => {}].map(mailer => ['mailer', { mailer }] as const), ['mailer', { mailer: Promise.resolve(MAILER) }],
    ['mailer.send', { mailer: {} }], ['mailer.send', { mailer: [] }], ['mailer.send', { mailer: { send: MARK } }], ['mailer.send', { mailer: { send: null } }], ['mailer.verify', { mailer: { ...MAILER, verify: true } }], ['mailer.close', { mailer: { ...MAILER, close: MARK } }],
    ...[null, MARK, [], 7].flatMap(value => [['mail', withMailer({ mail: value })], ['links', withMailer({ links: value })], ['mail.messages', withMailer({ mail: { messages: value } })]] as const),
    ...[null, '', ' ', 7, `${MARK}\r\nBcc: x`, `${MARK}\u2028`, `${MARK}\u202e`, ` ${MARK}`, MARK.repeat(20)].map(appName => ['mail.appName', withMailer({ mail: { appName } })] as const),
    ['mail.from', withMailer({ mail: { from: MARK } })], ['mail.messages.welcome', withMailer({ mail: { messages: { welcome: MARK } } })], ['links.magic', withMailer({ links: { magic: MARK } })],
    ...[null, MARK, {}].map(message => ['mail.messages.reset-password', withMailer({ mail: { messages: { 'reset-password': message } } })] as const),
    ...(['resetPassword', 'verifyEmail', 'changeEmail'] as const).flatMap(name => [
      null, `${HTTPS}/${MARK}`, {}, () => {}, () => null, async (token: string) => `${HTTPS}/${token}`, () => MARK, () => `${HTTPS}/${MARK}`, (token: string) => `/${token}`, (token: string) => token, (token: string) => `https://${MARK}.example/${token}`,
      (token: string) => `http://app.example.com/${token}`, (token: string) => `${HTTPS}:8443/${token}`, (token: string) => `${HTTPS}.${MARK}.example/${token}`, (token: string) => `https://ada:${MARK}@app.example.com/${token}`, (token: string) => `https://${token}@app.example.com/`,
      (token: string) => `//app.example.com/${token}`, (token: string) => `javascript:${token}`, (token: string) => `${HTTPS}/${token}/${token}`, (token: string) => `${HTTPS}/${token.slice(1)}`, (token: string) => `${HTTPS}/${token.toLowerCase()}`, (token: string) => `${HTTPS}/${token}?${'x'.repeat(2000)}`
    ].map(maker => [`links.${name}`, withMailer({ links: { [name]: maker } })] as const))
  ]
  for (const [path, options] of refused) {
    const error = await start(t, options).then(() => null, (thrown: Error & { code?: string }) => thrown)
    t.match(error, { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`^Option "${path.replaceAll('.', '\\.')}" `) }, escape(`${path} ${JSON.stringify(options, (_name, value: unknown) => typeof value === 'function' ? String(value) : value)}`))
    t.notMatch(error?.message, new RegExp(`${MARK}|probe-`))
  }
})
