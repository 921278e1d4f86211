import type { FastifyInstance, RouteOptions } from 'fastify'
import t from 'tap'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { HOUR, holdClock, SECOND } from './support/clock.ts'
import { createHost } from './support/host.ts'

const ORIGIN = 'http://localhost:3000'
const EVIL = 'https://evil.example'
const ADA = { email: 'ada@example.com', password: PASSWORD }

/** Guarded routes of a host that takes whatever content type comes, and a count of how often they ran. */
function addOpenMinded (app: FastifyInstance): { count: number } {
  const runs = { count: 0 }
  app.addContentTypeParser('*', { parseAs: 'string' }, async (_request: unknown, body: string) => body)
  app.route({
    method: ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/act',
    exposeHeadRoute: false,
    onRequest: app.authenticate,
    async handler () {
      runs.count++
      return { done: true }
    }
  })
  return runs
}

const METHODS = ['POST', 'PUT', 'PATCH', 'DELETE']
const BODIES: Readonly<Record<string, readonly [type: string | null, body: string]>> = {
  json: ['application/json', '{"a":1}'],
  text: ['text/plain', '{"a":1}'],
  form: ['application/x-www-form-urlencoded', 'a=1'],
  multipart: ['multipart/form-data; boundary=x', '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'],
  none: [null, '']
}
const SITES = ['cross-site', 'same-site', 'same-origin', 'none', null]
const ORIGINS = { ours: ORIGIN, other: EVIL, null: 'null', absent: null }

/**
 * The decision in words: a browser says where a request comes from in `Sec-Fetch-Site` and in `Origin`. Whatever is
 * there must speak for our own origin (`none`: the user's own doing), also when the other does; who says nothing is no
 * browser. Method and content type don't matter.
 */
function isRefused (site: string | null, origin: string | null): boolean {
  const siteObjects = site === 'cross-site' || site === 'same-site'
  const originObjects = origin !== null && origin !== ORIGIN
  return siteObjects || originObjects
}

t.test('X-01 the matrix: method, content type, Sec-Fetch-Site and Origin, 400 cells', async t => {
  let runs = { count: 0 }
  const { signedUp } = await createApp(t, {}, app => { runs = addOpenMinded(app) })
  const browser = await signedUp()
  const wrong: string[] = []
  const counts: Record<number, number> = {}
  let cells = 0
  for (const method of METHODS) {
    for (const [content, [type, body]] of Object.entries(BODIES)) {
      for (const site of SITES) {
        for (const [from, origin] of Object.entries(ORIGINS)) {
          const headers = { ...(type === null ? {} : { 'content-type': type }), ...(site === null ? {} : { 'sec-fetch-site': site }), ...(origin === null ? {} : { origin }) }
          const expected = isRefused(site, origin) ? 403 : 200
          const before = runs.count
          const { statusCode, json } = await browser.request(method, '/act', type === null ? undefined : body, headers)
          const isRight = statusCode === expected && runs.count - before === (expected === 200 ? 1 : 0) && (expected === 200 || json().code === 'FST_ACCOUNTS_ORIGIN_REFUSED')
          if (!isRight) wrong.push(`${method} ${content} site ${site} origin ${from}: ${statusCode}, not ${expected}`)
          counts[statusCode] = (counts[statusCode] ?? 0) + 1
          cells++
        }
      }
    }
  }
  t.equal(cells, 400)
  t.strictSame(wrong, [])
  t.strictSame(counts, { 200: 120, 403: 280 }, 'of 20 pairs of headers 6 are let in')
  t.equal(runs.count, 120)
})

t.test('X-01 reading is not restricted, and neither is a caller without our cookies', async t => {
  let runs = { count: 0 }
  const { client, signedUp } = await createApp(t, {}, app => { runs = addOpenMinded(app) })
  const browser = await signedUp()
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: EVIL }, { origin: 'null', 'sec-fetch-site': 'cross-site' }]) {
      t.equal((await browser.request(method, '/act', undefined, headers)).statusCode, 200, `${method} ${JSON.stringify(headers)}`)
    }
  }
  runs.count = 0
  t.equal((await client().post('/act', undefined, { origin: EVIL })).statusCode, 401, 'who brings no cookie has nothing to be protected')
  t.equal(runs.count, 0)
})

