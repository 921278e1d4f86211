import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import fastifyCookie from '@fastify/cookie'
import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, databaseFile, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { HOUR, holdClock, MINUTE, SECOND } from './support/clock.ts'
import { createHost } from './support/host.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }
const HTTPS = 'https://app.example.com'

interface SetCookie { readonly name: string, readonly value: string, readonly attributes: Readonly<Record<string, string>> }

/** The `Set-Cookie` lines of a session as a browser reads them; attribute names in lower case, `''` for those without a value. */
function setCookies (response: LightMyRequestResponse): SetCookie[] {
  return [response.headers['set-cookie'] ?? []].flat().filter(line => !/^[\w-]*_device=/.test(line)).map(line => {
    const [pair = '', ...rest] = line.split('; ')
    const attributes = rest.map((part): [string, string] => {
      const [key = '', value = ''] = part.split('=')
      return [key.toLowerCase(), value]
    })
    return { name: pair.slice(0, pair.indexOf('=')), value: pair.slice(pair.indexOf('=') + 1), attributes: Object.fromEntries(attributes) }
  })
}

const shape = (response: LightMyRequestResponse) => setCookies(response).map(({ name, attributes: { 'max-age': _, ...attributes } }) => ({ name, attributes }))

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { iat: number, exp: number, iss: string }

t.test('C-01 over https the cookies have __Host- names and everything that the prefix stands for', async t => {
  const { client } = await createApp(t, { appUrl: HTTPS })
  const attributes = { path: '/', httponly: '', secure: '', samesite: 'Lax' }
  const expected = [{ name: '__Host-accounts_access', attributes }, { name: '__Host-accounts_refresh', attributes }]
  const browser = client()
  t.strictSame(shape(await browser.post('/auth/register', ADA)), expected)
  t.equal((await browser.get('/private')).statusCode, 200, 'and they work')
  const out = await browser.post('/auth/logout')
  t.strictSame(shape(out), expected, 'a browser clears a cookie only under the attributes that it was set with')
  t.ok(setCookies(out).every(({ value, attributes }) => value === '' && attributes['max-age'] === '0'))
})

t.test('C-01 names, SameSite, domain and path follow the options, and the prefix follows them', async t => {
  const base = { path: '/', httponly: '', samesite: 'Lax' }
  const secure = { ...base, secure: '' }
  const table = [
    { title: 'http on localhost: no prefix, not Secure', options: {}, access: ['accounts_access', base], refresh: ['accounts_refresh', base] },
    { title: 'strict', options: { appUrl: HTTPS, cookies: { sameSite: 'strict' } }, access: ['__Host-accounts_access', { ...secure, samesite: 'Strict' }], refresh: ['__Host-accounts_refresh', { ...secure, samesite: 'Strict' }] },
    { title: 'own names', options: { appUrl: HTTPS, cookies: { names: { access: 'a', refresh: 'r' } } }, access: ['__Host-a', secure], refresh: ['__Host-r', secure] },
    { title: 'a domain: __Secure-', options: { appUrl: HTTPS, cookies: { domain: 'Example.com' } }, access: ['__Secure-accounts_access', { ...secure, domain: 'example.com' }], refresh: ['__Secure-accounts_refresh', { ...secure, domain: 'example.com' }] },
    { title: 'explicit: the refresh cookie goes to the routes alone', options: { appUrl: HTTPS, refresh: 'explicit' }, access: ['__Host-accounts_access', secure], refresh: ['__Secure-accounts_refresh', { ...secure, path: '/auth' }] },
    { title: 'explicit under the path of appUrl', options: { appUrl: `${HTTPS}/app`, refresh: 'explicit' }, access: ['__Host-accounts_access', secure], refresh: ['__Secure-accounts_refresh', { ...secure, path: '/app/auth' }] },
    { title: 'explicit over http', options: { refresh: 'explicit' }, access: ['accounts_access', base], refresh: ['accounts_refresh', { ...base, path: '/auth' }] }
  ] as const
  for (const { title, options, access, refresh } of table) {
    const { client } = await createApp(t, options)
    const expected = [access, refresh].map(([name, attributes]) => ({ name, attributes }))
    const browser = client()
    t.strictSame(shape(await browser.post('/auth/register', ADA)), expected, title)
    t.equal((await browser.get('/private')).statusCode, 200, title)
    t.strictSame(shape(await browser.post('/auth/logout')), expected, `${title}: cleared alike`)
  }
})

