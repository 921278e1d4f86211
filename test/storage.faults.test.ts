import { AsyncLocalStorage } from 'node:async_hooks'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR } from './support/clock.ts'
import { tapStorage } from './support/tapped-storage.ts'
import type { Change, RevocationFeed } from '../types/index.ts'
import { accessOf } from './support/tokens.ts'

/** A call has a second, a transaction two; and a client that waits has this much more patience. */
const DEADLINE_MS = 1000
const PATIENCE_MS = 400

type Fault = (call: () => Promise<unknown>) => Promise<unknown>

/** What goes wrong in the request that runs in it: one call, by its number, or every call of one verb. */
interface Plan { readonly at: number | string, readonly fault: Fault, readonly verbs: string[], since?: number }

const plans = new AsyncLocalStorage<Plan>()
const realTime = performance.now.bind(performance)
const reject = (thrown: unknown): Fault => async () => { throw thrown }
const none: Fault = async call => await call()

/** Failures after which the state is looked at. */
const FAILURES: Readonly<Record<string, Fault>> = {
  rejects: reject(new TypeError('connection reset')),
  'rejects after it has done it': async call => {
    await call()
    throw new TypeError('the reply was lost')
  }
}

const SILENCES: Readonly<Record<string, Fault>> = {
  'never answers': async () => await new Promise(() => {}),
  'answers too late': async call => {
    await new Promise(resolve => setTimeout(resolve, 2 * DEADLINE_MS + PATIENCE_MS))
    return await call()
  }
}

/** What else an adapter may do instead of answering. */
const LIES: Readonly<Record<string, Fault>> = {
  ...Object.fromEntries(Object.entries({ undefined, '{}': {}, true: true, 'an error as a value': { message: 'not found' }, 'a text': 'null', 'a number': 1, 'a list of nothing': [undefined] }).map(([kind, value]) => [`answers ${kind}`, async () => value])),
  'rejects with null': reject(null),
  'rejects with a text': reject('gone'),
  'rejects with what looks like success': reject(Object.assign(new TypeError('fine'), { statusCode: 200 })),
  'rejects with what looks like a refusal': reject(Object.assign(new TypeError('who?'), { statusCode: 401 }))
}

/** Lies that can't be told from the truth: verbs that answer nothing, or whether they did something. */
const isCredible = (verb: string, kind: string) =>
  (/(sessions\.(create|touch)|throttles\.reset|personalTokens\.carryOver|(oneTimeTokens|outbox|hostSessions)\.deleteForUser)$/.test(verb) && kind.startsWith('answers')) || (/\.(revoke|delete)$/.test(verb) && kind === 'answers true')

interface Flow {
  readonly title: string
  /** Made ready, without faults. */
  prepare (test: TestApp, name: string): Promise<Client>
  act (browser: Client, name: string): Promise<LightMyRequestResponse>
  readonly success: number
  /** With an access token that has expired. */
  readonly expired?: boolean
}

const signedUp = async (test: TestApp, name: string) => await test.signedUp(`${name}@example.com`)

const FLOWS: readonly Flow[] = [
  { title: 'sign-up', prepare: async ({ client }) => client(), act: async (browser, name) => await browser.post('/auth/register', { email: `${name}@example.com`, password: PASSWORD }), success: 201 },
  { title: 'login', prepare: signedUp, act: async (browser, name) => await browser.post('/auth/login', { email: `${name}@example.com`, password: PASSWORD }), success: 200 },
  { title: 'a guard', prepare: signedUp, act: async browser => await browser.get('/strict'), success: 200 },
  { title: 'the first look of a guard', prepare: signedUp, act: async browser => await browser.get('/private'), success: 200 },
  { title: 'a renewal on the way', prepare: signedUp, act: async browser => await browser.get('/private'), success: 200, expired: true },
  { title: 'a trade', prepare: signedUp, act: async browser => await browser.post('/auth/refresh'), success: 200, expired: true },
  { title: 'logout', prepare: signedUp, act: async browser => await browser.post('/auth/logout'), success: 204 },
  { title: 'the list of sessions', prepare: signedUp, act: async browser => await browser.get('/auth/sessions'), success: 200 },
  { title: 'ending the others', prepare: signedUp, act: async browser => await browser.request('DELETE', '/auth/sessions'), success: 204 },
  { title: 'ending one', prepare: signedUp, act: async browser => await browser.request('DELETE', `/auth/sessions/${accessOf(browser).sid}`), success: 204 },
  { title: 'a new name', prepare: signedUp, act: async browser => await browser.request('PATCH', '/auth/me', { name: 'Countess' }), success: 200 },
  { title: 'a new password', prepare: signedUp, act: async browser => await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }), success: 204 },
  { title: 'deletion', prepare: signedUp, act: async browser => await browser.request('DELETE', '/auth/me', { password: PASSWORD }), success: 204 }
]

