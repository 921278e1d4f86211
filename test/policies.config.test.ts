import fastifyAuth from '@fastify/auth'
import Fastify, { type FastifyInstance, type FastifyRequest, type RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import accounts from '../lib/index.ts'
import type { Policy } from '../types/index.ts'
import { createProtected, protectedOptions } from './support/protected-host.ts'

const handler = async () => 'reached'
const PROTECT = ['none', 'all'] as const

/** Start a server that is expected to refuse to. */
async function start (t: Test, protect: 'none' | 'all', routes: (app: FastifyInstance) => unknown): Promise<void> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(accounts, await protectedOptions({ protect }))
  await routes(app)
  await app.ready()
}

t.test('a policy in config.accounts is enforced without protect, on that route alone and on its HEAD twin', async t => {
  const { asNobody, asUser } = await createProtected(t, {
    accounts: { protect: 'none' },
    async after (app) {
      app.get('/open', handler)
      app.get('/public', { config: { accounts: false } }, handler)
      app.get('/any', { config: { accounts: {} } }, handler)
      app.get('/optional', { config: { accounts: { optional: true } } }, handler)
      app.route({ method: ['GET', 'POST'], url: '/admins', config: { accounts: { roles: ['admin'] } }, handler })
      await app.register(async child => { child.get('/', { config: { accounts: { roles: ['admin'] } } }, handler) }, { prefix: '/child' })
    }
  })
  for (const url of ['/open', '/public', '/optional']) for (const method of ['GET', 'HEAD']) t.equal(await asNobody(method, url), 200, url)
  t.equal(await asNobody('GET', '/nowhere'), 404)
  for (const method of ['GET', 'HEAD']) {
    t.equal(await asNobody(method, '/any'), 401)
    t.equal(await asUser(method, '/any'), 200)
  }
  for (const [method, url] of [['GET', '/admins'], ['HEAD', '/admins'], ['POST', '/admins'], ['GET', '/child'], ['GET', '/child/'], ['HEAD', '/child'], ['HEAD', '/child/']] as const) {
    t.equal(await asNobody(method, url), 401, `${method} ${url}`)
    t.equal(await asUser(method, url), 403)
    t.equal(await asUser(method, url, ['admin']), 200)
  }
})

t.test('the caller is known to the hooks of the route, which come after the policy of its config', async t => {
  for (const protect of PROTECT) {
    const seen: Array<string | undefined> = []
    const note = async (request: FastifyRequest) => { seen.push(request.principal?.user.email) }
    const given = { config: { accounts: {} }, onRequest: [note] }
    const { asUser } = await createProtected(t, {
      accounts: { protect },
      after (app) {
        app.get('/list', given, handler)
        app.get('/one', { config: { accounts: {} }, onRequest: note }, handler)
      }
    })
    await asUser('GET', '/list')
    await asUser('GET', '/one')
    t.strictSame(seen, ['ada@example.com', 'ada@example.com'], protect)
    t.strictSame(given, { config: { accounts: {} }, onRequest: [note] }, 'what the host has passed is not changed')
  }
})

t.test('one policy may be shared by routes, and changing it after the start opens nothing', async t => {
  for (const protect of PROTECT) {
    const policy = { roles: ['admin'], optional: false }
    const config = { accounts: policy as Policy | false }
    const { asNobody, asUser } = await createProtected(t, {
      accounts: { protect },
      after (app) { for (const url of ['/one', '/two']) app.get(url, { config }, handler) }
    })
    policy.optional = true
    policy.roles.push('user')
    config.accounts = false
    for (const url of ['/one', '/two']) {
      t.equal(await asNobody('GET', url), 401, `${protect} ${url}`)
      t.equal(await asUser('GET', url, ['user']), 403)
      t.equal(await asUser('GET', url, ['admin']), 200)
    }
  }
})

const WRONG: ReadonlyArray<readonly [string, unknown, string]> = [
  ['an unknown member', { rolles: ['admin'] }, 'has an unknown member "rolles"'],
  ['a kind that is not enabled', { via: 'basic' }, '"via" names "basic", which is not enabled (enabled: cookie, bearer, personal-token)'],
  ['optional and roles', { optional: true, roles: ['admin'] }, 'is "optional" and yet demands "fresh" or "roles"'],
  ['stateless and roles', { liveness: 'stateless', roles: ['admin'] }, 'demands "roles", which only the store knows, together with liveness "stateless"'],
  ['no roles', { roles: [] }, '"roles" must be a list of at least one role'],
  ['fresh: null', { fresh: null }, '"fresh" must be whole seconds or a text like "15m", "12h" or "90d"'],
  ['null', null, 'must be an object'],
  ['true', true, 'must be an object'],
  ['text', 'public', 'must be an object'],
  ['a role', ['admin'], 'must be an object'],
  ['0', 0, 'must be an object'],
  ['an empty text', '', 'must be an object'],
  ['a function', () => true, 'must be an object']
]

