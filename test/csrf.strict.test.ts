import t from 'tap'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import type { Client } from './support/client.ts'
import { HOUR, holdClock, SECOND } from './support/clock.ts'
import { listenRaw, requestLines } from './support/raw-socket.ts'

const ORIGIN = 'http://localhost:3000'
const ADA = { email: 'ada@example.com', password: PASSWORD }
/** What a browser of ours says with each request. */
const OURS = { origin: ORIGIN }
const STRICT = { csrf: 'strict' } as const

/** A browser that is signed in, with the token that the answer brought. */
async function enter (browser: Client, path: string, body: object): Promise<{ browser: Client, token: string }> {
  const response = await browser.post(path, body, OURS)
  if (response.statusCode >= 300) throw new TypeError(`${path} answered ${response.statusCode} ${response.body}`)
  return { browser, token: String(response.headers['accounts-csrf']) }
}

t.test('X-02 under csrf: "strict" who says nothing of itself needs a token of its session', async t => {
  const { client } = await createApp(t, STRICT)
  const { browser, token } = await enter(client(), '/auth/register', ADA)
  t.match(token, /^[\w-]{24}\.[\w-]{43}$/)
  const bare = await browser.post('/private')
  t.equal(bare.statusCode, 403)
  t.strictSame(bare.json(), { statusCode: 403, code: 'FST_ACCOUNTS_CSRF_TOKEN_INVALID', error: 'Forbidden', message: 'A valid accounts-csrf header is required' })
  t.equal((await browser.post('/private', undefined, { 'accounts-csrf': token })).statusCode, 200)
  t.equal((await browser.post('/private', undefined, { 'accounts-csrf': token })).statusCode, 200, 'again')
  t.equal((await browser.get('/private')).statusCode, 200, 'reading needs none')

  const later = String((await browser.get('/auth/me')).headers['accounts-csrf'])
  t.not(later, token, 'each answer has a token of its own (BREACH)')
  for (const one of [later, token]) t.equal((await browser.post('/private', undefined, { 'accounts-csrf': one })).statusCode, 200)

  for (const headers of [OURS, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }] as Array<Record<string, string>>) {
    t.equal((await browser.post('/private', undefined, headers)).statusCode, 200, `a browser that speaks for itself needs no token: ${JSON.stringify(headers)}`)
  }
  for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }] as Array<Record<string, string>>) {
    const response = await browser.post('/private', undefined, { ...headers, 'accounts-csrf': token })
    t.equal(response.statusCode, 403, 'a token does not make up for another origin')
    t.equal(response.json().code, 'FST_ACCOUNTS_ORIGIN_REFUSED')
  }
})

