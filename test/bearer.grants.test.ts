import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { createApp, PASSWORD } from './support/app.ts'
import { byPassword, byRefresh, createApiClient, granted, requestToken } from './support/bearer.ts'
import { holdClock, HOUR } from './support/clock.ts'
import { claimsOf } from './support/tokens.ts'

const ADA = { email: 'ada@example.com', username: 'ada', password: PASSWORD }

/** RFC 6749, 5.2: status, `error`, and what it may be written with. */
function checkError (t: { strictSame (one: unknown, other: unknown, title: string): void, match (one: unknown, other: RegExp, title: string): void }, response: LightMyRequestResponse, statusCode: number, error: string, title: string): void {
  const body = response.json()
  t.strictSame([response.statusCode, body.error, Object.keys(body)], [statusCode, error, ['error', 'error_description', 'code']], title)
  t.match(body.error_description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/, title)
  t.match(body.code, /^FST_ACCOUNTS_/, title)
  t.strictSame([response.headers['cache-control'], response.headers.pragma, response.headers['set-cookie'], response.headers['content-type']], ['no-store', 'no-cache', undefined, 'application/json; charset=utf-8'], title)
}

t.test('K2 name or address and password give tokens, as a form and as JSON (RFC 6749, 4.3 and 5.1)', async t => {
  const { app } = await createApp(t)
  const { id } = await app.accounts.users.create({ ...ADA, emailVerified: true })
  for (const username of ['ada', 'ada@example.com', 'ADA@Example.com']) {
    for (const json of [true, false]) {
      const response = await requestToken(app, { grant_type: 'password', username, password: PASSWORD, client_id: 'app', unknown: 'x', scope: '' }, { json })
      t.equal(response.statusCode, 200, 'what is not known, and what is empty, is not looked at (RFC 6749, 3.2)')
      const { access_token: access, refresh_token: refresh, expires_in: seconds, ...rest } = response.json()
      t.strictSame(rest, { token_type: 'Bearer' })
      t.match([claimsOf(access).sub, claimsOf(refresh).sub], [id, id])
      t.ok(seconds > 3400 && seconds <= 3600 && Number.isInteger(seconds))
      t.strictSame([response.headers['cache-control'], response.headers.pragma, response.headers['set-cookie']], ['no-store', 'no-cache', undefined])
    }
  }
  t.equal((await app.accounts.sessions.list(id)).length, 6)
})

t.test('errors are those of RFC 6749, 5.2, with our codes beside', async t => {
  const { app } = await createApp(t, { throttle: false })
  await app.accounts.users.create({ ...ADA, emailVerified: true })
  const gone = await app.accounts.users.create({ email: 'gone@example.com', password: PASSWORD, emailVerified: true })
  await app.accounts.users.update(gone.id, { disabled: true })
  const { access_token: access } = (await byPassword(app, 'ada')).json()
  const password = { grant_type: 'password', username: 'ada', password: PASSWORD }
  const rows: ReadonlyArray<readonly [string, Record<string, unknown>, number, string]> = [
    ['no grant', {}, 400, 'invalid_request'],
    ['another grant', { ...password, grant_type: 'client_credentials' }, 400, 'unsupported_grant_type'],
    ['of another case', { ...password, grant_type: 'Password' }, 400, 'unsupported_grant_type'],
    ['no name', { grant_type: 'password', password: PASSWORD }, 400, 'invalid_request'],
    ['no password', { grant_type: 'password', username: 'ada' }, 400, 'invalid_request'],
    ['an empty password', { ...password, password: '' }, 400, 'invalid_request'],
    ['a wrong password', { ...password, password: 'wrong horse battery staple' }, 400, 'invalid_grant'],
    ['an unknown name', { ...password, username: 'nobody' }, 400, 'invalid_grant'],
    ['a disabled account', { ...password, username: 'gone@example.com' }, 400, 'invalid_grant'],
    ['a scope', { ...password, scope: 'read' }, 400, 'invalid_scope'],
    ['no refresh token', { grant_type: 'refresh_token' }, 400, 'invalid_request'],
    ['garbage', { grant_type: 'refresh_token', refresh_token: 'garbage' }, 400, 'invalid_grant'],
    ['R-08 an access token', { grant_type: 'refresh_token', refresh_token: access }, 400, 'invalid_grant'],
    ['too long a name', { ...password, username: 'x'.repeat(400) }, 400, 'invalid_request']
  ]
  for (const [title, parameters, statusCode, error] of rows) {
    for (const json of [true, false]) checkError(t, await requestToken(app, parameters, { json }), statusCode, error, `${title}, ${json ? 'JSON' : 'form'}`)
  }
  const wrong = await Promise.all([rows[6]!, rows[7]!, rows[8]!].map(async ([, parameters]) => (await requestToken(app, parameters)).body))
  t.equal(new Set(wrong).size, 1, 'A-01 which of them it was is not told')

  const send = async (type: string, payload: string) => await app.inject({ method: 'POST', url: '/auth/token', headers: { 'content-type': type }, payload })
  const form = 'application/x-www-form-urlencoded'
  const good = `grant_type=password&username=ada&password=${encodeURIComponent(PASSWORD)}`
  t.equal((await send(`${form}; charset=UTF-8`, good.replaceAll('%20', '+'))).statusCode, 200)
  for (const [title, type, payload, statusCode] of [
    ['a name twice', form, `${good}&username=eve`, 400],
    ['a name twice, spelled in two ways', form, `${good}&user%6eame=eve`, 400],
    ['not UTF-8', form, `${good}&x=%ff`, 400],
    ['half an escape', form, `${good}&x=%2`, 400],
    ['raw bytes', form, `${good}&x=ü`, 400],
    ['a line', form, `${good}\r\n`, 400],
    ['no JSON', 'application/json', '{', 400],
    ['a member twice', 'application/json', '{"grant_type":"password","grant_type":"password"}', 400],
    ['a list', 'application/json', '[]', 400],
    ['a text', 'application/json', '"x"', 400],
    ['null', 'application/json', 'null', 400],
    ['a number', 'application/json', '{"grant_type":1}', 400],
    ['nothing', form, '', 400],
    ['another charset', `${form}; charset=latin1`, good, 415],
    ['a text', 'text/plain', good, 415],
    ['multipart', 'multipart/form-data; boundary=x', good, 415],
    ['no type', '', good, 415],
    ['an ill-formed type', 'x', good, 415],
    ['too much', form, `${good}&x=${'y'.repeat(17_000)}`, 413]
  ] as const) checkError(t, await send(type, payload), statusCode, 'invalid_request', title)
  t.match((await send('text/plain', good)).json().error_description, /x-www-form-urlencoded or application\/json/)
})