t.test('a policy that is wrong is refused by the line that adds the route, which is named', async t => {
  for (const protect of PROTECT) {
    for (const [what, policy, why] of WRONG) {
      await t.rejects(start(t, protect, app => {
        t.throws(() => app.get('/x', { config: { accounts: policy as Policy } }, handler), { code: 'FST_ACCOUNTS_POLICY_INVALID' }, what)
        app.route({ method: ['PUT', 'POST'], url: '/y', config: { accounts: policy as Policy }, handler })
      }), { code: 'FST_ACCOUNTS_POLICY_INVALID', message: `Route PUT, POST /y: policy ${why}` }, `${protect}: ${what}`)
    }
  }
})

t.test('likewise where a hook of a child sets it', async t => {
  for (const [what, policy, why] of WRONG) {
    await t.rejects(start(t, 'all', async app => {
      await app.register(async child => {
        child.addHook('onRoute', route => { route.config = { ...route.config, accounts: policy as Policy } })
        child.post('/route', handler)
      }, { prefix: '/child' })
    }), { code: 'FST_ACCOUNTS_POLICY_INVALID', message: `Route POST /child/route: policy ${why}` }, what)
  }
})

t.test('a guard that stands in the config, or is not called, is refused', async t => {
  for (const protect of PROTECT) {
    await t.rejects(start(t, protect, app => app.get('/x', { config: { accounts: app.guard as unknown as Policy } }, handler)), { message: 'Route GET /x: policy must be an object' })
    await t.rejects(start(t, protect, app => app.get('/x', { config: { accounts: app.authenticate as unknown as Policy } }, handler)), { message: 'Route GET /x: policy must be an object' })
    await t.rejects(start(t, protect, async app => {
      await app.register(async child => {
        child.addHook('onRoute', route => { route.preHandler = app.guard as never })
        child.get('/x', handler)
      })
    }), { code: 'FST_ACCOUNTS_GUARD_UNCALLED', message: /"\/x" uses app\.guard/ }, 'also where a hook of a child puts it')
  }
})

const BESIDE = 'Route GET /x: policy stands in config.accounts beside a guard among the hooks: only one of them can be meant'
const LOST = 'Route GET /x: policy is lost: an onRoute hook has replaced the config of the route'
const LATE = 'Route GET /x: policy was set by an onRoute hook that runs after the plugin\'s, which is too late unless "protect" is "all"'

/** The options of `GET /x` in a child, what a hook of the child does to them, and why that is refused under `none` and `all`. */
const CONTRADICTIONS: ReadonlyArray<readonly [string, (app: FastifyInstance) => object, (route: RouteOptions, app: FastifyInstance) => void, string | null, string | null]> = [
  ['a policy and a guard', app => ({ config: { accounts: {} }, onRequest: app.authenticate }), () => {}, BESIDE, BESIDE],
  ['public and a guard', app => ({ config: { accounts: false }, onRequest: app.authenticate }), () => {}, BESIDE, BESIDE],
  ['public and a guard later on', app => ({ config: { accounts: false }, preHandler: [async () => {}, app.guard({ roles: ['admin'] })] }), () => {}, BESIDE, BESIDE],
  ['in preValidation', app => ({ config: { accounts: {} }, preValidation: app.verifyAccessCookie }), () => {}, BESIDE, BESIDE],
  ['in preParsing', app => ({ config: { accounts: {} }, preParsing: [app.authenticate] }), () => {}, BESIDE, BESIDE],
  ['a policy, and a guard by a hook', () => ({ config: { accounts: {} } }), (route, app) => { route.preHandler = app.authenticate }, BESIDE, BESIDE],
  ['a guard, and public by a hook', app => ({ onRequest: app.authenticate }), route => { route.config = { ...route.config, accounts: false } }, BESIDE, BESIDE],
  ['a policy that a hook takes away', () => ({ config: { accounts: { roles: ['admin'] } } }), route => { route.config = {} }, LOST, LOST],
  ['a policy that a hook unsets', () => ({ config: { accounts: { roles: ['admin'] } } }), route => { route.config = { ...route.config, accounts: undefined } }, LOST, LOST],
  ['a guard whose route loses its config', app => ({ onRequest: app.guard({ optional: true }) }), route => { route.config = {} }, null, LOST],
  ['a policy by a hook', () => ({}), route => { route.config = { ...route.config, accounts: {} } }, LATE, null],
  ['another policy by a hook', () => ({ config: { accounts: {} } }), route => { route.config = { ...route.config, accounts: { roles: ['admin'] } } }, BESIDE, null],
  ['public by a hook', () => ({ config: { accounts: {} } }), route => { route.config = { ...route.config, accounts: false } }, BESIDE, null],
  ['a policy whose guard a hook throws away', () => ({ config: { accounts: {} } }), route => { route.onRequest = [] }, LATE, null]
]