t.test('X-01 a refused request does not even make the session rotate', async t => {
  const clock = holdClock(t)
  const { signedUp } = await createApp(t)
  const browser = await signedUp()
  clock.advance(HOUR + SECOND)
  const onlyRefresh = browser.copy()
  delete onlyRefresh.cookies.accounts_access
  for (const [title, caller] of [['expired access cookie', browser], ['refresh cookie alone', onlyRefresh]] as const) {
    for (const [method, path] of [['POST', '/private'], ['POST', '/auth/refresh'], ['POST', '/auth/logout']] as const) {
      const response = await caller.request(method, path, undefined, { 'sec-fetch-site': 'same-site' })
      t.equal(response.statusCode, 403, `${title}: ${path}`)
      t.strictSame([response.headers['set-cookie'], response.headers['accounts-refresh']], [undefined, undefined], `${title}: ${path}`)
    }
  }
  const own = await browser.post('/private', undefined, { 'sec-fetch-site': 'same-origin', origin: ORIGIN })
  t.equal(own.statusCode, 200)
  t.equal(own.headers['accounts-refresh'], 'rotated', 'it was still there to be renewed')
})

t.test('X-03 sign-up, login, refresh and logout are protected without any cookie too', async t => {
  const { app, client } = await createApp(t)
  await client().post('/auth/register', ADA)
  const routes = {
    '/auth/register': { email: 'mallory@example.com', password: PASSWORD },
    '/auth/login': ADA,
    '/auth/refresh': undefined,
    '/auth/logout': undefined,
    '/auth/password/change': { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }
  }
  for (const [path, body] of Object.entries(routes)) {
    for (const headers of [{ origin: EVIL }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'same-origin', origin: EVIL }, { 'sec-fetch-site': 'cross-site', origin: ORIGIN }]) {
      const response = await client().post(path, body, headers)
      t.equal(response.statusCode, 403, `${path} ${JSON.stringify(headers)}`)
      t.equal(response.json().code, 'FST_ACCOUNTS_ORIGIN_REFUSED')
      t.equal(response.headers['set-cookie'], undefined, 'nobody is logged in, or out, by another page')
    }
  }
  t.equal(await app.accounts.users.findByEmail('mallory@example.com'), null)
  for (const headers of [{ origin: ORIGIN }, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }, {}] as Array<Record<string, string>>) {
    t.equal((await client().post('/auth/login', ADA, headers)).statusCode, 200, `login ${JSON.stringify(headers)}`)
  }
})

t.test('X-07 an Origin is ours to the letter or not at all', async t => {
  const table: ReadonlyArray<readonly [appUrl: string, ours: string, strangers: readonly string[]]> = [
    ['https://app.example.com/base/', 'https://app.example.com', [
      'https://app.example.com.evil.example', 'https://app.example.comevil', 'https://evil-app.example.com', 'https://evilapp.example.com', 'https://x.app.example.com', 'https://example.com', 'https://app.example.co',
      'https://app.example.com:443', 'https://app.example.com:8443', 'https://app.example.com:', 'https://app.example.com:0443',
      'http://app.example.com', 'ftp://app.example.com', 'wss://app.example.com', '//app.example.com', 'app.example.com', 'https:app.example.com', 'https:///app.example.com', 'view-source:https://app.example.com', 'blob:https://app.example.com', 'chrome-extension://app.example.com',
      'HTTPS://app.example.com', 'https://APP.example.com', 'https://App.Example.Com',
      'https://app.example.com.', 'https://app.example.com./', 'https://app.example.com/', 'https://app.example.com/base', 'https://app.example.com/base/', 'https://app.example.com?', 'https://app.example.com#',
      'https://user@app.example.com', 'https://user:pw@app.example.com', 'https://@app.example.com', 'https://app.example.com@evil.example', 'https://app.example.com%40evil.example', 'https://evil.example\\@app.example.com', 'https://evil.example#app.example.com', 'https://evil.example/https://app.example.com', 'https://evil.example?https://app.example.com',
      'https://app.example.com, https://app.example.com', 'https://app.example.com https://evil.example', 'https://evil.example, https://app.example.com', '"https://app.example.com"',
      'https://app%2eexample.com', 'https://app.example.com%00', 'https://app.example.com%20', 'https://app\xadexample.com', 'https://\xe0pp.example.com', 'https://xn--pp-mia.example.com',
      'null', 'NULL', 'undefined', '', '*', 'file://', 'about:blank', 'data:', 'https://', 'https://[app.example.com]'
    ]],
    ['https://bücher.example', 'https://xn--bcher-kva.example', ['https://b\xfccher.example', 'https://XN--BCHER-KVA.example', 'https://bucher.example', 'https://xn--bcher-kva.example.evil.example', 'https://b%C3%BCcher.example']],
    ['https://app.example.com:8443', 'https://app.example.com:8443', ['https://app.example.com', 'https://app.example.com:443', 'https://app.example.com:8444', 'https://app.example.com:08443', 'https://app.example.com:84430']],
    ['http://localhost:3000', 'http://localhost:3000', ['http://localhost', 'http://localhost:3001', 'http://127.0.0.1:3000', 'http://[::1]:3000', 'https://localhost:3000', 'http://localhost:3000.evil.example', 'http://localhost.:3000']]
  ]
  for (const [appUrl, ours, strangers] of table) {
    let runs = { count: 0 }
    const { signedUp } = await createApp(t, { appUrl }, app => { runs = addOpenMinded(app) })
    const browser = await signedUp()
    for (const origin of strangers) {
      for (const site of [null, 'same-origin', 'none']) {
        const response = await browser.post('/act', undefined, { origin, ...(site === null ? {} : { 'sec-fetch-site': site }) })
        t.equal(response.statusCode, 403, `${appUrl}: ${JSON.stringify(origin)}, site ${site}`)
      }
    }
    t.equal(runs.count, 0)
    t.equal((await browser.post('/act', undefined, { origin: ours })).statusCode, 200, `${appUrl}: ${ours}`)
    for (const site of ['SAME-ORIGIN', 'Same-Origin', 'same-origin ', 'same-origin, none', 'same-origin;', 'sameorigin', '', 'null', 'none none', '"none"']) {
      t.equal((await browser.post('/act', undefined, { 'sec-fetch-site': site })).statusCode, 403, `site ${JSON.stringify(site)}`)
    }
  }
})

