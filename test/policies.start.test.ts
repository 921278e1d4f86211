import { randomBytes } from 'node:crypto'
import fastifyAuth from '@fastify/auth'
import Fastify, { type FastifyInstance, type RouteShorthandOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts from '../lib/index.ts'
import type { Policy } from '../types/index.ts'
import { CHEAP_COSTS } from './support/counting-hasher.ts'

async function createServer (t: Test): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(accounts, { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), passwords: { argon2: CHEAP_COSTS } })
  t.teardown(async () => { await app.close() })
  return app
}

const handler = async () => ({ reached: true })

/** What somebody writes who forgets to call the maker; the types refuse it, JavaScript does not. */
const uncalled = (options: Record<string, unknown>) => options as RouteShorthandOptions

const MISTAKES: ReadonlyArray<readonly [string, 'guard' | 'authorize', (app: FastifyInstance) => Record<string, unknown>]> = [
  ['as onRequest', 'guard', app => ({ onRequest: app.guard })],
  ['in an array', 'guard', app => ({ onRequest: [app.authenticate, app.guard] })],
  ['as preHandler', 'guard', app => ({ preHandler: app.guard })],
  ['as preValidation', 'guard', app => ({ preValidation: [app.guard] })],
  ['as preParsing', 'guard', app => ({ preParsing: app.guard })],
  ['as preHandler', 'authorize', app => ({ preHandler: app.authorize })],
  ['in an array', 'authorize', app => ({ onRequest: app.authenticate, preHandler: [app.authorize] })],
  ['as onRequest', 'authorize', app => ({ onRequest: app.authorize })]
]

t.test('a guard or authorize that is used without calling it is refused at start, by name', async t => {
  for (const [where, name, options] of MISTAKES) {
    const app = await createServer(t)
    t.throws(() => app.get('/route', uncalled(options(app)), handler), { code: 'FST_ACCOUNTS_GUARD_UNCALLED', message: `Route "/route" uses app.${name} itself as a hook: call it, it makes the hook` }, `${name} ${where}`)
    t.throws(() => app.route({ method: ['POST', 'PUT'], url: '/route', handler, ...uncalled(options(app)) }), { code: 'FST_ACCOUNTS_GUARD_UNCALLED' })
  }
})

t.test('likewise in a child plugin, with the path that the route has there', async t => {
  for (const [where, name, options] of MISTAKES) {
    const app = await createServer(t)
    const started = (async () => {
      await app.register(async child => {
        await child.register(async grandchild => { grandchild.get('/route', uncalled(options(grandchild)), handler) }, { prefix: '/inner' })
      }, { prefix: '/outer' })
      await app.ready()
    })()
    await t.rejects(started, { code: 'FST_ACCOUNTS_GUARD_UNCALLED', message: new RegExp(`"/outer/inner/route" uses app\\.${name}`) }, `${name} ${where}`)
  }
})

t.test('and where start can\'t see it, as a hook of a whole scope or in a composition, the route stays shut and does not hang', async t => {
  const app = await createServer(t)
  await app.register(fastifyAuth)
  const asHook = app.guard as unknown as Parameters<typeof app.auth>[0][number]
  await app.register(async scope => {
    scope.addHook('onRequest', asHook as unknown as typeof app.authenticate)
    scope.get('/hooked', handler)
  })
  await app.register(async scope => {
    scope.addHook('preHandler', app.authorize as unknown as ReturnType<typeof app.authorize>)
    scope.get('/authorized', handler)
  })
  app.get('/composed', { onRequest: app.auth([asHook]) }, handler)
  for (const url of ['/hooked', '/authorized', '/composed']) {
    const { statusCode, body } = await app.inject({ url, signal: AbortSignal.timeout(5000) })
    t.equal(statusCode, 500, url)
    t.notMatch(body, 'reached')
  }
})

