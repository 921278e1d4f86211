import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import fastifyAuth from '@fastify/auth'
import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import t from 'tap'
import accounts from '../lib/index.ts'
import { PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { createCallers, createProtected, protectedOptions } from './support/protected-host.ts'

/** Every handler of these tests: what it is asked for is a secret. */
const secret = async () => 'secret'
const whoCalls = async (request: FastifyRequest) => ({ email: request.principal?.user.email ?? null })

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

t.test('I-06 protect: "all": every method of every route demands a caller, with its HEAD twin', async t => {
  const { asNobody, asUser } = await createProtected(t, {
    after (app) {
      app.get('/get', secret)
      app.all('/all', secret)
      app.route({ method: ['GET', 'POST', 'PUT'], url: '/some', handler: secret })
      app.route({ method: 'OPTIONS', url: '/options', handler: secret })
      app.get('/files/*', secret)
      app.get('/users/:id', secret)
    }
  })
  const routes = [
    ['/get', ['GET', 'HEAD']], ['/all', METHODS], ['/some', ['GET', 'HEAD', 'POST', 'PUT']], ['/options', ['OPTIONS']],
    ['/files/a/b', ['GET', 'HEAD']], ['/users/7', ['GET', 'HEAD']]
  ] as const
  for (const [url, methods] of routes) {
    for (const method of methods) {
      t.equal(await asNobody(method, url), 401, `${method} ${url}`)
      t.equal(await asUser(method, url), 200, `${method} ${url}`)
    }
  }
})

t.test('I-06 protect: "all" reaches children, their children, and routes that were there before in the same scope or in a child', async t => {
  const family = async (app: FastifyInstance) => {
    await app.register(async child => {
      child.get('/', secret)
      child.get('/route', secret)
      await child.register(async grandchild => {
        grandchild.get('/', secret)
        grandchild.get('/route', secret)
        grandchild.get('/open', { config: { accounts: false } }, secret)
        grandchild.get('/admins', { config: { accounts: { roles: ['admin'] } } }, secret)
      }, { prefix: '/inner' })
    }, { prefix: app.hasDecorator('accounts') ? '/later' : '/earlier' })
  }
  const { asNobody, asUser } = await createProtected(t, {
    async before (app) {
      app.get('/first', secret)
      await family(app)
    },
    after: family
  })
  t.equal(await asNobody('GET', '/first'), 401)
  t.equal(await asUser('GET', '/first'), 200)
  for (const prefix of ['/earlier', '/later']) {
    for (const path of ['', '/', '/route', '/inner', '/inner/', '/inner/route']) {
      for (const method of ['GET', 'HEAD']) t.equal(await asNobody(method, prefix + path), 401, `${method} ${prefix}${path}`)
      t.equal(await asUser('GET', prefix + path), 200, prefix + path)
    }
    t.equal(await asNobody('GET', `${prefix}/inner/open`), 200)
    t.equal(await asNobody('GET', `${prefix}/inner/admins`), 401)
    t.equal(await asUser('GET', `${prefix}/inner/admins`), 403)
    t.equal(await asUser('GET', `${prefix}/inner/admins`, ['admin']), 200)
  }
})

t.test('I-06 protect: "all" also when the registration is not awaited: routes that are added meanwhile are not open', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  void app.register(accounts, await protectedOptions())
  app.get('/route', secret)
  app.get('/open', { config: { accounts: false } }, secret)
  void app.register(async child => { child.get('/route', secret) }, { prefix: '/child' })
  await app.ready()
  const { asNobody, asUser } = await createCallers(app)
  for (const url of ['/route', '/child/route']) {
    t.equal(await asNobody('GET', url), 401, url)
    t.equal(await asUser('GET', url), 200, url)
  }
  t.equal(await asNobody('GET', '/open'), 200)
})

