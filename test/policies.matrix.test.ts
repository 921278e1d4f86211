import { Writable } from 'node:stream'
import cors from '@fastify/cors'
import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { createHost } from './support/host.ts'
import accounts, { formatPolicies, securitySchemes } from '../lib/index.ts'
import type { Principal } from '../types/index.ts'
import { createProtected, protectedOptions } from './support/protected-host.ts'

const handler = async () => 'reached'
const isOwner = (principal: Principal) => principal.user.roles.includes('owner')

async function routes (app: FastifyInstance) {
  app.get('/zebra', handler)
  app.get('/public', { config: { accounts: false } }, handler)
  app.route({ method: ['POST', 'OPTIONS', 'PUT'], url: '/some', config: { accounts: { optional: true } }, handler })
  app.route({ method: ['POST', 'GET'], url: '/reports', config: { accounts: { roles: ['editor', 'owner'], check: isOwner } }, handler })
  app.delete('/reports', { config: { accounts: { fresh: '5m', via: 'cookie' } } }, handler)
  app.get('/hooked', { onRequest: app.guard({ liveness: 'stateless' }) }, handler)
  app.get('/twice', { onRequest: app.authenticate, preHandler: app.guard({ roles: ['admin'], check: (() => () => true)() }) }, handler)
  await app.register(async child => {
    child.get('/', { config: { accounts: { liveness: 'strict' } } }, handler)
    child.get('/users/:id', { exposeHeadRoute: false }, handler)
  }, { prefix: '/child' })
}

t.test('the matrix of routes and policies is printed for a snapshot, the same on every start', async t => {
  const printed = await Promise.all([1, 2].map(async () => {
    const { app } = await createProtected(t, { accounts: { routes: false }, after: routes })
    return formatPolicies(app.accounts.policies())
  }))
  t.equal(printed[0], `\
*                   (not found)       cookie or bearer or personal-token
GET, HEAD           /child            cookie or bearer or personal-token, strict
GET, HEAD           /child/           cookie or bearer or personal-token, strict
GET                 /child/users/:id  cookie or bearer or personal-token
GET, HEAD           /hooked           cookie or bearer or personal-token, stateless
GET, HEAD           /public           public
DELETE              /reports          cookie, fresh 300 s, strict
GET, HEAD, POST     /reports          cookie or bearer or personal-token, roles editor or owner, check isOwner
OPTIONS, POST, PUT  /some             cookie or bearer or personal-token, optional
GET, HEAD           /twice            cookie or bearer or personal-token, then cookie or bearer or personal-token, roles admin, check
GET, HEAD           /zebra            cookie or bearer or personal-token
`)
  t.equal(printed[1], printed[0])
})

t.test('without protect it says which routes nothing guards', async t => {
  const { app } = await createProtected(t, { accounts: { routes: false, protect: 'none' }, after: routes })
  t.equal(formatPolicies(app.accounts.policies()), `\
GET, HEAD           /child            cookie or bearer or personal-token, strict
GET, HEAD           /child/           cookie or bearer or personal-token, strict
GET                 /child/users/:id  none
GET, HEAD           /hooked           cookie or bearer or personal-token, stateless
GET, HEAD           /public           public
DELETE              /reports          cookie, fresh 300 s, strict
GET, HEAD, POST     /reports          cookie or bearer or personal-token, roles editor or owner, check isOwner
OPTIONS, POST, PUT  /some             cookie or bearer or personal-token, optional
GET, HEAD           /twice            cookie or bearer or personal-token, then cookie or bearer or personal-token, roles admin, check
GET, HEAD           /zebra            none
`)
})

