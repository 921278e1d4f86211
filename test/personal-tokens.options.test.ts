import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import Fastify from 'fastify'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import accounts from '../lib/index.ts'
import type { AccountsOptions } from '../types/index.ts'
import { createApp, openStorage } from './support/app.ts'
import { createPeopleApp } from './support/people.ts'
import { makeToken, statusOf, useToken } from './support/tokens-of.ts'

t.test('what makes no sense is refused at start, by name', async t => {
  const { personalTokens: _, ...without } = await sqliteStorage(':memory:')
  const refusals: Array<readonly [Partial<AccountsOptions>, string]> = [
    [{ personalTokens: true as never }, 'personalTokens'],
    [{ personalTokens: { prefx: 'x' } as never }, 'personalTokens.prefx'],
    ...['x', '', 'a b', 'é', '1abc', 'pat_', 'x'.repeat(33), 7, null].map(prefix => [{ personalTokens: { prefix: prefix as string } }, 'personalTokens.prefix'] as const),
    [{ personalTokens: { maxTtl: 'long' } }, 'personalTokens.maxTtl'],
    [{ personalTokens: { defaultTtl: '2d', maxTtl: '1d' } }, 'personalTokens.defaultTtl'],
    [{ personalTokens: { maxPerUser: 0 } }, 'personalTokens.maxPerUser'],
    [{ personalTokens: { rateLimit: true as never } }, 'personalTokens.rateLimit'],
    [{ personalTokens: { rateLimit: {} as never } }, 'personalTokens.rateLimit.max'],
    [{ personalTokens: { rateLimit: { max: 1, window: 'x' } } }, 'personalTokens.rateLimit.window'],
    [{ personalTokens: { scopes: [] } }, 'personalTokens.scopes'],
    [{ personalTokens: { scopes: ['a b'] } }, 'personalTokens.scopes'],
    [{ personalTokens: {}, storage: without }, 'storage.personalTokens'],
    [{ passwords: { revokeTokens: 'sometimes' as never } }, 'passwords.revokeTokens'],
    [{ hooks: { personalTokenCreated: 'x' as never } }, 'hooks.personalTokenCreated']
  ]
  for (const [options, name] of refusals) {
    const app = Fastify()
    const given = { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:'), ...options }
    await t.rejects(async () => await app.register(accounts, given), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: `Option "${name}" ` }, `${name} ${JSON.stringify(options.personalTokens)}`)
    await app.close().catch(() => {})
  }
})

t.test('D7 switched off there are no routes, no services, and a token is not looked at', async t => {
  const { personalTokens: _, ...without } = await sqliteStorage(':memory:')
  for (const options of [{ personalTokens: false }, { storage: without }] as const) {
    const { app, signedUp } = await createApp(t, options)
    const browser = await signedUp()
    t.equal((await browser.get('/auth/tokens')).statusCode, 404)
    await t.rejects(app.accounts.personalTokens.list('x'), { code: 'FST_ACCOUNTS_PERSONAL_TOKENS_OFF', statusCode: 501 })
    await t.rejects(app.accounts.personalTokens.create('x', { name: 'x', context: 'server' }), { code: 'FST_ACCOUNTS_PERSONAL_TOKENS_OFF' })
    const token = `pat_${'x'.repeat(42)}`
    t.match((await useToken(app, token)).json(), { code: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED' })
    t.equal((await browser.get('/private', { authorization: `Bearer ${token}` })).statusCode, 200)
    t.throws(() => app.verifyPersonalToken, { code: 'FST_ACCOUNTS_PERSONAL_TOKENS_OFF' }, 'undefined it would leave the route open')
  }
})

t.test('D7 switching them off revokes nothing', async t => {
  const storage = await openStorage(t)
  const given = { storage: { ...storage, close: async () => {} }, secret: randomBytes(32) }
  const { person } = await createPeopleApp(t, given)
  const { token } = await makeToken((await person()).browser)
  const off = await createPeopleApp(t, { ...given, personalTokens: false })
  t.equal(await statusOf(off.app, token), 401)
  const on = await createPeopleApp(t, given)
  t.equal(await statusOf(on.app, token), 200)
})

t.test('a prefix of the host\'s own, and secrets that change: the first makes, all verify', async t => {
  const storage = await openStorage(t)
  const keep = { ...storage, close: async () => {} }
  const [old, young] = [randomBytes(32), randomBytes(32)]
  const before = await createPeopleApp(t, { storage: keep, secret: old, personalTokens: { prefix: 'd2pat' } })
  const { id, browser } = await before.person()
  const { token } = await makeToken(browser)
  t.match(token, /^d2pat_/)
  const between = await createPeopleApp(t, { storage: keep, secret: [young, old], personalTokens: { prefix: 'd2pat' } })
  t.equal(await statusOf(between.app, token), 200)
  const second = await makeToken(await between.signIn(id))
  const after = await createPeopleApp(t, { storage: keep, secret: young, personalTokens: { prefix: 'd2pat' } })
  t.strictSame([await statusOf(after.app, token), await statusOf(after.app, second.token)], [401, 200])
  const other = await createPeopleApp(t, { storage, secret: young })
  t.equal(await statusOf(other.app, second.token), 401)
})

t.test('D8 trustProxy: true is warned of at start, and addresses of proxies are not', async t => {
  for (const [trustProxy, expected] of [[true, 1], ['127.0.0.1', 0], [false, 0]] as const) {
    const lines: string[] = []
    const stream = new Writable({ write (line, _encoding, done) { lines.push(String(line)); done() } })
    for (const inChild of [false, true]) {
      const app = Fastify({ trustProxy, logger: { level: 'warn', stream } })
      const options = { appUrl: 'http://localhost:3000', secret: randomBytes(32), storage: await sqliteStorage(':memory:') }
      await (inChild ? app.register(async child => { await child.register(accounts, options) }) : app.register(accounts, options))
      await app.close()
    }
    t.equal(lines.filter(line => line.includes('trustProxy is true')).length, 2 * expected, String(trustProxy))
  }
})