async function createFaulty (t: Test): Promise<TestApp & { forget: () => void }> {
  const inner = await sqliteStorage(':memory:')
  const listeners = new Set<(change: Change) => void>()
  const feed: RevocationFeed = {
    ...inner.feed!,
    subscribe (listener) {
      listeners.add(listener)
      return inner.feed!.subscribe(listener)
    }
  }
  const storage = tapStorage({ ...inner, feed }, async (verb, _args, call) => {
    const plan = plans.getStore()
    if (plan === undefined) return await call()
    plan.verbs.push(verb)
    if (plan.at !== verb && plan.at !== plan.verbs.length - 1) return await call()
    plan.since = realTime()
    return await plan.fault(call)
  })
  const test = await createApp(t, { storage, passwords: { maxQueue: 10_000 }, throttle: { free: 100 } }, app => {
    app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
  })
  return {
    ...test,
    /** Believe nothing that was read before, so that each request makes all of its calls. */
    forget () {
      for (const listener of listeners) listener({ kind: 'gap' })
    }
  }
}

let names = 0
const nextName = () => `somebody${++names}`

/** Send the flow's request, with a fault in its storage call number `at`, or in every call of that name. */
async function run ({ act }: Flow, browser: Client, name: string, at: number | string = -1, fault = none) {
  const plan: Plan = { at, fault, verbs: [] }
  const before = JSON.stringify(browser.cookies)
  const answer = await plans.run(plan, async () => await act(browser, name))
  return { answer, verbs: plan.verbs, ms: realTime() - (plan.since ?? realTime()), isUntouched: JSON.stringify(browser.cookies) === before }
}

/** The storage calls of the flow when nothing goes wrong. */
async function callsOf (t: Test, test: TestApp, flow: Flow, advance: () => void): Promise<string[]> {
  const name = nextName()
  const browser = await flow.prepare(test, name)
  if (flow.expired === true) advance()
  const { answer, verbs } = await run(flow, browser, name)
  t.equal(answer.statusCode, flow.success, `${flow.title}: ${verbs.join(', ')}`)
  return verbs
}

function checkUnavailable (t: Test, { answer, isUntouched }: Pick<Awaited<ReturnType<typeof run>>, 'answer' | 'isUntouched'>, title: string): void {
  t.equal(answer.statusCode, 503, `${title}: ${answer.statusCode}`)
  t.match(answer.headers['retry-after'], /^[1-9]\d?$/, `${title}: when to come back`)
  t.ok(isUntouched && answer.cookies.length === 0, `${title}: no cookie`)
}

/** As before, or as after, and nothing between: what opens the account, and who is in. */
async function isWhole (flow: Flow, browser: Client, name: string): Promise<boolean> {
  if (flow.title === 'sign-up') return [201, 409].includes((await flow.act(browser, name)).statusCode)
  const isStillIn = (await browser.copy().get('/strict')).statusCode === 200
  const opens = async (password: string) => (await browser.copy().post('/auth/login', { email: `${name}@example.com`, password })).statusCode === 200
  const old = await opens(PASSWORD)
  if (flow.title === 'deletion') return old === isStillIn
  if (flow.title === 'a new password') return old === isStillIn && await opens(OTHER_PASSWORD) !== old
  return old && (isStillIn || ['logout', 'ending one', 'login'].includes(flow.title))
}

