import t from 'tap'
import type { Mail, Mailer } from '../types/index.ts'
import { openStorage, PASSWORD } from './support/app.ts'
import { holdClock, MINUTE, SECOND } from './support/clock.ts'
import { listen } from './support/events.ts'
import { createMailApp, kick, mailerFor, type MailApp } from './support/mail.ts'
import { pause, until } from './support/postgres-server.ts'
import { startSmtp } from './support/smtp.ts'
import { tapStorage } from './support/tapped-storage.ts'
import { holdTimers } from './support/timers.ts'

const forgot = async ({ client }: MailApp, email = 'ada@example.com') => (await client().post('/auth/password/forgot', { email })).statusCode

async function user ({ app }: MailApp, email = 'ada@example.com'): Promise<string> {
  return (await app.accounts.users.create({ email, emailVerified: true })).id
}

const waiting = async ({ storage }: MailApp, id: string) => await storage.outbox!.listForUser(id)

const isEmpty = (test: MailApp, id: string) => async () => (await waiting(test, id)).length === 0

/** A door that stays shut until it is opened. */
function gate () {
  let open = () => {}
  const opened = new Promise<void>(resolve => { open = resolve })
  return { opened, open: () => open() }
}

const UNREADABLE = Object.defineProperties({}, Object.fromEntries(['permanent', 'message', 'stack', 'code', 'toString', 'toJSON'].map(name => [name, { enumerable: true, get () { throw new TypeError(name) } }])))

const STRANGE: Record<string, { readonly send: () => unknown, readonly isSent?: true }> = {
  'throws at once': { send: () => { throw new TypeError('at once') } },
  'throws null': { send: () => { throw null } }, // eslint-disable-line no-throw-literal
  'rejects with nothing': { send: async () => await Promise.reject(undefined) }, // eslint-disable-line prefer-promise-reject-errors
  'rejects with what can not be read': { send: async () => await Promise.reject(UNREADABLE) },
  'says "permanent" without meaning true': { send: async () => await Promise.reject(Object.assign(new TypeError('no'), { permanent: 'true' })) },
  'never answers': { send: async () => await new Promise(() => {}) },
  'answers twice, in two ways': { send: () => ({ then (resolve: () => void, reject: (error: Error) => void) { resolve(); resolve(); reject(new TypeError('late')) } }), isSent: true },
  'answers what is no promise': { send: () => 42, isSent: true }
}
for (const [what, { send, isSent = false }] of Object.entries(STRANGE)) {
  t.test(`F-19 F-20 a mailer that ${what}: nothing breaks, and a mail that was not sent is tried again`, async t => {
    const clock = holdClock(t)
    const timers = holdTimers(t, clock)
    const smtp = await startSmtp(t)
    const real = mailerFor(smtp)
    let isFirst = true
    const mailer: Mailer = {
      send (mail) {
        if (!isFirst) return real.send(mail)
        isFirst = false
        return send() as Promise<void>
      }
    }
    const test = await createMailApp(t, { throttle: false, mailer }, smtp)
    const [ada, grace] = [await user(test), await user(test, 'grace@example.com')]
    t.equal(await forgot(test), 202)
    await until(() => !isFirst)
    t.equal(await forgot(test, 'grace@example.com'), 202)
    await until(isEmpty(test, grace))
    if (!isSent) {
      if (what === 'never answers') await timers.advance(30 * SECOND)
      await until(async () => (await waiting(test, ada)).every(({ dueAt }) => dueAt.getTime() < Date.now() + 10 * SECOND))
      clock.advance(10 * SECOND)
      await kick(test)
    }
    await until(isEmpty(test, ada))
    t.strictSame(smtp.messages.map(({ to }) => to[0]), isSent ? ['grace@example.com'] : ['grace@example.com', 'ada@example.com'])
  })
}

