import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { Storage } from '../types/index.ts'
import { PASSWORD } from './support/app.ts'
import { listen } from './support/events.ts'
import { createPeopleApp, type PeopleApp, type Person } from './support/people.ts'

type Act = (actor: Person['browser'], id: string) => Promise<{ statusCode: number }>

const CHANGES: Readonly<Record<string, object>> = {
  disable: { disabled: true },
  enable: { disabled: false },
  'set roles': { roles: ['editor'] },
  'make an admin': { roles: ['admin'] },
  'make an owner': { roles: ['editor', 'owner'] },
  'both at once': { disabled: true, roles: ['editor'] }
}
const ACTS: Readonly<Record<string, Act>> = {
  ...Object.fromEntries(Object.entries(CHANGES).map(([act, body]): [string, Act] => [act, async (browser, id) => await browser.request('PATCH', `/auth/users/${id}`, body)])),
  'end sessions': async (browser, id) => await browser.request('DELETE', `/auth/users/${id}/sessions`)
}

/** Who may be whose target; the roles are restored before each act. */
const TARGETS: Readonly<Record<string, { readonly roles: string[], readonly disabled: boolean }>> = {
  'a user': { roles: [], disabled: false },
  'a disabled user': { roles: ['editor'], disabled: true },
  'an admin': { roles: ['admin'], disabled: false },
  'an owner': { roles: ['owner'], disabled: false },
  'a disabled owner': { roles: ['admin', 'owner'], disabled: true }
}

const ACTORS: Readonly<Record<string, (test: PeopleApp) => Promise<Person['browser']>>> = {
  'nobody known': async ({ client }) => client(),
  'a user': async ({ person }) => (await person()).browser,
  'an editor': async ({ person }) => (await person(['editor', 'owners', 'administrator', 'owner.x'])).browser,
  'a disabled admin': async ({ person }) => (await person(['admin'], { disabled: true })).browser,
  'a disabled owner': async ({ person }) => (await person(['owner'], { disabled: true })).browser,
  'a demoted admin': async ({ person, app }) => {
    const { id, browser } = await person(['admin'])
    await browser.get('/auth/users')
    await app.accounts.users.update(id, { roles: ['editor'] })
    return browser
  },
  'an admin': async ({ person }) => (await person(['admin'])).browser,
  'an owner': async ({ person }) => (await person(['owner'])).browser,
  'an owner and admin': async ({ person }) => (await person(['admin', 'owner'])).browser
}

const REFUSED: Readonly<Record<string, number>> = { 'nobody known': 401, 'a disabled admin': 401, 'a disabled owner': 401, 'a user': 403, 'an editor': 403, 'a demoted admin': 403 }

/** The rule, said once more and in other words. */
function expected (actor: string, target: string, act: string): number {
  if (REFUSED[actor] !== undefined) return REFUSED[actor]
  if (actor === 'an admin' && (target.endsWith('owner') || act === 'make an owner')) return 403
  return act === 'end sessions' ? 204 : 200
}

for (const [actor, create] of Object.entries(ACTORS)) {
  t.test(`S-05 S-11 what ${actor} may do to whom, and that a refusal changes nothing`, async t => {
    const test = await createPeopleApp(t)
    const { app, person, signIn, find } = test
    await person(['owner'])
    const browser = await create(test)
    t.equal((await browser.get('/auth/users')).statusCode, REFUSED[actor] ?? 200, 'list')
    for (const [target, state] of Object.entries(TARGETS)) {
      const { id } = await person()
      for (const [act, run] of Object.entries(ACTS)) {
        await app.accounts.users.update(id, { disabled: false })
        await signIn(id)
        await app.accounts.users.update(id, { roles: state.roles, ...(state.disabled ? { disabled: true } : {}) })
        const before = await find(id)
        const sessions = await app.accounts.sessions.list(id)
        const { statusCode } = await run(browser, id)
        t.equal(statusCode, expected(actor, target, act), `${act} ${target}`)
        const after = await find(id)
        if (statusCode >= 400) t.strictSame([after, await app.accounts.sessions.list(id)], [before, sessions], 'nothing has changed')
        else t.strictSame(after, { ...before, ...CHANGES[act] })
        if (statusCode < 400 && /end|disable|both/.test(act)) t.strictSame(await app.accounts.sessions.list(id), [])
      }
    }
    for (const [act, run] of Object.entries(ACTS)) {
      const { statusCode } = await run(browser, 'x'.repeat(24))
      t.equal(statusCode, expected(actor, 'nobody', act) >= 400 ? expected(actor, 'nobody', act) : 404, `${act} somebody who does not exist`)
    }
  })
}