t.test('a policy in a config that the plugin came too late to see is enforced all the same, and one that is wrong lets nobody in', async t => {
  for (const protect of ['none', 'all'] as const) {
    const { app, asNobody, asUser } = await createProtected(t, {
      accounts: { protect },
      async before (app) {
        app.get('/open', secret)
        app.get('/admins', { config: { accounts: { roles: ['admin'] } } }, secret)
        app.get('/wrong', { config: { accounts: { rolles: ['admin'] } as never } }, secret)
        await app.register(async child => { child.get('/admins', { config: { accounts: { roles: ['admin'] } } }, secret) }, { prefix: '/child' })
      },
      after (app) { app.get('/later', secret) }
    })
    for (const url of ['/admins', '/child/admins']) {
      t.equal(await asNobody('GET', url), 401, `${protect} ${url}`)
      t.equal(await asUser('GET', url), 403)
      t.equal(await asUser('GET', url, ['admin']), 200)
    }
    t.equal(await asUser('GET', '/wrong', ['admin']), 500)
    t.notMatch((await app.inject('/wrong')).body, /rolles|policy/i, 'and tells a client nothing')
    for (const url of ['/open', '/later']) t.equal(await asNobody('GET', url), protect === 'all' ? 401 : 200, `${protect} ${url}`)
  }
})

t.test('I-06 what is not found is guarded as well, so nobody learns which paths there are', async t => {
  const reached: string[] = []
  const { app, asNobody, asUser } = await createProtected(t, {
    async after (app) {
      app.get('/route', secret)
      await app.register(async child => { child.get('/route', secret) }, { prefix: '/plain' })
      await app.register(async child => {
        child.setNotFoundHandler({ preHandler (_request, _reply, done) { reached.push('preHandler'); done() } }, async (_request, reply) => {
          reached.push('handler')
          return await reply.code(404).send('mine')
        })
        child.get('/route', secret)
      }, { prefix: '/custom' })
    }
  })
  const unknown = ['/nowhere', '/plain/nowhere', '/custom/nowhere', '/auth/nowhere', '/route/', '/custom']
  for (const url of unknown) {
    for (const method of METHODS) {
      t.equal(await asNobody(method, url), 401, `${method} ${url}`)
      // What changes something must come from our own page, or be no browser at all: this one is none.
      t.equal(await asUser(method, url), 404, `${method} ${url}`)
    }
  }
  t.equal((await app.inject({ method: 'POST', url: '/route' })).statusCode, 401, 'a method that the route does not have')
  reached.splice(0)
  await app.inject('/custom/nowhere')
  t.strictSame(reached, [])
})

t.test('a page for what is not found is public as a route', async t => {
  const { asNobody } = await createProtected(t, {
    after (app) {
      app.get('/route', secret)
      app.get('/*', { config: { accounts: false } }, async (_request, reply) => await reply.code(404).send('a page'))
    }
  })
  t.equal(await asNobody('GET', '/nowhere'), 404)
  t.equal(await asNobody('POST', '/nowhere'), 401)
  t.equal(await asNobody('GET', '/route'), 401)
})

t.test('I-06 a notFoundHandler of the root, before or after the plugin, is behind the guard too', async t => {
  const handler = async () => 'secret'
  for (const where of ['before', 'after'] as const) {
    const { asNobody, asUser } = await createProtected(t, { [where]: (app: FastifyInstance) => { app.setNotFoundHandler(handler) } })
    t.equal(await asNobody('GET', '/nowhere'), 401, where)
    t.equal(await asUser('GET', '/nowhere'), 200, where)
  }
})

const SPELLINGS = [
  '/x', '/x/', '//x', '///x', '/./x', '/../x', '/a/../x', '/%78', '/%2578', '/%2fx', '/%2Fx', '/x%2f', '/x%00', '/x%20', '/x;x', '/;x', '/x;x=1', '/x?x', '/x??',
  '/x#x', '/X', '/x%3b', '/x%3f', '/x%23', '/x.', '/x/.', '/x//', '/\\x', '/%5cx', '/x%e2%80%8b', '/x%c0%af', '/x%', '/x%zz', '/kid/x', '/kid//x', '//kid/x', '/kid/%78', '/KID/x', '/kid;/x', '/kid/x;x', '/kid/..;/x'
]

/** Fastify has it, its types don't yet. */
const SEMICOLONS: object = { useSemicolonDelimiter: true }

