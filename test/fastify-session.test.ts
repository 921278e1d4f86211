import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createClient, type Client } from './support/client.ts'
import { COOKIE, createShop, put, seenBy, visitOf } from './support/host-sessions.ts'

const EMPTY = { cart: [], seen: null, owner: null }
const ADA = 'ada@example.com'

/** Every way in which a session of ours begins for a browser. */
const SIGN_INS: Readonly<Record<string, (browser: Client, id: string) => Promise<LightMyRequestResponse>>> = {
  login: async browser => await browser.post('/auth/login', { email: ADA, password: PASSWORD }),
  'sign-up': async browser => await browser.post('/auth/register', { email: 'new@example.com', password: PASSWORD }),
  'reply.signIn': async (browser, id) => await browser.post(`/as/${id}`)
}

for (const [title, signIn] of Object.entries(SIGN_INS)) {
  t.test(`A-09 ${title} gives the host's session another id, and the cart stays`, async t => {
    const { app, client } = await createShop(t)
    const { id } = (await app.accounts.register({ email: ADA, password: PASSWORD }))!.user
    const attacker = client()
    await put(attacker, 'planted')
    const planted = attacker.cookies[COOKIE]!
    const victim = client()
    victim.cookies[COOKIE] = planted
    await put(victim, 'tea')
    const { statusCode, cookies } = await signIn(victim, id)
    t.ok(statusCode < 300)
    t.equal(cookies.filter(({ name }) => name === COOKIE).length, 1)
    t.not(victim.cookies[COOKIE], planted)
    const { cart, owner } = await visitOf(victim)
    t.strictSame(cart, ['planted', 'tea'])
    t.ok(owner)
    t.strictSame(await seenBy(client(), planted), EMPTY, 'the old id is dead')
  })
}

t.test('A-09 a changed password gives it another id too; whoever had the old one has nothing', async t => {
  const { client, signedUp } = await createShop(t)
  const browser = await signedUp(ADA)
  await put(browser, 'tea')
  const [old, before] = [browser.cookies[COOKIE]!, await visitOf(browser)]
  t.equal((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD })).statusCode, 204)
  const after = await visitOf(browser)
  t.strictSame(after.cart, ['tea'])
  t.equal(after.owner!.userId, before.owner!.userId)
  t.not(after.owner!.sessionId, before.owner!.sessionId)
  t.strictSame(await seenBy(client(), old), EMPTY)
})

t.test('A-09 a request that had found the old id before does not bring it back', async t => {
  let [arrive, leave] = [() => {}, () => {}]
  const arrived = new Promise<void>(resolve => { arrive = resolve })
  const left = new Promise<void>(resolve => { leave = resolve })
  const { client, person } = await createShop(t, {
    setup: app => {
      app.post('/slow', async ({ session }) => {
        session.seen = 'late'
        arrive()
        await left
        return {}
      })
    }
  })
  const { id } = await person()
  const browser = client()
  await put(browser, 'tea')
  const old = browser.cookies[COOKIE]
  const slow = browser.copy().post('/slow', {})
  await arrived
  await browser.post(`/as/${id}`)
  leave()
  t.equal((await slow).statusCode, 200)
  t.strictSame(await seenBy(client(), old), EMPTY)
  t.strictSame((await visitOf(browser)).cart, ['tea'])
})

t.test('of what a visitor has, signing in keeps what the host names; nothing is lost on the way to that', async t => {
  const { client, person } = await createShop(t, { store: { keep: ['cart'] } })
  const [ada, browser] = [await person(), client()]
  await put(browser, 'tea')
  t.equal((await browser.post('/auth/login', { email: ADA, password: OTHER_PASSWORD })).statusCode, 401)
  t.match(await visitOf(browser), { cart: ['tea'], seen: 'tea', owner: null }, 'a login that fails changes nothing')
  await browser.post(`/as/${ada.id}`)
  t.match(await visitOf(browser), { cart: ['tea'], seen: null, owner: { userId: ada.id } })
  await put(browser, 'jam')
  await browser.post(`/as/${ada.id}`)
  t.match(await visitOf(browser), { cart: ['tea', 'jam'], seen: 'jam' }, 'who signs in once more is no stranger')
})

t.test('S-I12 who signs in where another user was finds nothing of theirs', async t => {
  const { person } = await createShop(t)
  const [ada, bob] = [await person(), await person()]
  const { browser } = ada
  await put(browser, 'of Ada')
  const old = browser.cookies[COOKIE]
  await browser.post(`/as/${bob.id}`)
  t.match(await visitOf(browser), { ...EMPTY, owner: { userId: bob.id } })
  t.strictSame(await seenBy(bob.browser.copy(), old), EMPTY)
})

/** Every way in which a browser ends its own session. */
const SIGN_OUTS: Readonly<Record<string, (browser: Client, sessionId: string, userId: string) => Promise<LightMyRequestResponse>>> = {
  logout: async browser => await browser.post('/auth/logout'),
  'reply.signOut': async browser => await browser.post('/leave'),
  'ending this session': async (browser, sessionId) => await browser.request('DELETE', `/auth/sessions/${sessionId}`),
  'ending all sessions of oneself, as an owner': async (browser, _, userId) => await browser.request('DELETE', `/auth/users/${userId}/sessions`),
  'deleting the account': async browser => await browser.request('DELETE', '/auth/me', { password: PASSWORD })
}

