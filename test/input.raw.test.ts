import { gzipSync } from 'node:zlib'
import t from 'tap'
import { createApp, PASSWORD } from './support/app.ts'
import { createHost } from './support/host.ts'
import { listenRaw, requestLines, type RawAnswer } from './support/raw-socket.ts'

const ORIGIN = 'http://localhost:3000'
const BODY = JSON.stringify({ email: 'ada@example.com', password: PASSWORD })
const TYPE = 'Content-Type: application/json'

const codeOf = ({ body }: RawAnswer) => body === '' ? '' : (JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)) as { code?: string }).code ?? ''

async function start (t: Parameters<typeof createApp>[0]) {
  const { app, signedUp } = await createApp(t)
  const browser = await signedUp('ada@example.com')
  const send = await listenRaw(app)
  return { app, browser, send, cookie: `Cookie: ${Object.entries(browser.cookies).map(([name, value]) => `${name}=${value}`).join('; ')}` }
}

t.test('I-04 a header that decides something and comes in two lines is 400', async t => {
  const { send, cookie } = await start(t)
  const login = async (headers: string[]) => await send(requestLines('POST', '/auth/login', [TYPE, ...headers], BODY), BODY)
  t.equal((await login([])).statusCode, 200)
  const headers: Readonly<Record<string, readonly [string, string]>> = {
    Authorization: ['Bearer a', 'Bearer b'],
    Origin: [ORIGIN, 'https://evil.example'],
    Referer: [`${ORIGIN}/login`, 'https://evil.example/'],
    'Sec-Fetch-Site': ['same-origin', 'cross-site'],
    'Accounts-CSRF': ['a', 'b']
  }
  for (const [name, [first, second]] of Object.entries(headers)) {
    t.not((await login([`${name}: ${first}`])).statusCode, 400, `${name} once`)
    for (const lines of [[`${name}: ${first}`, `${name}: ${second}`], [`${name}: ${second}`, `${name}: ${first}`], [`${name}: ${first}`, `${name}: ${first}`], [`${name.toLowerCase()}: ${first}`, `${name.toUpperCase()}: ${first}`], [`${name}: ${first}`, 'X-Between: 1', `${name}: ${second}`], [`${name}: ${first}`, `${name}:`]]) {
      const answer = await login(lines)
      t.strictSame([answer.statusCode, codeOf(answer), answer.headers.get('set-cookie')], [400, 'FST_ACCOUNTS_HEADER_DUPLICATE', undefined], lines.join(' | '))
      for (const [method, path] of [['GET', '/auth/me'], ['POST', '/auth/refresh'], ['POST', '/auth/logout'], ['DELETE', '/auth/sessions']] as const) {
        const answer = await send(requestLines(method, path, [cookie, ...lines]))
        t.strictSame([answer.statusCode, codeOf(answer)], [400, 'FST_ACCOUNTS_HEADER_DUPLICATE'], `${method} ${path} ${lines.join(' | ')}`)
      }
    }
  }
  t.equal((await send(requestLines('GET', '/auth/me', [cookie]))).statusCode, 200, 'nothing has ended the session')
})

t.test('I-04 two content types, hosts or lengths are 400', async t => {
  const { app, send } = await start(t)
  const eve = JSON.stringify({ email: 'eve@example.com', password: PASSWORD })
  const length = `Content-Length: ${eve.length}`
  const table: readonly string[][] = [
    [TYPE, TYPE], [TYPE, 'Content-Type: text/plain'], ['Content-Type: text/plain', TYPE], [TYPE, 'content-type: application/json'], [TYPE, 'Content-Type:'],
    ['Host: localhost:3000', 'Host: localhost:3000', TYPE], ['Host: localhost:3000', 'Host: evil.example', TYPE], ['Host: evil.example', 'host: localhost:3000', TYPE],
    [length, length, TYPE], [length, 'Content-Length: 5', TYPE], [`Content-Length: ${eve.length}, ${eve.length}`, TYPE], [`Content-Length: +${eve.length}`, TYPE], ['Content-Length: 0x10', TYPE], ['Content-Length: -1', TYPE],
    [length, 'Transfer-Encoding: chunked', TYPE], ['Transfer-Encoding: chunked', length, TYPE], ['Transfer-Encoding: chunked, identity', TYPE], ['Transfer-Encoding: xchunked', TYPE], ['Transfer-Encoding : chunked', TYPE], [`Content-Length : ${eve.length}`, TYPE], [' Content-Type: text/plain', TYPE]
  ]
  for (const headers of table) {
    const answer = await send(requestLines('POST', '/auth/register', headers, eve), eve)
    t.ok([400, 501].includes(answer.statusCode), `${headers.join(' | ')}: ${answer.statusCode}`)
    t.equal(answer.headers.get('set-cookie'), undefined)
  }
  t.equal(await app.accounts.users.findByEmail('eve@example.com'), null)
})

