import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { createApp, OTHER_PASSWORD, PASSWORD, type TestApp } from './support/app.ts'
import type { Client } from './support/client.ts'
import { holdClock, HOUR } from './support/clock.ts'
import { checkDeadline, checkUnavailable, createFaultyStorage, FAILURES, isTransaction, LIES, SILENCES, withFault, type Fault } from './support/faults.ts'
import { accessOf } from './support/tokens.ts'

/** Lies that can't be told from the truth: verbs that answer nothing, or whether they did something. */
const isCredible = (verb: string, kind: string) =>
  (/(sessions\.(create|touch)|personalTokens\.carryOver|(oneTimeTokens|outbox|hostSessions)\.deleteForUser|basicUses\.deleteAllForUser)$/.test(verb) && kind.startsWith('answers')) || (/\.(revoke|delete)$/.test(verb) && kind === 'answers true')

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
  const { storage, forget } = await createFaultyStorage()
  const test = await createApp(t, { storage, passwords: { maxQueue: 10_000 }, throttle: { free: 100 } }, app => {
    app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
  })
  return { ...test, forget }
}

let names = 0
const nextName = () => `somebody${++names}`

const run = async ({ act }: Flow, browser: Client, name: string, at?: number | string, fault?: Fault) => await withFault(async () => await act(browser, name), at, fault)

/** The storage calls of the flow when nothing goes wrong. */
async function callsOf (t: Test, test: TestApp, flow: Flow, advance: () => void): Promise<string[]> {
  const name = nextName()
  const browser = await flow.prepare(test, name)
  if (flow.expired === true) advance()
  const { answer, verbs } = await run(flow, browser, name)
  t.equal(answer.statusCode, flow.success, `${flow.title}: ${verbs.join(', ')}`)
  return verbs
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
        checkUnavailable(t, (await run(flow, browser, name, at, fault)).answer, `${verb} ${kind}`)
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
        checkUnavailable(t, (await run(flow, browser.copy(), name, at, lie)).answer, `${verb} ${kind}`)
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
        if (isTransaction(verb) && kind !== 'never answers') continue
        // A transaction that hangs keeps its connection, so it gets one of its own.
        const server = isTransaction(verb) ? await createFaulty(t) : test
        const name = nextName()
        ready.push({ flow, at, verb, kind, silence, name, browser: await flow.prepare(server, name) })
      }
    }
    cases.push(...ready)
    if (flow.expired === true) clock.advance(HOUR)
  }
  await Promise.all(cases.map(async ({ flow, at, verb, kind, silence, name, browser }) => {
    const title = `${flow.title}: ${verb} ${kind}`
    const { answer, ms } = await run(flow, browser, name, at, silence)
    checkUnavailable(t, answer, title)
    checkDeadline(t, verb, ms, title)
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