t.test('X-02 a token of another session, an altered or an empty one is refused', async t => {
  const { client } = await createApp(t, STRICT)
  const { browser, token } = await enter(client(), '/auth/register', ADA)
  const same = await enter(client(), '/auth/login', ADA)
  const other = await enter(client(), '/auth/register', { ...ADA, email: 'bob@example.com' })
  const [nonce, signature] = token.split('.') as [string, string]
  const sessionId = (await browser.get('/auth/sessions')).json().sessions.find((one: { current: boolean }) => one.current).id as string
  const flip = (text: string, at: number) => `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
  // The last character of a signature carries two bits that mean nothing: all its other spellings are refused as well.
  const spellings = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].map(last => token.slice(0, -1) + last).filter(one => one !== token)
  const bad = [
    same.token, other.token, `${nonce}.${other.token.split('.')[1]}`, `${other.token.split('.')[0]}.${signature}`,
    ...Array.from(token, (_, at) => token[at] === '.' ? `${nonce}-${signature}` : flip(token, at)), ...spellings,
    '', ' ', '.', nonce, signature, `${nonce}.`, `.${signature}`, token.slice(0, -1), `${token}A`, `${token}=`, `A${token}`, ` ${token}`, `${token} `, `${token}, ${token}`, `${token}.${signature}`, `"${token}"`,
    token.toLowerCase(), token.toUpperCase(), encodeURIComponent(`${token}%00`), `${token}\xa0`, sessionId, `${sessionId}.${signature}`, 'null', 'undefined', 'true', '__proto__', browser.cookies.accounts_access!, 'a'.repeat(8000)
  ]
  const passed: string[] = []
  for (const value of bad) {
    const response = await browser.post('/private', undefined, { 'accounts-csrf': value })
    if (response.statusCode !== 403 || response.json().code !== 'FST_ACCOUNTS_CSRF_TOKEN_INVALID') passed.push(`${response.statusCode} for ${value}`)
  }
  t.ok(bad.length > 150)
  t.strictSame(passed, [])
  for (const [headers, url] of [[{ cookie: `accounts_access=${browser.cookies.accounts_access}; accounts-csrf=${token}` }, '/private'], [{}, `/private?accounts-csrf=${token}`], [{ 'x-csrf-token': token }, '/private'], [{ accounts_csrf: token }, '/private']] as Array<[Record<string, string>, string]>) {
    t.equal((await browser.post(url, { 'accounts-csrf': token }, headers)).statusCode, 403, 'what another page could send is not looked at')
  }
  t.equal((await browser.post('/private', undefined, { 'accounts-csrf': token })).statusCode, 200, 'the right one passes, still')
})

t.test('X-02 a token lives as long as its session: over a renewal, not over a new login', async t => {
  const clock = holdClock(t)
  const { client } = await createApp(t, STRICT)
  const { browser, token } = await enter(client(), '/auth/register', ADA)
  clock.advance(HOUR + SECOND)
  const refused = await browser.copy().post('/private')
  t.strictSame([refused.statusCode, refused.headers['accounts-refresh'], refused.headers['set-cookie']], [403, undefined, undefined], 'without a token the session does not even rotate')
  const renewed = await browser.post('/private', undefined, { 'accounts-csrf': token })
  t.strictSame([renewed.statusCode, renewed.headers['accounts-refresh']], [200, 'rotated'])
  const changed = await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }, { 'accounts-csrf': token })
  t.equal(changed.statusCode, 204)
  t.equal((await browser.post('/private', undefined, { 'accounts-csrf': token })).statusCode, 403, 'the changed password began a new session')
  t.equal((await browser.post('/private', undefined, { 'accounts-csrf': String(changed.headers['accounts-csrf']) })).statusCode, 200)
})

t.test('X-02 X-03 under csrf: "strict" our own routes ask for it too', async t => {
  const { app, client } = await createApp(t, STRICT)
  const { browser, token } = await enter(client(), '/auth/register', ADA)
  for (const [path, body] of [['/auth/register', { ...ADA, email: 'bob@example.com' }], ['/auth/login', ADA]] as const) {
    const response = await client().post(path, body)
    t.strictSame([response.statusCode, response.json().code, response.headers['set-cookie']], [403, 'FST_ACCOUNTS_ORIGIN_REFUSED', undefined], `${path} without a session has no token, so silence is refused`)
  }
  t.equal(await app.accounts.users.findByEmail('bob@example.com'), null)
  const { id } = (await browser.get('/auth/sessions')).json().sessions[0]
  const rows: ReadonlyArray<readonly [string, string, object?]> = [
    ['PATCH', '/auth/me', { name: 'Eve' }], ['DELETE', '/auth/sessions'], ['DELETE', `/auth/sessions/${id}`], ['POST', '/auth/refresh'], ['POST', '/auth/logout'],
    ['DELETE', '/auth/me', { password: PASSWORD }], ['POST', '/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }]
  ]
  for (const [method, path, body] of rows) {
    const response = await browser.request(method, path, body)
    t.strictSame([response.statusCode, response.json().code, response.headers['set-cookie']], [403, 'FST_ACCOUNTS_CSRF_TOKEN_INVALID', undefined], `${method} ${path}`)
  }
  t.equal((await browser.request('PATCH', '/auth/me', { name: 'Ada' }, { 'accounts-csrf': token })).statusCode, 200)
  t.equal((await browser.post('/auth/refresh', undefined, { 'accounts-csrf': token })).statusCode, 200)
  t.equal((await browser.post('/auth/logout', undefined, { 'accounts-csrf': token })).statusCode, 204)
})

t.test('X-02 a token that comes in two lines is refused, and without csrf: "strict" there is none', async t => {
  const { app, client } = await createApp(t, STRICT)
  const { browser, token } = await enter(client(), '/auth/register', ADA)
  const send = await listenRaw(app)
  const lines = (count: number) => [`Cookie: accounts_access=${browser.cookies.accounts_access}`, ...Array.from({ length: count }, () => `Accounts-CSRF: ${token}`)]
  t.equal((await send(requestLines('POST', '/private', lines(1)))).statusCode, 200)
  t.equal((await send(requestLines('POST', '/private', lines(2)))).statusCode, 403)
  t.equal((await send(requestLines('POST', '/auth/logout', lines(2)))).statusCode, 400)

  const standard = await createApp(t)
  const answers = [await standard.client().post('/auth/register', ADA), await (await standard.signedUp()).get('/auth/me')]
  t.ok(answers.every(({ headers }) => headers['accounts-csrf'] === undefined))
})
