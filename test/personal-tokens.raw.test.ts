import { request as httpRequest } from 'node:http'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { NewPersonalToken } from '../types/index.ts'
import { databaseFile } from './support/app.ts'
import { DAY, holdClock } from './support/clock.ts'
import { listen } from './support/events.ts'
import { createHost, type HostOptions } from './support/host.ts'
import { listenRaw, requestLines, type RawAnswer } from './support/raw-socket.ts'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'

const GOOD_ORIGIN = 'https://app.example.com'
const SITE = { context: 'browser', allowedReferrers: [GOOD_ORIGIN] } as const
/** An address of which no request of these tests comes. */
const ELSEWHERE = '203.0.113.7'

const codeOf = ({ body }: RawAnswer) => body.startsWith('{') ? (JSON.parse(body) as { code?: string }).code ?? '' : ''

/** All bytes of an answer but the date: what somebody who measures it can tell. */
const shapeOf = ({ statusCode, headers, body }: RawAnswer) => JSON.stringify([statusCode, body, [...headers].map(([name, values]) => [name, values.map(value => name === 'date' ? value.length : value)])])

function addDoors (app: FastifyInstance): void {
  app.route({ method: ['GET', 'POST', 'DELETE'], url: '/private', onRequest: app.authenticate, handler: async () => 'in' })
}

async function start (t: Test, options: HostOptions = {}) {
  const storage = await sqliteStorage(':memory:')
  const { app } = await createHost(t, { ...options, accounts: { storage, ...options.accounts }, after: addDoors })
  const { users, personalTokens } = app.accounts
  let count = 0
  const person = async () => (await users.create({ email: `person${++count}@example.com` })).id
  return {
    app,
    storage,
    person,
    /** A token, of somebody of its own unless that is said. */
    mint: async (limits: Partial<NewPersonalToken> = {}, userId?: string) => (await personalTokens.create(userId ?? await person(), { name: 'a token', context: 'server', ...limits }))!,
    send: await listenRaw(app)
  }
}

const get = (path: string, ...headers: string[]) => requestLines('GET', path, headers)

