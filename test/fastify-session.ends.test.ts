import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createMailbox, tokenOf } from '../lib/testing/index.ts'
import type { Accounts, Storage } from '../types/index.ts'
import { OTHER_PASSWORD } from './support/app.ts'
import { createClient } from './support/client.ts'
import { DAY, HOUR, holdClock, MINUTE } from './support/clock.ts'
import { COOKIE, createShop, openTwo, put, seenBy, visitOf } from './support/host-sessions.ts'

const EMPTY = { cart: [], seen: null, owner: null }
const ADA = 'ada@example.com'

/** Every way in which a session ends that its browser knows nothing of. */
const ENDS: Readonly<Record<string, (accounts: Accounts, userId: string, sessionId: string, storage: Storage) => Promise<unknown>>> = {
  'an operator at a prompt': async (_accounts, userId, sessionId, storage) => await storage.sessions.revoke(sessionId, { at: new Date(), reason: 'ended-by-host', userId }),
  'ending it': async (accounts, userId, sessionId) => await accounts.sessions.end(userId, sessionId),
  'ending all': async (accounts, userId) => await accounts.sessions.endAll(userId),
  'a password set anew': async (accounts, userId) => await accounts.passwords.set(userId, OTHER_PASSWORD),
  'disabling the account': async (accounts, userId) => await accounts.users.update(userId, { disabled: true }),
  'deleting the account': async (accounts, userId) => await accounts.users.delete(userId)
}

t.test('S-04 whatever ends a session of ours in one process destroys the host\'s in all', async t => {
  const [here, there] = await openTwo(t)
  const secret = randomBytes(32)
  const one = await createShop(t, { accounts: { storage: here, secret }, session: { saveUninitialized: false } })
  const other = await createShop(t, { accounts: { storage: there, secret } })
  for (const [title, end] of Object.entries(ENDS)) {
    const ada = await one.signedUp(`${title.replaceAll(' ', '-')}@example.com`)
    const stranger = one.client()
    for (const browser of [ada, stranger]) await put(browser, 'tea')
    const { userId, sessionId } = (await visitOf(ada)).owner!
    const id = ada.cookies[COOKIE]!
    const elsewhere = other.client()
    t.strictSame((await seenBy(elsewhere, id)).cart, ['tea'], `${title}: both know it, and remember whose it is`)
    await end(other.app.accounts, userId, sessionId, there)
    const acknowledged = Date.now()
    if (title !== 'an operator at a prompt') t.strictSame(await seenBy(elsewhere, id), EMPTY, `${title}: in the process that did it at once`)
    const { [COOKIE]: _, ...accountCookies } = ada.cookies
    for (const { app } of [one, other]) await until(async () => (await createClient(app, { ...accountCookies }).get('/private')).statusCode === 401)
    t.strictSame([await seenBy(one.client(), id), await seenBy(elsewhere, id)], [EMPTY, EMPTY], 'where it is not let in any more')
    t.ok(Date.now() - acknowledged < 1000, 'which takes a second at most')
    t.strictSame(await visitOf(ada), EMPTY)
    t.strictSame((await visitOf(stranger)).cart, ['tea'], 'and nobody else\'s')
    if (title === 'an operator at a prompt') continue
    await until(async () => (await here.hostSessions!.listForUser(userId)).length === 0)
    await one.app.accounts.hostSessions!.save(id, { owner: { userId, sessionId }, data: '{}', expiresAt: new Date(Date.now() + HOUR) })
    t.strictSame(await here.hostSessions!.listForUser(userId), [], 'nothing is left, and nothing put back')
  }
})

t.test('S-04 what a node saves that has not heard of the end yet goes too', async t => {
  const { app, signedUp, storage } = await createShop(t)
  const browser = await signedUp(ADA)
  await put(browser, 'tea')
  const owner = (await visitOf(browser)).owner!
  await app.accounts.users.delete(owner.userId)
  await storage.hostSessions!.save({ digest: 'of a slow node', owner, data: '{}', expiresAt: new Date(Date.now() + HOUR) })
  await until(async () => (await storage.hostSessions!.listForUser(owner.userId)).length === 0)
  t.pass()
})

t.test('S-04 a password reset by mail destroys it', async t => {
  const mailer = createMailbox()
  const { app, signedUp } = await createShop(t, { accounts: { mailer, registration: { verifyEmail: false } } })
  const browser = await signedUp(ADA)
  await put(browser, 'tea')
  await app.accounts.passwords.forgot(ADA)
  const token = tokenOf(await mailer.next({ kind: 'reset-password' }))
  t.equal((await browser.copy().post('/auth/password/reset', { token, password: OTHER_PASSWORD })).statusCode, 204)
  t.strictSame(await visitOf(browser), EMPTY)
})

