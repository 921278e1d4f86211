import t from 'tap'
import { createApp, PASSWORD } from './support/app.ts'
import { basic } from './support/basic.ts'
import { checkDeadline, checkUnavailable, createFaultyStorage, FAILURES, LIES, SILENCES, withFault } from './support/faults.ts'

const LEGACY = { username: 'admin', password: 'sesame 4711' }
const EMAIL = 'ada@example.com'

async function create (t: Test) {
  const { storage, forget } = await createFaultyStorage()
  const { app } = await createApp(t, { storage, basic: { users: true, legacy: LEGACY }, throttle: { free: 100 }, passwords: { maxQueue: 10_000 } }, app => {
    app.get('/old', { onRequest: app.verifyBasic }, async () => 'in')
  })
  await app.accounts.users.create({ email: EMAIL, password: PASSWORD })
  let count = 0
  return {
    app,
    storage,
    forget,
    enter: async () => await app.inject({ url: '/old', headers: basic(EMAIL, PASSWORD) }),
    exchange: async () => await app.inject({ method: 'POST', url: '/auth/basic/token', payload: { name: 'x' }, headers: basic(EMAIL, PASSWORD) }),
    claim: async () => await app.inject({ method: 'POST', url: '/auth/owner', payload: { email: `owner${count++}@example.com`, password: PASSWORD }, headers: basic(LEGACY.username, LEGACY.password) })
  }
}
type Test = Parameters<typeof createApp>[0]
type Flow = 'enter' | 'exchange' | 'claim'

/** All lies are told to the routes of sessions; here one of each kind. */
const FAULTS = { ...FAILURES, ...Object.fromEntries(['answers {}', 'answers true', 'rejects with what looks like a refusal'].map(kind => [kind, LIES[kind]!])) }

/** Lies that can't be told from the truth: verbs that answer nothing, or whether they did something. */
const isCredible = (verb: string, kind: string) => kind.startsWith('answers') && (/(sessions\.create|enqueue)$/.test(verb) || (verb.endsWith('hasOwner') && kind === 'answers true'))

for (const flow of ['enter', 'exchange', 'claim'] as const) {
  t.test(`F-10, B-03 whichever call to the storage fails, ${flow} by HTTP Basic is 503, never 401, and works afterwards`, async t => {
    // What is remembered needs no call: each fault meets a server that knows nobody yet.
    const { verbs } = await run(await create(t), flow)
    t.ok(verbs.length > 1, verbs.join(', '))
    for (const [at, verb] of verbs.entries()) {
      for (const [kind, fault] of Object.entries(FAULTS)) {
        if (isCredible(verb, kind)) continue
        const test = await create(t)
        checkUnavailable(t, (await withFault(test[flow], at, fault)).answer, `${verb} ${kind}`)
        const { statusCode } = (await run(test, flow)).answer
        // The first owner may have been made, and the reply lost.
        t.ok(statusCode < 300 || (flow === 'claim' && kind.startsWith('rejects after') && statusCode === 409), `${verb} ${kind}, then ${statusCode}`)
      }
    }
    await Promise.all(verbs.map(async (verb, at) => {
      const test = await create(t)
      const { answer, ms } = await withFault(test[flow], at, SILENCES['never answers'])
      checkUnavailable(t, answer, `${verb} never answers`)
      checkDeadline(t, verb, ms, `${verb} never answers`)
    }))
  })
}

async function run (test: Awaited<ReturnType<typeof create>>, flow: Flow) {
  return await withFault(test[flow])
}

t.test('who was let in before is 503 too while nobody can say whether the password has changed', async t => {
  const test = await create(t)
  t.equal((await test.enter()).statusCode, 200)
  test.forget()
  checkUnavailable(t, (await withFault(test.enter, 0, FAILURES.rejects)).answer, 'looked up again')
  t.equal((await test.enter()).statusCode, 200)
})

t.test('uses that can\'t be written fail no request, and are written later', async t => {
  const test = await create(t)
  const { storage } = test
  const { note } = storage.basicUses!
  let isDown = true
  Object.assign(storage.basicUses!, { note: async (...given: Parameters<typeof note>) => isDown ? await Promise.reject(new TypeError('down')) : await note(...given) })
  const { app } = await createApp(t, { storage, basic: { legacy: LEGACY } }, app => { app.get('/old', { onRequest: app.verifyBasic }, async () => 'in') })
  t.equal((await app.inject({ url: '/old', headers: basic(LEGACY.username, LEGACY.password) })).statusCode, 200)
  t.strictSame(await app.accounts.basicUsage(), [])
  isDown = false
  t.match(await app.accounts.basicUsage(), [{ route: '/old', userId: null }])
})
