import { Writable } from 'node:stream'
import rateLimit from '@fastify/rate-limit'
import fc from 'fast-check'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { networkOf } from '../lib/requests/network.ts'
import { PASSWORD } from './support/app.ts'
import { createHost } from './support/host.ts'
import { listenRaw, requestLines } from './support/raw-socket.ts'
import { holdClock, MINUTE, SECOND } from './support/clock.ts'
import { listen } from './support/events.ts'

const FEW = { max: 5, maxSensitive: 3, window: '1m' } as const
const HARMLESS = '/auth/me'

const ask = async (app: FastifyInstance, url: string, options: InjectOptions = {}) => await app.inject({ url, remoteAddress: '203.0.113.1', ...options })
const statuses = async (app: FastifyInstance, times: number, url: string, options: InjectOptions = {}) => {
  const all: number[] = []
  for (let count = 0; count < times; count++) all.push((await ask(app, url, options)).statusCode)
  return all
}

t.test('A-04 N-05 one client is an IPv4 address or an IPv6 /64; mapped addresses are the IPv4 ones, others are not', async t => {
  const table: ReadonlyArray<readonly [string | undefined, string | null]> = [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'], ['::FFFF:cb00:7107', '203.0.113.7'], ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'], ['::ffff:0:0', '0.0.0.0'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'], ['2001:DB8:1:2::', '2001:db8:1:2::/64'], ['2001:0db8:0001:0002:ffff:ffff:255.255.255.255', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::/64'], ['2001:db8::1', '2001:db8:0:0::/64'], ['::1', '0:0:0:0::/64'], ['::', '0:0:0:0::/64'],
    ['::203.0.113.7', '0:0:0:0::/64'], ['::ffff:0:203.0.113.7', '0:0:0:0::/64'], ['64:ff9b::203.0.113.7', '64:ff9b:0:0::/64'], ['2002:cb00:7107::1', '2002:cb00:7107:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'], ['fe80::1%other', 'fe80:0:0:0::/64'],
    ...[undefined, '', 'unknown', '203.0.113.7:1234', '[::1]', '203.0.113', '010.0.0.1', '0xcb007107', '3405803783', '203.0.113.7/32', ' 203.0.113.7', '203.0.113.7\n', '::ffff:203.0.113.256', '2001:db8:::1', '1:2:3:4:5:6:7:8:9'].map(text => [text, null] as const)
  ]
  for (const [address, network] of table) t.equal(networkOf(address), network, String(address))
})

t.test('A-04 N-05 whatever the spelling of an IPv6 address, its network is that of its number', async t => {
  const oracle = (number: bigint): string => {
    if (number >> 32n === 0xffffn) return [24n, 16n, 8n, 0n].map(shift => String((number >> shift) & 255n)).join('.')
    return `${[112n, 96n, 80n, 64n].map(shift => ((number >> shift) & 0xffffn).toString(16)).join(':')}::/64`
  }
  const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff))
  const address = fc.tuple(fc.array(group, { minLength: 8, maxLength: 8 }), fc.nat(8), fc.nat(8), fc.boolean(), fc.boolean(), fc.boolean())
  t.doesNotThrow(() => fc.assert(fc.property(address, ([groups, from, length, isDotted, isUpper, isPadded]) => {
    const hex = groups.map(value => value.toString(16).padStart(isPadded ? 4 : 1, '0'))
    const tail = groups.slice(6).flatMap(value => [value >> 8, value & 255]).join('.')
    // "::" for the zeros that stand at a place of our choice, if there are some.
    const zeros = groups.slice(from, from + length)
    const end = isDotted ? Math.min(6, from + zeros.length) : from + zeros.length
    const canShorten = zeros.length > 0 && end > from && groups.slice(from, end).every(value => value === 0)
    const right = isDotted ? [...hex.slice(canShorten ? end : 0, 6), tail] : hex.slice(canShorten ? end : 0)
    const text = canShorten ? `${hex.slice(0, from).join(':')}::${right.join(':')}` : right.join(':')
    return networkOf(isUpper ? text.toUpperCase() : text) === oracle(groups.reduce((number, value) => number << 16n | BigInt(value), 0n))
  }), { numRuns: 2000 }))
})

