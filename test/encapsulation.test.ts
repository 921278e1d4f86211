import { randomBytes } from 'node:crypto'
import fastifyCookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import accounts from '../lib/index.ts'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { AccountsOptions, Storage } from '../types/index.ts'
import { PASSWORD } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'

const ACCESS = 'accounts_access'
const REFRESH = 'accounts_refresh'
const DEVICE = 'accounts_device'
const HOST_SECRET = randomBytes(32)

const jwtOfHost = async (app: FastifyInstance) => {
  await app.register(fastifyJwt, { secret: HOST_SECRET, cookie: { cookieName: 'host', signed: false }, sign: { expiresIn: '5m', iss: 'host' } })
}
const routesOfHost = (app: FastifyInstance) => {
  app.get('/host', { onRequest: async request => { await request.jwtVerify() } }, async request => ({ user: request.user, keys: Object.keys(request.user as object) }))
  app.post('/host', async (_request, reply) => ({ token: await reply.jwtSign({ sub: 'host user' }) }))
}

for (const [title, before, after] of [
  ['before the plugin', jwtOfHost, async () => {}],
  ['after the plugin', async () => {}, jwtOfHost]
] as const) {
  t.test(`a host's own @fastify/jwt, registered ${title}, works as without it`, async t => {
    const app = await appOf(t, async app => {
      await before(app)
      await app.register(accounts, await optionsOf(t))
      await after(app)
      routesOfHost(app)
    })
    const alone = await appOf(t, async app => {
      await jwtOfHost(app)
      routesOfHost(app)
    })
    t.strictSame(shapeOf(app.jwt), shapeOf(alone.jwt), 'its decorator is its own, with its options')
    const { token } = (await app.inject({ method: 'POST', url: '/host' })).json()
    const { user, keys } = (await app.inject({ url: '/host', headers: { authorization: `Bearer ${token}` } })).json()
    t.match(user, { sub: 'host user', iss: 'host' })
    t.strictSame(keys, Object.keys(alone.jwt.verify<object>(token)), 'either app verifies what the other signed')
    const byCookie = { url: '/host', headers: { cookie: `host=${token}` } }
    t.equal((await app.inject(byCookie)).body, (await alone.inject(byCookie)).body, 'it finds no parsed cookies that the host did not ask for')

    const browser = await signUp(app)
    t.equal((await browser.get('/private')).statusCode, 200)
    t.notOk('accountsToken' in (await browser.get('/decorators')).json(), 'nothing of ours is on a request')
    t.equal((await app.inject({ url: '/host', headers: { authorization: `Bearer ${browser.cookies[ACCESS]!}` } })).statusCode, 401, 'our tokens are none of the host\'s')
    t.throws(() => app.jwt.verify(browser.cookies[ACCESS]!))
    for (const name of [ACCESS, REFRESH]) t.equal((await app.inject({ url: '/private', headers: { cookie: `${name}=${token}` } })).statusCode, 401, 'nor the host\'s ours')
  })
}

t.test('a host\'s @fastify/jwt with our secret signs nothing that we accept', async t => {
  const secret = randomBytes(32)
  const app = await appOf(t, async app => {
    await app.register(fastifyJwt, { secret })
    await app.register(accounts, await optionsOf(t, { secret: undefined, secrets: { access: secret } }))
  })
  const browser = await signUp(app)
  const claims = app.jwt.decode<Record<string, unknown>>(browser.cookies[ACCESS]!)!
  t.match(app.jwt.verify(browser.cookies[ACCESS]!), claims, 'the secret is used as given, so the host can verify what we sign')
  t.equal((await app.inject({ url: '/private', headers: { cookie: `${ACCESS}=${app.jwt.sign(claims)}` } })).statusCode, 401)
})

t.test('two namespaces of a host beside the plugin stay as they are', async t => {
  const app = await appOf(t, async app => {
    await app.register(fastifyJwt, { secret: HOST_SECRET, namespace: 'one' })
    await app.register(accounts, await optionsOf(t))
    await app.register(fastifyJwt, { secret: randomBytes(32), namespace: 'two' })
  })
  const { jwt } = app as unknown as { jwt: Record<string, { sign (claims: object): string, verify (token: string): unknown }> }
  t.strictSame(Object.keys(jwt), ['one', 'two'])
  t.match(jwt.one!.verify(jwt.one!.sign({ sub: 'x' })), { sub: 'x' })
  t.throws(() => jwt.two!.verify(jwt.one!.sign({ sub: 'x' })))
  t.equal((await (await signUp(app)).get('/private')).statusCode, 200)
})