t.test('what contradicts itself, or could not be enforced, is refused at start', async t => {
  for (const [what, options, change, none, all] of CONTRADICTIONS) {
    for (const [protect, message] of [['none', none], ['all', all]] as const) {
      const started = start(t, protect, async app => {
        await app.register(async child => {
          child.addHook('onRoute', route => { change(route, app) })
          child.get('/x', { exposeHeadRoute: false, ...options(app) }, handler)
        })
      })
      if (message === null) await t.resolves(started, `${protect}: ${what}`)
      else await t.rejects(started, { code: 'FST_ACCOUNTS_POLICY_INVALID', message }, `${protect}: ${what}`)
    }
  }
})

t.test('a policy that stands beside the config instead of in it is refused, not passed over', async t => {
  for (const protect of PROTECT) {
    await t.rejects(start(t, protect, async app => { app.get('/x', { accounts: { roles: ['admin'] } } as object, handler) }), { code: 'FST_ACCOUNTS_POLICY_INVALID', message: 'Route GET /x: policy stands beside the config: write config: { accounts: … }' }, protect)
  }
})

t.test('routes that a hook gives one config object are refused: the last policy would stand for all of them', async t => {
  const shared = {}
  for (const protect of PROTECT) {
    await t.rejects(start(t, protect, async app => {
      await app.register(async child => {
        child.addHook('onRoute', route => { route.config = Object.assign(shared, route.config) })
        child.post('/admins', { config: { accounts: { roles: ['admin'] } } }, handler)
        child.post('/public', { config: { accounts: false } }, handler)
      })
    }), { code: 'FST_ACCOUNTS_POLICY_INVALID', message: 'Route POST /admins: policy is lost: an onRoute hook has replaced the config of the route' }, protect)
  }
})

t.test('a policy stands beside a composition of @fastify/auth: both must let in', async t => {
  const hasKey = (request: FastifyRequest, _reply: unknown, done: (error?: Error) => void) => {
    done(request.headers['x-key'] === 'right' ? undefined : Object.assign(new TypeError('no key'), { statusCode: 401 }))
  }
  for (const protect of PROTECT) {
    const { app, asUser } = await createProtected(t, {
      accounts: { protect },
      async after (app) {
        await app.register(fastifyAuth)
        app.get('/route', { config: { accounts: {} }, preHandler: app.auth([app.guard({ roles: ['admin'] }), hasKey]) }, handler)
      }
    })
    t.equal((await app.inject({ url: '/route', headers: { 'x-key': 'right' } })).statusCode, 401)
    t.equal(await asUser('GET', '/route'), 401)
    t.equal(await asUser('GET', '/route', ['admin']), 200)
  }
})

t.test('the option protect knows two words', async t => {
  for (const protect of ['some', '', true, null, ['all']]) {
    await t.rejects(start(t, protect as never, () => {}), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: 'Option "protect" must be one of "none", "all"' }, String(protect))
  }
})

t.test('a route that is added again by a plugin, with all that the first one had, is guarded as the first', async t => {
  for (const protect of PROTECT) {
    const { asNobody, asUser } = await createProtected(t, {
      accounts: { protect },
      async before (app) {
        app.addHook('onRoute', function (route) {
          if (route.method === 'HEAD' || !['/admins', '/public'].includes(route.url)) return
          const again = { ...route, url: `/v2${route.url}` }
          // Once the plugin's own hook has seen the first.
          process.nextTick(() => { this.route(again) })
        })
      },
      async after (app) {
        app.get('/admins', { config: { accounts: { roles: ['admin'] } } }, handler)
        app.get('/public', { config: { accounts: false } }, handler)
        await new Promise(resolve => { setImmediate(resolve) })
      }
    })
    t.equal(await asNobody('GET', '/v2/admins'), 401, protect)
    t.equal(await asUser('GET', '/v2/admins'), 403)
    t.equal(await asUser('GET', '/v2/admins', ['admin']), 200)
    t.equal(await asNobody('GET', '/v2/public'), 200)
  }
})

t.test('a policy that the plugin came too late to see is read once, not with every request', async t => {
  let reads = 0
  const policy = { get roles () { reads++; return ['admin'] } }
  const { asUser } = await createProtected(t, { before (app) { app.get('/x', { config: { accounts: policy } }, handler) } })
  for (let request = 0; request < 5; request++) t.equal(await asUser('GET', '/x', ['admin']), 200)
  t.ok(reads <= 3, `read ${reads} times for five requests`)
})