t.test('T-02 T-09 T-13 T-I12 whatever is wrong with a token, the answer is the same to the byte', async t => {
  const clock = holdClock(t)
  const events = listen(t)
  const { app, storage, mint, send, person } = await start(t)
  const { users, personalTokens } = app.accounts
  const { token: good } = await mint()
  const owned = async (end: (userId: string, tokenId: string) => Promise<unknown>) => {
    const userId = await person()
    const { token, personalToken } = await mint({}, userId)
    await end(userId, personalToken.id)
    return token
  }
  const nextEpoch = async (id: string) => await storage.users.changePassword(id, (await storage.users.find(id))!.epoch, 'x')
  const last = good.at(-1) === '0' ? '1' : '0'
  const wrong: ReadonlyArray<readonly [title: string, reason: string, token: string, ...headers: string[]]> = [
    ['another prefix', 'malformed', good.replace('pat_', 'pet_')],
    ['a longer prefix', 'malformed', `x${good}`],
    ['no prefix', 'malformed', good.slice(4)],
    ['nothing but the prefix', 'malformed', 'pat_'],
    ['too short', 'malformed', good.slice(0, -1)],
    ['too long', 'malformed', `${good}0`],
    ['the checksum of another', 'malformed', good.slice(0, -1) + last],
    ['another character', 'malformed', good.replace(/^pat_./, good[4] === 'a' ? 'pat_b' : 'pat_a')],
    ['characters that none has', 'malformed', good.replace(/^pat_../, 'pat_--')],
    ['in capitals', 'malformed', good.toUpperCase()],
    ['nobody has made it', 'unknown', 'pat_5xVA12xyUbWNedQxy4ohH77WlxRGVvZZ1151814092'],
    ['expired', 'expired', (await mint({ expiresAt: new Date(Date.now() + DAY) })).token],
    ['revoked', 'revoked', await owned(personalTokens.revoke)],
    ['rotated', 'expired', await owned(personalTokens.rotate)],
    ['another method', 'method', (await mint({ allowedMethods: ['POST'] })).token],
    ['another address', 'address', (await mint({ allowedIps: [ELSEWHERE] })).token],
    ['no referrer', 'referrer-missing', (await mint(SITE)).token],
    ['another origin', 'referrer', (await mint(SITE)).token, 'Origin: https://evil.example'],
    ['another referrer', 'referrer', (await mint(SITE)).token, 'Referer: https://evil.example/'],
    ['origin and referrer apart', 'referrer-conflict', (await mint(SITE)).token, `Origin: ${GOOD_ORIGIN}`, 'Referer: https://evil.example/'],
    ['the owner disabled', 'revoked', await owned(async id => await users.update(id, { disabled: true }))],
    ['disabled at a prompt', 'owner-disabled', await owned(async id => await storage.users.update(id, { disabled: true }, new Date()))],
    ['disabled and enabled', 'revoked', await owned(async id => {
      await users.update(id, { disabled: true })
      await users.update(id, { disabled: false })
    })],
    ['the owner deleted', 'unknown', await owned(async id => await users.delete(id))],
    ['the owner deleted at a prompt', 'unknown', await owned(async id => await storage.users.delete(id))],
    ['another epoch', 'owner-changed', await owned(nextEpoch)]
  ]
  clock.advance(2 * DAY)
  events.take()
  const shapes = new Map<string, string[]>()
  for (const path of ['/private', '/auth/me']) {
    for (const [title, reason, token, ...headers] of wrong) {
      // As nobody knows it, and then as it is known.
      for (const scheme of ['ApiToken', 'ApiToken', 'Bearer', 'bEARER   ']) {
        if (reason === 'malformed' && !token.startsWith('pat_') && scheme !== 'ApiToken') continue
        const answer = await send(get(path, `Authorization: ${scheme} ${token}`, ...headers))
        const shape = shapeOf(answer)
        shapes.set(shape, [...shapes.get(shape) ?? [], `${title} as ${scheme} at ${path}`])
        const [event] = events.take().filter(({ name }) => name.startsWith('personal-token'))
        t.strictSame([answer.statusCode, event?.reason], [401, reason === 'owner-disabled' && event?.reason === 'owner-changed' ? event.reason : reason], `${title}, which the log tells`)
        t.notOk(JSON.stringify(event).includes(token.slice(4, 20) || 'nothing'), 'and nothing of the token')
      }
    }
  }
  const onRoute = (path: string) => [...shapes].filter(([, titles]) => titles.some(title => title.endsWith(path))).map(([shape, titles]) => `${shape} ${titles.length}`)
  t.equal(onRoute('/private').length, 1, JSON.stringify([...shapes], null, 1))
  t.equal(onRoute('/auth/me').length, 1)
  t.equal((await send(get('/private', `Authorization: ApiToken ${good}`))).statusCode, 200)
})

t.test('T-01 ApiToken and Bearer in any case, with any number of spaces, are the same', async t => {
  const { mint, send } = await start(t)
  const { token } = await mint()
  for (const scheme of ['ApiToken', 'apitoken', 'APITOKEN', 'aPIToKEN', 'Bearer', 'bearer', 'BEARER', 'bEaReR']) {
    for (const spaces of [' ', '  ', ' '.repeat(200)]) {
      t.equal((await send(get('/private', `Authorization: ${scheme}${spaces}${token}`))).statusCode, 200, `${scheme} and ${spaces.length} spaces`)
      t.equal((await send(get('/private', `aUTHORIZATION:${scheme}${spaces}${token}`))).statusCode, 200)
    }
  }
  t.equal((await send(get('/private', `Authorization:\t Bearer ${token} \t`))).statusCode, 200, 'space around a value is no part of it (RFC 9110, 5.5)')
})