t.test('F-20 a text or a link of the host that fails: the mail goes out in the package\'s text, or later; logins are as ever', async t => {
  const clock = holdClock(t)
  let isBroken = true
  const resetPassword = (token: string) => {
    if (isBroken && !token.startsWith('probe')) throw new TypeError('no link today')
    return `http://localhost:3000/reset?token=${token}`
  }
  const test = await createMailApp(t, { throttle: false, links: { resetPassword }, mail: { messages: { 'verify-email': () => { throw new TypeError('no words today') } } } })
  const ada = await test.member('ada@example.com')
  t.equal((await ada.get('/private')).statusCode, 200, 'the text that failed was made up for')
  const { id } = (await test.app.accounts.users.findByEmail('ada@example.com'))!
  t.equal(await forgot(test), 202)
  await until(async () => (await waiting(test, id)).some(({ attempts, dueAt }) => attempts === 1 && dueAt.getTime() < Date.now() + 10 * SECOND))
  t.equal((await test.client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
  isBroken = false
  clock.advance(10 * SECOND)
  await kick(test)
  t.match((await test.takeMail()).text, 'http://localhost:3000/reset?token=')
})

for (const [what, verb, isDone] of [
  ['that can\'t be asked for mail', 'outbox.claim', false],
  ['whose answer to that is lost', 'outbox.claim', true],
  ['that can\'t take note of it', 'outbox.settle', false],
  ['whose word that it took note is lost', 'outbox.settle', true],
  ['that can\'t keep a token', 'oneTimeTokens.issue', false],
  ['that does not find the user', 'users.find', false]
] as const) {
  t.test(`F-18 S-I15 a storage ${what}, for a while: the mail is sent, and once`, async t => {
    const clock = holdClock(t)
    let faults = 0
    const storage = tapStorage(await openStorage(t), async (called, _args, call) => {
      if (called !== verb || faults === 0) return await call()
      faults--
      if (isDone) await call()
      throw new TypeError('as the test has it')
    })
    const test = await createMailApp(t, { throttle: false, storage })
    const events = listen(t)
    const id = await user(test)
    faults = 1
    t.equal(await forgot(test), 202)
    await until(() => faults === 0)
    await pause(20)
    if (!await isEmpty(test, id)()) {
      clock.jump(61 * SECOND)
      await kick(test)
    }
    await until(isEmpty(test, id))
    t.equal((await test.takeAll()).length, 1)
    t.strictSame(events.takeNames().filter(name => name.startsWith('mail.')), ['mail.sent: reset-password'])
  })
}

t.test('F-18 a storage that is away for longer than a claim lasts, just after a mail was sent: it is not sent again', async t => {
  const clock = holdClock(t)
  let isAway = false
  const storage = tapStorage(await openStorage(t), async (called, _args, call) => {
    if (isAway && called.startsWith('outbox.')) throw new TypeError('as the test has it')
    return await call()
  })
  const smtp = await startSmtp(t)
  const real = mailerFor(smtp)
  const test = await createMailApp(t, {
    throttle: false,
    storage,
    mailer: {
      async send (mail) {
        await real.send(mail)
        isAway = true
      }
    }
  }, smtp)
  const id = await user(test)
  await forgot(test)
  await until(() => isAway)
  await pause(20)
  clock.advance(2 * MINUTE)
  await pause(1100)
  isAway = false
  t.equal((await waiting(test, id)).length, 1, 'the store does not know that it was sent')
  await kick(test)
  await until(isEmpty(test, id))
  t.equal(smtp.messages.length, 1)
})

t.test('F-18 a clock that is set forward while a mail is under way does not send it twice', async t => {
  const clock = holdClock(t)
  const { opened, open } = gate()
  const smtp = await startSmtp(t)
  const real = mailerFor(smtp)
  let begun = 0
  const test = await createMailApp(t, {
    throttle: false,
    mailer: {
      async send (mail) {
        begun++
        await opened
        await real.send(mail)
      }
    }
  }, smtp)
  const id = await user(test)
  await forgot(test)
  await until(() => begun === 1)
  for (const attempts of [2, 3]) {
    clock.jump(2 * MINUTE)
    await kick(test)
    await until(async () => (await waiting(test, id))[0]!.attempts === attempts)
  }
  await pause(20)
  open()
  await until(isEmpty(test, id))
  await pause(100)
  t.strictSame([begun, smtp.messages.length], [1, 1])
})

t.test('F-18 nor does one that is set forward just as the store takes note of it', async t => {
  const clock = holdClock(t)
  const inner = await openStorage(t)
  let settled = 0
  const storage = tapStorage(inner, async (called, _args, call) => {
    if (called !== 'outbox.settle') return await call()
    if (settled++ === 0) {
      clock.jump(2 * MINUTE)
      await inner.outbox!.claim(new Date(Date.now()), new Date(Date.now() + MINUTE), 5)
    }
    return await call()
  })
  const test = await createMailApp(t, { throttle: false, storage })
  const id = await user(test)
  await forgot(test)
  await until(() => settled === 1)
  await pause(20)
  clock.jump(2 * MINUTE)
  await kick(test)
  await until(isEmpty(test, id))
  t.equal(test.smtp.messages.length, 1)
})

t.test('F-18 a process that was suspended while it sent a mail takes note of it as it wakes', async t => {
  const clock = holdClock(t)
  const smtp = await startSmtp(t)
  const real = mailerFor(smtp)
  const test = await createMailApp(t, {
    throttle: false,
    mailer: {
      async send (mail) {
        await real.send(mail)
        clock.advance(15 * MINUTE)
      }
    }
  }, smtp)
  const id = await user(test)
  await forgot(test)
  await until(isEmpty(test, id), 3000)
  t.equal(smtp.messages.length, 1)
})

/** A mailer that keeps a mail until its gate opens. */
async function createSlow (t: Parameters<typeof startSmtp>[0], options: Parameters<typeof createMailApp>[1] = {}) {
  const door = gate()
  const smtp = await startSmtp(t)
  const real = mailerFor(smtp)
  const sent: Mail[] = []
  const calls: string[] = []
  const mailer: Mailer = {
    async send (mail) {
      sent.push(mail)
      await door.opened
      await real.send(mail)
      calls.push('sent')
    },
    async close () { calls.push('closed') }
  }
  const test = await createMailApp(t, { throttle: false, mailer, ...options }, smtp)
  return { test, door, sent, calls, smtp }
}

t.test('F-34 a server that closes waits for the mail that it is sending', async t => {
  const storage = await openStorage(t)
  const { test, door, sent, calls } = await createSlow(t, { storage: { ...storage, close: async () => {} } })
  t.teardown(async () => await storage.close?.())
  const id = await user(test)
  await forgot(test)
  await until(() => sent.length === 1)
  let isClosed = false
  const closing = test.app.close().then(() => { isClosed = true })
  await pause(50)
  t.notOk(isClosed)
  door.open()
  await closing
  t.strictSame(calls, ['sent', 'closed'])
  t.ok(await isEmpty({ ...test, storage }, id)(), 'and takes note of it')
})

t.test('F-34 it does not wait for ever, and the mail is kept for the next start', async t => {
  const clock = holdClock(t)
  const timers = holdTimers(t, clock)
  const storage = await openStorage(t)
  t.teardown(async () => await storage.close?.())
  const { test, sent, calls } = await createSlow(t, { storage: { ...storage, close: async () => {} } })
  const events = listen(t)
  const id = await user(test)
  await forgot(test)
  await until(() => sent.length === 1)
  let isClosed = false
  const closing = test.app.close().then(() => { isClosed = true })
  await pause(20)
  await timers.advance(5900)
  await pause(20)
  t.notOk(isClosed)
  await timers.advance(200)
  await closing
  t.strictSame(calls, ['closed'])
  t.strictSame((await storage.outbox!.listForUser(id)).map(({ attempts }) => attempts), [1])
  t.strictSame(events.takeNames().filter(name => name.startsWith('mail.')), [])
})

t.test('F-34 a mail that is claimed while the server closes is left to the others, at once', async t => {
  const inner = await openStorage(t)
  t.teardown(async () => await inner.close?.())
  const door = gate()
  let isHeld = false
  let isClaiming = false
  const storage = tapStorage({ ...inner, close: async () => {} }, async (verb, _args, call) => {
    if (verb !== 'outbox.claim' || !isHeld) return await call()
    const claimed = await call()
    isClaiming = true
    await door.opened
    return claimed
  })
  const { test, sent } = await createSlow(t, { storage })
  const id = await user(test)
  await pause(10)
  isHeld = true
  await forgot(test)
  await until(() => isClaiming)
  const closing = test.app.close()
  await pause(20)
  door.open()
  await closing
  t.equal(sent.length, 0)
  const [mail] = await inner.outbox!.listForUser(id)
  t.ok(mail!.dueAt.getTime() <= Date.now())
})

t.test('F-34 nothing keeps a closed server\'s process alive, and a mailer that can\'t be closed keeps nothing open', async t => {
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  for (const close of [async () => {}, () => { throw new TypeError('no') }, async () => await new Promise<void>(() => {})]) {
    const smtp = await startSmtp(t)
    const before = timers()
    const inner = await openStorage(t)
    let isClosed = false
    const storage = { ...inner, close: async () => { await inner.close?.(); isClosed = true } }
    const test = await createMailApp(t, { throttle: false, storage, mailer: { ...mailerFor(smtp), close } }, smtp)
    await user(test)
    await forgot(test)
    await test.takeMail()
    const start = performance.now()
    await test.app.close()
    t.ok(performance.now() - start < 3000)
    t.ok(isClosed, 'the storage is closed after it')
    await pause(10)
    t.equal(timers(), before)
  }
})
