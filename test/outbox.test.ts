import t from 'tap'
import type { OutboxRecord } from '../types/index.ts'
import { openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { DAY, holdClock, HOUR, MINUTE, SECOND } from './support/clock.ts'
import { listen } from './support/events.ts'
import { createMailApp, kick, mailerFor, tokenOf, type MailApp } from './support/mail.ts'
import { pause, until } from './support/postgres-server.ts'
import { startSmtp } from './support/smtp.ts'
import { countCalls } from './support/tapped-storage.ts'
import { holdTimers } from './support/timers.ts'

const NEW_PASSWORD = 'granite tulip 41 ferry'

const forgot = async ({ client }: MailApp, email: string) => (await client().post('/auth/password/forgot', { email })).statusCode

/** What waits for one user. */
const waiting = async ({ storage }: MailApp, id: string): Promise<OutboxRecord[]> => await storage.outbox!.listForUser(id)

async function user ({ app }: MailApp, email: string, emailVerified = true): Promise<string> {
  return (await app.accounts.users.create({ email, password: PASSWORD, emailVerified })).id
}

t.test('F-18 W-01 W-04 a mail server that is away for ten minutes delays a mail, whose link is good though it was asked for longer ago than links live', async t => {
  const clock = holdClock(t)
  const timers = holdTimers(t, clock)
  const test = await createMailApp(t, { throttle: false, mail: { linkTtl: { resetPassword: '5m' } } })
  const events = listen(t)
  const { smtp, client, storage } = test
  const id = await user(test, 'ada@example.com')
  await smtp.stop()
  t.equal(await forgot(test, 'ada@example.com'), 202)

  const start = Date.now()
  const tries: Array<{ readonly at: number, readonly wait: number }> = []
  const note = async () => {
    const [mail] = await waiting(test, id)
    if (mail!.attempts === tries.length) return
    // A refused connection is a matter of moments.
    let failed: { readonly at: Date } | undefined
    await until(() => (failed = events.take().find(({ name }) => name === 'mail.failed') ?? failed) !== undefined)
    await until(async () => (await waiting(test, id))[0]!.dueAt.getTime() < Date.now() + 46 * SECOND)
    const [{ dueAt, attempts }] = await waiting(test, id) as [OutboxRecord]
    t.equal(attempts, tries.length + 1)
    tries.push({ at: failed!.at.getTime(), wait: dueAt.getTime() - failed!.at.getTime() })
  }
  await until(async () => (await waiting(test, id))[0]!.attempts === 1)
  await note()
  while (Date.now() - start < 10 * MINUTE) {
    await timers.advance(2500)
    await note()
  }

  t.ok(tries.length >= 12 && tries.length <= 26, `${tries.length} tries`)
  const shares = tries.map(({ wait }, index) => wait / Math.min(5 * SECOND * 2 ** index, 45 * SECOND))
  t.strictSame(shares.filter(share => share < 0.49 || share > 1.01), [], 'each wait is within its bounds')
  t.ok(Math.max(...shares) - Math.min(...shares) > 0.1, 'and jittered')
  const gaps = tries.slice(1).map(({ at }, index) => at - tries[index]!.at)
  t.ok(Math.max(...gaps) <= 55 * SECOND, `at most ${Math.max(...gaps)} ms lie between two tries, with the look at the outbox`)

  await smtp.start()
  const back = Date.now()
  while ((await waiting(test, id))[0]?.attempts === tries.length) await timers.advance(2500)
  await smtp.received(1)
  t.ok(Date.now() - back <= MINUTE, 'delivered within a minute')
  await until(async () => (await waiting(test, id)).length === 0)
  await timers.advance(2 * MINUTE)
  await kick(test)
  t.equal((await test.takeAll()).length, 1, 'once')
  t.strictSame((await storage.oneTimeTokens!.listForUser(id)).length, 1, 'the tokens of the tries before are void')
  t.equal((await client().post('/auth/password/reset', { token: tokenOf(smtp.messages[0]!), password: NEW_PASSWORD })).statusCode, 204)
})

t.test('F-18 nobody has to ask again: after a start, and after an outage, the outbox is looked at by itself', async t => {
  const clock = holdClock(t)
  const timers = holdTimers(t, clock)
  const test = await createMailApp(t, { throttle: false })
  const id = await user(test, 'ada@example.com')
  const at = new Date(Date.now())
  const { epoch } = (await test.storage.users.find(id))!
  await test.storage.outbox!.enqueue({ id: 'left-by-one-that-died', kind: 'reset-password', userId: id, recipient: 'ada@example.com', data: { epoch: String(epoch) }, locale: null, attempts: 3, createdAt: at, dueAt: at })
  await timers.advance(6250)
  t.strictSame((await test.takeMail()).to, ['ada@example.com'])
  for (let turn = 0; turn < 3; turn++) {
    await until(async () => (await waiting(test, id)).length === 0)
    await test.storage.outbox!.enqueue({ id: `again-${turn}`, kind: 'reset-password', userId: id, recipient: 'ada@example.com', data: { epoch: String(epoch) }, locale: null, attempts: 0, createdAt: at, dueAt: at })
    await timers.advance(6250)
    await test.takeMail()
  }
})

t.test('F-18 a mail that nobody takes for a day is given up, and the operator is told', async t => {
  const clock = holdClock(t)
  const test = await createMailApp(t, { throttle: false })
  const events = listen(t)
  const states: unknown[] = []
  test.app.accounts.addHook('mailFailed', state => { states.push(state) })
  const id = await user(test, 'ada@example.com')
  await test.smtp.stop()
  await forgot(test, 'ada@example.com')
  const mails = (name: string) => events.takeNames().filter(event => event.startsWith('mail.')).filter(event => event.startsWith(name))
  await until(() => mails('mail.failed').length === 1)
  clock.advance(23 * HOUR)
  await kick(test)
  await until(() => mails('mail.failed').length === 1)
  t.strictSame(states, [])
  clock.advance(61 * MINUTE)
  await kick(test)
  await until(() => states.length === 1)
  t.strictSame(states, [{ kind: 'reset-password', userId: id, attempts: 3 }])
  t.strictSame(mails('mail.'), ['mail.given-up: reset-password'])
  await until(async () => (await waiting(test, id)).length === 0)
  await test.smtp.start()
  clock.advance(DAY)
  await kick(test)
  t.strictSame(await test.takeAll(), [])
})

t.test('F-18 after an hour of tries the waits are longer, but of minutes', async t => {
  const test = await createMailApp(t, { throttle: false })
  const id = await user(test, 'ada@example.com')
  await test.smtp.stop()
  const [createdAt, dueAt] = [new Date(Date.now() - 2 * HOUR), new Date()]
  for (let count = 0; count < 12; count++) await test.storage.outbox!.enqueue({ id: `old-${count}`, kind: 'email-taken', userId: id, recipient: 'ada@example.com', data: {}, locale: null, attempts: 90, createdAt, dueAt })
  await kick(test)
  const waits = async () => (await waiting(test, id)).filter(({ attempts }) => attempts === 91).map(({ dueAt }) => dueAt.getTime() - Date.now()).filter(wait => wait > 61 * SECOND)
  await until(async () => (await waits()).length === 12)
  for (const wait of await waits()) t.ok(wait > 2.4 * MINUTE && wait <= 5 * MINUTE, `${wait} ms`)
})

for (const [what, trouble, isGivenUp] of [
  ['an unknown mailbox (550)', { refuse: 'recipient', code: 550, reply: '5.1.1 no such user' }, true],
  ['a full mailbox (452)', { refuse: 'recipient', code: 452 }, false],
  ['a policy (550 5.7.1)', { refuse: 'recipient', code: 550, reply: '5.7.1 not today' }, false],
  ['a sender that is not known yet (550)', { refuse: 'sender', code: 550 }, false],
  ['a server that is going down (421)', { refuse: 'data', code: 421 }, false]
] as const) {
  t.test(`F-18 ${what} ${isGivenUp ? 'is final' : 'is for now'}`, async t => {
    const clock = holdClock(t)
    const test = await createMailApp(t, { throttle: false })
    const events = listen(t)
    const states: unknown[] = []
    test.app.accounts.addHook('mailFailed', state => { states.push(state) })
    const id = await user(test, 'ada@example.com')
    test.smtp.trouble(trouble)
    await forgot(test, 'ada@example.com')
    const seen: string[] = []
    await until(() => seen.push(...events.takeNames().filter(name => name.startsWith('mail.'))) > 0)
    t.strictSame(seen, [`mail.${isGivenUp ? 'given-up' : 'failed'}: reset-password`])
    t.strictSame(states, isGivenUp ? [{ kind: 'reset-password', userId: id, attempts: 1 }] : [])
    test.smtp.trouble(null)
    await until(async () => (await waiting(test, id)).every(({ dueAt }) => dueAt.getTime() < Date.now() + 10 * SECOND))
    clock.advance(10 * SECOND)
    await kick(test)
    t.equal((await test.takeAll()).length, isGivenUp ? 0 : 1)
  })
}

for (const trouble of ['silence', 'tarpit'] as const) {
  t.test(`F-19 W-04 ${trouble} of the mail server: nobody waits, five mails are under way at most, and the others follow`, async t => {
    const clock = holdClock(t)
    const timers = holdTimers(t, clock)
    const test = await createMailApp(t, { throttle: false })
    const { smtp, client } = test
    const emails = Array.from({ length: 12 }, (_, index) => `user${index}@example.com`)
    const ids: string[] = []
    for (const email of emails) ids.push((await test.app.accounts.users.create({ email, emailVerified: true })).id)
    await user(test, 'ada@example.com')
    smtp.trouble(trouble)
    for (const email of emails) t.equal(await forgot(test, email), 202)
    await until(() => smtp.open() === 5)
    t.equal((await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200, 'logins go on')
    await pause(50)
    t.strictSame({ open: smtp.open(), opened: smtp.counts.connections, mails: smtp.messages.length }, { open: 5, opened: 5, mails: 0 }, 'all were answered before anything was sent')
    smtp.trouble(null)
    // The mailer gives up after 20 s.
    await timers.advance(21 * SECOND)
    await smtp.received(7)
    await until(async () => (await Promise.all(ids.map(async id => await waiting(test, id)))).flat().length === 5)
    await timers.advance(20 * SECOND)
    await smtp.received(12)
    t.strictSame((await test.takeAll()).map(({ to }) => to[0]).toSorted(), emails.toSorted(), 'each once')
  })
}

t.test('W-01 W-11 a mail that is not wanted any more is dropped, without a word', async t => {
  const clock = holdClock(t)
  const test = await createMailApp(t, { throttle: false })
  const { app, client, member, smtp, storage } = test
  const { users, passwords } = app.accounts
  const ada = await member('ada@example.com')
  const browser = client()
  const ids: Record<string, string> = { ada: (await users.findByEmail('ada@example.com'))!.id }
  for (const name of ['deleted', 'disabled', 'changed', 'moved']) ids[name] = await user(test, `${name}@example.com`)
  ids.verified = await user(test, 'verified@example.com', false)
  const events = listen(t)
  const states: unknown[] = []
  app.accounts.addHook('mailFailed', state => { states.push(state) })

  await smtp.stop()
  for (const name of ['deleted', 'disabled', 'changed', 'moved']) t.equal(await forgot(test, `${name}@example.com`), 202)
  t.equal((await browser.post('/auth/email/resend', { email: 'verified@example.com' })).statusCode, 202)
  t.equal((await ada.post('/auth/email/change', { email: 'countess@example.com', password: PASSWORD })).statusCode, 202)
  let failed = 0
  await until(() => (failed += events.takeNames().filter(name => name.startsWith('mail.failed')).length) === 7)

  await users.delete(ids.deleted!)
  await users.update(ids.disabled!, { disabled: true })
  await passwords.set(ids.changed!, OTHER_PASSWORD)
  await storage.users.changeEmail!(ids.moved!, 0, { email: 'elsewhere@example.com', emailKey: 'elsewhere@example.com' }, new Date())
  await storage.users.confirmEmail!(ids.verified!, 'verified@example.com', new Date())
  await ada.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })
  // Nothing is under way.
  await until(async () => (await Promise.all(Object.values(ids).map(async id => await waiting(test, id)))).flat().every(({ attempts, dueAt }) => attempts > 0 && dueAt.getTime() < Date.now() + 15 * SECOND))
  await smtp.start()
  clock.advance(20 * SECOND)
  await kick(test)
  const mails = await test.takeAll()
  t.strictSame(mails.map(({ to, subject }) => `${to[0]}: ${subject.replace(/ for .*/, '')}`).toSorted(), [
    'ada@example.com: Your e-mail address',
    'ada@example.com: Your password',
    'changed@example.com: Your password'
  ])
  t.strictSame(mails.filter(({ text }) => text.includes('token=')), [])
  t.strictSame(states, [])
  t.strictSame(events.takeNames().filter(name => name.startsWith('mail.given-up')), [])
})