t.test('T-02 V-01 what else somebody may write into Authorization lets nobody in and breaks nothing', async t => {
  const { mint, send } = await start(t)
  const { token } = await mint()
  const utf8 = (text: string) => Buffer.from(text).toString('latin1')
  const values = [
    '', 'Bearer', 'Bearer ', 'ApiToken', 'ApiToken ', token, ` ${token}`, `Bearer${token}`, `ApiToken${token}`, `Bearer:${token}`, `Bearer=${token}`, `ApiToken: ${token}`,
    `Token ${token}`, `PAT ${token}`, `Basic ${token}`, `Basic ${Buffer.from(`${token}:`).toString('base64')}`, `Basic ${Buffer.from(`x:${token}`).toString('base64')}`, `Digest ${token}`, `Negotiate ${token}`,
    `Bearer\t${token}`, `Bearer \t${token}`, `Bearer\t ${token}`, `ApiToken\t${token}`, `Bearer\v${token}`, `Bearer\f${token}`, `Bearer\xa0${token}`, `Bearer \xa0${token}`, utf8(`Bearer\u3000${token}`), utf8(`Bearer \ufeff${token}`), utf8(`Bearer \u200b${token}`), utf8(`Bearer ${token}\u200b`), utf8(`Bearer ${token.replace('pat', 'раt')}`), utf8(`Bearer ${token.slice(0, -1)}０`),
    `\0Bearer ${token}`, `Bearer \0${token}`, `Bearer ${token}\0`, `Bearer ${token.slice(0, 20)}\0${token.slice(20)}`, `Bearer ${token}\0, Bearer x`, `Bearer ${token}\x7f`, `Bearer ${token}\x1b[2J`, `Bearer ${token}\xe9`, `Bearer \xff\xfe${token}`, '\xff'.repeat(300), `Bearer ${'\xff'.repeat(300)}`,
    `Bearer ${token},`, `Bearer ,${token}`, `Bearer ${token}, Bearer ${token}`, `Bearer ${token},Bearer x`, `Bearer x, Bearer ${token}`, `Bearer ${token} ${token}`, `Bearer ApiToken ${token}`, `ApiToken Bearer ${token}`, `Bearer Bearer ${token}`, `Bearer ${token}; x=y`, `Bearer ${token}\tx`, `Bearer ${token} x`,
    `Bearer "${token}"`, `Bearer '${token}'`, `Bearer <${token}>`, `Bearer \`${token}\``, `Bearer token=${token}`, `Bearer token="${token}"`, `Bearer realm="x", ${token}`, `"Bearer" ${token}`,
    `Bearer %70at_${token.slice(4)}`, `Bearer pat%5F${token.slice(4)}`, `Bearer ${token}%20`, `Bearer ${token}%00`, `Bearer%20${token}`, `Bearer+${token}`, `Bearer ${token}=`, `Bearer ${token}==`, `Bearer ${Buffer.from(token).toString('base64')}`, `Bearer \\u0070at_${token.slice(4)}`, `Bearer pat_${token}`, `Bearer ${token}${token.slice(-10)}`, `Bearer pat_${token.slice(36)}${token.slice(4, 36)}`, `Bearer pat__${token.slice(4)}`, `Bearer Pat_${token.slice(4)}`,
    `Bearer ${token.slice(0, 36)}+${token.slice(37)}`, `Bearer ${token.slice(0, 36)}${(Number(token.slice(36)) + 2 ** 32).toString().padStart(10, '0').slice(0, 10)}x`, `Bearer ${token.slice(0, 36)}0x${token.slice(38)}`,
    'Bearer __proto__', 'Bearer constructor', 'Bearer null', 'Bearer undefined', 'Bearer [object Object]', 'Bearer true', 'Bearer 0', `Bearer ${'a'.repeat(15_000)}`, `Bearer ${token}${'0'.repeat(15_000)}`, `Bearer ${'pat_'.repeat(3500)}`, `Bearer${' '.repeat(15_000)}`, `ApiToken${' '.repeat(15_000)}x`, `Bearer ${'a'.repeat(16_384)}`, `Bearer ${token}${' x'.repeat(8192)}`, `Bearer ${'a '.repeat(7000)}${token}`
  ]
  for (const value of values) {
    for (const path of ['/private', '/auth/me']) {
      const answer = await send(get(path, `Authorization: ${value}`))
      t.ok([400, 401, 431].includes(answer.statusCode), `${answer.statusCode} for ${JSON.stringify(value.slice(0, 80))}, ${value.length} characters`)
      t.notOk(answer.headers.has('set-cookie'))
      t.notOk(answer.body.includes(token.slice(4, 30)), 'nothing is repeated')
    }
  }
  t.equal((await send([...get('/private').slice(0, 2), 'Authorization: Bearer', ` ${token}`, 'Connection: close'])).statusCode, 400, 'a folded line')
  t.equal((await send(get('/private', `Authorization : Bearer ${token}`))).statusCode, 400, 'a space before the colon')
  for (const [method, path, body] of [['GET', `/private?access_token=${token}`, ''], ['GET', `/private?token=${token}`, ''], ['POST', '/private', `access_token=${token}`]] as const) {
    t.equal((await send(requestLines(method, path, body === '' ? [] : ['Content-Type: application/x-www-form-urlencoded'], body), body)).statusCode, 401, 'a token belongs into the header (RFC 6750, 2.2 and 2.3)')
  }
  for (const name of ['X-Authorization', 'Proxy-Authorization', 'X-Api-Key', 'Api-Token', 'X-Access-Token', 'Authorization_', 'X-Forwarded-Authorization', 'Cookie']) {
    t.equal((await send(get('/private', `${name}: Bearer ${token}`))).statusCode, 401, name)
  }
  t.equal((await send(get('/private', `Authorization: Bearer ${token}`))).statusCode, 200)
})