t.test('S-02 it ends after the host\'s time without use, by the clock of the server, and is forgotten', async t => {
  const clock = holdClock(t)
  for (const [session, ttl, use, store] of [
    [{}, DAY, 'a cookie that ends with the browser', {}],
    [{}, HOUR, 'the same with a ttl', { ttl: '1h' }],
    [{ cookie: { secure: false, maxAge: 2 * HOUR } }, 2 * HOUR, 'a cookie with an end', {}]
  ] as const) {
    const { client, storage } = await createShop(t, { session, store })
    const browser = client()
    await put(browser, 'tea')
    for (let round = 0; round < 2; round++) {
      clock.advance(ttl - MINUTE)
      t.strictSame((await visitOf(browser)).cart, ['tea'], use)
    }
    const old = browser.cookies[COOKIE]
    clock.advance(ttl + MINUTE)
    t.strictSame(await seenBy(client(), old), EMPTY, use)
    await storage.hostSessions!.deleteExpired(new Date(Date.now()))
    clock.jump(-DAY)
    t.strictSame(await seenBy(client(), old), EMPTY, 'not even if the clock goes back')
    clock.jump(DAY)
  }
})

t.test('a clock that is wrong for a while destroys nothing', async t => {
  const clock = holdClock(t)
  const { app, signedUp } = await createShop(t, { session: { cookie: { secure: false, maxAge: 400 * DAY } } })
  const browser = await signedUp(ADA)
  await put(browser, 'tea')
  clock.jump(100 * DAY)
  t.strictSame(await seenBy(createClient(app), browser.cookies[COOKIE]), EMPTY, 'after the idle end of the session of ours')
  clock.jump(-100 * DAY)
  t.strictSame((await visitOf(browser)).cart, ['tea'])
})

t.test('it ends with the session of ours that it belongs to, at the latest', async t => {
  const clock = holdClock(t)
  const { signedUp } = await createShop(t, { accounts: { sessionTtl: '12h' }, session: { cookie: { secure: false, maxAge: 30 * DAY } } })
  const browser = await signedUp()
  await put(browser, 'tea')
  clock.advance(11 * HOUR)
  t.strictSame((await visitOf(browser)).cart, ['tea'], 'also while the access cookie has expired')
  clock.advance(2 * HOUR)
  t.strictSame(await visitOf(browser), EMPTY)
})

t.test('a refreshed session keeps its own', async t => {
  const clock = holdClock(t)
  const { signedUp } = await createShop(t)
  const browser = await signedUp()
  await put(browser, 'tea')
  const before = await visitOf(browser)
  clock.advance(2 * HOUR)
  t.equal((await browser.post('/auth/refresh')).statusCode, 200)
  t.strictSame(await visitOf(browser, '/orders'), before)
})

t.test('S-01 ids are kept as keyed digests, and found under every secret that verifies', async t => {
  const [storage, again] = await openTwo(t)
  const [old, fresh] = [randomBytes(32), randomBytes(32)]
  const seen: unknown[] = []
  const { save } = storage.hostSessions!
  const before = await createShop(t, { accounts: { storage: { ...storage, hostSessions: { ...storage.hostSessions!, save: async record => { seen.push(record); await save(record) } } }, secret: old } })
  const browser = before.client()
  await put(browser, 'tea')
  const id = decodeURIComponent(browser.cookies[COOKIE]!).split('.')[0]!
  t.match(id, /^[\w-]{32}$/, '192 bits')
  t.equal(seen.length, 1)
  t.notOk(JSON.stringify(seen).includes(id))

  const after = await createShop(t, { accounts: { storage: again, secret: [fresh, old] } })
  t.strictSame((await seenBy(after.client(), browser.cookies[COOKIE])).cart, ['tea'])
  const moved = after.client()
  moved.cookies[COOKIE] = browser.cookies[COOKIE]!
  const { id: userId } = await after.person()
  await moved.post(`/as/${userId}`)
  t.strictSame((await visitOf(moved)).cart, ['tea'])
  t.strictSame(await seenBy(after.client(), browser.cookies[COOKIE]), EMPTY, 'destroyed under both')
  t.strictSame(await visitOf(browser), EMPTY)
})

async function until (isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await isSo()) return
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  throw new TypeError('it has not come to pass')
}