t.test('the plugin leaves no decorator of the libraries that it uses', async t => {
  const app = await appOf(t, async app => { await app.register(accounts, await optionsOf(t)) })
  for (const name of ['jwt', 'serializeCookie', 'parseCookie', 'signCookie']) t.notOk(app.hasDecorator(name), name)
  for (const name of ['jwtVerify', 'jwtDecode', 'user', 'accountsToken', 'cookies', 'unsignCookie']) t.notOk(app.hasRequestDecorator(name), name)
  for (const name of ['jwtSign', 'setCookie', 'clearCookie', 'cookie']) t.notOk(app.hasReplyDecorator(name), name)
})

const cookieOfHost = async (app: FastifyInstance) => {
  await app.register(fastifyCookie, { secret: 'a secret of the host for its own cookies', parseOptions: { domain: 'host.example', path: '/host', sameSite: 'none', secure: true, signed: true } })
}
for (const [title, before, after] of [
  ['before the plugin', cookieOfHost, async () => {}],
  ['after the plugin', async () => {}, cookieOfHost]
] as const) {
  t.test(`a host's own @fastify/cookie, registered ${title}, works as without it`, async t => {
    const app = await appOf(t, async app => {
      await before(app)
      await app.register(accounts, await optionsOf(t))
      await after(app)
      app.get('/cookies', async request => request.cookies)
      app.get('/set', async (_request, reply) => reply.setCookie('mine', 'a b').send('set'))
      app.get('/mixed', { onRequest: app.authenticate }, async (_request, reply) => reply.setCookie('mine', 'x', { signed: false }).send('set'))
      app.post('/host-login', async (request, reply) => {
        reply.setCookie('mine', 'x', { signed: false })
        await reply.signIn({ id: String((request.body as { id: string }).id) })
        return 'in'
      })
    })
    t.strictSame((await app.inject({ url: '/cookies', headers: { cookie: 'a=%20b; c=d' } })).json(), { a: ' b', c: 'd' })
    const [mine] = (await app.inject('/set')).cookies
    t.match(mine, { name: 'mine', domain: 'host.example', path: '/host', sameSite: 'None', secure: true })
    t.ok(app.unsignCookie(mine!.value).valid)

    const browser = createClient(app)
    const registered = await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })
    t.strictSame(registered.cookies.map(({ name, path, domain, sameSite, httpOnly, secure }) => ({ name, path, domain, sameSite, httpOnly, secure })), [ACCESS, REFRESH, DEVICE].map(name =>
      ({ name, path: '/', domain: undefined, sameSite: 'Lax', httpOnly: true, secure: undefined })), 'the host\'s options are none of ours')
    t.equal((await browser.get('/private')).statusCode, 200)
    t.strictSame((await browser.get('/mixed')).cookies.map(({ name }) => name), ['mine'])
    const both = await app.inject({ method: 'POST', url: '/host-login', payload: { id: registered.json().user.id } })
    t.strictSame(both.cookies.map(({ name }) => name).sort(), [ACCESS, REFRESH, DEVICE, 'mine'].sort(), 'cookies of both go out in one answer')
    t.equal(both.statusCode, 200)
  })
}

t.test('registrations side by side share nothing but the process', async t => {
  const scopes: Record<string, Partial<AccountsOptions>> = {
    one: {},
    two: {},
    'another prefix of routes': { routes: { prefix: '/login' } },
    'explicit refresh': { refresh: 'explicit' },
    'strict csrf': { csrf: 'strict' }
  }
  const { app, browsers } = await sideBySide(t, scopes)
  t.equal(await crossings(app, browsers), 0)
  for (const [scope, browser] of Object.entries(browsers)) {
    t.equal((await browser.get(`${path(scope)}/private`)).statusCode, 200, `${scope} accepts its own`)
    t.match((await browser.get(`${path(scope)}/private`)).json(), { email: `${path(scope).slice(1)}@example.com` }, 'each knows its own users')
  }
  t.notOk(app.hasDecorator('accounts'), 'nothing leaves the scopes')
})

t.test('registrations with the same secret don\'t accept each other\'s cookies if address or storage differ', async t => {
  const secret = randomBytes(32)
  const addresses = await sideBySide(t, { one: { secret, appUrl: 'http://localhost:3000' }, two: { secret, appUrl: 'http://localhost:3001' }, three: { secret, appUrl: 'http://localhost:3000/app' } })
  t.equal(await crossings(addresses.app, addresses.browsers), 0, 'other addresses')
  const storages = await sideBySide(t, { one: { secret }, two: { secret } })
  t.equal(await crossings(storages.app, storages.browsers), 0, 'other storages')
  const storage = await sqliteStorage(':memory:')
  const same = await sideBySide(t, { one: { secret, storage }, two: { secret, storage } })
  t.equal(await crossings(same.app, same.browsers), 10, 'with all three in common they do')
})