t.test('I-04 T-13 a header that decides and comes in two lines is 400, of whatever token, so that it tells nothing', async t => {
  const { app, mint, send } = await start(t)
  const browser = await mint(SITE)
  const revoked = await mint(SITE)
  await app.accounts.personalTokens.revokeAll((await app.accounts.users.list({ search: 'person2@' })).users[0]!.id)
  const tokens = { server: (await mint()).token, browser: browser.token, revoked: revoked.token, unknown: 'pat_5xVA12xyUbWNedQxy4ohH77WlxRGVvZZ1151814092', malformed: 'pat_x' }
  for (const path of ['/private', '/auth/me']) {
    t.equal((await send(get(path, `Authorization: Bearer ${revoked.token}`, `Origin: ${GOOD_ORIGIN}`))).statusCode, 401, 'that one is revoked')
    for (const [kind, token] of Object.entries(tokens)) {
      const mine = `Authorization: ApiToken ${token}`
      const good = `Authorization: ApiToken ${tokens.server}`
      for (const lines of [
        [mine, mine], [mine, good], [good, mine], [mine, 'Authorization:'], ['Authorization: Basic eDp5', mine], [mine, 'Authorization: Basic eDp5'], [mine, 'X-Between: 1', mine.toUpperCase().replace(/: .*/, ': x')],
        [mine, `Origin: ${GOOD_ORIGIN}`, `Origin: ${GOOD_ORIGIN}`], [mine, `Origin: ${GOOD_ORIGIN}`, 'Origin: https://evil.example'], ['Origin: https://evil.example', mine, `Origin: ${GOOD_ORIGIN}`], [mine, `origin: ${GOOD_ORIGIN}`, 'ORIGIN:'],
        [mine, `Referer: ${GOOD_ORIGIN}/`, `Referer: ${GOOD_ORIGIN}/`], [mine, `Referer: ${GOOD_ORIGIN}/`, 'Referer: https://evil.example/'], ['Referer: https://evil.example/', `Referer: ${GOOD_ORIGIN}/`, mine]
      ]) {
        const answer = await send(get(path, ...lines))
        t.strictSame([answer.statusCode, codeOf(answer)], [400, 'FST_ACCOUNTS_HEADER_DUPLICATE'], `${kind} at ${path}: ${lines.join(' | ')}`)
      }
    }
    t.equal((await send(get(path, `Authorization: ApiToken ${browser.token}`, `Origin: ${GOOD_ORIGIN}`, `Referer: ${GOOD_ORIGIN}/page`))).statusCode, 200)
  }
})