const ROUTERS: readonly FastifyServerOptions[] = [
  {}, { routerOptions: { ignoreTrailingSlash: true } }, { routerOptions: { ignoreDuplicateSlashes: true } }, { routerOptions: { caseSensitive: false } },
  { routerOptions: SEMICOLONS }, { rewriteUrl: ({ url }) => url!.replace('/kid', '') },
  { routerOptions: { ...SEMICOLONS, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false } }
]

t.test('I-06 no spelling of a path reaches a handler, whatever the router makes of it', async t => {
  for (const server of ROUTERS) {
    const { app } = await createProtected(t, {
      server,
      async after (app) {
        app.all('/x', secret)
        await app.register(async kid => {
          kid.all('/x', secret)
          kid.setNotFoundHandler(secret)
        }, { prefix: '/kid' })
      }
    })
    for (const url of SPELLINGS) {
      for (const method of METHODS) {
        const { statusCode, body } = await app.inject({ method, url })
        t.ok(statusCode === 401 || statusCode === 400, `${method} ${url} ${JSON.stringify(server)} is ${statusCode}`)
        t.notMatch(body, 'secret')
      }
    }
  }
})

t.test('I-06 nor does one that only a raw socket can send', async t => {
  const { app } = await createProtected(t, { server: { routerOptions: { caseSensitive: false, ignoreDuplicateSlashes: true } }, after (app) { app.all('/x', secret) } })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  for (const target of ['/x', '//x', '/./x', '/a/../x', '/x;x', '/X', '/%78', 'http://localhost/x', 'http://else.example//x', '/x#x', '*', '/x?\\']) {
    for (const method of ['GET', 'OPTIONS', 'POST']) {
      const socket = connect(port, '127.0.0.1').setEncoding('latin1')
      socket.end(`${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      let answer = ''
      socket.on('data', (chunk: string) => { answer += chunk })
      await once(socket, 'close')
      t.match(answer, /^HTTP\/1\.1 40[01] /, `${method} ${target}`)
      t.notMatch(answer, 'secret')
    }
  }
})

t.test('I-06 a public route is public in no other spelling than the router\'s own', async t => {
  const { asNobody } = await createProtected(t, {
    after (app) {
      app.get('/x', { config: { accounts: false } }, secret)
      app.get('/x/secret', secret)
      app.get('/x/*', secret)
    }
  })
  t.equal(await asNobody('GET', '/x'), 200)
  t.equal(await asNobody('HEAD', '/x'), 200)
  t.equal(await asNobody('GET', '/%78'), 200, 'the router decodes')
  for (const url of ['/x/', '/x/secret', '/x;/secret', '/x%2fsecret', '//x']) t.equal(await asNobody('GET', url), 401, url)
})

t.test('a route says otherwise by its config: public, optional, stricter', async t => {
  const { app, asNobody, asUser } = await createProtected(t, {
    after (app) {
      app.get('/public', { config: { accounts: false } }, whoCalls)
      app.get('/optional', { config: { accounts: { optional: true } } }, whoCalls)
      app.get('/admins', { config: { accounts: { roles: ['admin'] } } }, whoCalls)
      app.route({ method: ['GET', 'DELETE'], url: '/both', config: { accounts: { roles: ['admin'] } }, handler: whoCalls })
      app.get('/any', { config: { accounts: {} } }, whoCalls)
      app.get('/nothing', { config: { accounts: undefined } }, whoCalls)
    }
  })
  for (const url of ['/public', '/optional']) for (const method of ['GET', 'HEAD']) t.equal(await asNobody(method, url), 200, `${method} ${url}`)
  for (const url of ['/any', '/nothing']) {
    t.equal(await asNobody('GET', url), 401, url)
    t.equal(await asUser('GET', url), 200, url)
  }
  for (const [method, url] of [['GET', '/admins'], ['HEAD', '/admins'], ['GET', '/both'], ['DELETE', '/both']] as const) {
    t.equal(await asNobody(method, url), 401)
    t.equal(await asUser(method, url), 403)
    t.equal(await asUser(method, url, ['admin']), 200, `${method} ${url}`)
  }
  t.strictSame((await app.inject('/optional')).json(), { email: null })
  t.equal((await app.inject({ url: '/optional', cookies: { accounts_access: 'bad' } })).statusCode, 401)
})

t.test('a route with a guard among its own hooks is guarded by that alone', async t => {
  let asked = 0
  const check = () => { asked++; return true }
  const { asNobody, asUser } = await createProtected(t, {
    accounts: { hooks: { authorize: check } },
    after (app) {
      app.get('/optional', { onRequest: app.guard({ optional: true }) }, secret)
      app.get('/late', { preHandler: [async () => {}, app.guard({ optional: true })] }, secret)
      app.get('/admins', { preValidation: app.guard({ roles: ['admin'] }) }, secret)
      app.get('/authenticate', { onRequest: app.authenticate }, secret)
      app.get('/default', secret)
    }
  })
  for (const url of ['/optional', '/late']) for (const method of ['GET', 'HEAD']) t.equal(await asNobody(method, url), 200, `${method} ${url}`)
  t.equal(await asUser('GET', '/admins'), 403)
  t.equal(await asUser('GET', '/admins', ['admin']), 200)
  for (const url of ['/optional', '/late', '/authenticate', '/default']) {
    asked = 0
    t.equal(await asUser('GET', url), 200)
    t.equal(asked, 1, `${url} has one guard, not two`)
  }
})

t.test('a hook of a child scope sets the policy of all its routes', async t => {
  const { asNobody, asUser } = await createProtected(t, {
    async after (app) {
      for (const [prefix, policy] of [['/open', false], ['/admin', { roles: ['admin'] }]] as const) {
        await app.register(async child => {
          child.addHook('onRoute', route => { route.config = { ...route.config, accounts: policy } })
          child.get('/', secret)
          await child.register(async grandchild => { grandchild.all('/route', secret) }, { prefix: '/inner' })
        }, { prefix })
      }
      await app.register(async child => {
        child.addHook('onRoute', route => { route.config = { accounts: { roles: ['owner'] } } })
        child.get('/', { config: { accounts: false } }, secret)
      }, { prefix: '/overruled' })
    }
  })
  for (const url of ['', '/', '/inner/route']) {
    for (const method of ['GET', 'HEAD']) {
      t.equal(await asNobody(method, `/open${url}`), 200, `${method} /open${url}`)
      t.equal(await asNobody(method, `/admin${url}`), 401)
      t.equal(await asUser(method, `/admin${url}`), 403)
      t.equal(await asUser(method, `/admin${url}`, ['admin']), 200)
    }
  }
  t.equal(await asUser('GET', '/overruled'), 403)
})

t.test('@fastify/auth: a composition that is to decide alone stands beside config.accounts: false; else the caller must be known first', async t => {
  const hasKey = (request: FastifyRequest, _reply: unknown, done: (error?: Error) => void) => {
    done(request.headers['x-key'] === 'right' ? undefined : Object.assign(new TypeError('no key'), { statusCode: 401 }))
  }
  const { app, asUser } = await createProtected(t, {
    async after (app) {
      await app.register(fastifyAuth)
      app.get('/composed', { config: { accounts: false }, onRequest: app.auth([app.authenticate, hasKey]) }, whoCalls)
      app.get('/behind', { onRequest: app.auth([app.guard({ roles: ['admin'] }), hasKey]) }, whoCalls)
    }
  })
  const status = async (url: string, key: string) => (await app.inject({ url, headers: { 'x-key': key } })).statusCode
  t.equal(await status('/composed', 'right'), 200)
  t.equal(await status('/composed', 'wrong'), 401)
  t.equal(await status('/behind', 'right'), 401)
  t.equal(await asUser('GET', '/composed'), 200)
  t.equal(await asUser('GET', '/behind'), 401)
  t.equal(await asUser('GET', '/behind', ['admin']), 200)
})

t.test('the plugin\'s own routes answer under protect: "all" as they do without', async t => {
  const answers = await Promise.all((['none', 'all'] as const).map(async protect => {
    const { app } = await createProtected(t, { accounts: { protect }, after (app) { app.setErrorHandler(async (_error, _request, reply) => await reply.code(418).send('the host\'s own')) } })
    const seen: unknown[] = []
    const note = ({ statusCode, headers, body }: { statusCode: number, headers: Record<string, unknown>, body: string }) => {
      seen.push([statusCode, headers['cache-control'], headers.vary, headers['www-authenticate'], Object.keys(headers).sort(), statusCode >= 400 ? body : null])
    }
    const calls = [['POST', '/auth/register'], ['POST', '/auth/login'], ['POST', '/auth/refresh'], ['POST', '/auth/logout'], ['GET', '/auth/me'], ['HEAD', '/auth/me'], ['PATCH', '/auth/me'], ['DELETE', '/auth/me'], ['GET', '/auth/sessions'], ['DELETE', '/auth/sessions/x'], ['POST', '/auth/password/change']] as const
    for (const headers of [{}, { origin: 'http://evil.example' }, { cookie: 'accounts_access=a; accounts_access=b' }, { cookie: 'accounts_access=bad' }] as Array<Record<string, string>>) {
      for (const [method, url] of calls) note(await app.inject({ method, url, headers }))
    }
    const browser = createClient(app)
    note(await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD }))
    for (const [method, url] of calls.slice(4)) note(await browser.request(method, url, method === 'PATCH' ? { name: 'Ada' } : undefined))
    note(await browser.post('/auth/logout'))
    return seen
  }))
  t.ok(answers[0]!.length > 50)
  t.strictSame(answers[1], answers[0])
})

t.test('a refusal is the host\'s to shape, and an error handler that swallows it does not let the handler run', async t => {
  let isReached = false
  const { app } = await createProtected(t, {
    after (app) {
      app.setErrorHandler(async (error, _request, reply) => await reply.code(200).send({ swallowed: (error as { code?: string }).code }))
      app.get('/route', async () => { isReached = true })
    }
  })
  for (const url of ['/route', '/nowhere']) t.strictSame((await app.inject(url)).json(), { swallowed: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' })
  t.notOk(isReached)
  t.match((await app.inject('/route')).headers.vary, /cookie/i)
})

t.test('hooks of the host\'s that were there first come first: one that answers is not undone', async t => {
  const { app } = await createProtected(t, {
    before (app) { app.addHook('onRequest', async (request, reply) => request.method === 'OPTIONS' ? await reply.code(204).send() : undefined) },
    after (app) { app.get('/route', secret) }
  })
  t.equal((await app.inject({ method: 'OPTIONS', url: '/route' })).statusCode, 204, 'a preflight, which never carries a credential')
  t.equal((await app.inject('/route')).statusCode, 401)
})

t.test('two protected scopes side by side don\'t meet, and what is outside of both stays as it was', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  app.get('/outside', secret)
  const scopes: FastifyInstance[] = []
  for (const prefix of ['/one', '/two']) {
    await app.register(async scope => {
      scope.get('/before', secret)
      await scope.register(accounts, await protectedOptions())
      scope.get('/after', secret)
      scope.get('/open', { config: { accounts: false } }, secret)
      scopes.push(scope)
    }, { prefix })
  }
  app.get('/outside-too', secret)
  await app.ready()
  const [one, two] = [await createCallers(scopes[0]!), await createCallers(scopes[1]!)]
  for (const path of ['/before', '/after']) {
    t.equal(await one.asNobody('GET', `/one${path}`), 401)
    t.equal(await one.asUser('GET', `/one${path}`), 200, `/one${path}`)
    t.equal(await one.asUser('GET', `/two${path}`), 401)
    t.equal(await two.asUser('GET', `/two${path}`), 200)
    t.equal(await two.asUser('GET', `/one${path}`), 401)
  }
  for (const url of ['/outside', '/outside-too', '/one/open', '/two/open']) t.equal(await one.asNobody('GET', url), 200, url)
  t.equal(await one.asNobody('GET', '/nowhere'), 404)
})
