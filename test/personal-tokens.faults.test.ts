import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { Storage } from '../types/index.ts'
import type { Client } from './support/client.ts'
import { holdClock, SECOND } from './support/clock.ts'
import { checkDeadline, checkUnavailable, createFaultyStorage, DEADLINE_MS, FAILURES, isTransaction, LIES, reject, SILENCES, withFault, type Fault } from './support/faults.ts'
import { createPeopleApp, type PeopleApp } from './support/people.ts'
import { tapStorage } from './support/tapped-storage.ts'
import { holdTimers } from './support/timers.ts'

/** Lies that can't be told from the truth: of verbs that answer nothing, or whether they did something. */
const isCredible = (verb: string, kind: string) => (verb.endsWith('.revoke') && kind === 'answers true') || (verb.endsWith('.enqueue') && kind.startsWith('answers'))

interface Ready { readonly id: string, readonly browser: Client, readonly token: string, readonly tokenId: string }

interface Flow {
  readonly title: string
  act (test: PeopleApp, ready: Ready): Promise<LightMyRequestResponse>
  readonly success: number
}

const use = async ({ app }: PeopleApp, token: string, url = '/private') => await app.inject({ url, headers: { authorization: `ApiToken ${token}` } })

const FLOWS: readonly Flow[] = [
  { title: 'making one', act: async (_test, { browser }) => await browser.post('/auth/tokens', { name: 'new', context: 'server' }), success: 201 },
  { title: 'the first use', act: async (test, { token }) => await use(test, token), success: 200 },
  { title: 'a strict use', act: async (test, { token }) => await use(test, token, '/strict'), success: 200 },
  { title: 'a change', act: async (_test, { browser, tokenId }) => await browser.request('PATCH', `/auth/tokens/${tokenId}`, { name: 'renamed', allowedMethods: ['GET', 'POST'] }), success: 200 },
  { title: 'a revocation', act: async (_test, { browser, tokenId }) => await browser.request('DELETE', `/auth/tokens/${tokenId}`), success: 204 },
  { title: 'a rotation', act: async (_test, { browser, tokenId }) => await browser.post(`/auth/tokens/${tokenId}/rotate`, {}), success: 201 },
  { title: 'the list', act: async (_test, { browser }) => await browser.get('/auth/tokens'), success: 200 }
]

async function createFaulty (t: Test): Promise<PeopleApp & { forget: () => void, prepare: () => Promise<Ready> }> {
  // The post goes out when the answer is on its way.
  const { storage, forget } = await createFaultyStorage(verb => verb.startsWith('outbox.'))
  const test = await createPeopleApp(t, { storage, mailer: { send: async () => {} }, registration: { verifyEmail: false } }, app => {
    app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
  })
  return {
    ...test,
    forget,
    async prepare () {
      const { id, browser } = await test.person()
      const { token, personalToken } = (await test.app.accounts.personalTokens.create(id, { name: 'old', context: 'server' }))!
      return { id, browser, token, tokenId: personalToken.id }
    }
  }
}

type Faulty = Awaited<ReturnType<typeof createFaulty>>

const run = async (flow: Flow, test: Faulty, ready: Ready, at?: number, fault?: Fault) => await withFault(async () => await flow.act(test, ready), at, fault)

async function callsOf (t: Test, test: Faulty, flow: Flow): Promise<string[]> {
  const ready = await test.prepare()
  test.forget()
  const { answer, verbs } = await run(flow, test, ready)
  t.equal(answer.statusCode, flow.success, `${flow.title}: ${verbs.join(', ')}`)
  return verbs
}

function checkRefused (t: Test, answer: LightMyRequestResponse, title: string): void {
  checkUnavailable(t, answer, title)
  t.notOk(answer.body.includes('pat_'), `${title}: no token`)
}

