import { gzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import type { Client } from './support/client.ts'

const EVE = 'eve@example.com'
const JSON_TYPE = { 'content-type': 'application/json' }
const KiB = 1024

interface Target { readonly path: string, readonly good: Readonly<Record<string, unknown>>, readonly statusCode: number, caller (): Client }

/** Routes that take secrets, each with a body that it would accept, and a view of what the database holds. */
async function start (t: Parameters<typeof createApp>[0]) {
  const file = databaseFile(t)
  const { app, client, signedUp } = await createApp(t, { storage: await sqliteStorage(file), throttle: false })
  const browser = await signedUp('ada@example.com')
  const targets: Target[] = [
    { path: '/auth/register', good: { email: EVE, password: PASSWORD, username: 'eve', name: 'Eve' }, statusCode: 201, caller: client },
    { path: '/auth/login', good: { email: 'ada@example.com', password: PASSWORD, remember: true }, statusCode: 200, caller: client },
    { path: '/auth/password/change', good: { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }, statusCode: 204, caller: () => browser.copy() }
  ]
  const database = new Database(file, { readonly: true })
  t.teardown(() => database.close())
  const dump = () => JSON.stringify([database.prepare('select * from accounts_users').all(), database.prepare('select * from accounts_sessions').all()], (key, value: unknown) => /last_seen|acknowledged/.test(key) ? undefined : value)
  return { app, browser, client, targets, dump }
}

type Bodies = Array<readonly [title: string, body: string | Buffer]>

/** Bodies made from one that is accepted: those that are not strict JSON, and those that are, but of another shape. */
function badBodies (good: Readonly<Record<string, unknown>>): { readonly FST_ACCOUNTS_JSON_INVALID: Bodies, readonly FST_ACCOUNTS_INPUT_INVALID: Bodies } {
  const text = JSON.stringify(good)
  const inner = text.slice(1, -1)
  const [first = '', second = ''] = Object.keys(good)
  const escaped = (name: string) => Array.from(name, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  const swap = (member: string, value: string) => `{${Object.entries(good).map(([name, one]) => `"${name}":${name === member ? value : JSON.stringify(one)}`).join(',')}}`
  const nest = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  const withBytes = (...bytes: number[]) => Buffer.concat([Buffer.from(`{"${first}":"`), Buffer.from(bytes), Buffer.from('",'), Buffer.from(inner.slice(inner.indexOf(',') + 1)), Buffer.from('}')])
  return {
    FST_ACCOUNTS_JSON_INVALID: [
      ['blank', ' '],
      ['truncated', text.slice(0, -1)], ['without its first byte', text.slice(1)], ['trailing comma', `{${inner},}`], ['single quotes', text.replaceAll('"', "'")], ['names without quotes', `{${first}:"x"}`],
      ['comment', `/**/${text}`], ['line comment', `${text}//`], ['two documents', `${text}${text}`], ['trailing NUL', `${text}\0`], ['leading NUL', `\0${text}`], ['form feed', `\f${text}`], ['no-break space', `\u00a0${text}`], ['control character in a string', swap(first, '"a\nb"')],
      ['NaN', swap(first, 'NaN')], ['hexadecimal', swap(first, '0x10')], ['leading zero', swap(first, '01')], ['prefix of XSSI', `)]}',\n${text}`], ['form', new URLSearchParams(good as Record<string, string>).toString()],
      ['BOM', `\ufeff${text}`], ['UTF-16 LE', Buffer.from(text, 'utf16le')], ['UTF-16 LE with BOM', Buffer.from(`\ufeff${text}`, 'utf16le')], ['UTF-16 BE', Buffer.from(text, 'utf16le').swap16()], ['UTF-32', Buffer.from([...text].flatMap(character => [character.charCodeAt(0), 0, 0, 0]))],
      ['invalid UTF-8', withBytes(0xff)], ['overlong UTF-8', withBytes(0xc0, 0xaf)], ['truncated UTF-8', withBytes(0xe2, 0x82)], ['surrogate in UTF-8', withBytes(0xed, 0xa0, 0x80)], ['beyond Unicode', withBytes(0xf4, 0x90, 0x80, 0x80)], ['Latin-1', withBytes(0x61, 0xfc)],
      ['gzip', gzipSync(text)], ['member twice', `{"${first}":"x",${inner}}`], ['member twice, equal', `{${inner},${inner}}`], ['member twice, escaped', `{"${escaped(second)}":"x",${inner}}`], ['member twice, the other an object', `{"${first}":{"${first}":"x"},${inner}}`], ['nested member twice', `{${inner},"a":{"b":1,"b":1}}`], ['colons in strings and a member twice', `{"${first}":"a:b","${first}":"\\":",${inner}}`],
      ...['__proto__', '\\u005f_proto__', '\\u005f\\u005fproto\\u005f\\u005f'].flatMap(name => [[`member ${name}`, `{${inner},"${name}":{"isAdmin":true}}`], [`${name} inside`, swap(first, `{"${name}":"x"}`)]] as const),
      ['only __proto__', `{"__proto__":${text}}`],
      ['9 levels', swap(first, nest(8))], ['8000 levels', swap(first, nest(8000))], ['8000 levels that never close', `{"${first}":${'['.repeat(8000)}`], ['5000 objects', '{"a":'.repeat(2500)]
    ],
    FST_ACCOUNTS_INPUT_INVALID: [
      ...['', 'null', 'true', 'false', '0', '1e400', '"text"', JSON.stringify(text), '[]', `[${text}]`, '{}', '{"":""}'].map(body => [`top level ${body.slice(0, 20)}`, body] as const),
      ...['constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '$ne', '$where', ''].flatMap(name => [[`member ${name}`, `{${inner},"${name}":{"isAdmin":true}}`], [`${name} inside`, swap(first, `{"${name}":"x"}`)]] as const),
      ['constructor.prototype', `{${inner},"constructor":{"prototype":{"isAdmin":true}}}`],
      ['8 levels', swap(first, nest(7))],
      ['1000 members', `{${inner},${Array.from({ length: 1000 }, (_, at) => `"m${at}":0`).join(',')}}`],
      ...['role', 'roles', 'isAdmin', 'admin', 'emailVerified', 'id', 'passwordHash', 'passwordDigest', 'createdAt', 'userId', 'disabled', 'epoch', 'sub', 'Email', 'PASSWORD', 'password ', 'e-mail', '_method', 'user[name]', 'password[]'].flatMap(name => ['true', '"x"', 'null'].map(value => [`extra ${name}: ${value}`, `{${inner},"${name}":${value}}`] as const)),
      ...Object.keys(good).flatMap(name => [
        ...['null', '0', '1', '-0', '12345', '1e400', '[]', '{}', '{"$ne":null}', '{"length":20}', `{"toString":${JSON.stringify(good[name])}}`, `[${JSON.stringify(good[name])}]`, `[[${JSON.stringify(good[name])}]]`].map(value => [`${name}: ${value}`, swap(name, value)] as const),
        ...(typeof good[name] === 'string' ? [[`${name}: true`, swap(name, 'true')]] as const : [[`${name} as text`, swap(name, '"true"')]] as const)
      ]),
      ...[first, second].map(name => [`without ${name}`, JSON.stringify({ ...good, [name]: undefined })] as const)
    ]
  }
}

t.test('I-01 I-03 a body that is not strict JSON of exactly our shape is 400, and nothing is written', async t => {
  const { app, browser, targets, dump } = await start(t)
  const before = dump()
  for (const { path, good, caller } of targets) {
    const bodies = Object.entries(badBodies(good)).flatMap(([code, bodies]) => bodies.map(([title, body]) => [code, title, body] as const))
    t.ok(bodies.length > 150)
    for (const [code, title, body] of bodies) {
      const response = await caller().post(path, body, JSON_TYPE)
      const isRight = response.statusCode === 400 && response.json().code === code && response.headers['set-cookie'] === undefined
      if (!isRight) t.fail(`${path}: ${title}`, { statusCode: response.statusCode, body: response.body })
      if (response.body.includes(PASSWORD)) t.fail(`${path}: ${title} repeats what was sent`)
    }
  }
  t.equal(dump(), before, 'not a row')
  t.equal(await app.accounts.users.findByEmail(EVE), null)
  t.equal(({} as { isAdmin?: unknown }).isAdmin, undefined)
  t.equal((await browser.get('/private')).statusCode, 200)
  for (const { path, good, statusCode, caller } of targets) t.equal((await caller().post(path, JSON.stringify(good), JSON_TYPE)).statusCode, statusCode, `${path}: the body that they were made from is accepted`)
})

t.test('I-01 I-09 login takes an address or a user name, and what can not be an id is not asked for', async t => {
  const { client, browser } = await start(t)
  for (const body of [{ email: 'ada@example.com', username: 'ada', password: PASSWORD }, { password: PASSWORD }, { email: 'ada@example.com' }, { username: null, email: 'ada@example.com', password: PASSWORD }]) {
    t.equal((await client().post('/auth/login', body)).statusCode, 400, Object.keys(body).join(' '))
  }
  for (const id of ["' or 1=1 --", '"', '%00', '%27', '..%2f', '[]', '{}', '*', '__proto__', 'constructor', 'null', 'A'.repeat(24), 'A'.repeat(99), '%F0%9F%92%A9', '1;drop table accounts_users']) {
    const response = await browser.request('DELETE', `/auth/sessions/${encodeURI(id).replaceAll('%25', '%')}`)
    t.equal(response.statusCode, 404, `I-09 ${id}`)
    t.equal(response.json().code, 'FST_ACCOUNTS_SESSION_NOT_FOUND')
  }
  t.equal((await browser.get('/private')).statusCode, 200)
})

t.test('I-05 X-04 the content type is application/json in UTF-8, to the letter, or the body is not looked at', async t => {
  const { targets, dump } = await start(t)
  const refused = [
    'application/json;', ' application/json', 'application/json ', 'application/json\ta', 'application/json a', 'application/json\t', 'application/json\x0b', 'application/json\xa0', '\xa0application/json', 'application/json,text/plain', 'application/json, application/json', 'text/plain,application/json', 'text/plain;application/json', 'text/plain; application/json', 'application/json;application/json',
    'application/json; charset=utf-16', 'application/json; charset=utf-16le', 'application/json; charset=utf-7', 'application/json; charset=latin1', 'application/json; charset=us-ascii', 'application/json; charset=utf8', 'application/json; charset=', 'application/json; charset', 'application/json; charset="utf-8', "application/json; charset='utf-8'", 'application/json; charset=utf-8;', 'application/json; charset=utf-8; charset=utf-16', 'application/json; charset=utf-16; charset=utf-8', 'application/json; x=y', 'application/json; charset=utf-8 x', 'application/json; charset =utf-8',
    'text/plain', 'text/plain; charset=utf-8', 'text/json', 'text/html', 'application/vnd.api+json', 'application/ld+json', 'application/problem+json', 'application/json+x', 'application/jsonp', 'application/json5', 'application/x-json', 'application/javascript', 'application/x-www-form-urlencoded', 'multipart/form-data', 'multipart/form-data; boundary=x', 'multipart/json', 'application/octet-stream',
    '', ' ', ';', '/', 'json', 'application', 'application/', '/json', '*/*', 'application/*', 'application//json', 'application/json/', 'application /json', 'application/ json', '"application/json"', 'application\\json', 'undefined', 'null', 'application/json\0', 'application%2fjson', 'application/json%3b'
  ]
  const before = dump()
  for (const { path, good, caller } of targets) {
    for (const [title, body] of [['good', JSON.stringify(good)], ['bad', JSON.stringify({ ...good, role: 'admin' })], ['empty', '']] as const) {
      for (const type of refused) {
        const response = await caller().post(path, body, { 'content-type': type })
        if (response.statusCode !== 415 || response.json().code !== 'FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED') t.fail(`${path} ${JSON.stringify(type)} with a ${title} body`, { statusCode: response.statusCode })
      }
    }
    t.equal((await caller().post(path, Buffer.from(JSON.stringify(good)))).statusCode, 415, `${path}: no content type at all`)
  }
  t.equal(dump(), before, 'not a row')
})

t.test('I-05 spellings of our content type that mean the same are taken, and validated all the same', async t => {
  const { client } = await start(t)
  const types = ['application/json', 'APPLICATION/JSON', 'Application/Json; Charset=UTF-8', 'application/json;charset=utf-8', 'application/json; charset="utf-8"']
  for (const [at, type] of types.entries()) {
    for (let round = 0; round < 2; round++) {
      const email = `eve${at}${round}@example.com`
      t.equal((await client().post('/auth/register', JSON.stringify({ email, password: PASSWORD, role: 'admin' }), { 'content-type': type })).statusCode, 400, `${type} and one member too many`)
      t.equal((await client().post('/auth/register', JSON.stringify({ email, password: PASSWORD }), { 'content-type': type })).statusCode, 201, type)
    }
  }
})

t.test('I-02 a body of 16 KiB is read, one byte more is 413', async t => {
  const { targets, dump } = await start(t)
  const before = dump()
  for (const { path, good, caller } of targets) {
    const padded = (bytes: number) => JSON.stringify(good).padEnd(bytes, ' ')
    for (const [bytes, expected] of [[16 * KiB + 1, 413], [64 * KiB, 413], [KiB * KiB - 1, 413], [KiB * KiB, 413], [KiB * KiB + 1, 413], [10 * KiB * KiB, 413]] as const) {
      const response = await caller().post(path, padded(bytes), JSON_TYPE)
      t.equal(response.statusCode, expected, `${path} ${bytes}`)
      t.strictSame(response.json(), { statusCode: 413, code: 'FST_ACCOUNTS_BODY_TOO_LARGE', error: 'Payload Too Large', message: 'The body is larger than 16 KiB' })
    }
    const members = `{${Array.from({ length: 1e5 }, (_, at) => `"m${at}":0`).join(',')}}`
    t.equal((await caller().post(path, members, JSON_TYPE)).statusCode, 413, `${path}: 10^5 members`)
    t.equal((await caller().post(path, '['.repeat(1e5), JSON_TYPE)).statusCode, 413, `${path}: 10^5 levels`)
  }
  t.equal(dump(), before, 'not a row')
  for (const { path, good, statusCode, caller } of targets) t.equal((await caller().post(path, JSON.stringify(good).padEnd(16 * KiB, ' '), JSON_TYPE)).statusCode, statusCode, `${path}: 16 KiB`)
})

t.test('I-03 passwords, addresses and names that are no text are refused with a fixed status', async t => {
  const { app, client, browser, dump } = await start(t)
  const before = dump()
  const odd = ['\\u0000', 'a\\u0000b', '\\ud800', '\\udc00', '\\udc00\\ud800', '\\ud83d', 'x\\ud83dx', '\\uD83D\\uD83D\\uDE00']
  const filler = 'violet harbor 92 lantern'
  const post = async (caller: Client, method: string, path: string, body: string) => {
    const response = await caller.request(method, path, body, JSON_TYPE)
    return `${response.statusCode} ${response.json().code}`
  }
  for (const one of odd) {
    const rows: ReadonlyArray<readonly [Client, string, string, string, string]> = [
      [client(), 'POST', '/auth/register', `{"email":"eve${one}@example.com","password":"${filler}"}`, '422 FST_ACCOUNTS_EMAIL_INVALID'],
      [client(), 'POST', '/auth/register', `{"email":"eve@exam${one}ple.com","password":"${filler}"}`, '422 FST_ACCOUNTS_EMAIL_INVALID'],
      [client(), 'POST', '/auth/register', `{"email":"${EVE}","password":"${filler}${one}"}`, '422 FST_ACCOUNTS_PASSWORD_ILL_FORMED'],
      [client(), 'POST', '/auth/register', `{"email":"${EVE}","password":"${filler}","name":"Eve${one}"}`, '422 FST_ACCOUNTS_NAME_INVALID'],
      [client(), 'POST', '/auth/register', `{"email":"${EVE}","password":"${filler}","username":"eve${one}"}`, '422 FST_ACCOUNTS_USERNAME_INVALID'],
      [client(), 'POST', '/auth/login', `{"email":"ada${one}@example.com","password":"${filler}"}`, '401 FST_ACCOUNTS_CREDENTIALS_INVALID'],
      [client(), 'POST', '/auth/login', `{"username":"ada${one}","password":"${filler}"}`, '401 FST_ACCOUNTS_CREDENTIALS_INVALID'],
      [client(), 'POST', '/auth/login', `{"email":"ada@example.com","password":"${filler}${one}"}`, '401 FST_ACCOUNTS_CREDENTIALS_INVALID'],
      [browser, 'PATCH', '/auth/me', `{"name":"${one}"}`, '422 FST_ACCOUNTS_NAME_INVALID'],
      [browser, 'DELETE', '/auth/me', `{"password":"${filler}${one}"}`, '403 FST_ACCOUNTS_PASSWORD_WRONG'],
      [browser, 'POST', '/auth/password/change', `{"currentPassword":"${filler}${one}","newPassword":"${OTHER_PASSWORD}"}`, '403 FST_ACCOUNTS_PASSWORD_WRONG'],
      [browser, 'POST', '/auth/password/change', `{"currentPassword":"${filler}","newPassword":"${OTHER_PASSWORD}${one}"}`, '422 FST_ACCOUNTS_PASSWORD_ILL_FORMED']
    ]
    for (const [caller, method, path, body, expected] of rows) t.equal(await post(caller, method, path, body), expected, `${method} ${path} ${body}`)
  }
  t.equal(await app.accounts.users.findByEmail(EVE), null)
  t.equal(dump(), before, 'not a row')
})

t.test('P-02 the length of a password is bounded before anything is spent on it', async t => {
  const { client, dump } = await start(t)
  const before = dump()
  // No piece of it repeats, so that nothing but its length is judged.
  const long = Array.from({ length: 400 }, (_, at) => `${at * 7919 % 9973}~`).join('')
  const register = async (password: string, email = EVE) => await client().post('/auth/register', { email, password })
  const rows: ReadonlyArray<readonly [string, string, number, string]> = [
    ['none', '', 422, 'TOO_SHORT'], ['one', 'a', 422, 'TOO_SHORT'], ['14', long.slice(0, 14), 422, 'TOO_SHORT'], ['14 emoji', '🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🦆', 422, 'TOO_SHORT'], ['15 spaces', ' '.repeat(15), 422, 'COMMON'],
    ['1025 bytes', long.slice(0, 1025), 422, 'TOO_LONG'], ['1024 characters of two bytes', `é${long.slice(0, 1023)}`, 422, 'TOO_LONG'], ['15 KiB', 'x7'.repeat(7500), 422, 'TOO_LONG']
  ]
  for (const [title, password, statusCode, code] of rows) {
    const response = await register(password)
    t.strictSame([response.statusCode, response.json().code], [statusCode, `FST_ACCOUNTS_PASSWORD_${code}`], title)
  }
  for (const bytes of [1e6, 1e7]) {
    for (const [path, body] of [['/auth/register', { email: EVE }], ['/auth/login', { email: 'ada@example.com' }]] as const) {
      t.equal((await client().post(path, { ...body, password: 'x'.repeat(bytes) })).statusCode, 413, `${path} ${bytes}`)
    }
  }
  t.equal((await client().post('/auth/login', { email: 'ada@example.com', password: long.slice(0, 1025) })).statusCode, 401, 'a login is not told why')
  t.equal(dump(), before, 'not a row')
  for (const [at, password] of [long.slice(0, 15), long.slice(0, 64), long.slice(0, 72), long.slice(0, 73), long.slice(0, 1024)].entries()) {
    t.equal((await register(password, `long${at}@example.com`)).statusCode, 201, `${password.length}`)
    t.equal((await client().post('/auth/login', { email: `long${at}@example.com`, password })).statusCode, 200)
    t.equal((await client().post('/auth/login', { email: `long${at}@example.com`, password: password.slice(0, -1) })).statusCode, 401, 'every byte counts')
  }
})