const REFUSED: ReadonlyArray<readonly [string, unknown, RegExp]> = [
  ['null', null, /must be an object/],
  ['text', 'cookie', /must be an object/],
  ['a list', ['cookie'], /must be an object/],
  ['a function', () => true, /must be an object/],
  ['an unknown member', { role: ['admin'] }, /unknown member "role"/],
  ['scopes as text', { scopes: 'read' }, /"scopes"/],
  ['an empty scope', { scopes: [''] }, /"scopes"/],
  ['scopes: null', { scopes: null }, /"scopes"/],
  ['fresh of a token', { via: 'personal-token', fresh: '5m' }, /"fresh" of a personal token/],
  ['an unknown kind', { via: 'session' }, /"via" names "session"/],
  ['a kind that is not enabled', { via: 'basic' }, /"via" names "basic", which is not enabled \(enabled: .*cookie/],
  ['one enabled, one not', { via: ['cookie', 'basic'] }, /"via" names "basic"/],
  ['no kind', { via: [] }, /"via"/],
  ['an empty kind', { via: '' }, /"via"/],
  ['a kind of another type', { via: [7] }, /"via"/],
  ['via: null', { via: null }, /"via"/],
  ['optional as text', { optional: 'yes' }, /"optional"/],
  ['roles as text', { roles: 'admin' }, /"roles"/],
  ['no roles', { roles: [] }, /"roles"/],
  ['an empty role', { roles: [''] }, /"roles"/],
  ['roles: null', { roles: null }, /"roles"/],
  ['check as text', { check: 'isAdmin' }, /"check"/],
  ['check: null', { check: null }, /"check"/],
  ['an unknown liveness', { liveness: 'fast' }, /"liveness"/],
  ['stateless and roles', { liveness: 'stateless', roles: ['admin'] }, /stateless/],
  ['stateless and fresh', { liveness: 'stateless', fresh: '5m' }, /stateless/],
  ['optional and roles', { optional: true, roles: ['admin'] }, /optional/],
  ['optional and fresh', { optional: true, fresh: '5m' }, /optional/]
]

t.test('a policy that is unknown, contradictory or asks for what is not enabled is refused when its guard is made', async t => {
  const app = await createServer(t)
  for (const [what, policy, message] of REFUSED) {
    t.throws(() => app.guard(policy as Policy), { code: 'FST_ACCOUNTS_POLICY_INVALID', message }, what)
  }
  for (const check of [undefined, null, true, 'isAdmin', { check: () => true }]) {
    t.throws(() => app.authorize(check as never), { code: 'FST_ACCOUNTS_POLICY_INVALID' })
  }
})

t.test('a policy\'s fresh that is no duration is refused as a policy, too', async t => {
  const app = await createServer(t)
  for (const fresh of ['soon', '', 0, -1, '0m', NaN, Infinity, true, [5]]) {
    t.throws(() => app.guard({ fresh } as Policy), { code: 'FST_ACCOUNTS_POLICY_INVALID', message: /fresh/ }, String(fresh))
  }
})

t.test('fresh: null is not "any age"', async t => {
  const app = await createServer(t)
  t.throws(() => app.guard({ fresh: null } as unknown as Policy), { message: /fresh/ })
})

t.test('fresh asks the store, so it can\'t be had with a liveness that does not', async t => {
  const app = await createServer(t)
  t.throws(() => app.guard({ fresh: '5m', liveness: 'checked' }), { code: 'FST_ACCOUNTS_POLICY_INVALID' })
  t.doesNotThrow(() => app.guard({ fresh: '5m', liveness: 'strict' }))
})

t.test('a policy is read when its guard is made: changing it afterwards opens nothing', async t => {
  const app = await createServer(t)
  const policy = { via: ['cookie'] as ['cookie'], roles: ['admin'], optional: false }
  app.get('/route', { onRequest: app.guard(policy) }, async request => ({ roles: request.principal?.user.roles ?? null }))
  policy.optional = true
  policy.roles.push('user')
  t.equal((await app.inject('/route')).statusCode, 401)
  const { user, accessToken } = (await app.accounts.register({ email: 'ada@example.com', password: 'violet harbor 92 lantern' }))!
  await app.accounts.users.update(user.id, { roles: ['user'] })
  t.equal((await app.inject({ url: '/route', cookies: { accounts_access: accessToken } })).statusCode, 403)
})