t.test('I-04 a guarded route of the host refuses two origins too', async t => {
  const { send, cookie } = await start(t)
  t.equal((await send(requestLines('POST', '/private', [cookie, `Origin: ${ORIGIN}`, 'Sec-Fetch-Site: same-origin']))).statusCode, 200)
  for (const lines of [[`Origin: ${ORIGIN}`, `Origin: ${ORIGIN}`], [`Origin: ${ORIGIN}`, 'Origin: https://evil.example'], ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site'], ['Sec-Fetch-Site: none', 'sec-fetch-site: none']]) {
    const answer = await send(requestLines('POST', '/private', [cookie, ...lines]))
    t.strictSame([answer.statusCode, codeOf(answer)], [400, 'FST_ACCOUNTS_HEADER_DUPLICATE'], lines.join(' | '))
  }
})

t.test('I-02 I-03 what matters of a body is its bytes, not what was announced', async t => {
  const { app, send } = await start(t)
  const eve = JSON.stringify({ email: 'eve@example.com', password: PASSWORD })
  const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
  const chunked = [TYPE, 'Transfer-Encoding: chunked']
  const rows: ReadonlyArray<readonly [title: string, headers: string[], body: string | Buffer, expected: number]> = [
    ['17 KiB in chunks', chunked, `${chunk(eve)}${Array.from({ length: 17 }, () => chunk(' '.repeat(1024))).join('')}0\r\n\r\n`, 413],
    ['1 MiB announced', [TYPE, 'Content-Length: 1048576'], '', 413],
    ['more announced than any number', [TYPE, 'Content-Length: 99999999999999999999'], '', 400],
    ['trailers', [...chunked, 'Trailer: content-type'], `${chunk('{"email":')}0\r\nContent-Type: application/json\r\nX: y\r\n\r\n`, 400],
    ['a bad chunk', chunked, 'zz\r\n{}\r\n0\r\n\r\n', 400],
    ['nothing in chunks', chunked, '0\r\n\r\n', 400],
    ['gzip', [TYPE, 'Content-Encoding: gzip'], gzipSync(eve), 400],
    ['chunks without a content type', ['Transfer-Encoding: chunked'], `${chunk(eve)}0\r\n\r\n`, 415],
    ['an empty content type', ['Content-Type:'], eve, 415],
    ['a tab in the content type', ['Content-Type: application/json\ta'], eve, 415],
    ['UTF-16', ['Content-Type: application/json; charset=utf-16'], Buffer.from(eve, 'utf16le'), 415]
  ]
  for (const [title, headers, body, expected] of rows) {
    const answer = await send(requestLines('POST', '/auth/register', headers, body), body)
    t.equal(answer.statusCode, expected, title)
  }
  t.equal(await app.accounts.users.findByEmail('eve@example.com'), null)
  t.equal((await send(requestLines('POST', '/auth/register', chunked), `${chunk(eve.slice(0, 20))}${chunk(eve.slice(20))}0\r\n\r\n`)).statusCode, 201, 'chunks that are well-formed')
  t.equal((await send(requestLines('POST', '/auth/login', ['Content-Type:   application/json  '], eve), eve)).statusCode, 200, 'space around a value is no part of it (RFC 9110, 5.5)')
  t.equal((await send(requestLines('GET', '/auth/me', [TYPE], eve), eve)).statusCode, 401, 'a body where none belongs is not looked at')
})

t.test('I-11 TRACE and methods that nobody has heard of are refused', async t => {
  const { send, cookie } = await start(t)
  for (const path of ['/auth/login', '/auth/me', '/private', '*']) {
    for (const method of ['TRACE', 'PROPFIND', 'MKCOL', 'M-SEARCH', 'PURGE', 'LINK', 'post', 'POST\t', 'FOO', 'QUERY']) {
      const answer = await send(requestLines(method, path, [cookie, 'X-Test: reflected']))
      t.ok([400, 404].includes(answer.statusCode), `${method} ${path}: ${answer.statusCode}`)
      t.notMatch(answer.body, /reflected|accounts_access/)
    }
  }
  t.equal((await send(requestLines('GET', '/auth/me', [cookie]))).statusCode, 200)
})

t.test('N-08 what a request or a proxy says of host and scheme changes nothing', async t => {
  const evil = 'evil.example'
  const headers: Readonly<Record<string, string>> = {
    Host: evil,
    'X-Forwarded-Host': evil,
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Port': '443',
    'X-Forwarded-For': '6.6.6.6, 7.7.7.7:99',
    'X-Forwarded-Server': evil,
    'X-Forwarded-Prefix': '/evil',
    Forwarded: `for=6.6.6.6;host=${evil};proto=https`,
    'X-Host': evil,
    'X-Original-Host': evil,
    'X-Original-URL': '/auth/logout',
    'X-Rewrite-URL': '/auth/logout',
    'X-HTTP-Host-Override': evil,
    'X-HTTP-Method-Override': 'DELETE',
    Via: `1.1 ${evil}`,
    'X-Real-IP': '6.6.6.6'
  }
  for (const trustProxy of [false, '127.0.0.1', () => true] as const) {
    const { app } = await createHost(t, { server: { trustProxy }, after (app) { app.post('/act', { onRequest: app.authenticate }, async () => ({})) } })
    const send = await listenRaw(app)
    /** All that an answer decides, with what is new in each session left out. */
    const observe = async (extra: string[], email: string) => {
      const body = JSON.stringify({ email, password: PASSWORD })
      const registered = await send(requestLines('POST', '/auth/register', [TYPE, ...extra], body), body)
      const cookies = registered.headers.get('set-cookie') ?? []
      const claims = JSON.parse(Buffer.from(cookies[0]!.split('.')[1]!, 'base64url').toString()) as { iss: string, aud: string }
      const cookie = `Cookie: ${cookies.map(line => line.split(';')[0]).join('; ')}`
      const act = async (origin: string) => (await send(requestLines('POST', '/act', [cookie, `Origin: ${origin}`, ...extra]))).statusCode
      return {
        status: registered.statusCode,
        attributes: cookies.map(line => line.replace(/=[^;]*/, '').replace(/Max-Age=\d+/, 'Max-Age')),
        claims: [claims.iss, claims.aud],
        names: [...registered.headers.keys()].sort(),
        location: registered.headers.get('location'),
        ours: await act(ORIGIN),
        theirs: [await act(`http://${evil}`), await act(`https://${evil}`), await act('https://localhost:3000')],
        me: (await send(requestLines('GET', '/auth/me', [cookie, ...extra]))).statusCode
      }
    }
    const usual = await observe([], 'ada@example.com')
    t.match(usual, { status: 201, claims: [ORIGIN, ORIGIN], ours: 200, theirs: [403, 403, 403], me: 200 })
    for (const [at, [name, value]] of Object.entries(headers).entries()) {
      t.strictSame(await observe([`${name}: ${value}`], `eve${at}@example.com`), usual, `${name}: ${value} with trustProxy ${String(trustProxy)}`)
    }
    t.strictSame(await observe(Object.entries(headers).map(([name, value]) => `${name}: ${value}`), 'all@example.com'), usual, 'all of them')
  }
})
