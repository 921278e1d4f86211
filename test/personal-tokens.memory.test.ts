import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { sqliteStorage, type SqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createPersonalToken } from '../lib/credentials/personal-token.ts'
import { createHooks } from '../lib/hooks.ts'
import { createChanges } from '../lib/liveness/changes.ts'
import { createSignals } from '../lib/liveness/signals.ts'
import { createQuota } from '../lib/personal-tokens/quota.ts'
import { createUses } from '../lib/personal-tokens/uses.ts'
import { guardStorage } from '../lib/storage.ts'
import { createPersonalTokens } from '../lib/tokens/personal.ts'
import type { Key } from '../lib/tokens/secrets.ts'
import type { NewPersonalToken, Storage } from '../types/index.ts'
import { createApp } from './support/app.ts'
import { DAY, holdClock } from './support/clock.ts'
import { countCalls } from './support/tapped-storage.ts'

const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const DOCUMENTED = 'd2pat_5xVA12xyUbWNedQxy4ohH77WlxRGVvZZ1151814092'
const CAPACITY = 20_000

// More of them is a matter of time alone: TOKENS=1000000 takes a minute.
const TOKENS = Number(process.env.TOKENS ?? 100_000)

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapUsed (): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

const keysOf = (...secrets: readonly Uint8Array[]) => secrets.map(bytes => ({ bytes })) as unknown as Key[]

function addDoors (app: FastifyInstance): void {
  app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
}

async function createCounted (t: Test) {
  const { storage, calls } = countCalls(await sqliteStorage(':memory:'))
  const test = await createApp(t, { storage }, addDoors)
  const { users, personalTokens } = test.app.accounts
  const { id } = await users.create({ email: 'ada@example.com' })
  return {
    ...test,
    id,
    calls,
    mint: async (limits: Partial<NewPersonalToken> = {}) => (await personalTokens.create(id, { name: 'a token', context: 'server', ...limits }))!,
    knock: async (authorization: string, url = '/private') => (await test.app.inject({ url, headers: { authorization } })).statusCode
  }
}

t.test('T-02 what was never a token reaches no storage', async t => {
  const { calls, knock, mint } = await createCounted(t)
  const { token } = await mint()
  const garbage = ['', 'x', 'pat_', `pat_${'0'.repeat(42)}`, token.slice(0, -1), `${token}0`, ` ${token}`, `${token} `, token.toLowerCase(), token.replace('pat', 'tap'), `${token},${token}`, '\0'.repeat(46), 'é'.repeat(42), `${token}\n`, `\n${token}`, 'x'.repeat(16_000)]
  for (let at = 0; at < token.length; at++) garbage.push(token.slice(0, at) + (token[at] === 'x' ? 'y' : 'x') + token.slice(at + 1))
  calls.length = 0
  for (const text of garbage) {
    for (const scheme of ['ApiToken', 'Bearer']) {
      for (const url of ['/private', '/strict', '/auth/me']) t.equal(await knock(`${scheme} ${text}`, url), text === ` ${token}` ? 200 : 401, JSON.stringify(text.slice(0, 60)))
    }
  }
  t.strictSame(calls.filter(verb => verb !== 'personalTokens.findByDigest' && verb !== 'users.find'), [])
  const afterGood = calls.length
  for (const text of garbage.filter(text => !text.startsWith(' '))) await knock(`Bearer ${text}`, '/strict')
  t.equal(calls.length, afterGood)
})

t.test('T-03 a token that was seen costs no storage call, however it is spelled', async t => {
  const { calls, knock, mint } = await createCounted(t)
  const { token } = await mint()
  t.equal(await knock(`ApiToken ${token}`), 200)
  calls.length = 0
  for (let request = 0; request < 100; request++) {
    for (const spelling of ['ApiToken ', 'Bearer ', 'bearer ', 'APITOKEN   ', `Bearer${' '.repeat(1 + request)}`]) t.equal(await knock(spelling + token), 200)
  }
  t.strictSame(calls, [])
  t.equal(await knock(`Bearer ${token}`, '/strict'), 200)
  t.strictSame(calls.splice(0).sort(), ['personalTokens.findByDigest', 'users.find'], 'strict asks')
  t.equal(await knock(`ApiToken ${token}`), 200)
  t.strictSame(calls, [], 'and what it heard is good for others too')
})