t.test('the plugin\'s own routes are in it, the same under either protect', async t => {
  for (const protect of ['none', 'all'] as const) {
    const { app } = await createProtected(t, { accounts: { protect } })
    t.equal(formatPolicies(app.accounts.policies().filter(({ method }) => method !== '*')), `\
POST               /auth/login               public
POST               /auth/logout              public
DELETE             /auth/me                  cookie or bearer, fresh 900 s, strict
GET, HEAD          /auth/me                  cookie or bearer or personal-token
PATCH              /auth/me                  cookie or bearer
GET, HEAD          /auth/me/export           cookie or bearer, fresh 900 s, strict
GET, HEAD, POST    /auth/owner               public
POST               /auth/password/change     cookie or bearer
POST               /auth/refresh             public
POST               /auth/register            public
DELETE, GET, HEAD  /auth/sessions            cookie or bearer
DELETE             /auth/sessions/:id        cookie or bearer
POST               /auth/token               public
POST               /auth/token/revoke        public
GET, HEAD          /auth/tokens              cookie or bearer
POST               /auth/tokens              cookie or bearer, fresh 900 s, strict
DELETE             /auth/tokens/:id          cookie or bearer
PATCH              /auth/tokens/:id          cookie or bearer, fresh 900 s, strict
POST               /auth/tokens/:id/rotate   cookie or bearer, fresh 900 s, strict
GET, HEAD          /auth/users               cookie or bearer, roles owner or admin
PATCH              /auth/users/:id           cookie or bearer, roles owner or admin, strict
DELETE             /auth/users/:id/sessions  cookie or bearer, roles owner or admin, strict
`, protect)
  }
})

t.test('it says when there are routes that the plugin came too late to see', async t => {
  for (const [protect, printed] of [['all', '*  (added earlier)  cookie or bearer or personal-token\n*  (not found)      cookie or bearer or personal-token\n'], ['none', '*  (added earlier)  none\n']] as const) {
    const { app } = await createProtected(t, { accounts: { routes: false, protect }, before (app) { app.get('/early', handler) } })
    t.equal(formatPolicies(app.accounts.policies()), printed)
  }
})

t.test('and the start warns of them where all routes are to be closed, and nowhere else', async t => {
  const early = (app: FastifyInstance) => { app.get('/early', handler) }
  const preflight = async (app: FastifyInstance) => { await app.register(cors, { origin: 'https://portal.example.org' }) }
  const both = async (app: FastifyInstance) => {
    await preflight(app)
    app.route({ method: ['OPTIONS', 'POST'], url: '/early', handler })
  }
  for (const [protect, before, expected] of [['all', early, 1], ['all', () => {}, 0], ['none', early, 0], ['all', preflight, 0], ['all', both, 1]] as const) {
    const lines: string[] = []
    const stream = new Writable({ write (line, _encoding, done) { lines.push(String(line)); done() } })
    const { app } = await createHost(t, { server: { logger: { level: 'warn', stream } }, accounts: { protect }, before })
    t.equal(lines.filter(line => line.includes('there were routes before it')).length, expected, `${protect}, ${before.name}`)
    if (before !== preflight) continue
    const asked = await app.inject({ method: 'OPTIONS', url: '/auth/me', headers: { origin: 'https://portal.example.org', 'access-control-request-method': 'GET' } })
    t.equal(asked.statusCode, 204, 'a preflight carries no credentials')
  }
})

t.test('app.accounts.policies lists a line for each method and url, with nothing left out', async t => {
  const { app } = await createProtected(t, { accounts: { routes: false, protect: 'none' }, after: routes })
  const lines = app.accounts.policies()
  const complete = { via: ['cookie', 'bearer', 'personal-token'], optional: false, fresh: null, roles: null, scopes: null, liveness: 'checked', check: null }
  const find = (method: string, url: string) => lines.filter(line => line.method === method && line.url === url).map(({ policy }) => policy)
  t.strictSame(find('GET', '/public'), ['public'])
  t.strictSame(find('HEAD', '/public'), ['public'])
  t.strictSame(find('GET', '/zebra'), ['none'])
  t.strictSame(find('DELETE', '/reports'), [{ ...complete, via: ['cookie'], fresh: 300, liveness: 'strict' }])
  t.strictSame(find('HEAD', '/reports'), [{ ...complete, roles: ['editor', 'owner'], check: 'isOwner' }])
  t.strictSame(find('PUT', '/some'), [{ ...complete, optional: true }])
  t.strictSame(find('GET', '/twice'), [[complete, { ...complete, roles: ['admin'], check: 'check' }]])
  t.equal(lines.length, 20)
  t.strictSame(JSON.parse(JSON.stringify(lines)), lines, 'plain, so that it can be kept as JSON as well')
  t.equal(formatPolicies([]), '')
})