/** Headers by which other software lets a request pass for another. */
const OVERRIDES = ['POST', 'DELETE', 'GET', 'PATCH'].flatMap(method => ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', '_method', 'X-Original-Method', 'X-Forwarded-Method'].map(name => `${name}: ${method}`))
const FORWARDED = (address: string) => [
  `X-Forwarded-For: ${address}`, `X-FORWARDED-for: ${address}, ${address}`, `X-Real-IP: ${address}`, `X-Client-IP: ${address}`, `Client-IP: ${address}`, `True-Client-IP: ${address}`, `CF-Connecting-IP: ${address}`,
  `Fastly-Client-IP: ${address}`, `X-Cluster-Client-IP: ${address}`, `Forwarded-For: ${address}`, `X-Forwarded: ${address}`, `Forwarded: for=${address}`, `Forwarded: for="${address}";by=${address}`, `X-Originating-IP: ${address}`, `X-Remote-Addr: ${address}`, `Remote-Addr: ${address}`, `Via: 1.1 ${address}`
]
const OTHERS = [
  'X-Forwarded-Proto: https', 'X-Forwarded-Host: app.example.com', 'X-Original-URL: /auth/me', 'X-Rewrite-URL: /auth/me', 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', `X-Origin: ${GOOD_ORIGIN}`,
  `Referrer: ${GOOD_ORIGIN}/`, `X-Referer: ${GOOD_ORIGIN}/`, `Origin-Override: ${GOOD_ORIGIN}`, 'Accounts-CSRF: x', 'X-Requested-With: XMLHttpRequest', 'User-Agent: Mozilla/5.0', 'Accept: text/html', 'Cookie: a=b', 'Upgrade: h2c', 'Range: bytes=0-1', 'If-None-Match: *', 'Host: app.example.com', 'X-User-Id: 1', 'Access-Control-Request-Method: POST'
]

for (const trustProxy of [false, '198.51.100.1', ['10.0.0.0/8', '192.168.0.0/16']]) {
  t.test(`T-11 T-I3 T-I4 T-I5 T-I9 no other header changes what is decided, with trustProxy ${String(trustProxy)}`, async t => {
    const { mint, send } = await start(t, { server: { trustProxy } })
    const cases: ReadonlyArray<readonly [title: string, limits: Partial<NewPersonalToken>, method: string, headers: string[], expected: number]> = [
      ['any', {}, 'GET', [], 200],
      ['GET', { allowedMethods: ['GET'] }, 'GET', [], 200],
      ['HEAD for GET', { allowedMethods: ['GET'] }, 'HEAD', [], 200],
      ['POST for GET', { allowedMethods: ['GET'] }, 'POST', [], 401],
      ['DELETE for GET', { allowedMethods: ['GET', 'POST'] }, 'DELETE', [], 401],
      ['GET for HEAD', { allowedMethods: ['HEAD'] }, 'GET', [], 401],
      ['the address', { allowedIps: ['127.0.0.1'] }, 'POST', [], 200],
      ['another address', { allowedIps: [ELSEWHERE, '10.0.0.0/8'] }, 'GET', [], 401],
      ['the site', SITE, 'GET', [`Origin: ${GOOD_ORIGIN}`], 200],
      ['another site', SITE, 'GET', ['Origin: https://evil.example'], 401],
      ['no site', SITE, 'GET', [], 401]
    ]
    for (const [title, limits, method, headers, expected] of cases) {
      const { token } = await mint(limits)
      const knock = async (more: readonly string[]) => await send(requestLines(method, '/private', [`Authorization: ApiToken ${token}`, ...headers, ...more]))
      const usual = await knock([])
      t.equal(usual.statusCode, expected, title)
      const site = limits.context === 'browser' ? [] : [`Origin: ${GOOD_ORIGIN}`, 'Origin: https://evil.example', 'Origin: null', `Referer: ${GOOD_ORIGIN}/`, 'Referer: https://evil.example/', 'Referer: x']
      for (const header of [...OVERRIDES, ...FORWARDED(ELSEWHERE), ...FORWARDED('127.0.0.1'), ...FORWARDED('10.0.0.1'), ...OTHERS, ...site]) {
        const answer = await knock([header])
        t.strictSame([answer.statusCode, answer.body], [usual.statusCode, usual.body], `${title}: ${header}`)
      }
      t.equal((await knock([...OVERRIDES.slice(0, 6), ...FORWARDED(ELSEWHERE)])).statusCode, expected, `${title}: many at once`)
    }
  })
}

t.test('N-01 N-02 N-03 N-04 N-05 N-07 behind a trusted proxy the address is the last that it can vouch for', async t => {
  const { mint, send } = await start(t, { server: { trustProxy: '127.0.0.1' } })
  const { token } = await mint({ allowedIps: [ELSEWHERE, '2001:db8::/32'] })
  const { token: here } = await mint({ allowedIps: ['127.0.0.1'] })
  const knock = async (headers: readonly string[], which = token) => (await send(get('/private', `Authorization: ApiToken ${which}`, ...headers))).statusCode
  const good = [
    [ELSEWHERE], [`6.6.6.6, ${ELSEWHERE}`], [`${ELSEWHERE}, 127.0.0.1`], [`6.6.6.6, ${ELSEWHERE}, 127.0.0.1, 127.0.0.1`], [`garbage, ${ELSEWHERE}`], [` ${ELSEWHERE} `], [`6.6.6.6,${ELSEWHERE}`], ['6.6.6.6', ELSEWHERE], [`${ELSEWHERE}, ,`],
    ['2001:db8::1'], ['2001:DB8:0:0::1'], ['2001:0db8:0000:0000:0000:0000:0000:0001'], ['2001:db8::203.0.113.7'], [`::ffff:${ELSEWHERE}`], ['::ffff:cb00:7107'], ['::FFFF:CB00:7107'], ['0:0:0:0:0:ffff:cb00:7107'], [Array(900).fill(ELSEWHERE).join(',')]
  ]
  const bad = [
    [], ['6.6.6.6'], [`${ELSEWHERE}, 6.6.6.6`], [ELSEWHERE, '6.6.6.6'], [`${ELSEWHERE}, garbage`], [`${ELSEWHERE}, 127.0.0.1, garbage`], [`${ELSEWHERE}, garbage, 127.0.0.1`], [`${ELSEWHERE}, unknown`], [`${ELSEWHERE}, 10.0.0.1`],
    [`${ELSEWHERE}:1234`], [`"${ELSEWHERE}"`], [`[${ELSEWHERE}]`], [`for=${ELSEWHERE}`], [`${ELSEWHERE};`], [`${ELSEWHERE}/32`], [`${ELSEWHERE}%eth0`], [`${ELSEWHERE}.`], [`${ELSEWHERE} 6.6.6.6`], [`6.6.6.6 ${ELSEWHERE}`],
    ['203.0.113.007'], ['0203.0.113.7'], ['203.0.0161.7'], ['0xcb.0.113.7'], ['203.0.28935'], ['3405803783'], ['0xcb007107'], ['２03.0.113.7'.replace('２', '\xef\xbc\x92')],
    ['[2001:db8::1]'], ['[2001:db8::1]:443'], ['2001:db8::1%eth0'], ['2001:db8::1%25eth0'], ['2001:db8::1::'], ['2001:db9::1'], ['::203.0.113.7'], ['::ffff:0:203.0.113.7'], ['64:ff9b::203.0.113.7'], ['2002:cb00:7107::1'], ['::ffff:203.0.113.8'], ['::ffff:203.0.113.007'],
    ['unknown'], ['_hidden'], [''], ['::'], ['0.0.0.0'], ['localhost'], ['127.0.0.1'], ['127.0.0.1, 127.0.0.1'], [Array(900).fill(ELSEWHERE).join(',') + ',x']
  ]
  const forwarded = (values: readonly string[]) => values.map((value, index) => `${index % 2 === 0 ? 'X-Forwarded-For' : 'x-FORWARDED-FOR'}: ${value}`)
  for (const values of good) t.equal(await knock(forwarded(values)), 200, values.join(' | ').slice(0, 100))
  for (const values of bad) t.equal(await knock(forwarded(values)), 401, values.join(' | ').slice(0, 100))
  for (const header of FORWARDED(ELSEWHERE).filter(header => !/^x-forwarded-for:/i.test(header))) t.equal(await knock([header]), 401, `another family: ${header}`)
  for (const header of FORWARDED('6.6.6.6').filter(header => !/^x-forwarded-for:/i.test(header))) t.equal(await knock([header, `X-Forwarded-For: ${ELSEWHERE}`]), 200, `beside the family that counts: ${header}`)
  t.equal(await knock([], here), 200, 'the proxy itself')
  for (const values of [...good.slice(0, 4), ['garbage'], ['127.0.0.1, garbage'], ['127.0.0.1:1'], ['unknown']]) t.equal(await knock(forwarded(values), here), 401, `not the proxy: ${values.join(' | ')}`)
  t.ok([400, 401, 431].includes(await knock(forwarded([Array(10_000).fill(ELSEWHERE).join(', ')]))), '10 000 entries are too many for a header')
})

t.test('N-02 a peer without an address, as on a Unix socket, is unknown', async t => {
  const { app, mint } = await createUnixHost(t)
  const knock = async (token: string, headers: Record<string, string> = {}) => await new Promise<number>((resolve, reject) => {
    const request = httpRequest({ socketPath: app.path, path: '/private', headers: { authorization: `ApiToken ${token}`, ...headers } }, answer => {
      answer.resume()
      resolve(answer.statusCode!)
    })
    request.on('error', reject)
    request.end()
  })
  const { token } = await mint({})
  t.equal(await knock(token), 200)
  for (const allowedIps of [['127.0.0.1'], ['0.0.0.0/1', '128.0.0.0/1', '::/1', '8000::/1'], [ELSEWHERE]]) {
    const { token } = await mint({ allowedIps })
    t.equal(await knock(token), 401, allowedIps.join())
    t.equal(await knock(token, { 'x-forwarded-for': ELSEWHERE }), 401)
  }
})

async function createUnixHost (t: Test) {
  const { app } = await createHost(t, { after: addDoors })
  const path = join(dirname(databaseFile(t)), 'socket')
  await app.listen({ path })
  const { id } = await app.accounts.users.create({ email: 'ada@example.com' })
  return { app: { path }, mint: async (limits: Partial<NewPersonalToken>) => (await app.accounts.personalTokens.create(id, { name: 'a token', context: 'server', ...limits }))! }
}

async function cookieFor ({ client }: { client: (typeof createHost extends (...args: never[]) => Promise<infer Host> ? Host : never)['client'] }): Promise<string> {
  const browser = client()
  await browser.post('/as')
  return `Cookie: ${Object.entries(browser.cookies).map(([name, value]) => `${name}=${value}`).join('; ')}`
}

t.test('X-06 a cookie and a token in one request are 400, whichever of them is good', async t => {
  const host = await createHost(t, {
    async after (app) {
      addDoors(app)
      const { id } = await app.accounts.users.create({ email: 'ada@example.com' })
      app.post('/as', async (_request, reply) => await reply.signIn({ id }))
      app.get('/open', { onRequest: app.guard({ optional: true }) }, async ({ principal }) => principal?.via ?? 'nobody')
      app.get('/by-cookie', { onRequest: app.verifyAccessCookie }, async () => 'in')
      app.get('/by-token', { onRequest: app.verifyPersonalToken }, async () => 'in')
    }
  })
  const { app } = host
  const cookie = await cookieFor(host)
  const { users: [ada] } = await app.accounts.users.list()
  const { token } = (await app.accounts.personalTokens.create(ada!.id, { name: 'a token', context: 'server' }))!
  const send = await listenRaw(app)
  const unsigned = cookie.replace(/\.[\w-]+(?=;|$)/g, '.AAAA')
  for (const path of ['/private', '/auth/me', '/open', '/by-cookie', '/by-token']) {
    for (const header of [`ApiToken ${token}`, `bearer  ${token}`, `Bearer ${token.slice(0, -1)}`, 'Bearer pat_', 'ApiToken x', 'ApiToken']) {
      for (const crumb of [cookie, unsigned, cookie.split(';')[0]!, `Cookie: ${cookie.split('; ')[1]!}`, 'Cookie: accounts_access=x', 'Cookie: accounts_refresh=x']) {
        for (const lines of [[crumb, `Authorization: ${header}`], [`Authorization: ${header}`, crumb]]) {
          const answer = await send(get(path, ...lines))
          t.strictSame([answer.statusCode, codeOf(answer), answer.headers.has('set-cookie')], [400, 'FST_ACCOUNTS_CREDENTIALS_CONFLICT', false], `${path}: ${header} and ${crumb.slice(0, 40)}`)
        }
      }
    }
    for (const header of ['Basic eDp5', 'Bearer eyJhbGciOiJub25lIn0.e30.', 'Negotiate x']) {
      const answer = await send(get(path, cookie, `Authorization: ${header}`))
      t.equal(answer.statusCode, path === '/by-token' ? 401 : 200, `${path}: ${header} is nothing of ours, or the other kind is meant`)
    }
  }
  t.equal((await send(get('/open', 'Authorization: Bearer x'))).statusCode, 401, 'optional is for who shows nothing')
  t.equal((await send(get('/by-cookie', `Authorization: Bearer ${token}`))).statusCode, 401)
})

t.test('X-06 tokens that are switched off are not looked at', async t => {
  const host = await createHost(t, {
    accounts: { personalTokens: false, bearer: false },
    async after (app) {
      addDoors(app)
      const { id } = await app.accounts.users.create({ email: 'ada@example.com' })
      app.post('/as', async (_request, reply) => await reply.signIn({ id }))
    }
  })
  const cookie = await cookieFor(host)
  const send = await listenRaw(host.app)
  for (const path of ['/private', '/auth/me']) {
    const nobody = shapeOf(await send(get(path)))
    for (const header of ['ApiToken pat_5xVA12xyUbWNedQxy4ohH77WlxRGVvZZ1151814092', 'Bearer pat_5xVA12xyUbWNedQxy4ohH77WlxRGVvZZ1151814092', 'ApiToken', 'ApiToken x']) {
      t.equal((await send(get(path, cookie, `Authorization: ${header}`))).statusCode, 200, `${path} with a cookie and ${header}`)
      t.equal(shapeOf(await send(get(path, `Authorization: ${header}`))), nobody, `${path}: ${header} is as good as nothing`)
    }
  }
  t.equal((await send(get('/auth/tokens', cookie))).statusCode, 404)
  t.throws(() => host.app.verifyPersonalToken, { code: 'FST_ACCOUNTS_PERSONAL_TOKENS_OFF' })
})
