import { deepStrictEqual } from 'node:assert'
import { once } from 'node:events'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { postgresStorage, sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { Storage } from '../types/index.ts'
import { createApp, databaseFile, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import { DAY, holdClock, HOUR, MINUTE, SECOND, type TestClock } from './support/clock.ts'
import { databaseUrl, schemaName } from './support/postgres.ts'
import { startWorker } from './support/processes.ts'
import type { StorageAddress } from './workers/open-storage.js'

/** What one process has acknowledged is refused by every other after this time. */
const BOUND_MS = 1000

interface Place { readonly storage: Storage, readonly address: StorageAddress }

const PLACES: Readonly<Record<string, (t: Test) => Promise<Place>>> = {
  'one SQLite file': async t => {
    const file = databaseFile(t)
    return { storage: await sqliteStorage(file), address: { file } }
  },
  PostgreSQL: async t => {
    const [url, schema] = [databaseUrl(), schemaName(t)]
    return { storage: await postgresStorage(url, { schema }), address: { url, schema } }
  }
}

function describe (times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  return `median ${sorted[Math.floor(sorted.length / 2)]} ms, largest ${sorted.at(-1)} ms of ${sorted.length}`
}

async function owned ({ app }: Pick<TestApp, 'app'>, index: number) {
  const { id } = await app.accounts.users.create({ email: `person${index}@example.com` })
  const { token, personalToken } = (await app.accounts.personalTokens.create(id, { name: 'a token', context: 'server' }))!
  return { id, tokenId: personalToken.id, authorization: `ApiToken ${token}` }
}

/** Each acknowledges before it returns. */
const ENDS: ReadonlyArray<readonly [title: string, end: (app: TestApp['app'], id: string, tokenId: string) => Promise<unknown>]> = [
  ['revoked', async ({ accounts }, id, tokenId) => await accounts.personalTokens.revoke(id, tokenId)],
  ['narrowed to other methods', async ({ accounts }, id, tokenId) => await accounts.personalTokens.update(id, tokenId, { allowedMethods: ['POST'] })],
  ['narrowed to other addresses', async ({ accounts }, id, tokenId) => await accounts.personalTokens.update(id, tokenId, { allowedIps: ['203.0.113.7'] })],
  ['rotated', async ({ accounts }, id, tokenId) => await accounts.personalTokens.rotate(id, tokenId)],
  ['owner disabled', async ({ accounts }, id) => await accounts.users.update(id, { disabled: true })],
  ['owner deleted', async ({ accounts }, id) => await accounts.users.delete(id)]
]

for (const [place, open] of Object.entries(PLACES)) {
  t.test(`T-03 T-09 what one process has ended no other lets in for longer than a second, and the signal of its streams aborts, on ${place}`, async t => {
    const { storage, address } = await open(t)
    const test = await createApp(t, { storage })
    const workers = await Promise.all([0, 1].map(async () => await startWorker(t, 'liveness-worker', address, test.secret)))
    const times: number[] = []
    for (let round = 0; round < 2 * ENDS.length; round++) {
      const [title, end] = ENDS[round % ENDS.length]!
      const { id, tokenId, authorization } = await owned(test, round)
      const letIn = workers.map(async worker => await new Promise<void>(resolve => worker.on('let in', resolve)))
      const knocking = workers.map(async worker => await worker.ask<{ lastIn: number, refused: boolean }>('untilRefused', { authorization, limit: 3 * BOUND_MS }))
      await Promise.all(letIn)
      await new Promise(resolve => setTimeout(resolve, Math.random() * 30))
      await end(test.app, id, tokenId)
      const acknowledgedAt = Date.now()
      t.equal((await test.app.inject({ url: '/private', headers: { authorization } })).statusCode, 401, `${title}: here at once`)
      for (const { lastIn, refused } of await Promise.all(knocking)) {
        t.ok(refused, title)
        times.push(Math.max(0, lastIn - acknowledgedAt))
      }
      for (const worker of workers) t.equal(await worker.ask('knock', { url: '/private', authorization }), 401, `${title}: and it stays shut`)
    }
    t.ok(times.every(ms => ms <= BOUND_MS))
    t.comment(`let in after the acknowledgement: ${describe(times)}`)

    const silences: number[] = []
    for (const [round, [title, end]] of ENDS.filter(([title]) => !title.startsWith('narrowed')).entries()) {
      const { id, tokenId, authorization } = await owned(test, 1000 + round)
      const aborted = workers.map(async worker => await new Promise<number>(resolve => worker.on('aborted', ({ at }: { at: number }) => resolve(at))))
      for (const worker of workers) t.equal(await worker.ask('knock', { url: '/watch', authorization }), 200, title)
      await new Promise(resolve => setTimeout(resolve, Math.random() * 100))
      await end(test.app, id, tokenId)
      const acknowledgedAt = Date.now()
      for (const at of await Promise.all(aborted)) silences.push(Math.max(0, at - acknowledgedAt))
    }
    t.ok(silences.every(ms => ms <= BOUND_MS))
    t.comment(`until the signal aborted: ${describe(silences)}`)
  })
}

t.test('T-12 a stream ends when its token does, also if that was brought forward or put off meanwhile', async t => {
  const clock = holdClock(t)
  const signals: AbortSignal[] = []
  const test = await createApp(t, {}, app => {
    app.get('/watch', { onRequest: app.authenticate }, async ({ principal }) => {
      signals.push(principal!.signal)
      return 'watched'
    })
  })
  const { personalTokens } = test.app.accounts
  const changes: ReadonlyArray<readonly [title: string, change: (id: string, tokenId: string) => Promise<unknown>, endsAfter: number]> = [
    ['as it was', async () => {}, 30 * DAY],
    ['shortened', async (id, tokenId) => await personalTokens.update(id, tokenId, { expiresAt: new Date(Date.now() + HOUR) }), HOUR],
    ['rotated with an overlap', async (id, tokenId) => await personalTokens.rotate(id, tokenId, { overlap: '1h' }), HOUR],
    ['prolonged', async (id, tokenId) => await personalTokens.update(id, tokenId, { expiresAt: new Date(Date.now() + 60 * DAY) }), 60 * DAY]
  ]
  for (const [index, [title, change, endsAfter]] of changes.entries()) {
    const { id, tokenId, authorization } = await owned(test, index)
    await test.app.inject({ url: '/watch', headers: { authorization } })
    const signal = signals.at(-1)!
    const began = Date.now()
    await change(id, tokenId)
    const settle = async () => await new Promise(resolve => setTimeout(resolve, 250))
    await settle()
    clock.advance(endsAfter - MINUTE - (Date.now() - began))
    await settle()
    t.notOk(signal.aborted, `${title}: not a minute before`)
    if (!signal.aborted) {
      clock.advance(2 * MINUTE)
      await Promise.race([once(signal, 'abort'), settle()])
    }
    t.ok(signal.aborted, `${title}: but then`)
  }
})

// The model: what a token may do, told by rules of its own.
interface ModelToken { readonly id: string, readonly authorization: string, methods: readonly string[] | null, readonly createdAt: number, expiresAt: number, isRevoked: boolean, isReplaced: boolean }
interface Model { readonly userId: string, password: string, isDisabled: boolean, readonly tokens: ModelToken[], readonly tally: Record<string, number> }
interface Real { readonly test: TestApp, readonly clock: TestClock }
type Command = fc.AsyncCommand<Model, Real>

const isLive = ({ isDisabled }: Model, { isRevoked, expiresAt }: ModelToken) => !isDisabled && !isRevoked && Date.now() < expiresAt
const allows = ({ methods }: ModelToken, method: string) => methods === null || methods.includes(method) || (method === 'HEAD' && methods.includes('GET'))
const count = ({ tally }: Model, name: string) => { tally[name] = (tally[name] ?? 0) + 1 }

const command = (title: string, run: (model: Model, real: Real) => Promise<void>): Command => ({
  check: () => true,
  toString: () => title,
  async run (model, real) {
    await run(model, real)
    // Whatever was done is true at once, of all that there are.
    for (const [index] of model.tokens.entries()) await look(model, real, index, 'GET')
  }
})

/** First from memory: who asks the store refreshes it. */
async function look (model: Model, { test }: Real, index: number, method: 'GET' | 'HEAD' | 'POST'): Promise<void> {
  const token = model.tokens[index]!
  const expected = isLive(model, token) && allows(token, method) ? 200 : 401
  const knock = async (url: string) => (await test.app.inject({ method, url, headers: { authorization: token.authorization } })).statusCode
  deepStrictEqual([await knock('/checked'), await knock('/strict')], [expected, expected], `${method} with token ${index}`)
  count(model, String(expected))
}

const onToken = (title: string, index: number, run: (model: Model, real: Real, token: ModelToken) => Promise<void>) => command(`${title}(${index})`, async (model, real) => {
  const token = model.tokens[index % (model.tokens.length || 1)]
  if (token === undefined) return
  count(model, title)
  await run(model, real, token)
})

const anyToken = fc.nat(7)
const METHODS = ['GET', 'HEAD', 'POST'] as const
const kept = (token: ModelToken | undefined, authorization: string, { id, createdAt, expiresAt }: { id: string, createdAt: Date, expiresAt: Date }): ModelToken => ({ id, authorization, methods: token?.methods ?? null, createdAt: createdAt.getTime(), expiresAt: expiresAt.getTime(), isRevoked: false, isReplaced: false })

const COMMANDS: Array<fc.Arbitrary<Command>> = [
  fc.constantFrom(null, ['GET'], ['POST']).map(methods => command(`create(${String(methods)})`, async (model, { test }) => {
    if (model.tokens.length > 5) return
    const made = await test.app.accounts.personalTokens.create(model.userId, { name: 'a token', context: 'server', allowedMethods: methods, expiresAt: new Date(Date.now() + 3 * DAY) })
    deepStrictEqual(made === null, model.isDisabled, 'who is disabled makes none')
    if (made !== null) model.tokens.push({ ...kept(undefined, `ApiToken ${made.token}`, made.personalToken), methods })
  })),
  fc.tuple(anyToken, fc.constantFrom(...METHODS)).map(([index, method]) => onToken('use', index, async (model, real, token) => await look(model, real, model.tokens.indexOf(token), method))),
  fc.tuple(anyToken, fc.constantFrom(null, ['GET'], ['POST'], ['HEAD'])).map(([index, methods]) => onToken(methods === null ? 'widen' : 'narrow', index, async (model, { test }, token) => {
    const changed = await test.app.accounts.personalTokens.update(model.userId, token.id, { allowedMethods: methods })
    deepStrictEqual(changed !== null, isLive(model, token), 'only a live token is changed')
    if (changed !== null) token.methods = methods
  })),
  fc.tuple(anyToken, fc.constantFrom(SECOND, HOUR, 5 * DAY)).map(([index, life]) => onToken('move the end', index, async (model, { test }, token) => {
    const expiresAt = new Date(Date.now() + life)
    const changed = await test.app.accounts.personalTokens.update(model.userId, token.id, { expiresAt })
    deepStrictEqual(changed !== null, isLive(model, token))
    if (changed !== null) token.expiresAt = expiresAt.getTime()
  })),
  anyToken.map(index => onToken('revoke', index, async (model, { test }, token) => {
    deepStrictEqual(await test.app.accounts.personalTokens.revoke(model.userId, token.id), !token.isRevoked)
    token.isRevoked = true
  })),
  fc.tuple(anyToken, fc.constantFrom(undefined, '1h', '100d')).map(([index, overlap]) => onToken('rotate', index, async (model, { test }, token) => {
    if (model.tokens.length > 7) return
    const at = Date.now()
    const made = await test.app.accounts.personalTokens.rotate(model.userId, token.id, overlap === undefined ? {} : { overlap })
    deepStrictEqual(made !== null, isLive(model, token) && !token.isReplaced, 'only a live token is replaced, and that once')
    if (made === null) return
    const overlapMs = overlap === undefined ? 0 : overlap === '1h' ? HOUR : 100 * DAY
    token.expiresAt = Math.min(token.expiresAt, at + overlapMs)
    token.isReplaced = true
    model.tokens.push(kept(token, `Bearer ${made.token}`, made.personalToken))
  })),
  fc.constantFrom(true, false).map(disabled => command(disabled ? 'disable' : 'enable', async (model, { test }) => {
    await test.app.accounts.users.update(model.userId, { disabled })
    model.isDisabled = disabled
    if (disabled) for (const token of model.tokens) token.isRevoked = true
    count(model, disabled ? 'disable' : 'enable')
  })),
  fc.constant(command('change the password', async (model, { test }) => {
    if (model.isDisabled) return
    const newPassword = model.password === PASSWORD ? OTHER_PASSWORD : PASSWORD
    await test.app.accounts.passwords.change(model.userId, { currentPassword: model.password, newPassword })
    model.password = newPassword
    count(model, 'change the password')
  })),
  fc.constant(command('set the password', async (model, { test }) => {
    await test.app.accounts.passwords.set(model.userId, model.password)
    for (const token of model.tokens) token.isRevoked = true
    count(model, 'set the password')
  })),
  fc.constantFrom(SECOND, 59 * MINUTE, HOUR, DAY).map(time => command(`advance(${time})`, async (_model, { clock }) => clock.advance(time)))
]
/** What costs two hashes comes seldom, and so does what ends everything. */
const WEIGHTS = [16, 8, 12, 6, 6, 12, 3, 1, 1, 8]

const RUNS = Number(process.env.FC_RUNS ?? 300)
const SEED = Number(process.env.FC_SEED ?? 20_260_721)

t.test('T-I1 T-I11 memory and store decide alike, as a model of their own says, whatever comes in whatever order', { timeout: 3_600_000 }, async t => {
  const stopped = stopClock(t)
  const test = await createApp(t, { throttle: false, passwords: { blocklist: false } }, app => {
    const handler = async () => 'in'
    app.route({ method: ['GET', 'POST'], url: '/checked', onRequest: app.authenticate, handler })
    app.route({ method: ['GET', 'POST'], url: '/strict', onRequest: app.guard({ liveness: 'strict' }), handler })
  })
  const { passwordDigest } = await digestOf(test)
  const tally: Record<string, number> = {}
  let users = 0
  const commands = fc.commands([fc.oneof(...COMMANDS.map((arbitrary, index) => ({ arbitrary, weight: WEIGHTS[index]! })))], { maxCommands: 12, size: 'max' })
  const property = fc.asyncProperty(commands, async given => {
    const { id } = await test.app.accounts.users.create({ email: `person${++users}@example.com` })
    await test.storage.users.changePassword(id, 0, passwordDigest)
    const model: Model = { userId: id, password: PASSWORD, isDisabled: false, tokens: [], tally }
    await fc.asyncModelRun(() => ({ model, real: { test, clock: stopped } }), given)
  })
  const details = await fc.check(property, { numRuns: RUNS, seed: SEED, ...(process.env.FC_PATH === undefined ? {} : { path: process.env.FC_PATH }) })
  t.equal(details.failed ? `${fc.defaultReportMessage(details) ?? ''}\n${String((details.errorInstance as Error | null)?.stack)}` : '', '', `${details.numRuns} runs of seed ${details.seed}`)
  t.comment(tally)
  for (const name of ['200', '401', 'use', 'narrow', 'widen', 'move the end', 'revoke', 'rotate', 'disable', 'enable', 'change the password', 'set the password']) t.ok((tally[name] ?? 0) >= RUNS / 20, `there was enough of ${name}`)
})

/** A password is hashed once for all of them. */
async function digestOf ({ app, storage }: TestApp): Promise<{ passwordDigest: string }> {
  const { id } = await app.accounts.users.create({ email: 'sample@example.com', password: PASSWORD })
  return { passwordDigest: (await storage.users.find(id))!.passwordDigest! }
}

/** A time of day that moves only when it is told to, as a boundary is met to the millisecond. */
function stopClock (t: Test): TestClock {
  const { now } = Date
  let time = now()
  Date.now = () => time
  t.teardown(() => { Date.now = now })
  const advance = (milliseconds: number) => { time += milliseconds }
  return { advance, jump: advance }
}