for (const flow of FLOWS) {
  t.test(`V-02 S-I13 S-I14 S-I15 ${flow.title}: when the storage fails it is 503, sets no cookie, and leaves nothing half done`, async t => {
    const clock = holdClock(t)
    const test = await createFaulty(t)
    for (const [at, verb] of (await callsOf(t, test, flow, () => clock.advance(HOUR))).entries()) {
      for (const [kind, fault] of Object.entries(FAILURES)) {
        const name = nextName()
        const browser = await flow.prepare(test, name)
        if (flow.expired === true) clock.advance(HOUR)
        checkUnavailable(t, await run(flow, browser, name, at, fault), `${verb} ${kind}`)
        t.ok(await isWhole(flow, browser, name), `${verb} ${kind}: nothing half done`)
      }
    }
  })

  t.test(`S-10 F-31 I-08 ${flow.title}: an adapter that lies opens nothing`, async t => {
    const clock = holdClock(t)
    const test = await createFaulty(t)
    const verbs = await callsOf(t, test, flow, () => clock.advance(HOUR))
    const name = nextName()
    const browser = await flow.prepare(test, name)
    for (const [at, verb] of verbs.entries()) {
      for (const [kind, lie] of Object.entries(LIES)) {
        if (isCredible(verb, kind)) continue
        if (flow.expired === true) clock.advance(HOUR)
        test.forget()
        checkUnavailable(t, await run(flow, browser.copy(), name, at, lie), `${verb} ${kind}`)
      }
    }
  })
}

t.test('V-01 a storage call that never answers, or too late, is 503 within its deadline', async t => {
  const clock = holdClock(t)
  const test = await createFaulty(t)
  const cases = []
  // Those that need an expired token first: the clock moves on for all who come after.
  for (const flow of [...FLOWS].sort((a, b) => Number(b.expired ?? false) - Number(a.expired ?? false))) {
    const ready = []
    for (const [at, verb] of (await callsOf(t, test, flow, () => clock.advance(HOUR))).entries()) {
      for (const [kind, silence] of Object.entries(SILENCES)) {
        if (verb.startsWith('atomically') && kind !== 'never answers') continue
        // A transaction that hangs keeps its connection, so it gets one of its own.
        const server = verb.startsWith('atomically') ? await createFaulty(t) : test
        const name = nextName()
        ready.push({ flow, at, verb, kind, silence, name, browser: await flow.prepare(server, name) })
      }
    }
    cases.push(...ready)
    if (flow.expired === true) clock.advance(HOUR)
  }
  await Promise.all(cases.map(async ({ flow, at, verb, kind, silence, name, browser }) => {
    const title = `${flow.title}: ${verb} ${kind}`
    const result = await run(flow, browser, name, at, silence)
    checkUnavailable(t, result, title)
    const deadline = verb.startsWith('atomically') ? 2 * DEADLINE_MS : DEADLINE_MS
    t.ok(result.ms <= deadline + PATIENCE_MS, `${title}: ${result.ms.toFixed(0)} ms`)
  }))
  t.comment(`${cases.length} calls`)
})

t.test('F-31 a row of somebody else, or the right row with another owner, lets nobody in', async t => {
  const clock = holdClock(t)
  const test = await createFaulty(t)
  const victim = await test.signedUp('victim@example.com')
  const { sid, sub } = accessOf(victim)
  for (const flow of FLOWS.filter(({ title }) => !['sign-up', 'login'].includes(title))) {
    const verbs = await callsOf(t, test, flow, () => clock.advance(HOUR))
    const name = nextName()
    const browser = await flow.prepare(test, name)
    for (const verb of new Set(verbs)) {
      if (!/\.(find|rotate|recover|update|changePassword|listForUser)$/.test(verb)) continue
      const other = verb.includes('users') ? await test.storage.users.find(sub) : await test.storage.sessions.find(sid)
      const disown = (row: unknown) => ({ ...row as object, ...(verb.includes('users') ? { id: sub } : { userId: sub }) })
      const lies: Array<[string, Fault]> = [
        ['gives the row of another', async () => (verb.endsWith('listForUser') ? [other] : other)],
        ['gives the right row another owner', async call => {
          const row = await call()
          return Array.isArray(row) ? row.map(disown) : disown(row)
        }]
      ]
      for (const [kind, lie] of lies) {
        if (flow.expired === true) clock.advance(HOUR)
        test.forget()
        const { answer } = await run(flow, browser.copy(), name, verb, lie)
        const title = `${flow.title}: ${verb} ${kind}`
        t.ok([401, 503].includes(answer.statusCode), `${title}: ${answer.statusCode}`)
        t.notOk(answer.body.includes('victim@example.com') || answer.body.includes(sid), `${title}: nothing of the other's`)
        t.equal(answer.cookies.length, 0, `${title}: no cookie`)
      }
    }
  }
  t.equal((await test.storage.sessions.find(sid))?.revokedAt, null, 'the other\'s session is untouched')
})