t.test('A-06 V-02 a throttled login and a store that is down say when to come back, and end nothing', async t => {
  const clock = holdClock(t)
  const { app, storage } = await createApp(t, { throttle: { free: 2 } })
  const { refresh_token: refresh } = await granted({ app })
  for (let attempt = 0; attempt < 3; attempt++) await byPassword(app, 'ada@example.com', 'wrong horse battery staple')
  const throttled = await byPassword(app, 'ada@example.com')
  checkError(t, throttled, 429, 'temporarily_unavailable', 'throttled')
  t.match(throttled.headers['retry-after'], /^\d+$/)
  await storage.close!()
  clock.advance(2000)
  for (const response of [await byRefresh(app, refresh), await requestToken(app, { token: refresh }, { url: '/auth/token/revoke' })]) {
    checkError(t, response, 503, 'temporarily_unavailable', 'down')
    t.match(response.headers['retry-after'], /^\d+$/)
  }
})

t.test('hooks are those of a login, and may refuse', async t => {
  const heard: string[] = []
  const { app } = await createApp(t, {
    hooks: {
      beforeLogin: ({ user }) => {
        heard.push('beforeLogin')
        if (user.email.startsWith('eve')) throw Object.assign(new Error('not "today"\\'), { statusCode: 403 })
      },
      beforeSignIn: () => { heard.push('beforeSignIn') },
      afterSignIn: () => { heard.push('afterSignIn') },
      afterLogin: () => { heard.push('afterLogin') },
      loginFailed: ({ reason }) => { heard.push(reason) },
      sessionRevoked: ({ reason }) => { heard.push(reason) }
    }
  })
  const { access_token: token } = await granted({ app })
  await byPassword(app, 'ada@example.com', 'wrong horse battery staple')
  await requestToken(app, { token }, { url: '/auth/token/revoke' })
  t.strictSame(heard, ['beforeLogin', 'beforeSignIn', 'afterSignIn', 'afterLogin', 'wrong-password', 'signed-out'])
  await app.accounts.users.create({ email: 'eve@example.com', password: PASSWORD, emailVerified: true })
  const refused = await byPassword(app, 'eve@example.com')
  t.match([refused.statusCode, refused.json()], [403, { error: 'access_denied', error_description: "not 'today''" }])
})

t.test('X-03 it looks at no cookie, so a page of another origin ends nobody\'s session by it, and signs nobody in', async t => {
  const { app, signedUp } = await createApp(t)
  await granted({ app })
  const browser = await signedUp()
  const before = { ...browser.cookies }
  const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  const cookie = Object.entries(before).map(([name, value]) => `${name}=${value}`).join('; ')
  const response = await requestToken(app, { grant_type: 'password', username: 'ada@example.com', password: PASSWORD }, { headers: { ...evil, cookie: `${cookie}; accounts_access=x` } })
  t.strictSame([response.statusCode, response.headers['set-cookie'], response.headers['access-control-allow-origin']], [200, undefined, undefined])
  t.match(await requestToken(app, { grant_type: 'refresh_token' }, { headers: { cookie } }), { statusCode: 400 }, 'nor does the cookie stand in for what is missing')
  t.equal((await browser.get('/private')).statusCode, 200)
})

t.test('RFC 7009: revocation answers the same whether there was anything to end', async t => {
  const clock = holdClock(t)
  const { app, signedUp } = await createApp(t)
  const { access_token: access, refresh_token: refresh } = await granted({ app })
  const revoke = async (parameters: Record<string, string>) => await requestToken(app, parameters, { url: '/auth/token/revoke' })
  for (const token of ['garbage', `${access}x`, refresh.slice(0, -2)]) {
    const response = await revoke({ token })
    t.strictSame([response.statusCode, response.json()], [200, {}])
  }
  t.equal((await createApiClient(app, access).get('/private')).statusCode, 200)
  clock.advance(2 * HOUR)
  t.equal((await revoke({ token: access })).statusCode, 200)
  t.match((await byRefresh(app, refresh)).json(), { error: 'invalid_grant' }, 'an access token that has expired ends its session too')
  t.equal((await revoke({ token: access })).statusCode, 200, 'twice')
  checkError(t, await revoke({}), 400, 'invalid_request', 'nothing')
  const browser = await signedUp()
  const { token } = (await browser.post('/auth/tokens', { name: 'x', context: 'server' })).json()
  checkError(t, await revoke({ token }), 400, 'unsupported_token_type', 'a personal token')
  t.equal((await createApiClient(app, token).get('/private')).statusCode, 200)
})