t.test('A-04 all addresses of a /64 share a limit, two IPv4 clients do not, and a mapped one is itself', async t => {
  const { app } = await createHost(t, { accounts: { rateLimit: FEW } })
  const from = async (remoteAddress: string) => (await ask(app, HARMLESS, { remoteAddress })).statusCode
  for (let host = 0; host < 5; host++) t.equal(await from(`2001:db8:0:1:${host}::${host}`), 401)
  t.equal(await from('2001:db8:0:1:ffff:ffff:ffff:ffff'), 429)
  t.equal(await from('2001:db8:0:2::1'), 401)
  for (let count = 0; count < 5; count++) t.equal(await from(count % 2 === 0 ? '203.0.113.1' : '::ffff:203.0.113.1'), 401)
  t.equal(await from('::ffff:cb00:7101'), 429)
  t.equal(await from('::ffff:203.0.113.2'), 401)
})

t.test('N-01 N-02 a header names the client only where trustProxy says so, and only if it is an address', async t => {
  const forwarded = (text: string, remoteAddress = '203.0.113.1') => ({ headers: { 'x-forwarded-for': text, 'x-real-ip': text, forwarded: `for=${text}`, 'cf-connecting-ip': text }, remoteAddress })
  const { app } = await createHost(t, { accounts: { rateLimit: FEW } })
  for (let count = 0; count < 5; count++) await ask(app, HARMLESS, forwarded(`198.51.100.${count}`))
  t.equal((await ask(app, HARMLESS, forwarded('198.51.100.9'))).statusCode, 429, 'without trustProxy the peer is the client')

  const { app: behind } = await createHost(t, { server: { trustProxy: ['10.0.0.1'] }, accounts: { rateLimit: FEW } })
  const via = async (text: string, peer = '10.0.0.1') => (await ask(behind, HARMLESS, forwarded(text, peer))).statusCode
  for (let count = 0; count < 6; count++) t.equal(await via(`198.51.100.${count}`), 401)
  for (let count = 0; count < 5; count++) t.equal(await via(`9.9.9.9:${count}`), 401)
  t.equal(await via('9.9.9.9:99'), 429, 'what is no address is the peer')
  for (let count = 0; count < 5; count++) t.equal(await via(`198.51.101.${count}`, '203.0.113.5'), 401)
  t.equal(await via('198.51.101.9', '203.0.113.5'), 429, 'a peer that is not listed speaks for itself')
})

t.test('A-06 every route of the plugin is limited, before anything else, and those that check a secret more strictly', async t => {
  const clock = holdClock(t)
  const routes: Array<{ method: string, url: string, hasBody: boolean }> = []
  const { app } = await createHost(t, {
    accounts: { rateLimit: FEW },
    before: app => {
      app.addHook('onRoute', ({ method, url, schema }) => { routes.push(...[method].flat().map(one => ({ method: one, url, hasBody: schema?.body !== undefined }))) })
    }
  })
  t.ok(routes.length >= 14, String(routes.length))
  t.ok(routes.every(({ url }) => url.startsWith('/auth/')))
  for (const { method, url, hasBody } of routes) {
    const path = url.replace(':id', 'x'.repeat(24))
    const wrong = { method: method as 'POST', payload: hasBody ? '{' : undefined, headers: { origin: 'https://evil.example', 'content-type': 'application/json' } } as InjectOptions
    const answers = await statuses(app, 6, path, wrong)
    const isSensitive = hasBody
    t.notOk(answers.slice(0, isSensitive ? 3 : 5).includes(429), `${method} ${url} ${answers}`)
    t.strictSame(answers.slice(isSensitive ? 3 : 5), new Array(isSensitive ? 3 : 1).fill(429), `${method} ${url} ${answers}`)
    clock.advance(MINUTE + SECOND)
  }
  const sensitive = routes.filter(({ hasBody }) => hasBody).map(({ method, url }) => `${method} ${url}`)
  for (const route of ['POST /auth/register', 'POST /auth/login', 'POST /auth/password/change', 'DELETE /auth/me', 'PATCH /auth/users/:id']) t.ok(sensitive.includes(route), route)
})

t.test('A-08 too many requests are answered in the shape of all errors, with Retry-After and nothing that tells of the limit', async t => {
  const clock = holdClock(t)
  const events = listen(t)
  const { app } = await createHost(t, { accounts: { rateLimit: FEW } })
  const login = { method: 'POST', payload: { email: 'ada@example.com', password: PASSWORD } } as const
  t.strictSame(await statuses(app, 3, '/auth/login', login), [401, 401, 401])
  clock.advance(20 * SECOND)
  events.take()
  const refused = await ask(app, '/auth/login', login)
  t.equal(refused.statusCode, 429)
  t.strictSame(refused.json(), { statusCode: 429, code: 'FST_ACCOUNTS_RATE_LIMITED', error: 'Too Many Requests', message: 'Too many requests, try again later' })
  t.equal(refused.headers['retry-after'], '40')
  t.equal(refused.headers['cache-control'], 'no-store')
  t.strictSame(Object.keys(refused.headers).filter(name => name.includes('ratelimit')), [])
  t.match(events.take(), [{ name: 'request.refused', reason: 'FST_ACCOUNTS_RATE_LIMITED' }])
  t.equal((await ask(app, HARMLESS)).statusCode, 401, 'routes that check no secret are counted apart')
  clock.advance(40 * SECOND)
  t.equal((await ask(app, '/auth/login', login)).statusCode, 401)
})