t.test('S-04 a role that was taken away elsewhere opens no door here, though the verdict is still in memory', async t => {
  const { storage, person, find } = await createPeopleApp(t)
  await person(['owner'])
  for (const act of [ACTS.disable!, ACTS['end sessions']!]) {
    const [admin, target] = [await person(['admin']), await person()]
    t.equal((await admin.browser.get('/auth/users?limit=1')).statusCode, 200)
    // As another process does: nobody tells this one.
    await storage.users.update(admin.id, { roles: [] }, new Date())
    t.equal((await act(admin.browser, target.id)).statusCode, 403)
    t.equal((await find(target.id))?.disabled, false)
    t.equal((await target.browser.get('/private')).statusCode, 200)
  }
})

t.test('S-04 changed roles count from the next request on, for the one whose roles they are', async t => {
  const { person } = await createPeopleApp(t, {}, app => { app.get('/reports', { onRequest: app.guard({ roles: ['editor'] }) }, async () => ({})) })
  const [owner, user] = [await person(['owner']), await person()]
  for (const [roles, statusCode] of [[[], 403], [['editor'], 200], [['author'], 403], [['author', 'editor'], 200], [[], 403]] as const) {
    const answer = await owner.browser.request('PATCH', `/auth/users/${user.id}`, { roles })
    t.match([answer.statusCode, answer.json().user], [200, { id: user.id, roles }])
    t.equal((await user.browser.get('/reports')).statusCode, statusCode, roles.join(' '))
    t.strictSame((await user.browser.get('/auth/me')).json().user.roles, roles)
  }
})

t.test('S-04 disabling ends sessions and streams at once and for good; enabling revives nothing', async t => {
  const signals: AbortSignal[] = []
  const { app, client, person, signIn } = await createPeopleApp(t, {}, app => { app.get('/watch', { onRequest: app.authenticate }, async ({ principal }) => { signals.push(principal!.signal) }) })
  const admin = await person(['admin'])
  const user = await app.accounts.users.create({ email: 'ada@example.com', password: PASSWORD })
  const browsers = [await signIn(user.id), await signIn(user.id)]
  for (const browser of browsers) await browser.get('/watch')
  const ended = Promise.all(signals.map(async signal => await new Promise(resolve => signal.addEventListener('abort', resolve))))

  t.equal((await admin.browser.request('PATCH', `/auth/users/${user.id}`, { disabled: true })).statusCode, 200)
  for (const browser of browsers) t.equal((await browser.copy().get('/private')).statusCode, 401)
  await ended
  const login = async () => await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  t.equal((await login()).statusCode, 401)
  t.strictSame((await admin.browser.get('/auth/users?search=ada')).json().users.map(({ disabled }: { disabled: boolean }) => disabled), [true])

  t.equal((await admin.browser.request('PATCH', `/auth/users/${user.id}`, { disabled: false })).statusCode, 200)
  for (const browser of browsers) {
    t.equal((await browser.copy().get('/private')).statusCode, 401)
    t.equal((await browser.post('/auth/refresh')).statusCode, 401)
  }
  t.equal((await login()).statusCode, 200)
})

t.test('ending the sessions of a user ends all of them and keeps nobody out; of oneself, it signs out', async t => {
  const { person, signIn, storage } = await createPeopleApp(t)
  const [admin, user] = [await person(['admin']), await person()]
  const other = await signIn(user.id)
  t.equal((await admin.browser.request('DELETE', `/auth/users/${user.id}/sessions`)).statusCode, 204)
  for (const browser of [user.browser, other]) t.equal((await browser.get('/private')).statusCode, 401)
  t.equal((await (await signIn(user.id)).get('/private')).statusCode, 200)
  t.equal((await admin.browser.get('/private')).statusCode, 200)
  t.equal((await admin.browser.request('DELETE', `/auth/users/${user.id}/sessions`)).statusCode, 204, 'again')
  t.equal((await admin.browser.request('DELETE', `/auth/users/${user.id}/sessions`)).statusCode, 204, 'S-I16 where there is none left')
  const own = await storage.sessions.listForUser(admin.id, new Date())
  t.equal((await admin.browser.request('DELETE', `/auth/users/${admin.id}/sessions`)).statusCode, 204)
  t.strictSame(Object.keys(admin.browser.cookies), ['accounts_device'])
  t.equal((await storage.sessions.find(own[0]!.id))?.revokeReason, 'ended-by-admin')
})