/** As before, or as after, and nothing between; and those that are live open, and no others. */
async function checkWhole (t: Test, test: Faulty, flow: Flow, { id, token, tokenId }: Ready, title: string): Promise<void> {
  const rows = await test.storage.personalTokens!.listForUser(id)
  const mails = (await test.storage.outbox!.listForUser(id)).length
  const old = rows.find(row => row.id === tokenId)!
  const isOldLive = old.revokedAt === null && Date.now() < old.expiresAt.getTime()
  const successor = rows.find(row => row.id === old.successorId)
  const states: Readonly<Record<string, () => boolean>> = {
    'making one': () => isOldLive && rows.length <= 2,
    'a change': () => isOldLive && rows.length === 1 && (old.name === 'renamed') === (old.allowedMethods !== null),
    'a revocation': () => rows.length === 1,
    'a rotation': () => isOldLive ? rows.length === 1 && old.successorId === null : rows.length === 2 && successor?.revokedAt === null
  }
  t.ok(states[flow.title]?.() ?? (isOldLive && rows.length === 1), `${title}: nothing half done`)
  t.ok(mails <= rows.length, `${title}: no mail of what is not`)
  for (const url of ['/private', '/strict']) t.equal((await use(test, token, url)).statusCode, isOldLive ? 200 : 401, `${title}: ${url} afterwards`)
}

for (const flow of FLOWS) {
  t.test(`V-02 S-I13 S-I14 S-I15 ${flow.title}: when the storage fails it is 503, sets no cookie, and leaves nothing half done`, async t => {
    const test = await createFaulty(t)
    for (const [at, verb] of (await callsOf(t, test, flow)).entries()) {
      for (const [kind, fault] of Object.entries(FAILURES)) {
        const ready = await test.prepare()
        test.forget()
        const { answer } = await run(flow, test, ready, at, fault)
        checkRefused(t, answer, `${verb} ${kind}`)
        await checkWhole(t, test, flow, ready, `${verb} ${kind}`)
        const again = await flow.act(test, ready)
        t.ok([flow.success, 404].includes(again.statusCode), `${verb} ${kind}: ${again.statusCode} when it is tried again`)
      }
    }
  })

  t.test(`F-31 S-I13 ${flow.title}: an adapter that lies opens nothing`, async t => {
    const test = await createFaulty(t)
    const verbs = await callsOf(t, test, flow)
    const victim = await test.prepare()
    const victimRow = await test.storage.personalTokens!.find(victim.tokenId)
    const victimUser = await test.storage.users.find(victim.id)
    for (const [at, verb] of verbs.entries()) {
      for (const [kind, lie] of Object.entries(LIES)) {
        if (isCredible(verb, kind)) continue
        const ready = await test.prepare()
        test.forget()
        checkRefused(t, (await run(flow, test, ready, at, lie)).answer, `${verb} ${kind}`)
      }
      if (!/\.(find|findByDigest|listForUser|update)$/.test(verb) || verb.startsWith('sessions')) continue
      const other = verb.startsWith('users') ? victimUser : victimRow
      const ready = await test.prepare()
      test.forget()
      const { answer } = await run(flow, test, ready, at, async () => verb.endsWith('listForUser') ? [other] : other)
      checkRefused(t, answer, `${verb} gives the row of another`)
      t.notOk(answer.body.includes(victim.tokenId) || answer.body.includes(victimUser!.email), 'nothing of the other\'s')
    }
    t.strictSame(await test.storage.personalTokens!.find(victim.tokenId), victimRow)
  })
}

t.test('F-31 the right row with another owner is nobody\'s to manage', async t => {
  const test = await createFaulty(t)
  const victim = await test.prepare()
  for (const flow of FLOWS.filter(({ title }) => ['a change', 'a rotation', 'the list'].includes(title))) {
    for (const [at, verb] of (await callsOf(t, test, flow)).entries()) {
      if (!verb.includes('personalTokens') || /\.(create|replace)$/.test(verb)) continue
      const ready = await test.prepare()
      test.forget()
      const disown = (row: object | null) => ({ ...row, userId: victim.id })
      const { answer } = await run(flow, test, ready, at, async call => {
        const row = await call()
        return Array.isArray(row) ? row.map(disown) : disown(row as object)
      })
      t.ok([404, 503].includes(answer.statusCode), `${flow.title}: ${verb}: ${answer.statusCode}`)
    }
  }
})