t.test('C-01 what a host sets up for its own cookies changes none of ours', async t => {
  const { client } = await createHost(t, {
    accounts: { appUrl: HTTPS },
    async before (app) { await app.register(fastifyCookie, { secret: 'a cookie secret of the host itself', parseOptions: { httpOnly: false, secure: false, sameSite: 'none', domain: 'evil.example', path: '/x' } }) },
    after (app) {
      app.get('/both', { onRequest: app.authenticate }, async (request, reply) => {
        reply.setCookie('theme', 'dark')
        return { theme: request.cookies.theme ?? null }
      })
    }
  })
  const clock = holdClock(t)
  const browser = client()
  const attributes = { path: '/', httponly: '', secure: '', samesite: 'Lax' }
  const expected = [{ name: '__Host-accounts_access', attributes }, { name: '__Host-accounts_refresh', attributes }]
  t.strictSame(shape(await browser.post('/auth/register', ADA)), expected)
  clock.advance(HOUR + SECOND)
  const both = await browser.get('/both')
  t.equal(both.headers['accounts-refresh'], 'rotated')
  t.strictSame(shape(both).map(({ name }) => name).sort(), ['__Host-accounts_access', '__Host-accounts_refresh', 'theme'], 'neither overwrites the other')
})

t.test('C-02 an appUrl with which browsers would drop the cookies is refused at start', async t => {
  await t.rejects(createApp(t, { appUrl: `http://localhost:3000/${'a'.repeat(979)}` }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /^Option "appUrl" is longer/ })
  for (const options of [{ appUrl: HTTPS }, { appUrl: `http://localhost:3000/${'a'.repeat(978)}` }]) {
    const { client } = await createApp(t, options)
    const cookies = setCookies(await client().post('/auth/register', ADA))
    t.equal(cookies.length, 2)
    t.ok(cookies.every(({ name, value }) => name.length + value.length <= 4096))
  }
})

t.test('C-03 plain http beyond localhost needs cookies.insecure, which warns at every start', async t => {
  const start = async (appUrl: string, insecure?: boolean) => {
    const lines: string[] = []
    const stream = new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } })
    const host = await createHost(t, { server: { logger: { level: 'warn', stream } }, accounts: { appUrl, ...(insecure === undefined ? {} : { cookies: { insecure } }) } })
    return { host, warnings: lines.filter(line => line.includes('cookies.insecure')) }
  }
  for (const host of ['app.example.com', '192.168.1.7', 'localhost.evil.example', '127.0.0.1.nip.io', '0.0.0.0', '[::2]', 'LOCALHOST.', 'app.localhost']) {
    for (const insecure of [undefined, false]) await t.rejects(start(`http://${host}:3000`, insecure), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: /appUrl.*cookies\.insecure/ }, `http://${host} with insecure: ${insecure}`)
  }
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '[::1]']) t.strictSame((await start(`http://${host}:3000`)).warnings, [], `${host} draws no warning`)
  const { env } = process
  const before = env.NODE_ENV
  t.teardown(() => {
    if (before === undefined) delete env.NODE_ENV
    else env.NODE_ENV = before
  })
  for (const mode of ['development', 'production']) {
    env.NODE_ENV = mode
    const { host, warnings } = await start('http://192.168.1.7:3000', true)
    t.equal(warnings.length, 1, `warned in ${mode}`)
    t.equal(JSON.parse(warnings[0]!).level, 40)
    t.equal((await (await host.signedUp('ada@example.com')).get('/auth/me')).statusCode, 200)
  }
  t.strictSame((await start(HTTPS, true)).warnings, [], 'there is nothing to warn of over https')
  await t.rejects(createApp(t, { cookies: { insecure: 'yes' as unknown as boolean } }), { code: 'FST_ACCOUNTS_OPTION_INVALID' })
})