t.test('T-03 T-13 nor does one that is refused', async t => {
  const clock = holdClock(t)
  const { app, id, calls, knock, mint } = await createCounted(t)
  const { token: expired } = await mint({ expiresAt: new Date(Date.now() + DAY) })
  const { token: revoked, personalToken } = await mint()
  await app.accounts.personalTokens.revoke(id, personalToken.id)
  const tokens = { expired, revoked, method: (await mint({ allowedMethods: ['POST'] })).token, address: (await mint({ allowedIps: ['203.0.113.7'] })).token, referrer: (await mint({ context: 'browser', allowedReferrers: ['https://app.example.com'] })).token }
  clock.advance(2 * DAY)
  for (const [kind, token] of Object.entries(tokens)) {
    t.equal(await knock(`ApiToken ${token}`), 401, kind)
    calls.length = 0
    for (let request = 0; request < 50; request++) {
      for (const spelling of ['ApiToken ', 'Bearer ', 'bearer  ']) t.equal(await knock(spelling + token), 401)
    }
    t.strictSame(calls, [], kind)
  }
})

/** The credential by itself, with a storage of its own, and no server before it. */
async function createBare (t: Test, capacity = CAPACITY) {
  const inner = await sqliteStorage(':memory:') as SqliteStorage & Required<Pick<Storage, 'personalTokens'>>
  t.teardown(async () => await inner.close())
  const app = Fastify()
  const hooks = createHooks(app.log, {})
  const storage = guardStorage(inner)
  const changes = createChanges({ storage, users: inner.users, feed: inner.feed, capacity })
  const signals = createSignals(changes)
  const uses = createUses(inner.personalTokens)
  t.teardown(() => {
    signals.close()
    changes.close()
  })
  const personalTokens = createPersonalTokens(keysOf(randomBytes(32)), 'pat')
  const credential = createPersonalToken({ storage, personalTokens, changes, signals, uses, takeFromQuota: createQuota(null, capacity), hooks, capacity })
  const user = await inner.users.create({ id: 'a'.repeat(24), email: 'ada@example.com', emailKey: 'ada@example.com', emailVerified: true, username: null, usernameKey: null, name: null, passwordDigest: null, roles: [], createdAt: new Date() })
  if (typeof user === 'string') throw new TypeError(user)
  const reply = {} as FastifyReply
  const request = { method: 'GET', ip: '127.0.0.1', id: 'x', headers: {} as Record<string, string>, raw: { rawHeaders: ['Host', 'localhost'] }, log: app.log, principal: null }
  return {
    inner,
    user,
    personalTokens,
    async knock (authorization: string): Promise<boolean> {
      request.headers = { authorization }
      const given = request as unknown as FastifyRequest
      try {
        credential.isPresent(given)
        return await credential.identify(given, reply, 'checked') !== null
      } catch {
        return false
      }
    },
    async keep (id: string) {
      const { token, digest } = personalTokens.mint()
      const at = new Date()
      await inner.personalTokens.create({ id, userId: user.id, name: 'a token', digest, context: 'server', allowedMethods: null, allowedIps: null, allowedReferrers: null, scopes: null, epoch: user.epoch, createdAt: at, expiresAt: new Date(Date.now() + DAY), lastUsedAt: null, lastUsedAddress: null, noticeAt: null, successorId: null, revokedAt: null }, CAPACITY)
      return token
    }
  }
}

const MIB = 2 ** 20

t.test('V-05 any number of tokens that somebody has made up leaves nothing behind, and pushes out nobody', async t => {
  const { knock, keep, personalTokens, inner } = await createBare(t)
  const token = await keep('known')
  t.ok(await knock(`ApiToken ${token}`))
  let letIn = 0
  const knockWith = async (count: number) => {
    for (let index = 0; index < count; index++) if (await knock(`ApiToken pat_${String(index).padStart(42, 'x')}`)) letIn++
    // Well-formed, so that the store is asked.
    for (let index = 0; index < count / 10; index++) if (await knock(`Bearer ${personalTokens.mint().token}`)) letIn++
  }
  // Until all is compiled.
  await knockWith(20_000)
  const before = heapUsed()
  await knockWith(TOKENS)
  const grown = heapUsed() - before
  t.equal(letIn, 0)
  t.ok(grown < 4 * MIB, `${(grown / MIB).toFixed(2)} MiB more`)
  const { findByDigest } = inner.personalTokens
  Object.assign(inner.personalTokens, { findByDigest: async () => { throw new TypeError('asked') } })
  t.ok(await knock(`ApiToken ${token}`), 'who was known is known still')
  Object.assign(inner.personalTokens, { findByDigest })
})

