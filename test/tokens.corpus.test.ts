import { randomBytes } from 'node:crypto'
import Fastify, { type LightMyRequestResponse } from 'fastify'
import { createVerifier } from 'fast-jwt'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { resolveOptions } from '../lib/options/index.ts'
import { createJwts } from '../lib/tokens/jwt.ts'
import { createTokens } from '../lib/tokens/tokens.ts'
import type { Secrets } from '../types/options.ts'
import { createApp, databaseFile } from './support/app.ts'
import type { Client } from './support/client.ts'
import { HOUR, SECOND, stopClock } from './support/clock.ts'
import { forge, open, seal, type Genuine } from './support/jwt-corpus.ts'

const APP_URL = 'http://localhost:3000'
const ACCESS = 'accounts_access'
const REFRESH = 'accounts_refresh'
const CODES = { invalid: 'FST_ACCOUNTS_TOKEN_INVALID', over: 'FST_ACCOUNTS_TOKEN_INVALID', expired: 'FST_ACCOUNTS_TOKEN_EXPIRED', absent: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' }

/** Of a refresh token the session says how long it lives, and a clock that was wrong must not log anybody out. */
const isWrongOfRefreshTokens = ({ id }: { id: string }) => !/^JW-(LIFETIME|AHEAD)/.test(id)

t.test('J-01 to J-09 a forged access token is refused, whatever its form and although the right key signed it', async t => {
  const { app, browser, material } = await setUp(t)
  const genuine = material.access
  const { header, claims } = open(genuine.token)
  t.equal(seal(header, claims, genuine.key), genuine.token, 'the forger makes to the byte what the library makes')
  const forgeries = forge(genuine)
  t.ok(forgeries.length >= 750, `the corpus has ${forgeries.length} tokens`)
  t.equal(new Set(forgeries.map(({ id }) => id)).size, forgeries.length)
  const verify = createVerifier({ key: genuine.key, algorithms: ['HS256'], allowedIss: APP_URL, allowedAud: APP_URL, requiredClaims: ['exp', 'iat', 'sub', 'jti'], checkTyp: 'at+jwt', clockTimestamp: genuine.time * 1000 })
  const passable = forgeries.filter(({ token }) => succeeds(() => verify(token)))
  t.ok(passable.length >= 200, `a JWT library alone, well configured, takes ${passable.length} of them`)

  t.equal((await browser.get('/private')).statusCode, 200, 'the session is remembered, and must not vouch for a forgery')
  const { answers, cpu } = await present(t, forgeries, async token => await app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${token}` } }))
  t.ok(answers >= 700, `${answers} went through HTTP`)
  t.ok(cpu < 50, `${cpu} ms of CPU each`)
  t.equal((await browser.get('/private')).statusCode, 200, 'the genuine token is still good')
})

t.test('J-01 to J-09 a forged refresh token is refused and leaves its session as it was', async t => {
  const { app, browser, material, storage } = await setUp(t)
  const { sid } = open(material.refresh.token).claims as { sid?: string }
  const before = await storage.sessions.find(sid!)
  const forgeries = forge(material.refresh).filter(isWrongOfRefreshTokens)
  const { answers } = await present(t, forgeries, async token => await app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie: `${REFRESH}=${token}` } }))
  t.ok(answers >= 700, `${answers} went through HTTP`)
  t.strictSame(await storage.sessions.find(sid!), before)
  t.equal((await browser.post('/auth/refresh')).statusCode, 200, 'the genuine token is still good')
})

t.test('J-01 to J-09 the reader itself refuses every one of them, also those that no header can carry', async t => {
  const { material, tokens } = await setUp(t)
  for (const [kind, read] of [['access', tokens.readAccess], ['refresh', tokens.readRefresh]] as const) {
    t.equal(read(material[kind].token).kind, 'valid')
    const wrong = forge(material[kind])
      .filter(forgery => kind === 'access' || isWrongOfRefreshTokens(forgery))
      .filter(({ token, outcome }) => read(token).kind !== { invalid: 'invalid', absent: 'invalid', expired: 'expired', over: 'valid' }[outcome])
    t.strictSame(wrong.map(({ id, title }) => `${id} ${title}`), [], kind)
  }
})

t.test('J-09 auth_time of an access token is a whole number of seconds', async t => {
  const { app, material: { access: { token, key } } } = await setUp(t)
  const { header, claims } = open(token)
  for (const authTime of [undefined, null, '1', 1.5, -1, true, [1], {}, 2 ** 53]) {
    const { statusCode } = await app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${seal(header, { ...claims, auth_time: authTime }, key)}` } })
    t.equal(statusCode, 401, String(authTime))
  }
})