t.test('V-01 a storage call that never answers, or too late, is 503 within its deadline', async t => {
  const test = await createFaulty(t)
  const cases: Array<{ flow: Flow, at: number, verb: string, kind: string, silence: Fault, server: Faulty, ready: Ready }> = []
  for (const flow of FLOWS) {
    for (const [at, verb] of (await callsOf(t, test, flow)).entries()) {
      for (const [kind, silence] of Object.entries(SILENCES)) {
        if (isTransaction(verb) && kind !== 'never answers') continue
        // A transaction that hangs keeps its connection, so it gets one of its own.
        const server = isTransaction(verb) ? await createFaulty(t) : test
        cases.push({ flow, at, verb, kind, silence, server, ready: await server.prepare() })
      }
    }
  }
  test.forget()
  await Promise.all(cases.map(async ({ flow, at, verb, kind, silence, server, ready }) => {
    const title = `${flow.title}: ${verb} ${kind}`
    const { answer, ms } = await run(flow, server, ready, at, silence)
    checkRefused(t, answer, title)
    checkDeadline(t, verb, ms, title)
  }))
  t.comment(`${cases.length} calls`)
})

t.test('F-31 two lies that agree with each other still need the owner to be of the token\'s epoch, and not disabled', async t => {
  const test = await createFaulty(t)
  const { id, token } = await test.prepare()
  for (const [title, change] of Object.entries({ epoch: { epoch: 7 }, disabled: { disabled: true } })) {
    test.forget()
    const at = { title, act: async () => await use(test, token), success: 401 }
    const user = { ...(await test.storage.users.find(id))!, ...change }
    t.equal((await run(at, test, { id, token } as Ready, 1, async () => user)).answer.statusCode, 401, title)
    test.forget()
    t.equal((await use(test, token)).statusCode, 200)
  }
})

const STORAGE_ERRORS: Readonly<Record<string, (isDown: () => boolean) => (call: () => Promise<unknown>) => Promise<unknown>>> = {
  rejects: isDown => async call => {
    if (isDown()) throw new TypeError('down')
    return await call()
  },
  'throws null': isDown => async call => isDown() ? await reject(null)(call) : await call(),
  hangs: isDown => async call => isDown() ? await new Promise(() => {}) : await call()
}

for (const [kind, fault] of Object.entries(STORAGE_ERRORS)) {
  t.test(`T-14 a touch that ${kind} fails no request, and is written at the next turn`, async t => {
    const clock = holdClock(t)
    const timers = holdTimers(t, clock)
    let isDown = true
    let asked = 0
    const inner = await sqliteStorage(':memory:')
    const storage = tapStorage(inner, async (verb, _args, call) => {
      if (verb !== 'personalTokens.touch') return await call()
      asked++
      return await fault(() => isDown)(call)
    })
    const { app } = await createPeopleApp(t, { storage })
    const { id } = await app.accounts.users.create({ email: 'ada@example.com' })
    const made = await Promise.all(['a', 'b'].map(async name => (await app.accounts.personalTokens.create(id, { name, context: 'server' }))!))
    const knock = async ({ token }: { token: string }) => (await app.inject({ url: '/private', headers: { authorization: `ApiToken ${token}` } })).statusCode
    const lastUse = async () => await Promise.all(made.map(async ({ personalToken }) => (await storage.personalTokens!.find(personalToken.id))!.lastUsedAt))
    const firstAt = Date.now()
    for (const token of made) t.equal(await knock(token), 200)
    t.equal(asked, 0, 'nothing is written for a request')
    await timers.advance(10 * SECOND)
    // A call that hangs has a second of real time.
    if (kind === 'hangs') await new Promise(resolve => setTimeout(resolve, DEADLINE_MS + 50))
    t.equal(asked, 1)
    t.strictSame(await lastUse(), [null, null])
    for (let request = 0; request < 20; request++) t.equal(await knock(made[1]!), 200, 'requests go on')
    const usedAt = Date.now()
    await timers.advance(9 * SECOND)
    t.equal(asked, 1, 'the store that fails is left in peace')
    isDown = false
    await timers.advance(2 * SECOND)
    t.equal(asked, 2)
    for (const [index, at] of (await lastUse()).entries()) t.ok(Math.abs(at!.getTime() - [firstAt, usedAt][index]!) < SECOND, 'nothing is lost, and the newer use counts')
    t.strictSame((await app.accounts.personalTokens.list(id)).map(({ lastUsedAddress }) => lastUsedAddress), ['127.0.0.1', '127.0.0.1'])
    await timers.advance(60 * SECOND)
    t.equal(asked, 2, 'and then it is quiet')
  })
}