t.test('V-05 nor does one known token that is spelled in thousands of ways', async t => {
  const { knock, keep } = await createBare(t)
  const token = await keep('known')
  const neighbour = await keep('neighbour')
  t.ok(await knock(`ApiToken ${token}`))
  t.ok(await knock(`ApiToken ${neighbour}`))
  const before = heapUsed()
  for (let index = 0; index < 4000; index++) await knock(`bearer${' '.repeat(11_000 + index)}${token}`)
  const grown = heapUsed() - before
  t.ok(grown < 4 * MIB, `${(grown / MIB).toFixed(2)} MiB more`)
})

t.test('V-05 of more known tokens than there is room for the latest are remembered', async t => {
  const capacity = 200
  const { knock, keep, inner } = await createBare(t, capacity)
  const tokens: string[] = []
  for (let index = 0; index < 3 * capacity; index++) tokens.push(await keep(`token${index}`))
  let asked = 0
  const { findByDigest } = inner.personalTokens
  Object.assign(inner.personalTokens, {
    findByDigest: async (digest: string) => {
      asked++
      return await findByDigest(digest)
    }
  })
  const knockAll = async (some: readonly string[]) => {
    asked = 0
    for (const token of some) t.ok(await knock(`ApiToken ${token}`))
    return asked
  }
  t.equal(await knockAll(tokens), tokens.length)
  t.equal(await knockAll(tokens.slice(-capacity)), 0)
  t.equal(await knockAll(tokens.slice(0, capacity)), capacity, 'the others are let in all the same')
})

t.test('T-I14 any number of tokens are as many', t => {
  const { mint } = createPersonalTokens(keysOf(Buffer.alloc(32, 1)), 'pat')
  const seen = new Set<string>()
  let wellFormed = 0
  for (let index = 0; index < TOKENS; index++) {
    const { token } = mint()
    if (/^pat_[0-9A-Za-z]{32}\d{10}$/.test(token)) wellFormed++
    seen.add(token.slice(4, 36))
  }
  t.equal(wellFormed, TOKENS)
  t.equal(seen.size, TOKENS)
  const counts = new Map<string, number>()
  for (const secret of seen) for (const character of secret) counts.set(character, (counts.get(character) ?? 0) + 1)
  const expected = 32 * TOKENS / ALPHANUMERIC.length
  t.equal(counts.size, ALPHANUMERIC.length)
  // 6 standard deviations: no character is likelier than another (256 is no multiple of 62).
  t.ok([...counts.values()].every(count => Math.abs(count - expected) < 6 * Math.sqrt(expected)), 'every character is as likely')
  t.end()
})

t.test('T-01 T-I14 the checksum finds every change of one character, and every swap of two neighbours', t => {
  const { mint, digestsOf } = createPersonalTokens(keysOf(Buffer.alloc(32, 1)), 'pat')
  let [changes, missed] = [0, 0]
  for (let round = 0; round < 100; round++) {
    const { token, digest } = mint()
    t.strictSame(digestsOf(token), [digest])
    for (let at = 0; at < token.length; at++) {
      for (const character of `${ALPHANUMERIC}_-. é`) {
        if (character === token[at]) continue
        changes++
        if (digestsOf(token.slice(0, at) + character + token.slice(at + 1)).length > 0) missed++
      }
      const swapped = token.slice(0, at) + (token[at + 1] ?? '') + token[at] + token.slice(at + 2)
      if (swapped === token) continue
      changes++
      if (digestsOf(swapped).length > 0) missed++
    }
  }
  t.equal(missed, 0)
  t.ok(changes > 250_000, `${changes} changes`)
  t.end()
})

t.test('T-01 the token that the documents of DHIS2 show is read under its prefix, and no other', t => {
  const [key, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  t.equal(createPersonalTokens(keysOf(key), 'd2pat').digestsOf(DOCUMENTED).length, 1)
  t.equal(new Set(createPersonalTokens(keysOf(key, other), 'd2pat').digestsOf(DOCUMENTED)).size, 2, 'one digest for each secret')
  for (const prefix of ['pat', 'd2', 'd2pat_', 'D2PAT', 'd2patx']) t.strictSame(createPersonalTokens(keysOf(key), prefix).digestsOf(DOCUMENTED), [], prefix)
  t.end()
})