t.test('F-18 S-I18 of several links that were asked for during an outage the newest alone is sent', async t => {
  const clock = holdClock(t)
  const test = await createMailApp(t, { throttle: false })
  const { smtp, client } = test
  const id = await user(test, 'ada@example.com')
  await smtp.stop()
  for (let count = 0; count < 3; count++) {
    await forgot(test, 'ada@example.com')
    clock.advance(SECOND)
  }
  await until(async () => (await waiting(test, id)).every(({ attempts, dueAt }) => attempts > 0 && dueAt.getTime() < Date.now() + 15 * SECOND))
  const newest = (await waiting(test, id)).toSorted((one, other) => other.createdAt.getTime() - one.createdAt.getTime())[0]!
  await smtp.start()
  clock.advance(20 * SECOND)
  await kick(test)
  const [mail, ...others] = await test.takeAll()
  t.match(mail!.headers['message-id']![0], newest.id)
  t.strictSame(others, [])
  t.equal((await client().post('/auth/password/reset', { token: tokenOf(mail!), password: NEW_PASSWORD })).statusCode, 204)
})

t.test('S-I18 who clicks twice gets two mails, and the link of the later is the one that works', async t => {
  const smtp = await startSmtp(t)
  const real = mailerFor(smtp)
  let begun = 0
  const test = await createMailApp(t, {
    throttle: false,
    mailer: {
      async send (mail) {
        if (begun++ === 0) await pause(100)
        await real.send(mail)
      }
    }
  }, smtp)
  await user(test, 'ada@example.com')
  await Promise.all([forgot(test, 'ada@example.com'), forgot(test, 'ada@example.com')])
  const mails = await smtp.received(2)
  const answers = []
  for (const mail of mails) answers.push((await test.client().post('/auth/password/reset', { token: tokenOf(mail), password: NEW_PASSWORD })).statusCode)
  t.strictSame(answers, [422, 204])
})

t.test('W-04 mail to nobody is thrown away, as fast as it comes, and nothing is sent or told', async t => {
  const { storage, calls } = countCalls(await openStorage(t))
  const test = await createMailApp(t, { throttle: false, storage })
  const events = listen(t)
  await Promise.all(Array.from({ length: 30 }, async (_, index) => t.equal(await forgot(test, `nobody${index}@example.com`), 202)))
  await until(() => calls.filter(verb => verb === 'outbox.settle').length === 30)
  await pause(20)
  t.strictSame(await storage.outbox!.claim(new Date('2100-01-01'), new Date('2100-01-02'), 100), [])
  t.equal(test.smtp.counts.connections, 0)
  t.strictSame(events.takeNames().filter(name => name.startsWith('mail.')), [])
})
