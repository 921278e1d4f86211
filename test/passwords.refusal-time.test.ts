import bcrypt from 'bcrypt'
import t, { type Test } from 'tap'
import { createRefusalTime, type RefusalTime } from '../lib/passwords/refusal-time.ts'
import type { PasswordOptions } from '../types/index.ts'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { holdClock } from './support/clock.ts'

/** How long the refusals of a module wait, in whole milliseconds, without waiting for it. */
function readWaits (t: Test): { waitOf (time: RefusalTime, verifications?: number): number } {
  const { setTimeout: set } = globalThis
  let last = 0
  t.teardown(() => { globalThis.setTimeout = set })
  return {
    waitOf (time, verifications = 1) {
      last = 0
      globalThis.setTimeout = ((_run: () => void, ms: number) => { last = ms }) as unknown as typeof setTimeout
      time.start(verifications)
      globalThis.setTimeout = set
      return Math.round(last)
    }
  }
}

/** Verifications that take so long on the clock that is held. */
function createMeasure (t: Test): (time: RefusalTime, costs: string, ...times: number[]) => Promise<void> {
  const clock = holdClock(t)
  return async (time, costs, ...times) => {
    for (const ms of times) await time.measure(costs, async () => clock.advance(ms))
  }
}

t.test('A-02 as long as there is one kind of digest nobody waits', async t => {
  const { waitOf } = readWaits(t)
  const measure = createMeasure(t)
  const time = createRefusalTime(null)
  t.equal(waitOf(time), 0)
  time.expect('argon2id', null)
  await measure(time, 'argon2id', 10, 12, 300)
  t.equal(waitOf(time), 0)
})

t.test('A-02 from the second kind on a refusal takes half as long again as the slowest of them', async t => {
  const { waitOf } = readWaits(t)
  const measure = createMeasure(t)
  const time = createRefusalTime(null)
  await measure(time, 'argon2id', 10)
  time.expect('bcrypt 10', 60)
  t.equal(waitOf(time), 90, 'as it is expected, before the first is verified')
  t.equal(waitOf(time, 2), 180, 'of a password that is tried in two spellings twice as long')
  await measure(time, 'bcrypt 4', 1)
  t.equal(waitOf(time), 90)
  await measure(time, 'foreign', 300)
  t.equal(waitOf(time), 450)
})

t.test('A-02 a cheaper kind makes refusals wait as well, or it would answer too soon', async t => {
  const { waitOf } = readWaits(t)
  const measure = createMeasure(t)
  const time = createRefusalTime(null)
  await measure(time, 'bcrypt 12', 240)
  await measure(time, 'argon2id', 10)
  t.equal(waitOf(time), 360)
})

t.test('A-02 what the host declares counts from the first request on', async t => {
  const { waitOf } = readWaits(t)
  const measure = createMeasure(t)
  t.equal(waitOf(createRefusalTime(300)), 450)
  const time = createRefusalTime(0)
  await measure(time, 'argon2id', 10)
  t.equal(waitOf(time), 15, 'that there is something else')
})

t.test('A-02 one slow moment is no rule, but when everything is slow refusals follow, both ways', async t => {
  const { waitOf } = readWaits(t)
  const measure = createMeasure(t)
  const time = createRefusalTime(null)
  time.expect('argon2id', 10)
  time.expect('bcrypt 10', 60)
  await measure(time, 'bcrypt 10', 1500)
  t.equal(waitOf(time), 90)
  await measure(time, 'bcrypt 10', ...Array<number>(32).fill(100))
  t.equal(waitOf(time), 150)
  await measure(time, 'bcrypt 10', ...Array<number>(32).fill(60))
  t.equal(waitOf(time), 90)
})

t.test('A-02 nobody waits for more than two seconds a verification, and memory is bounded', async t => {
  const { waitOf } = readWaits(t)
  const measure = createMeasure(t)
  const time = createRefusalTime(null)
  await measure(time, 'argon2id', 10)
  await measure(time, 'foreign', 60_000)
  t.equal(waitOf(time), 2000)
  const crowded = createRefusalTime(null)
  for (let kind = 0; kind < 32; kind++) crowded.expect(`argon2id ${kind}`, 10)
  crowded.expect('one too many', 1000)
  t.equal(waitOf(crowded), 15)
})

/** What verifies a digest of another system, in 20 ms. */
const verifyForeign = async (digest: string, password: string) => await new Promise<boolean>(resolve => setTimeout(resolve, 20, digest === `vendor ${password}`))