t.test('C-03 Secure does not depend on what a request or a proxy says', async t => {
  for (const [appUrl, isSecure] of [[HTTPS, true], ['http://localhost:3000', false]] as const) {
    const { client } = await createHost(t, { server: { trustProxy: () => true }, accounts: { appUrl } })
    for (const scheme of ['http', 'https']) {
      const response = await client().post('/auth/register', { ...ADA, email: `${scheme}@example.com` }, { 'x-forwarded-proto': scheme, forwarded: `proto=${scheme}` })
      t.ok(setCookies(response).every(({ name, attributes }) => ('secure' in attributes) === isSecure && name.startsWith('__Host-') === isSecure), `${appUrl} behind ${scheme}`)
    }
  }
})

t.test('C-08 cookies outlive a change of keys while the old key verifies, and no altered one passes', async t => {
  const file = databaseFile(t)
  const [old, fresh] = [randomBytes(32), randomBytes(32)]
  const at = async (secret: Buffer | Buffer[]) => await createApp(t, { storage: await sqliteStorage(file), secret })
  const browser = await (await at(old)).signedUp('ada@example.com')
  const cookie = Object.entries(browser.cookies).map(([name, value]) => `${name}=${value}`).join('; ')
  const { app } = await at([fresh, old])
  t.equal((await app.inject({ url: '/private', headers: { cookie } })).statusCode, 200)
  const gone = await (await at(fresh)).app.inject({ url: '/private', headers: { cookie } })
  t.equal(gone.statusCode, 401)
  t.match(gone.json(), { code: 'FST_ACCOUNTS_TOKEN_INVALID' })

  const token = browser.cookies.accounts_access!
  const positions = [0, 10, token.indexOf('.'), token.indexOf('.') + 8, token.lastIndexOf('.'), token.lastIndexOf('.') + 1, token.length - 1]
  const altered = [...positions.map(at => `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`), token.slice(0, -1), `${token}A`, `${token}.`, token.split('.').slice(0, 2).join('.'), `s:${token}`, 'null', '{}', '.', '..']
  for (const value of altered) {
    const response = await app.inject({ url: '/private', headers: { cookie: `accounts_access=${value}` } })
    t.equal(response.statusCode, 401, value.slice(-20))
    t.match(response.json(), { code: 'FST_ACCOUNTS_TOKEN_INVALID' })
  }
})

t.test('C-09 remember: false leaves Max-Age out, from login over renewal to a changed password', async t => {
  const clock = holdClock(t)
  const { client } = await createApp(t)
  await client().post('/auth/register', ADA)
  for (const remember of [false, true]) {
    const browser = client()
    const answers = [await browser.post('/auth/login', { ...ADA, remember })]
    clock.advance(31 * SECOND)
    answers.push(await browser.post('/auth/refresh'))
    clock.advance(HOUR + SECOND)
    answers.push(await browser.get('/private'))
    if (remember) answers.push(await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }))
    for (const [index, answer] of answers.entries()) {
      const cookies = setCookies(answer)
      t.equal(cookies.length, 2, `answer ${index} sets both`)
      t.ok(cookies.every(({ attributes }) => ('max-age' in attributes) === remember && !('expires' in attributes)), `remember: ${remember}, answer ${index}`)
    }
    t.ok(setCookies(await browser.post('/auth/logout')).every(({ attributes }) => attributes['max-age'] === '0'))
  }
  const forgetful = client()
  await forgetful.post('/auth/login', { ...ADA, password: OTHER_PASSWORD, remember: false })
  const changed = await forgetful.post('/auth/password/change', { currentPassword: OTHER_PASSWORD, newPassword: PASSWORD })
  t.equal(setCookies(changed).length, 2)
  t.ok(setCookies(changed).every(({ attributes }) => !('max-age' in attributes)), 'the session of a changed password lives in the browser as the old one did')
})

