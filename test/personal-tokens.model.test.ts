import { deepStrictEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { createApp, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import { DAY, HOUR, MINUTE, SECOND, stopClock, type TestClock } from './support/clock.ts'
import { runs } from './support/runs.ts'

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

const RUNS = runs(150)
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
