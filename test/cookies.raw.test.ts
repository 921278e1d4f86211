import t from 'tap'
import { createApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { listenRaw, requestLines, type RawAnswer } from './support/raw-socket.ts'

const ACCESS = '__Host-accounts_access'
const REFRESH = '__Host-accounts_refresh'

const codeOf = ({ body }: RawAnswer) => (JSON.parse(body) as { code?: string }).code
const isCleared = ({ headers }: RawAnswer) => [ACCESS, REFRESH].every(name => headers.get('set-cookie')?.some(line => line.startsWith(`${name}=;`) && line.includes('Max-Age=0')))

async function start (t: Parameters<typeof createApp>[0]) {
  const { app, signedUp } = await createApp(t, { appUrl: 'https://app.example.com' })
  const send = await listenRaw(app)
  const browser = await signedUp('ada@example.com')
  return {
    browser,
    send: async (method: string, path: string, cookies: readonly string[]) => await send(requestLines(method, path, cookies.map(value => `Cookie: ${value}`)))
  }
}

const access = ({ cookies }: Client) => `${ACCESS}=${cookies[ACCESS]!}`
const refresh = ({ cookies }: Client) => `${REFRESH}=${cookies[REFRESH]!}`

t.test('C-04 a cookie of ours that comes twice is refused and cleared, whichever comes first', async t => {
  const { browser, send } = await start(t)
  const good = access(browser)
  t.equal((await send('GET', '/private', [good])).statusCode, 200, 'once it is let in')
  const rows = {
    'good first': [`${good}; ${ACCESS}=evil`],
    'good last': [`${ACCESS}=evil; ${good}`],
    'the same twice': [`${good}; ${good}`],
    'an empty one first': [`${ACCESS}=; ${good}`],
    'an empty one last': [`${good}; ${ACCESS}=`],
    'no space': [`${good};${ACCESS}=evil`],
    'a tab': [`${good};\t${ACCESS}=evil`],
    'others between': [`a=b; ${good}; c=d; ${ACCESS}=evil; e=f`],
    'two header lines': [good, `${ACCESS}=evil`],
    'two header lines, good last': [`${ACCESS}=evil`, good],
    'three header lines': ['a=b', good, good]
  }
  for (const [title, cookies] of Object.entries(rows)) {
    for (const path of ['/private', '/auth/me', '/auth/sessions']) {
      const answer = await send('GET', path, cookies)
      t.equal(answer.statusCode, 401, `${title}: ${path}`)
      t.equal(codeOf(answer), 'FST_ACCOUNTS_COOKIE_DUPLICATE')
      t.ok(isCleared(answer), `${title}: ${path} clears`)
      t.strictSame(answer.headers.get('cache-control'), ['no-store'])
      t.strictSame(answer.headers.get('www-authenticate'), ['Cookie realm="accounts", error="invalid_request"'])
    }
  }
  t.equal((await send('POST', '/private', rows['good first'])).statusCode, 401)
  t.equal((await send('GET', '/private', [good])).statusCode, 200, 'the session itself is unharmed')
})

t.test('C-04 a refresh cookie that comes twice is refused and cleared', async t => {
  const { browser, send } = await start(t)
  const [good, twice] = [access(browser), `${refresh(browser)}; ${REFRESH}=evil`]
  const rows: ReadonlyArray<readonly [string, string, string[]]> = [
    ['POST', '/auth/refresh', [twice]],
    ['POST', '/auth/refresh', [good, twice]],
    ['GET', '/private', [twice]],
    ['GET', '/private', [refresh(browser), `${REFRESH}=evil`]],
    ['GET', '/private', [`${good}; ${twice}`]],
    ['POST', '/auth/logout', [`${good}; ${good}; ${twice}`]],
    ['POST', '/auth/logout', [twice]]
  ]
  for (const [method, path, cookies] of rows) {
    const answer = await send(method, path, cookies)
    const title = `${method} ${path} ${cookies.map(value => value.replace(/=[\w.-]{9,}/g, '=good')).join(' | ')}`
    t.equal(answer.statusCode, 401, title)
    t.ok(isCleared(answer), `${title}: clears`)
  }
})

t.test('C-05 names are compared to the letter, and a cookie without a name is nobody\'s', async t => {
  const { browser, send } = await start(t)
  const token = browser.cookies[ACCESS]!
  const good = `${ACCESS}=${token}`
  const strangers = [
    `${ACCESS.toLowerCase()}=${token}`, `${ACCESS.toUpperCase()}=${token}`, `__host-accounts_access=${token}`, `__Secure-accounts_access=${token}`, `accounts_access=${token}`,
    `x${ACCESS}=${token}`, `x ${ACCESS}=${token}`, `x-${ACCESS}=${token}`, `${ACCESS}x=${token}`, `${ACCESS} =${token}`, `${ACCESS}\xa0=${token}`,
    `=${ACCESS}=${token}`, `==${ACCESS}=${token}`, ` =${ACCESS}=${token}`, `a=${ACCESS}=${token}`, `a="b; c=${ACCESS}=${token}"`, `a=b, ${ACCESS}=${token}`, `a=b\xa0${ACCESS}=${token}`,
    `%5f%5fHost-accounts_access=${token}`, `\xa0${ACCESS}=${token}`, `"${ACCESS}"=${token}`, token, `=${token}`
  ]
  for (const cookie of strangers) {
    const answer = await send('GET', '/private', [cookie])
    const title = cookie.replace(token, 'TOKEN')
    t.equal(answer.statusCode, 401, title)
    t.equal(codeOf(answer), 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED', `${title} is not ours`)
    t.strictSame(answer.headers.get('www-authenticate'), ['Cookie realm="accounts", Bearer realm="accounts"'])
    t.equal((await send('GET', '/private', [cookie, good])).statusCode, 200, `${title} beside ours does no harm`)
  }
})

t.test('C-06 names that mean something to an object mean nothing here', async t => {
  const { browser, send } = await start(t)
  const good = access(browser)
  for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__', 'then', 'length', 'null', 'undefined', '']) {
    for (const value of ['x', '{"principal":{}}', browser.cookies[ACCESS]!]) {
      t.equal((await send('GET', '/private', [`${name}=${value}`])).statusCode, 401, name)
      t.equal((await send('GET', '/private', [`${name}=${value}; ${good}`])).statusCode, 200, `${name} before ours`)
      t.equal((await send('POST', '/auth/refresh', [`${name}=${value}`])).statusCode, 401, name)
    }
  }
  t.equal(({} as { principal?: unknown }).principal, undefined)
})

t.test('C-07 a value is taken as it was sent: no decoding, no quotes, nothing around it', async t => {
  const { browser, send } = await start(t)
  const token = browser.cookies[ACCESS]!
  const dot = token.indexOf('.')
  const values = [
    `"${token}"`, `'${token}'`, `"${token}`, `${token}"`, `\\"${token}\\"`, `s%3A${token}`, `j:${token}`,
    `${token}%00`, `%00${token}`, `${token}%0d%0a`, `${token}%0D%0AX: y`, `${token}%20`, `${token}%2e`, `${token.slice(0, dot)}%2E${token.slice(dot + 1)}`, `%65${token.slice(1)}`, `%2565${token.slice(1)}`,
    `${token}\xa0`, `\xa0${token}`, `\ufeff${token}`, `${token}=`, `${token},`, `${token} x`, '%', '%E0%A4%A', '%c0%80', '%ff', '""', '"'
  ]
  for (const value of values) {
    const answer = await send('GET', '/private', [`${ACCESS}=${value}`])
    t.equal(answer.statusCode, 401, value.replace(token, 'TOKEN'))
    t.equal(codeOf(answer), 'FST_ACCOUNTS_TOKEN_INVALID')
    t.equal((await send('POST', '/auth/refresh', [`${REFRESH}=${value.replace(token, browser.cookies[REFRESH]!)}`])).statusCode, 401, `refresh: ${value.replace(token, 'TOKEN')}`)
  }
  // llhttp refuses these bytes itself; what counts is that they are refused.
  for (const byte of ['\0', '\r', '\n', '\x7f']) {
    const answer = await send('GET', '/private', [`${ACCESS}=${token}${byte}x`])
    t.equal(answer.statusCode, 400, JSON.stringify(byte))
  }
  t.equal((await send('GET', '/private', [`${ACCESS}=`])).statusCode, 401, 'empty')
  t.equal((await send('GET', '/private', [`${ACCESS}=${'a'.repeat(10_000)}`])).statusCode, 401, 'long')
  t.equal((await send('GET', '/private', [access(browser)])).statusCode, 200, 'the server and the session live on')
})