t.test('L-01 every action is an event that says who did it to whom, and no secret; so is every refusal', async t => {
  const told: unknown[] = []
  const { app, person, signIn } = await createPeopleApp(t, { hooks: { sessionRevoked: ({ userId, reason }) => { told.push([userId, reason]) } } })
  const [owner, admin, user] = [await person(['owner']), await person(['admin']), await person()]
  const about = { userId: user.id, actorId: admin.id, requestId: /^req-/, address: '127.0.0.1', at: Date }
  const events = listen(t)
  const steps: Array<[Act, Person, string, object[]]> = [
    [ACTS['set roles']!, admin, user.id, [{ ...about, name: 'account.changed', reason: 'roles' }]],
    [ACTS['end sessions']!, admin, user.id, [{ ...about, name: 'session.revoked', reason: 'ended-by-admin', sessionId: String }]],
    [ACTS['both at once']!, admin, user.id, [{ ...about, name: 'session.revoked', reason: 'disabled', sessionId: String }, { ...about, name: 'account.changed', reason: 'disabled roles' }]],
    [ACTS.enable!, admin, user.id, [{ ...about, name: 'account.changed', reason: 'disabled' }]],
    [ACTS.disable!, admin, owner.id, [{ name: 'request.refused', reason: 'FST_ACCOUNTS_FORBIDDEN', userId: undefined }]],
    [ACTS['make an owner']!, admin, admin.id, [{ name: 'request.refused', reason: 'FST_ACCOUNTS_FORBIDDEN', userId: undefined }]],
    [ACTS.disable!, user, admin.id, [{ name: 'request.refused', userId: undefined }]],
    [ACTS['set roles']!, admin, admin.id, [{ name: 'account.changed', userId: admin.id, actorId: undefined }]]
  ]
  for (const [act, { browser }, id, expected] of steps) {
    if (id === user.id) await signIn(id).catch(() => {})
    events.take()
    await act(browser, id)
    const taken = events.take()
    t.equal(taken.length, id === user.id && act === ACTS['end sessions'] ? 3 : expected.length, 'no more than that')
    t.match(taken.slice(-expected.length), expected)
    t.notMatch(JSON.stringify(taken), /eyJ|\$argon2|@example|editor/)
  }
  t.strictSame(new Set(told.map(String)), new Set([`${user.id},ended-by-admin`, `${user.id},disabled`]))
  const { id } = await app.accounts.users.create({ email: 'new@example.com', password: PASSWORD })
  t.match(events.take(), [{ name: 'account.registered', userId: id, actorId: undefined, sessionId: undefined }])
  await app.accounts.passwords.set(id, 'copper meadow 57 compass')
  t.match(events.take(), [{ name: 'password.changed', userId: id, actorId: undefined, sessionId: undefined }])
})

t.test('C-05 another page can\'t manage users in the name of an owner who looks at it', async t => {
  for (const csrf of ['standard', 'strict'] as const) {
    const { person, find } = await createPeopleApp(t, { csrf })
    const [owner, user] = [await person(['owner']), await person()]
    const foreign: Array<Record<string, string>> = [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'null' }]
    if (csrf === 'strict') foreign.push({}, { 'accounts-csrf': 'x' })
    for (const headers of foreign) {
      for (const [method, path] of [['PATCH', ''], ['DELETE', '/sessions']] as const) {
        const answer = await owner.browser.request(method, `/auth/users/${user.id}${path}`, method === 'PATCH' ? { disabled: true } : undefined, headers)
        t.equal(answer.statusCode, 403, `${csrf} ${method} ${JSON.stringify(headers)}`)
      }
      // A form can't say PATCH, and what it can say is no door.
      for (const body of ['_method=PATCH', '_method=DELETE']) t.equal((await owner.browser.post(`/auth/users/${user.id}`, body, { ...headers, 'content-type': 'application/x-www-form-urlencoded' })).statusCode, 404)
    }
    t.equal((await find(user.id))?.disabled, false)
    t.equal((await user.browser.get('/private')).statusCode, 200)
    const { 'accounts-csrf': token } = (await owner.browser.get('/auth/me')).headers
    const headers = { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:3000', ...(csrf === 'strict' ? { 'accounts-csrf': String(token) } : {}) }
    t.equal((await owner.browser.request('DELETE', `/auth/users/${user.id}/sessions`, undefined, headers)).statusCode, 204)
    t.equal((await owner.browser.request('PATCH', `/auth/users/${user.id}`, { disabled: true }, headers)).statusCode, 200)
  }
})

t.test('a users store without a list has no routes to manage users; the rest works', async t => {
  for (const lacks of [{ list: undefined }, { list: undefined, findByUsername: undefined }]) {
    const storage = await sqliteStorage(':memory:')
    const { app, person } = await createPeopleApp(t, { storage: { ...storage, users: { ...storage.users, ...lacks } as unknown as Storage['users'] } })
    const owner = await person(['owner'])
    for (const [method, path] of [['GET', ''], ['PATCH', `/${owner.id}`], ['DELETE', `/${owner.id}/sessions`]] as const) t.equal((await owner.browser.request(method, `/auth/users${path}`)).statusCode, 404)
    await t.rejects(app.accounts.users.list(), { code: 'FST_ACCOUNTS_LIST_UNSUPPORTED' })
    t.equal(await app.accounts.users.findByUsername('ada'), null)
    t.equal((await owner.browser.get('/auth/me')).statusCode, 200)
  }
})
