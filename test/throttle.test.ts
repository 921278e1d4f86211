import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createLogin } from '../lib/accounts/login.ts'
import type { AccountsDependencies } from '../lib/accounts/dependencies.ts'
import { createThrottle } from '../lib/accounts/throttle.ts'
import { createHooks } from '../lib/hooks.ts'
import { resolveThrottle } from '../lib/options/throttle.ts'
import { noDevices } from '../lib/sessions/devices.ts'
import { guardStorage } from '../lib/storage.ts'
import { createKeyRing } from '../lib/tokens/secrets.ts'
import type { Storage } from '../types/index.ts'
import Fastify from 'fastify'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { DAY, holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { createCountedPasswords } from './support/counting-hasher.ts'
import { listen } from './support/events.ts'
import { tapStorage } from './support/tapped-storage.ts'

const ADA = { email: 'ada@example.com', username: 'ada', password: PASSWORD }
const RIGHT = { email: ADA.email, password: PASSWORD }
const WRONG = { email: ADA.email, password: OTHER_PASSWORD }

/** An app with Ada's account; `login` is what a stranger does, who answers with the status. */
async function createAda (t: Parameters<typeof createApp>[0], options: Parameters<typeof createApp>[1] = {}) {
  const test = await createApp(t, options)
  const { user } = (await test.app.accounts.register(ADA))!
  const attempt = async (body: object, browser = test.client(), headers: Record<string, string> = {}) => await browser.post('/auth/login', body, headers)
  return { ...test, id: user.id, attempt, login: async (body: object, browser = test.client()) => (await attempt(body, browser)).statusCode }
}

t.test('A-03 five failures are free, then delays double to an hour, and success makes it anew', async t => {
  const clock = holdClock(t)
  const { login, attempt } = await createAda(t)
  for (let count = 0; count < 5; count++) t.equal(await login(WRONG), 401)
  for (const delay of [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]) {
    const refused = await attempt(RIGHT)
    t.match(refused.json(), { statusCode: 429, code: 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', error: 'Too Many Requests' })
    const seconds = Number(refused.headers['retry-after'])
    t.ok(seconds <= delay && seconds > delay - 5, `${delay} s: ${seconds}`)
    clock.advance((delay - 8) * SECOND)
    t.equal(await login(RIGHT), 429, 'not yet')
    clock.advance(8 * SECOND)
    t.equal(await login(WRONG), 401)
  }
  clock.advance(HOUR)
  t.equal(await login(RIGHT), 200)
  for (let count = 0; count < 5; count++) t.equal(await login(WRONG), 401)
  t.equal(await login(RIGHT), 429)
})

t.test('A-05 of 200 wrong logins at once no more are checked than five, also on two servers', async t => {
  const storage = await openStorage(t)
  const { app } = await createApp(t, { storage })
  await app.accounts.register(ADA)
  const { passwords, hasher } = await createCountedPasswords()
  const rule = resolveThrottle({}, storage)!
  const hooks = createHooks(Fastify().log, {})
  const { hash } = createKeyRing({ secret: 'uL4mZk2Rr9Qw7Tt1Yx5Cc3Vb8Nn6Mj0H' })
  const server = () => {
    const guarded = guardStorage(storage, () => {})
    const throttle = createThrottle({ rule, throttles: guarded.throttles!, keys: hash, devices: noDevices, hooks })
    return createLogin({ settings: { registration: { verifyEmail: false } }, storage: guarded, passwords, hooks, throttle } as unknown as AccountsDependencies, async () => { throw new TypeError('begun') })
  }
  const servers = [server(), server()]
  const outcomes = await Promise.all(Array.from({ length: 200 }, async (_, index) => await servers[index % 2]!(WRONG, null).catch((error: { code: string }) => error.code)))
  t.equal(hasher.take().verify, 5)
  t.equal(outcomes.filter(code => code === 'FST_ACCOUNTS_CREDENTIALS_INVALID').length, 5)
  t.equal(outcomes.filter(code => code === 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS').length, 195)
})

t.test('A-05 32 right logins of one account at once all come in', async t => {
  const { login } = await createAda(t)
  t.strictSame(await Promise.all(Array.from({ length: 32 }, async () => await login(RIGHT))), new Array(32).fill(200))
})
void [sleep, DAY, MINUTE, listen, tapStorage]
export type { Storage }