t.test('V-02 a store that is down does not matter to a token in memory for as long as the feed is current', async t => {
  const clock = holdClock(t)
  let isDown = false
  const inner = await sqliteStorage(':memory:')
  const tapped = tapStorage(inner, async (_verb, _args, call) => {
    if (isDown) throw new TypeError('down')
    return await call()
  })
  let isFeedDown = false
  let provedAt = 0
  const storage: Storage = { ...tapped, feed: { ...inner.feed!, isCurrent: () => (isFeedDown ? performance.now() - provedAt < 1000 : inner.feed!.isCurrent()) } }
  const { app } = await createPeopleApp(t, { storage }, app => {
    app.get('/strict', { onRequest: app.guard({ liveness: 'strict' }) }, async () => 'in')
    app.get('/stateless', { onRequest: app.guard({ liveness: 'stateless' }) }, async () => 'in')
  })
  const { id } = await app.accounts.users.create({ email: 'ada@example.com' })
  const mint = async (limits: object = {}) => (await app.accounts.personalTokens.create(id, { name: 'a token', context: 'server', ...limits }))!.token
  const tokens = { good: await mint(), refused: await mint({ allowedMethods: ['POST'] }), unseen: await mint() }
  const unknown = 'pat_5xVA12xyUbWNedQxy4ohH77WlxRGVvZZ1151814092'
  const knock = async (token: string, url = '/private') => await app.inject({ url, headers: { authorization: `ApiToken ${token}` } })
  const look = async () => Object.fromEntries(await Promise.all(Object.entries({ ...tokens, unknown, malformed: 'pat_' }).map(async ([kind, token]) => [kind, (await knock(token)).statusCode])))
  await knock(tokens.good)
  await knock(tokens.refused)
  isDown = true
  t.strictSame(await look(), { good: 200, refused: 401, unseen: 503, unknown: 503, malformed: 401 })
  const answer = await knock(tokens.good, '/strict')
  t.strictSame([answer.statusCode, answer.headers['set-cookie']], [503, undefined])
  t.match(answer.headers['retry-after'], /^[1-9]$/)
  t.equal((await knock(tokens.good)).statusCode, 200, 'who asked in vain takes nothing from the others')
  provedAt = performance.now()
  isFeedDown = true
  t.strictSame(await look(), { good: 200, refused: 401, unseen: 503, unknown: 503, malformed: 401 })
  clock.advance(SECOND)
  t.strictSame(await look(), { good: 503, refused: 503, unseen: 503, unknown: 503, malformed: 401 }, 'nobody is told that a token is bad which can\'t be looked at')
  t.equal((await knock(tokens.good, '/stateless')).statusCode, 200)
  isDown = isFeedDown = false
  t.strictSame(await look(), { good: 200, refused: 401, unseen: 200, unknown: 401, malformed: 401 })
})
