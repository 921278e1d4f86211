import fc from 'fast-check'
import t from 'tap'
import { PASSWORD } from './support/app.ts'
import { createHost } from './support/host.ts'
import { listenRaw, requestLines } from './support/raw-socket.ts'

/** `HEADERS=100000` for more than a test run has time for. */
const HEADERS = Number(process.env.HEADERS ?? 15_000)

const GOOD = Buffer.from('admin:sesame 4711').toString('base64')
const isGood = (header: string) => /^basic +/i.test(header) && header.replace(/^basic +/i, '') === GOOD

const scheme = fc.oneof({ weight: 6, arbitrary: fc.constantFrom('Basic', 'basic', 'BASIC', 'bAsIc') }, { weight: 1, arbitrary: fc.constantFrom('Basi', 'Basics', 'Bearer', 'Digest', 'B\u0430sic', '"Basic"', '') })
const gap = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(' ', '  ', '   ') }, { weight: 1, arbitrary: fc.constantFrom('', '\t', '\u00a0', ',', ' , ', '=', '\v', ' \t') })
/** The one that is good, with one thing changed. */
const altered = fc.tuple(fc.nat(GOOD.length), fc.constantFrom('', '=', ' ', '%', '%3D', '\n', ',', '-', '_', 'A', 'ü', '\0'), fc.nat(2)).map(([at, piece, cut]) => GOOD.slice(0, at) + piece + GOOD.slice(at + cut))
const encoded = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes).toString('base64')),
  fc.tuple(fc.constantFrom('admin', 'Admin', 'admin\0', ' admin', '\ufeffadmin'), fc.constantFrom(':', '', '::', ':\n'), fc.constantFrom('sesame 4711', 'sesame', 'sesame 4711\0', 'ｓesame 4711')).map(parts => Buffer.from(parts.join('')).toString('base64')),
  fc.uint8Array({ maxLength: 24 }).map(bytes => Buffer.from(bytes).toString('base64url')),
  fc.string({ maxLength: 40, unit: 'binary' })
)
const authorization = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(scheme, gap, fc.oneof(fc.constant(GOOD), altered, encoded), fc.constantFrom('', '', '', ' ', ',', ', Bearer x')).map(parts => parts.join('')) },
  { weight: 1, arbitrary: fc.string({ maxLength: 200, unit: 'binary' }) },
  { weight: 1, arbitrary: fc.webUrl().map(encodeURIComponent) }
)

t.test(`B-06 of ${HEADERS} generated headers exactly those that are right come in, and none is 5xx`, async t => {
  const { app } = await createHost(t, {
    accounts: { basic: { legacy: { username: 'admin', password: 'sesame 4711' } }, throttle: false },
    after (app) { app.get('/old', { onRequest: app.verifyBasic }, async () => 'in') }
  })
  const counts: Record<string, number> = {}
  await fc.assert(fc.asyncProperty(authorization, async header => {
    const { statusCode, headers } = await app.inject({ url: '/old', headers: { authorization: header } })
    const expected = isGood(header) ? 200 : 401
    counts[expected] = (counts[expected] ?? 0) + 1
    return statusCode === expected && headers['set-cookie'] === undefined
  }), { numRuns: HEADERS, seed: 20_260_601 })
  t.ok(counts[200]! > HEADERS / 100 && counts[401]! > HEADERS / 2, JSON.stringify(counts))
})

t.test('B-02, B-06 bytes as hostile clients send them', async t => {
  const { app } = await createHost(t, {
    accounts: { basic: { users: true }, throttle: false },
    after (app) { app.get('/old', { onRequest: app.verifyBasic }, async () => 'in') }
  })
  await app.accounts.users.create({ email: 'ada@example.com', username: 'ada', password: PASSWORD })
  const send = await listenRaw(app)
  const good = Buffer.from(`ada:${PASSWORD}`).toString('base64')
  const status = async (...headers: string[]) => (await send(requestLines('GET', '/old', headers))).statusCode
  t.equal(await status(`Authorization: Basic ${good}`), 200)
  t.equal(await status(`aUTHORIZATION:   basic   ${good}   `), 200, 'white space around a field does not count (RFC 9110, 5.5)')
  const cases: ReadonlyArray<readonly [expected: number, ...headers: string[]]> = [
    [400, `Authorization: Basic ${good}`, `Authorization: Basic ${good}`],
    [400, 'Authorization: Basic eDp5', `Authorization: Basic ${good}`],
    [401, `Authorization: Basic ${good}\r\n folded`],
    [401, `Authorization: Basic ${Buffer.from([0xff, 0xfe, 0x3a, 0x61]).toString('base64')}`],
    [401, `Authorization: Basic ${good}\u00e9`],
    [401, `Authorization: Basic ${'QUFB'.repeat(3000)}`],
    [431, `Authorization: Basic ${'QUFB'.repeat(16_000)}`],
    [401, `Proxy-Authorization: Basic ${good}`],
    [401, `X-Authorization: Basic ${good}`],
    [401, `Authorization: Digest username="ada", response="${good}"`],
    [401, 'Authorization:'],
    [401, `Authorization: ${good}`]
  ]
  for (const [expected, ...headers] of cases) {
    const statusCode = await status(...headers)
    t.ok(statusCode === expected || (expected === 401 && statusCode === 400), `${headers.join(' | ').slice(0, 60)}: ${statusCode}`)
  }
  t.equal((await send(requestLines('GET', `http://ada:${encodeURIComponent(PASSWORD)}@localhost/old`, []))).statusCode < 500, true, 'credentials in the address count for nothing')
})
