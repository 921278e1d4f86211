import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp } from './support/app.ts'
import { byPassword, createApiClient, granted, type Grant } from './support/bearer.ts'
import { holdClock, MINUTE, SECOND } from './support/clock.ts'
import { claimsOf } from './support/tokens.ts'

const EMAIL = 'ada@example.com'

t.test('K9 what a policy demands it demands of a bearer client: roles of this moment, a recent password, consent', async t => {
  const clock = holdClock(t)
  const { app } = await createApp(t, { hooks: { authorize: ({ user }) => user.name !== 'Mallory' } }, app => {
    app.get('/admin', { onRequest: app.guard({ roles: ['admin'] }) }, async () => 'in')
    app.get('/fresh', { onRequest: app.guard({ via: 'bearer', fresh: '5m' }) }, async () => 'in')
    app.get('/scoped', { onRequest: app.guard({ scopes: ['reports:read'] }) }, async () => 'in')
    app.get('/checked', { onRequest: app.guard({ check: ({ via }) => via === 'bearer' }) }, async () => 'in')
    app.get('/mine', { onRequest: app.verifyBearer, preHandler: app.authorize(({ user }, request) => user.email === request.headers['x-owner']) }, async () => 'in')
  })
  const { access_token: token } = await granted({ app })
  const { sub: id } = claimsOf(token)
  const api = createApiClient(app, token)
  const status = async (url: string, headers?: Record<string, string>) => (await api.get(url, headers)).statusCode
  t.equal(await status('/admin'), 403)
  await app.accounts.users.update(id, { roles: ['admin'] })
  t.equal(await status('/admin'), 200, 'the token says nothing of roles')
  t.strictSame([await status('/fresh'), await status('/scoped'), await status('/checked')], [200, 200, 200], 'a session is not narrowed')
  t.strictSame([await status('/mine', { 'x-owner': EMAIL }), await status('/mine', { 'x-owner': 'bob@example.com' })], [200, 403])
  t.equal((await app.inject({ method: 'HEAD', url: '/admin', headers: { authorization: `Bearer ${token}` } })).statusCode, 200)
  clock.advance(6 * MINUTE)
  const stale = await api.get('/fresh')
  t.match([stale.statusCode, stale.headers['www-authenticate'], stale.json().code], [401, /insufficient_user_authentication.*max_age=300/, 'FST_ACCOUNTS_FRESH_LOGIN_REQUIRED'])
  t.equal((await createApiClient(app, ((await byPassword(app, EMAIL)).json() as Grant).access_token).get('/fresh')).statusCode, 200)
  await app.accounts.users.update(id, { name: 'Mallory' })
  t.equal(await status('/private'), 403, 'the hook is asked on every request')
})

t.test('K5 the user of a bearer token is looked up in the users store of the host, and whoever is not there is nobody', async t => {
  const storage = await sqliteStorage(':memory:')
  const gone = new Set<string>()
  const users = {
    ...storage.users,
    async find (id: string) {
      const user = await storage.users.find(id)
      return user === null || gone.has(id) ? null : { ...user, plan: 'gold' }
    }
  }
  const { app } = await createApp(t, { storage: { ...storage, users } }, app => { app.get('/who', { onRequest: app.guard({ liveness: 'strict' }) }, async ({ principal }) => principal!.user) })
  const { access_token: token } = await granted({ app })
  const api = createApiClient(app, token)
  t.match((await api.get('/who')).json(), { email: EMAIL, plan: 'gold' })
  gone.add(claimsOf(token).sub)
  t.match(await api.get('/who'), { statusCode: 401, headers: { 'www-authenticate': /invalid_token/ } })
})

t.test('V-02 J-11 while the storage is down a bearer client gets 503, and where stateless is enough goes on', async t => {
  const clock = holdClock(t)
  const { app, storage } = await createApp(t, {}, app => { app.get('/stateless', { onRequest: app.guard({ liveness: 'stateless' }) }, async () => 'in') })
  const { access_token: token } = await granted({ app })
  const api = createApiClient(app, token)
  t.equal((await api.get('/stateless')).statusCode, 200)
  await storage.close!()
  clock.advance(2 * SECOND)
  const answer = await api.get('/private')
  t.match([answer.statusCode, answer.headers['retry-after'], answer.headers['www-authenticate']], [503, /^\d+$/, undefined])
  t.equal((await api.get('/stateless')).statusCode, 200)
})