t.test('A-07 another spelling of the path meets the same limit, or nothing', async t => {
  const spellings = ['/auth/login', '//auth/login', '/auth//login', '/auth/login/', '/auth/LOGIN', '/AUTH/login', '/auth/%6cogin', '/auth/log%69n', '/auth/login;x', '/auth/login;x=1', '/auth/./login', '/auth/x/../login', '/auth/login?x', '/auth/login%2f', '/auth/login%00', '/auth\\login']
  const routers = [{}, { ignoreTrailingSlash: true }, { caseSensitive: false }, { ignoreDuplicateSlashes: true }, { ignoreTrailingSlash: true, caseSensitive: false, ignoreDuplicateSlashes: true, useSemicolonDelimiter: true }]
  for (const routerOptions of routers) {
    const { app } = await createHost(t, { server: { routerOptions }, accounts: { rateLimit: FEW } })
    const send = await listenRaw(app)
    const post = async (path: string) => (await send(requestLines('POST', path, ['Content-Type: application/json'], '{}'), '{}')).statusCode
    for (let count = 0; count < 3; count++) t.equal(await post('/auth/login'), 400)
    for (const path of spellings) {
      const status = await post(path)
      t.ok(path === '/auth/login' ? status === 429 : [404, 429].includes(status), `${JSON.stringify(routerOptions)} ${path} ${status}`)
    }
  }
})

t.test('the host\'s own @fastify/rate-limit and ours do not meet, whichever came first', async t => {
  const own = async (app: FastifyInstance) => { await app.register(rateLimit, { global: false, max: 2, timeWindow: 60_000 }) }
  const addRoute = (app: FastifyInstance) => { app.get('/own', { config: { rateLimit: { max: 2 } } }, async () => 'own') }
  for (const [title, host] of [
    ['before', { before: own, after: addRoute }],
    ['after', { after: async (app: FastifyInstance) => { await own(app); addRoute(app) } }]
  ] as const) {
    const { app } = await createHost(t, { ...host, accounts: { rateLimit: FEW } })
    t.strictSame(await statuses(app, 6, HARMLESS), [401, 401, 401, 401, 401, 429], title)
    const [first, , third] = [await ask(app, '/own'), await ask(app, '/own'), await ask(app, '/own')]
    t.equal(first.headers['x-ratelimit-remaining'], '1', `${title}: what we count is not theirs`)
    t.match(third.json(), { statusCode: 429, message: /^Rate limit exceeded/ }, title)
  }
})

t.test('rateLimit: false limits nothing; the default is 300 a minute, 30 where secrets are checked', async t => {
  const { app: unlimited } = await createHost(t, { accounts: { rateLimit: false } })
  t.notOk((await statuses(unlimited, 301, HARMLESS)).includes(429))
  const { app } = await createHost(t, { accounts: { rateLimit: {} } })
  const harmless = await statuses(app, 301, HARMLESS)
  t.strictSame([harmless.indexOf(429), harmless.length], [300, 301])
  t.equal((await statuses(app, 31, '/auth/login', { method: 'POST', payload: {} })).indexOf(429), 30)
})

t.test('N-01 a proxy that trustProxy does not know is named once in the log', async t => {
  const warnings = async (server: object, options: InjectOptions) => {
    const lines: string[] = []
    const stream = new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } })
    const { app } = await createHost(t, { server: { ...server, logger: { level: 'warn', stream } }, accounts: { rateLimit: {} } })
    await statuses(app, 3, HARMLESS, options)
    return lines.filter(line => line.includes('trustProxy')).length
  }
  const headers = { 'x-forwarded-for': '198.51.100.1' }
  for (const remoteAddress of ['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '::1', 'fd00::1', '::ffff:127.0.0.1']) t.equal(await warnings({}, { headers, remoteAddress }), 1, remoteAddress)
  t.equal(await warnings({}, { headers, remoteAddress: '198.51.100.7' }), 0, 'a client that makes it up')
  t.equal(await warnings({}, { remoteAddress: '127.0.0.1' }), 0, 'no proxy')
  t.equal(await warnings({ trustProxy: '127.0.0.1' }, { headers, remoteAddress: '127.0.0.1' }), 0, 'one that is known')
})