/** An account of each kind, whose name is its kind; with the means to see how long a login takes. */
async function createKinds (t: Test, passwords: PasswordOptions) {
  const storage = await openStorage(t)
  const test = await createApp(t, { storage, passwords: { verifyForeign, ...passwords } })
  const { users } = test.app.accounts
  const digests = { argon2id: null, bcrypt: await bcrypt.hash(PASSWORD, 4), foreign: `vendor ${PASSWORD}`, hostile: '$2b$31$x' }
  for (const [name, digest] of Object.entries(digests)) {
    const { id } = await users.create({ email: `${name}@example.com`, password: PASSWORD })
    if (digest !== null) await storage.users.changePassword(id, 0, digest)
    const disabled = await users.create({ email: `disabled-${name}@example.com`, password: PASSWORD })
    if (digest !== null) await storage.users.changePassword(disabled.id, 0, digest)
    await users.update(disabled.id, { disabled: true })
  }
  await users.create({ email: 'passwordless@example.com' })
  const timed = async (expected: number, answer: () => Promise<{ statusCode: number }>) => {
    const start = performance.now()
    t.equal((await answer()).statusCode, expected)
    return performance.now() - start
  }
  const login = async (expected: number, name: string, password: string) => await timed(expected, async () => await test.client().post('/auth/login', { email: `${name}@example.com`, password }))
  return { ...test, login, timed }
}

t.test('A-02 whatever is wrong, a refusal is not answered before its time; a login is', async t => {
  const { login } = await createKinds(t, { legacy: { foreignMs: 400 } })
  const refused: ReadonlyArray<readonly [string, string]> = [
    ['nobody', PASSWORD], ['passwordless', PASSWORD], ['nobody', `${PASSWORD}\0`], ['argon2id', `${PASSWORD}\0`],
    ...['argon2id', 'bcrypt', 'foreign', 'hostile'].map(name => [name, OTHER_PASSWORD] as const),
    ...['argon2id', 'bcrypt', 'foreign', 'hostile'].map(name => [`disabled-${name}`, PASSWORD] as const)
  ]
  const times = await Promise.all(refused.map(async ([name, password]) => await login(401, name, password)))
  for (const [index, [name]] of refused.entries()) t.ok(times[index]! >= 599, `${name}: ${times[index]!.toFixed(0)} ms`)
  // Twelve, and two at once: to be kept in the queue for their time would take them 3.6 s.
  t.ok(Math.max(...times) < 2500, 'and they wait side by side')
  for (const name of ['argon2id', 'bcrypt', 'foreign']) t.ok(await login(200, name, PASSWORD) < 599, name)
})

t.test('A-02 nor is a wrong password where somebody is signed in', async t => {
  const { client, timed, signedUp } = await createKinds(t, { legacy: { foreignMs: 200 } })
  const browser = await signedUp('ada@example.com')
  t.ok(await timed(403, async () => await browser.post('/auth/password/change', { currentPassword: OTHER_PASSWORD, newPassword: OTHER_PASSWORD })) >= 299)
  t.ok(await timed(403, async () => await browser.request('DELETE', '/auth/me', { password: OTHER_PASSWORD })) >= 299)
  t.ok(await timed(401, async () => await client().post('/auth/login', { username: 'nobody', password: PASSWORD })) >= 299)
})

t.test('A-02 undeclared, an old digest shows once a process, and from then on all refusals take as long', async t => {
  const slow: PasswordOptions = { verifyForeign: async () => await new Promise<boolean>(resolve => setTimeout(resolve, 200, false)) }
  const { login } = await createKinds(t, slow)
  t.ok(await login(401, 'nobody', PASSWORD) < 299)
  await login(401, 'foreign', OTHER_PASSWORD)
  for (const name of ['nobody', 'argon2id', 'foreign', 'disabled-argon2id']) {
    t.ok(await login(401, name, name.startsWith('disabled') ? PASSWORD : OTHER_PASSWORD) >= 299, name)
  }
})

t.test('A-02 what bcrypt digests of the declared cost take on this machine is measured at start', async t => {
  const { login } = await createKinds(t, { legacy: { bcryptRounds: 10 } })
  const start = performance.now()
  await bcrypt.hash(PASSWORD, 10)
  const once = performance.now() - start
  // Half of it: how long it takes depends on what else the machine does.
  t.ok(await login(401, 'nobody', PASSWORD) > once / 2)
})