t.test('X-04 our routes take application/json and nothing that a form can send, before anything else happens', async t => {
  const { app, client, signedUp } = await createApp(t)
  const browser = await signedUp('ada@example.com')
  const bob = { email: 'bob@example.com', password: PASSWORD }
  const routes: ReadonlyArray<readonly [string, string, object]> = [
    ['POST', '/auth/register', bob], ['POST', '/auth/login', ADA], ['POST', '/auth/refresh', {}], ['POST', '/auth/logout', {}],
    ['PATCH', '/auth/me', { name: 'Eve' }], ['DELETE', '/auth/me', { password: PASSWORD }], ['DELETE', '/auth/sessions', {}],
    ['POST', '/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }]
  ]
  const types = ['text/plain', 'text/plain; charset=utf-8', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/json', 'application/ld+json', '*/*', '']
  for (const [method, path, body] of routes) {
    for (const type of types) {
      for (const caller of [browser.copy(), ...(path === '/auth/register' || path === '/auth/login' ? [client()] : [])]) {
        const response = await caller.request(method, path, JSON.stringify(body), { 'content-type': type })
        t.equal(response.statusCode, 415, `${method} ${path} ${JSON.stringify(type)}`)
        t.match(response.json(), { code: 'FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED' })
        t.equal(response.headers['set-cookie'], undefined)
      }
    }
  }
  t.equal(await app.accounts.users.findByEmail('bob@example.com'), null)
  t.match((await browser.get('/auth/me')).json(), { user: { name: null } }, 'the account and its session are as they were')
})

t.test('X-08 no answer ever lets another origin read it', async t => {
  const routes: RouteOptions[] = []
  const { client, signedUp } = await createHost(t, { before (app) { app.addHook('onRoute', route => { routes.push(route) }) } })
  const browser = await signedUp('ada@example.com')
  const urls = [...new Set(routes.map(({ url }) => url.replace(':id', 'x')))]
  t.ok(urls.length >= 8)
  for (const url of urls) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const headers of [{ origin: EVIL }, { origin: ORIGIN }, { origin: 'null' }, { origin: EVIL, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type, accounts-csrf', 'access-control-request-private-network': 'true' }]) {
        // Without a body none of these gets further than its shape, so the session stays.
        const response = await (url === '/auth/logout' ? client() : browser).request(method, url, method === 'GET' || method === 'HEAD' ? undefined : '[]', { 'content-type': 'application/json', ...headers })
        t.strictSame(Object.keys(response.headers).filter(name => name.startsWith('access-control-') || name === 'timing-allow-origin'), [], `${method} ${url} ${headers.origin}`)
      }
    }
  }
})