t.test('each registration lists its own scope, and claims nothing of what is not found elsewhere', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  app.get('/outside', handler)
  const scopes: FastifyInstance[] = []
  for (const prefix of ['/one', '/two']) {
    await app.register(async scope => {
      await scope.register(accounts, await protectedOptions({ routes: false }))
      scope.get('/route', handler)
      scopes.push(scope)
    }, { prefix })
  }
  await app.ready()
  t.strictSame(scopes.map(scope => formatPolicies(scope.accounts.policies())), ['GET, HEAD  /one/route  cookie or bearer or personal-token\n', 'GET, HEAD  /two/route  cookie or bearer or personal-token\n'])
})

type Operations = Record<string, Record<string, { security?: object[], summary?: string }>>

t.test('the OpenAPI document demands of a route what its policy does', async t => {
  const cookie = [{ accountsCookie: [] }]
  const session = [...cookie, { accountsBearer: [] }]
  const either = [...session, { accountsPersonalToken: [] }]
  for (const protect of ['none', 'all'] as const) {
    const described = { summary: 'Described', querystring: { type: 'object', properties: { page: { type: 'integer' } } } }
    const given = { summary: 'Given', security: [{ mine: [] }] }
    const { app } = await createProtected(t, {
      accounts: { protect },
      async before (app) {
        await app.register(swagger, { openapi: { components: { securitySchemes: { ...securitySchemes, mine: { type: 'http', scheme: 'basic' } } } } })
      },
      async after (app) {
        await routes(app)
        app.get('/given', { schema: given, config: { accounts: {} } }, handler)
        app.get('/described', { schema: described, config: { accounts: {} } }, async ({ query }) => query)
        await app.register(async child => {
          child.get('/late', { ...(protect === 'none' ? { onRequest: app.guard({ optional: true }) } : {}) }, handler)
          if (protect === 'all') child.addHook('onRoute', route => { route.config = { ...route.config, accounts: { optional: true } } })
          child.get('/later', { ...(protect === 'none' ? { onRequest: app.guard({ optional: true }) } : {}) }, handler)
        })
      }
    })
    const { paths } = app.swagger() as unknown as { paths: Operations }
    const securityOf = (method: string, url: string) => paths[url]![method]!.security
    for (const [method, url] of [['get', '/reports'], ['post', '/reports'], ['get', '/hooked'], ['get', '/twice'], ['get', '/child/'], ['get', '/described'], ['get', '/auth/me']] as const) {
      t.strictSame(securityOf(method, url), either, `${method} ${url}`)
    }
    t.strictSame(securityOf('delete', '/reports'), cookie)
    for (const [method, url] of [['delete', '/auth/sessions'], ['post', '/auth/tokens']] as const) t.strictSame(securityOf(method, url), session, `${method} ${url}`)
    t.strictSame(securityOf('put', '/some'), [...either, {}], 'optional')
    t.strictSame(securityOf('get', '/later'), [...either, {}], 'set by a hook of a child')
    for (const [method, url] of [['get', '/public'], ['post', '/auth/login'], ['post', '/auth/logout'], ['post', '/auth/token']] as const) t.equal(securityOf(method, url), undefined, url)
    t.strictSame(securityOf('get', '/zebra'), protect === 'all' ? either : undefined)
    t.strictSame(securityOf('get', '/given'), [{ mine: [] }], 'what the host says itself stands')
    t.strictSame(Object.keys(described), ['summary', 'querystring'], 'and the schema that it has passed stays as it was')
    t.equal(paths['/described']!.get!.summary, 'Described')
    t.ok('accountsCookie' in (app.swagger() as unknown as { components: { securitySchemes: object } }).components.securitySchemes)
  }
})