for (const [title, signOut] of Object.entries(SIGN_OUTS)) {
  t.test(`S-03 ${title} destroys the host's session, in this very answer`, async t => {
    const { app, client, signedUp, person, storage } = await createShop(t)
    await person(['owner'])
    const [browser, stranger] = [await signedUp(ADA), client()]
    const { id } = (await app.accounts.users.findByEmail(ADA))!
    await app.accounts.users.update(id, { roles: ['owner'] })
    for (const one of [browser, stranger]) await put(one, 'tea')
    const { sessionId } = (await visitOf(browser)).owner!
    const old = browser.cookies[COOKIE]!
    const answer = await signOut(browser, sessionId, id)
    t.ok(answer.statusCode < 300, answer.body)
    t.not(browser.cookies[COOKIE], old)
    if (title === 'reply.signOut') t.strictSame(answer.json(), EMPTY)
    t.strictSame(await visitOf(browser), EMPTY)
    t.strictSame(await seenBy(client(), old), EMPTY)
    t.strictSame(await storage.hostSessions!.listForUser(id), [])
    t.strictSame((await visitOf(stranger)).cart, ['tea'])
  })
}

t.test('a session that a visitor begins while signed in belongs to their session, on guarded routes and on open ones', async t => {
  const { app, client, person, signIn } = await createShop(t, { session: { saveUninitialized: false } })
  const { id, browser } = await person()
  for (const url of ['/cart', '/orders']) await visitOf(browser, url)
  t.equal(browser.cookies[COOKIE], undefined, 'nothing to keep, nothing kept')
  t.match(await put(browser, 'tea'), { cart: ['tea'], owner: { userId: id } })

  for (const url of ['/cart', '/orders']) {
    const [visitor, other] = [client(), await signIn(id)]
    await put(visitor, 'planted')
    const planted = visitor.cookies[COOKIE]
    other.cookies[COOKIE] = planted!
    t.match(await visitOf(other, url), { cart: ['planted'], owner: { userId: id } })
    t.not(other.cookies[COOKIE], planted, 'A-09 whoever planted it has nothing')
    t.strictSame(await visitOf(visitor), EMPTY)
  }
  await app.accounts.sessions.endAll(id)
  t.strictSame(await visitOf(browser), EMPTY)
  t.match(await put(browser, 'tea'), { cart: ['tea'], owner: null }, 'with cookies of ours that are worth nothing they are a visitor')
})

t.test('S-I12 a session of another user, planted in a browser that is signed in, shows and takes nothing', async t => {
  const { person } = await createShop(t)
  const [mallory, ada] = [await person(), await person()]
  await put(mallory.browser, 'bait')
  ada.browser.cookies[COOKIE] = mallory.browser.cookies[COOKIE]!
  t.match(await visitOf(ada.browser, '/orders'), { ...EMPTY, owner: { userId: ada.id } })
  await put(ada.browser, 'tea')
  t.strictSame((await visitOf(mallory.browser)).cart, [])
  t.strictSame((await visitOf(ada.browser)).cart, ['tea'])
})

t.test('a personal token makes no session belong to anybody', async t => {
  const { app, client, person } = await createShop(t)
  const { id } = await person()
  const { token } = (await app.accounts.personalTokens.create(id, { name: 'script', context: 'server' }))!
  const script = client()
  await put(script, 'tea')
  const headers = { authorization: `Bearer ${token}` }
  t.equal((await script.get('/orders', headers)).json().owner, null)
  t.strictSame((await visitOf(script)).cart, ['tea'])
})

t.test('where the order of credentials lets a token decide, the cookie beside it makes no session belong to its user', async t => {
  const { app, person } = await createShop(t, { accounts: { credentialOrder: ['personal-token', 'cookie'] } })
  const [ada, owner] = [await person(), await person()]
  const { token } = (await app.accounts.personalTokens.create(owner.id, { name: 'script', context: 'server' }))!
  const { accounts_access: access, accounts_refresh: refresh } = ada.browser.cookies
  const visitor = createClient(app, { accounts_access: access!, accounts_refresh: refresh! })
  t.equal((await visitor.get('/orders', { authorization: `Bearer ${token}` })).json().owner, null)
  t.match((await visitOf(visitor, '/orders')).owner, { userId: ada.id })
})

t.test('over sockets, of requests that a page sends at once while its visitor signs in none gets the cart lost or a login undone', async t => {
  const { app, client, person } = await createShop(t)
  const { id } = await person()
  await app.listen({ port: 0 })
  const visitor = client()
  await put(visitor, 'tea')
  const cookie = `${COOKIE}=${visitor.cookies[COOKIE]}`
  const request = async (url: string, headers: Record<string, string>, method = 'GET') => await fetch(`${app.listeningOrigin}${url}`, { method, headers })
  const [signedIn, ...pages] = await Promise.all([request(`/as/${id}`, { cookie }, 'POST'), ...Array.from({ length: 8 }, async () => await request('/cart', { cookie }))])
  t.strictSame(pages.map(({ status }) => status), Array(8).fill(200))
  const set = signedIn!.headers.getSetCookie()
  t.equal(signedIn!.status, 200)
  const now = set.map(one => one.split(';')[0]).join('; ')
  t.match(set.find(one => one.startsWith(COOKIE)), /; Path=\/; HttpOnly/)
  t.match(await (await request('/orders', { cookie: now })).json(), { cart: ['tea'], owner: { userId: id } })
  t.strictSame(await (await request('/cart', { cookie })).json(), EMPTY)
})