t.test('J-06 no kind of token stands in for another, in any place', async t => {
  const { app, material, csrfToken } = await setUp(t)
  const { access, refresh } = material
  const types = ['reset+jwt', 'csrf+jwt', 'verify+jwt', 'state+jwt', 'invite+jwt', 'JWT', undefined]
  const dress = ({ token }: Genuine<Buffer>, header: object, key: Buffer) => seal({ ...open(token).header, ...header }, open(token).claims, key)
  const kinds = new Map<string, string>([
    ['access', access.token],
    ['refresh', refresh.token],
    ['csrf', csrfToken],
    ['refresh with the claims of both', dress(access, open(refresh.token).header, refresh.key)],
    ['access claims as rt+jwt, access key', dress(access, { typ: 'rt+jwt' }, access.key)],
    ['access claims under the refresh header, access key', dress(access, open(refresh.token).header, access.key)],
    ['access claims under the access header, refresh key', dress(access, {}, refresh.key)],
    ['refresh claims as at+jwt, refresh key', dress(refresh, { typ: 'at+jwt' }, refresh.key)],
    ['refresh claims under the access header, refresh key', dress(refresh, open(access.token).header, refresh.key)],
    ['refresh claims under the access header, access key', dress(refresh, open(access.token).header, access.key)],
    ['refresh claims under the refresh header, access key', dress(refresh, {}, access.key)],
    ...types.flatMap((typ): Array<[string, string]> => [[`${typ}, access key`, dress(access, { typ }, access.key)], [`${typ}, refresh key`, dress(refresh, { typ }, refresh.key)]])
  ])
  const places: Record<string, (token: string) => Promise<LightMyRequestResponse>> = {
    'access cookie': async token => await app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${token}` } }),
    'refresh cookie': async token => await app.inject({ url: '/private', headers: { cookie: `${REFRESH}=${token}` } }),
    'refresh cookie at its route': async token => await app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie: `${REFRESH}=${token}` } }),
    'access cookie at the refresh route': async token => await app.inject({ method: 'POST', url: '/auth/refresh', headers: { cookie: `${ACCESS}=${token}` } }),
    'bearer header': async token => await app.inject({ url: '/private', headers: { authorization: `Bearer ${token}` } }),
    'bearer header at the refresh route': async token => await app.inject({ method: 'POST', url: '/auth/refresh', headers: { authorization: `Bearer ${token}` } }),
    'basic header': async token => await app.inject({ url: '/private', headers: { authorization: `Basic ${Buffer.from(`:${token}`).toString('base64')}` } }),
    'csrf header': async token => await app.inject({ method: 'POST', url: '/private', headers: { 'accounts-csrf': token } }),
    query: async token => await app.inject({ url: `/private?access_token=${token}&token=${token}&${ACCESS}=${token}` }),
    body: async token => await app.inject({ method: 'POST', url: '/private', payload: { access_token: token, token, [ACCESS]: token } }),
    'body of the refresh route': async token => await app.inject({ method: 'POST', url: '/auth/refresh', payload: { refresh_token: token, token, [REFRESH]: token } }),
    'refresh grant': async token => await app.inject({ method: 'POST', url: '/auth/token', payload: { grant_type: 'refresh_token', refresh_token: token } }),
    form: async token => await app.inject({ method: 'POST', url: '/auth/refresh', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: `refresh_token=${token}&${REFRESH}=${token}` })
  }
  const allowed = new Set([
    'access in access cookie',
    'access in bearer header',
    ...['refresh', 'refresh with the claims of both'].flatMap(kind => [`${kind} in refresh cookie`, `${kind} in refresh cookie at its route`, `${kind} in refresh grant`])
  ])
  let cells = 0
  for (const [place, send] of Object.entries(places)) {
    for (const [kind, token] of kinds) {
      const { statusCode, headers } = await send(token)
      cells++
      const isAllowed = allowed.has(`${kind} in ${place}`)
      t.equal(statusCode, isAllowed ? 200 : place === 'form' ? 415 : place === 'refresh grant' ? 400 : 401, `${kind} in ${place}`)
      if (!isAllowed) t.equal(headers['set-cookie'], undefined)
    }
  }
  t.equal(cells, 25 * 13)
})

t.test('J-08 the boundaries of exp, iat and nbf, to the millisecond', async t => {
  const { app, clock, material: { access: { token, key, time } } } = await setUp(t)
  const { header, claims } = open(token)
  const at = async (offset: number, more: object) => {
    clock.set(time * SECOND + offset)
    const { statusCode, body } = await app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${seal(header, { ...claims, ...more }, key)}` } })
    return statusCode === 200 ? 'accepted' : JSON.parse(body).code
  }
  const ends = { iat: time, exp: time + 100 }
  const ahead = { iat: time + 60, exp: time + 160 }
  const table: ReadonlyArray<[offset: number, more: object, expected: string, title: string]> = [
    [99 * SECOND, ends, 'accepted', 'a second before exp'],
    [100 * SECOND - 1, ends, 'accepted', 'a millisecond before exp'],
    [100 * SECOND, ends, CODES.expired, 'at exp'],
    [100 * SECOND + 1, ends, CODES.expired, 'a millisecond after exp'],
    [101 * SECOND, ends, CODES.expired, 'a second after exp'],
    [0, { iat: time - 1 }, 'accepted', 'iat a second ago'],
    [0, { iat: time + 1 }, 'accepted', 'iat a second ahead, of a node whose clock is'],
    [0, ahead, 'accepted', 'iat 60 s ahead'],
    [-1, { ...ahead, gen: 0, exp: time + 161 }, CODES.expired, 'iat 60 s and a millisecond ahead'],
    [0, { iat: time + 61, exp: time + 161 }, CODES.expired, 'iat 61 s ahead'],
    [0, { nbf: time - 1 }, 'accepted', 'nbf a second ago'],
    [0, { nbf: time + 60 }, 'accepted', 'nbf 60 s ahead'],
    [0, { nbf: time + 61 }, CODES.invalid, 'nbf 61 s ahead'],
    [0, { iat: time, exp: time + 1 }, 'accepted', 'lives for a second'],
    [0, { iat: time, exp: time }, CODES.invalid, 'lives for no time'],
    [0, { iat: time, exp: time + 3600 }, 'accepted', 'lives as long as the options allow'],
    [0, { iat: time, exp: time + 3601 }, CODES.expired, 'lives a second longer'],
    [0, { iat: time - 1, exp: time + 3600 }, CODES.expired, 'the same, a second old']
  ]
  for (const [offset, more, expected, title] of table) t.equal(await at(offset, more), expected, title)
})