t.test('C-09 Max-Age is the life of the token that the cookie holds', async t => {
  const { client } = await createApp(t, { accessTokenTtl: '10m', refreshTokenTtl: '7d', sessionTtl: '30d' })
  const cookies = setCookies(await client().post('/auth/register', ADA))
  for (const [index, longest] of [600, 7 * 86400].entries()) {
    const { iat, exp } = claimsOf(cookies[index]!.value)
    const age = Number(cookies[index]!.attributes['max-age'])
    t.ok(age <= exp - iat && age >= exp - iat - 2, `${age} s for a token of ${exp - iat} s`)
    t.ok(age <= longest && age >= longest * 0.95 - 2)
  }
})

t.test('C-09 no answer that sets a cookie may be stored, whatever the host says of its route', async t => {
  const clock = holdClock(t)
  const { client, signedUp } = await createApp(t, {}, app => {
    app.get('/cached', { onRequest: app.authenticate }, async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=3600')
      return { ok: true }
    })
    app.post('/sso', async (request, reply) => await reply.header('cache-control', 'public').signIn({ id: (request.body as { id: string }).id }))
    app.post('/leave', async (_request, reply) => {
      await reply.signOut()
      return { ok: true }
    })
  })
  const browser = await signedUp('ada@example.com')
  const { id } = (await browser.get('/auth/me')).json().user
  const answers: Array<readonly [string, LightMyRequestResponse]> = []
  const note = async (title: string, answer: Promise<LightMyRequestResponse>) => { answers.push([title, await answer]) }
  t.equal((await browser.get('/cached')).headers['cache-control'], 'public, max-age=3600', 'without a cookie the host decides')
  await note('register', client().post('/auth/register', { ...ADA, email: 'bob@example.com' }))
  await note('login', browser.post('/auth/login', ADA))
  await note('password', browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }))
  clock.advance(31 * SECOND)
  await note('refresh', browser.post('/auth/refresh'))
  clock.advance(61 * MINUTE)
  await note('renewed in a guard', browser.get('/private'))
  clock.advance(61 * MINUTE)
  await note('renewed on a route that says "public"', browser.get('/cached'))
  await note('twice', client().get('/private', { cookie: 'accounts_access=a; accounts_access=b' }))
  await note('reply.signOut', browser.post('/leave'))
  await note('reply.signIn', browser.post('/sso', { id }))
  await note('logout', browser.post('/auth/logout'))
  for (const [title, answer] of answers) {
    t.ok(setCookies(answer).length > 0, `${title}: sets cookies`)
    t.equal(answer.headers['cache-control'], 'no-store', `${title}: ${answer.statusCode}`)
  }
})

t.test('C-09 an authenticated answer varies by caller, also where the host sets a Vary of its own', async t => {
  const varies: Readonly<Record<string, string>> = { '/plain': '', '/encoding': 'Accept-Encoding', '/consent': 'X-Cookie-Consent', '/cookie': 'Cookie', '/many': 'Origin, Accept' }
  const { client, signedUp } = await createApp(t, {}, app => {
    for (const [url, vary] of Object.entries(varies)) {
      app.get(`/early${url}`, { onRequest: [async (_request, reply) => { if (vary !== '') reply.header('vary', vary) }, app.authenticate] }, async () => ({}))
      app.get(`/late${url}`, { onRequest: app.authenticate }, async (_request, reply) => {
        if (vary !== '') reply.header('vary', vary)
        return {}
      })
    }
  })
  const names = (response: LightMyRequestResponse) => String(response.headers.vary ?? '').toLowerCase().split(',').map(name => name.trim())
  const browser = await signedUp()
  for (const url of ['/auth/me', '/auth/sessions', '/private']) {
    const seen = names(await browser.get(url))
    t.ok(seen.includes('cookie') && seen.includes('authorization'), url)
  }
  t.ok(names(await client().get('/private')).includes('cookie'), 'a refusal too')
  for (const when of ['early', 'late']) {
    for (const [url, vary] of Object.entries(varies)) {
      const seen = names(await browser.get(`/${when}${url}`))
      const expected = ['cookie', 'authorization', ...vary.toLowerCase().split(', ').filter(name => name !== '')]
      t.strictSame(expected.filter(name => !seen.includes(name)), [], `${vary || 'none'} of the host's own, ${when}`)
    }
  }
})