t.test('a logout, a hook and a changed cookie name in one registration don\'t reach another', async t => {
  const heard: string[] = []
  const listen = (scope: string) => ({ hooks: { sessionRevoked: () => { heard.push(scope) } } })
  const { app, browsers } = await sideBySide(t, { one: listen('one'), two: { ...listen('two'), cookies: { names: { access: 'a', refresh: 'b', device: 'c' } } } })
  const { one, two } = browsers as { one: Client, two: Client }
  t.strictSame(Object.keys(two.cookies), ['a', 'b', 'c'])
  const together = createClient(app, { ...one.cookies, ...two.cookies })
  t.equal((await together.get('/one/private')).statusCode, 200)
  t.equal((await together.get('/two/private')).statusCode, 200, 'one browser, both signed in')
  await together.post('/one/auth/logout')
  t.equal((await together.get('/one/private')).statusCode, 401)
  t.equal((await together.get('/two/private')).statusCode, 200)
  t.strictSame(heard, ['one'])
})

t.test('a registration in a scope leaves the routes outside alone', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  app.setErrorHandler((_error, _request, reply) => { void reply.code(418).send('the host answers') })
  app.post('/outside', async request => ({ body: request.body, principal: 'principal' in request }))
  await app.register(async scope => { await scope.register(accounts, await optionsOf(t)) }, { prefix: '/inside' })
  t.strictSame((await app.inject({ method: 'POST', url: '/outside', payload: { a: 1 } })).json(), { body: { a: 1 }, principal: false })
  t.equal((await app.inject({ method: 'POST', url: '/outside', headers: { 'content-type': 'application/json' }, payload: '{' })).statusCode, 418)
  t.equal((await app.inject({ method: 'POST', url: '/inside/auth/login', headers: { 'content-type': 'application/json' }, payload: '{' })).statusCode, 400)
})

const path = (scope: string) => `/${scope.replaceAll(' ', '-')}`

/** A registration for each scope, with a secret and a database of its own unless given; a browser is signed in to each. */
async function sideBySide (t: Test, scopes: Record<string, Partial<AccountsOptions>>) {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  for (const [scope, options] of Object.entries(scopes)) {
    await app.register(async child => {
      await child.register(accounts, await optionsOf(t, options))
      child.get('/private', { onRequest: child.authenticate }, async request => ({ email: request.principal!.user.email }))
    }, { prefix: path(scope) })
  }
  await app.ready()
  const browsers: Record<string, Client> = {}
  for (const [scope, options] of Object.entries(scopes)) {
    const prefix = options.routes === undefined || options.routes === false ? '/auth' : options.routes.prefix
    browsers[scope] = createClient(app)
    const { statusCode, body } = await browsers[scope].post(`${path(scope)}${prefix}/register`, { email: `${path(scope).slice(1)}@example.com`, password: PASSWORD }, { 'sec-fetch-site': 'same-origin' })
    if (statusCode !== 201) throw new TypeError(`sign-up answered ${statusCode} ${body}`)
  }
  return { app, browsers }
}

/** How often a scope let the browser of another in, by either cookie or by both. */
async function crossings (app: FastifyInstance, browsers: Record<string, Client>): Promise<number> {
  let accepted = 0
  for (const [own, browser] of Object.entries(browsers)) {
    for (const scope of Object.keys(browsers).filter(scope => scope !== own)) {
      for (const names of [[ACCESS], [REFRESH], [ACCESS, REFRESH]]) {
        const client = createClient(app, Object.fromEntries(names.map(name => [name, browser.cookies[name]!])))
        if ((await client.get(`${path(scope)}/private`)).statusCode !== 401) accepted++
        if ((await client.post(`${path(scope)}/auth/refresh`, undefined, { 'sec-fetch-site': 'same-origin' })).statusCode === 200) accepted++
      }
    }
  }
  return accepted
}

async function appOf (t: Test, setUp: (app: FastifyInstance) => Promise<void>): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await setUp(app)
  if (app.hasDecorator('authenticate')) app.get('/private', { onRequest: app.authenticate }, async () => 'in')
  app.get('/decorators', async request => Object.fromEntries(['accountsToken'].filter(name => name in request).map(name => [name, true])))
  await app.ready()
  return app
}

async function optionsOf (t: Test, options: Partial<AccountsOptions> = {}): Promise<AccountsOptions> {
  const storage: Storage = options.storage ?? await sqliteStorage(':memory:')
  t.teardown(async () => { await storage.close?.() })
  return { appUrl: 'http://localhost:3000', secret: randomBytes(32), passwords: { argon2: { memoryKiB: 7168, iterations: 5 } }, ...options, storage }
}

async function signUp (app: FastifyInstance): Promise<Client> {
  const browser = createClient(app)
  await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })
  return browser
}

const shapeOf = (jwt: FastifyInstance['jwt']) => ({ names: Object.keys(jwt), sign: jwt.options.sign, verify: jwt.options.verify, cookie: jwt.cookie })