t.test('J-13 a token that was accepted and is remembered expires in time', async t => {
  const { browser, clock, material: { access } } = await setUp(t)
  delete browser.cookies[REFRESH]
  const { exp } = open(access.token).claims
  clock.set(exp * SECOND - 1)
  t.equal((await browser.get('/private')).statusCode, 200)
  clock.set(exp * SECOND)
  t.equal((await browser.get('/private')).json().code, CODES.expired)
})

t.test('J-15 a token that an older key signed is accepted while the key is listed, and forged ones are not', async t => {
  const file = databaseFile(t)
  const older = { access: randomBytes(32), refresh: randomBytes(32) }
  const newer = { access: randomBytes(32), refresh: randomBytes(32) }
  const first = await createApp(t, { secrets: older, storage: await sqliteStorage(file) })
  const browser = await first.signedUp()
  const second = await createApp(t, { secrets: { access: [newer.access, older.access], refresh: [newer.refresh, older.refresh] }, storage: await sqliteStorage(file) })
  const send = async (token: string) => (await second.app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${token}` } })).statusCode
  const { header, claims } = open(browser.cookies[ACCESS]!)
  t.equal(await send(browser.cookies[ACCESS]!), 200)
  t.equal(await send(seal(header, claims, newer.access)), 401, 'the first key under the name of the second')
  t.equal(await send(seal({ ...header, kid: 'AAAAAAAA' }, claims, older.access)), 401, 'no key is tried that the token does not name')
})

/** One user signed in with tokens of known keys, on a clock that stands still at a whole second. */
async function setUp (t: Test) {
  const clock = stopClock(t)
  const secrets = { access: randomBytes(32), refresh: randomBytes(32) }
  const { app, storage, signedUp } = await createApp(t, { secrets })
  const browser = await signedUp()
  const otherUser = open((await signedUp()).cookies[ACCESS]!).claims as { sid?: string, sub?: string }
  const elsewhere = { access: randomBytes(32), refresh: randomBytes(32) }
  const stranger = await (await createApp(t, { secrets: elsewhere })).signedUp()
  const strict = await createApp(t, { csrf: 'strict' })
  const registered = await strict.client().post('/auth/register', { email: 'csrf@example.com', password: 'violet harbor 92 lantern' }, { origin: APP_URL })

  const describe = (kind: 'access' | 'refresh', sibling: 'access' | 'refresh'): Genuine<Buffer> => ({
    token: cookie(browser, kind),
    key: secrets[kind],
    time: clock.time / SECOND,
    maxLifetime: HOUR / SECOND,
    sibling: { token: cookie(browser, sibling), key: secrets[sibling] },
    foreign: { token: cookie(stranger, kind), key: elsewhere[kind] },
    otherUser: { sid: otherUser.sid!, sub: otherUser.sub! }
  })
  return {
    app,
    storage,
    browser,
    clock,
    tokens: await readersFor(t, secrets),
    csrfToken: String(registered.headers['accounts-csrf']),
    material: { access: describe('access', 'refresh'), refresh: describe('refresh', 'access') }
  }
}

const cookie = (browser: Client, kind: 'access' | 'refresh') => browser.cookies[kind === 'access' ? ACCESS : REFRESH]!

async function readersFor (t: Test, secrets: Secrets) {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const storage = await sqliteStorage(':memory:')
  t.teardown(async () => { await storage.close() })
  const settings = resolveOptions({ appUrl: APP_URL, secrets, storage })
  return createTokens({ access: await createJwts(app, settings.keys.access, 'at+jwt'), refresh: await createJwts(app, settings.keys.refresh, 'rt+jwt') }, settings)
}

/** Present what a header can carry; every answer is 401, of one shape for its class, and sets no cookie. */
async function present (t: Test, forgeries: ReturnType<typeof forge>, send: (token: string) => Promise<LightMyRequestResponse>) {
  const bodies = new Map<string, Set<string>>()
  const wrong: string[] = []
  let answers = 0
  const start = process.cpuUsage()
  for (const { id, title, token, outcome } of forgeries) {
    // As bytes; a server takes white space at the ends, and the rest is refused while parsing.
    const value = Buffer.from(token).toString('latin1')
    if (/[^\t\x20-\x7e\x80-\xff]|^\s|\s$|;/.test(value)) continue
    const { statusCode, headers, body } = await send(value)
    answers++
    const code = statusCode === 401 && headers['set-cookie'] === undefined && headers['www-authenticate'] !== undefined ? JSON.parse(body).code : null
    if (code !== CODES[outcome]) wrong.push(`${id} ${title}: ${statusCode} ${body}`)
    bodies.set(code, (bodies.get(code) ?? new Set()).add(`${String(headers['www-authenticate'])} ${body}`))
  }
  const { user, system } = process.cpuUsage(start)
  t.strictSame(wrong, [])
  for (const [code, seen] of bodies) t.equal(seen.size, 1, `one answer for ${code}`)
  return { answers, cpu: (user + system) / 1000 / answers }
}

function succeeds (work: () => unknown): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}
