import { Writable } from 'node:stream'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { NewAccount, UserChange, UserListQuery } from '../types/index.ts'
import { createApp, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { listen } from './support/events.ts'
import { createHost } from './support/host.ts'
import { createMailApp } from './support/mail.ts'
import { createPeopleApp } from './support/people.ts'
import { countCalls, tapStorage } from './support/tapped-storage.ts'

const EMAIL = 'ada@example.com'
const login = { email: EMAIL, password: PASSWORD }

t.test('A-11 a new database has no account at all', async t => {
  const { app } = await createApp(t)
  t.strictSame(await app.accounts.users.list(), { users: [], next: null })
})

t.test('users.list pages on from where it was, 50 at a time unless told otherwise', async t => {
  const { app: { accounts: { users } } } = await createApp(t)
  const ids: string[] = []
  for (let index = 0; index < 52; index++) ids.unshift((await users.create({ email: `user${index}@example.com`, name: index < 3 ? 'Ada' : 'Bob' })).id)
  const first = await users.list()
  t.equal(first.users.length, 50)
  const second = await users.list({ cursor: first.next })
  t.strictSame([second.users.length, second.next], [2, null])
  t.strictSame([...first.users, ...second.users].map(({ id }) => id).sort(), ids.sort())
  for (const limit of [1, 2, 3, 4, 100]) {
    const { users: found, next } = await users.list({ search: ' ada ', limit })
    t.strictSame([found.length, next === null], [Math.min(limit, 3), limit >= 3], `limit ${limit}`)
  }
  t.strictSame(await users.list({ search: 'ada', cursor: null, limit: 3 }), await users.list({ search: 'ada' }))
})

t.test('I-01 users.list refuses what makes no sense', async t => {
  const { app: { accounts: { users } } } = await createApp(t)
  const queries: unknown[] = [null, 1, 'ada', [], { limit: 0 }, { limit: 101 }, { limit: 1.5 }, { limit: '10' }, { limit: NaN }, { limit: null }, { search: 1 }, { search: null }, { search: 'a\0' }, { search: '\ud800' }, { search: 'x'.repeat(255) }, { cursor: 1 }, { cursor: '' }, { cursor: 'x' }, { page: 2 }, { Search: 'a' }]
  for (const query of queries) await t.rejects(users.list(query as UserListQuery), { code: 'FST_ACCOUNTS_INPUT_INVALID', statusCode: 400, message: /^(query|search|cursor)/ }, JSON.stringify(query))
  t.strictSame(await users.list({ search: undefined, limit: undefined } as unknown as UserListQuery), { users: [], next: null })
})

t.test('users.create makes an account with roles and without a session', async t => {
  const { app, client, storage } = await createApp(t)
  const { users } = app.accounts
  const user = await users.create({ ...login, username: 'Ada', name: 'Ada Lovelace', roles: ['owner', 'billing:read'] })
  t.match(user, { email: EMAIL, username: 'Ada', name: 'Ada Lovelace', roles: ['owner', 'billing:read'], disabled: false, emailVerified: false })
  t.notOk('passwordDigest' in user || 'epoch' in user)
  t.strictSame(await storage.sessions.listForUser(user.id, new Date()), [])
  for (const found of [await users.find(user.id), await users.findByEmail('ADA@example.com'), await users.findByUsername('aDA')]) t.strictSame(found, user)
  t.strictSame([await users.findByUsername('nobody'), await users.findByUsername('!'), await users.find('')], [null, null, null])
  t.equal((await client().post('/auth/login', login)).statusCode, 200)
})

t.test('A-10 an account without a password lets nobody in, whatever they say, until one is set', async t => {
  const { app, client } = await createApp(t)
  const { id } = await app.accounts.users.create({ email: EMAIL })
  const events = listen(t)
  for (const password of ['', PASSWORD, 'null', 'undefined']) t.equal((await client().post('/auth/login', { email: EMAIL, password })).statusCode, 401)
  t.strictSame(new Set(events.takeNames()), new Set(['login.failed: no-password']))
  await t.rejects(app.accounts.passwords.change(id, { currentPassword: '', newPassword: PASSWORD }), { code: 'FST_ACCOUNTS_PASSWORD_WRONG' })
  t.match(await app.accounts.passwords.set(id, PASSWORD), { id })
  t.equal((await client().post('/auth/login', login)).statusCode, 200)
})

t.test('users.create checks all that register checks, with the same errors, and stores nothing of what it refuses', async t => {
  const { app } = await createApp(t, {
    hooks: { beforeRegister ({ email }) { if (email.endsWith('.test')) throw Object.assign(new TypeError('not here'), { statusCode: 422, code: 'HOST' }) } }
  })
  const { accounts } = app
  await accounts.users.create({ ...login, username: 'ada' })
  const refused: Array<[object, string]> = [
    [{ email: 'nobody' }, 'FST_ACCOUNTS_EMAIL_INVALID'],
    [{ email: 'a@b@c' }, 'FST_ACCOUNTS_EMAIL_INVALID'],
    [{ email: 'ADA@example.com' }, 'FST_ACCOUNTS_EMAIL_TAKEN'],
    [{ username: 'x' }, 'FST_ACCOUNTS_USERNAME_INVALID'],
    [{ username: 'ADA' }, 'FST_ACCOUNTS_USERNAME_TAKEN'],
    [{ name: 'a\0b' }, 'FST_ACCOUNTS_NAME_INVALID'],
    [{ password: 'short' }, 'FST_ACCOUNTS_PASSWORD_TOO_SHORT'],
    [{ password: '' }, 'FST_ACCOUNTS_PASSWORD_TOO_SHORT'],
    [{ password: 'x'.repeat(2000) }, 'FST_ACCOUNTS_PASSWORD_TOO_LONG'],
    [{ password: `${PASSWORD}\0` }, 'FST_ACCOUNTS_PASSWORD_ILL_FORMED'],
    [{ password: 'passwordpassword' }, 'FST_ACCOUNTS_PASSWORD_COMMON'],
    [{ email: 'somebody.rather.long@example.com', password: 'somebody.rather.long' }, 'FST_ACCOUNTS_PASSWORD_COMMON'],
    [{ email: 'ada@host.test' }, 'HOST'],
    [{ email: 1 }, 'FST_ACCOUNTS_INPUT_INVALID'],
    [{ email: undefined }, 'FST_ACCOUNTS_INPUT_INVALID'],
    [{ name: null }, 'FST_ACCOUNTS_INPUT_INVALID'],
    [{ username: 1 }, 'FST_ACCOUNTS_INPUT_INVALID'],
    [{ password: null }, 'FST_ACCOUNTS_INPUT_INVALID'],
    [{ emailVerified: 'yes' }, 'FST_ACCOUNTS_INPUT_INVALID'],
    [{ id: 'x' }, 'FST_ACCOUNTS_INPUT_INVALID'],
    [{ passwordDigest: 'x' }, 'FST_ACCOUNTS_INPUT_INVALID']
  ]
  for (const [change, code] of refused) {
    const account = { email: 'new@example.com', password: OTHER_PASSWORD, ...change } as NewAccount & { password: string }
    await t.rejects(accounts.users.create(account), { code }, `create ${JSON.stringify(change).slice(0, 60)}`)
    await t.rejects(accounts.register(account), { code }, 'register')
  }
  for (const account of [null, undefined, 'ada', [], 1]) await t.rejects(accounts.users.create(account as unknown as NewAccount), { code: 'FST_ACCOUNTS_INPUT_INVALID' })
  for (const roles of ['owner', null, [1], [['owner']], { 0: 'owner' }]) await t.rejects(accounts.users.create({ email: 'new@example.com', roles } as unknown as NewAccount), { code: 'FST_ACCOUNTS_INPUT_INVALID' })
  for (const roles of [['Owner'], [''], ['a', 'a'], ['x'.repeat(65)], Array.from({ length: 33 }, (_, index) => `r${index}`)]) await t.rejects(accounts.users.create({ email: 'new@example.com', roles }), { code: 'FST_ACCOUNTS_ROLE_INVALID', statusCode: 422 })
  t.equal((await accounts.users.list()).users.length, 1)
})

t.test('S-11 nobody gets a role or goes without a password by signing up, though a host hands on what it was sent', async t => {
  const { app } = await createApp(t)
  const { register, users } = app.accounts
  for (const extra of [{ roles: ['owner'] }, { roles: [] }, { disabled: false }, { password: undefined }]) await t.rejects(register({ ...login, ...extra } as typeof login), { code: 'FST_ACCOUNTS_INPUT_INVALID', message: /^registration/ })
  t.strictSame((await users.list()).users, [])
  t.strictSame((await register(login))?.user.roles, [])
})

t.test('I-01 users.update refuses what it does not know, and changes nothing then', async t => {
  const { app, storage } = await createApp(t)
  const { users } = app.accounts
  const { id } = await users.create({ email: EMAIL, name: 'Ada', roles: ['editor'] })
  const before = await storage.users.find(id)
  const events = listen(t)
  const changes: unknown[] = [{}, { name: undefined }, { name: undefined, roles: undefined, disabled: undefined }, null, undefined, 'disabled', [], [{ disabled: true }], { disabled: 'true' }, { disabled: 1 }, { disabled: null }, { roles: 'owner' }, { roles: null }, { roles: [null] }, { roles: new Set(['owner']) }, { name: 1 }, { name: ['x'] }, { email: 'x@example.com' }, { name: 'x', epoch: 7 }, { disabled: false, isAdmin: true }, { passwordDigest: null }]
  for (const change of changes) await t.rejects(users.update(id, change as UserChange), { code: 'FST_ACCOUNTS_INPUT_INVALID', statusCode: 400, message: /^change/ }, JSON.stringify(change))
  await t.rejects(users.update(id, { roles: ['Editor'] }), { code: 'FST_ACCOUNTS_ROLE_INVALID' })
  await t.rejects(users.update(id, { name: 'a\0' }), { code: 'FST_ACCOUNTS_NAME_INVALID' })
  t.strictSame(await storage.users.find(id), before)
  t.strictSame(events.take(), [])
  t.match(await users.update(id, { name: undefined, disabled: false } as unknown as UserChange), { name: 'Ada' })
  t.strictSame(events.takeNames(), ['account.changed: disabled'], 'what was left out is not told either')
})

t.test('an id that can be nobody\'s is not asked for', async t => {
  const { storage, calls } = countCalls(await sqliteStorage(':memory:'))
  const { app } = await createApp(t, { storage })
  const { users, passwords } = app.accounts
  // What the start has asked.
  calls.length = 0
  for (const id of ['', 'x'.repeat(256), 'a\0b', '\ud800', undefined, null, 7, {}] as string[]) {
    t.strictSame([await users.find(id), await users.update(id, { name: 'x' }), await passwords.set(id, PASSWORD), await users.delete(id)], [null, null, null, false])
  }
  t.strictSame(calls.filter(call => call.includes('users.')), [])
})

t.test('users.announce ends what memory says of a user whom the host has changed in a table of its own', async t => {
  const storage = await sqliteStorage(':memory:')
  const own = new Map<string, readonly string[]>()
  const users = {
    ...storage.users,
    find: async (id: string) => {
      const user = await storage.users.find(id)
      return user === null ? null : { ...user, roles: own.get(id) ?? user.roles }
    }
  }
  const { app, person } = await createPeopleApp(t, { storage: { ...storage, users } }, app => { app.get('/reports', { onRequest: app.guard({ roles: ['editor'] }) }, async () => ({})) })
  const { id, browser } = await person()
  const visit = async () => (await browser.get('/reports')).statusCode
  t.equal(await visit(), 403)
  own.set(id, ['editor'])
  t.equal(await visit(), 403, 'nobody has told')
  await app.accounts.users.announce(id)
  t.equal(await visit(), 200)
  own.set(id, [])
  await app.accounts.users.announce(id)
  t.equal(await visit(), 403)
})

t.test('passwords.set sets a password without the old one, ends every session and begins none', async t => {
  const told: unknown[] = []
  const { app, client, storage } = await createApp(t, { hooks: { passwordChanged: ({ user }) => { told.push(user.email) }, sessionRevoked: ({ reason }) => { told.push(reason) } } })
  const { users, passwords } = app.accounts
  const { id } = await users.create(login)
  const browsers = [client(), client()]
  for (const browser of browsers) await browser.post('/auth/login', login)
  const events = listen(t)
  const user = await passwords.set(id, OTHER_PASSWORD)
  t.match(user, { id, email: EMAIL })
  t.notOk('passwordDigest' in user!)
  t.strictSame(events.takeNames(), ['session.revoked: password-changed', 'session.revoked: password-changed', 'password.changed'])
  t.strictSame(told, ['password-changed', 'password-changed', EMAIL])
  for (const browser of browsers) t.equal((await browser.get('/private')).statusCode, 401)
  t.strictSame(await storage.sessions.listForUser(id, new Date()), [])
  t.equal((await client().post('/auth/login', login)).statusCode, 401)
  t.equal((await client().post('/auth/login', { email: EMAIL, password: OTHER_PASSWORD })).statusCode, 200)
})

t.test('passwords.set keeps to the policy, and knows nobody who does not exist', async t => {
  const { app } = await createApp(t)
  const { users, passwords } = app.accounts
  const { id } = await users.create({ ...login, name: 'Augusta Ada King Noel' })
  for (const [password, code] of [['short', 'FST_ACCOUNTS_PASSWORD_TOO_SHORT'], ['passwordpassword', 'FST_ACCOUNTS_PASSWORD_COMMON'], ['augusta ada king noel', 'FST_ACCOUNTS_PASSWORD_COMMON'], [`${PASSWORD}\0`, 'FST_ACCOUNTS_PASSWORD_ILL_FORMED'], [undefined, 'FST_ACCOUNTS_INPUT_INVALID'], [null, 'FST_ACCOUNTS_INPUT_INVALID'], [{}, 'FST_ACCOUNTS_INPUT_INVALID']] as const) {
    await t.rejects(passwords.set(id, password as string), { code }, String(password))
  }
  t.equal(await passwords.set('nobody', PASSWORD), null)
  t.match(await app.accounts.login(login), { user: { id } }, 'the old one is still good')
})

t.test('passwords.set comes through while the account changes: of four at once each succeeds, one password is left', async t => {
  const { app } = await createApp(t)
  const { users, passwords } = app.accounts
  const { id } = await users.create(login)
  const wanted = ['amber', 'birch', 'cedar', 'dahlia'].map(word => `${word} harbor 92 lantern`)
  for (const user of await Promise.all(wanted.map(async password => await passwords.set(id, password)))) t.match(user, { id })
  const good = await Promise.all(wanted.map(async password => await app.accounts.login({ email: EMAIL, password }).then(() => 1, () => 0)))
  t.equal(good.reduce<number>((sum, one) => sum + one, 0), 1)
})

t.test('passwords.set wins over what happens to the account in between, and gives up where it would never end', async t => {
  const storage = await sqliteStorage(':memory:')
  let meanwhile: ((id: string) => Promise<unknown>) | null = null
  const tapped = tapStorage(storage, async (verb, [id], call) => {
    const result = await call()
    if (verb === 'users.find') await meanwhile?.(id as string)
    return result
  })
  const { app } = await createApp(t, { storage: tapped })
  const { users, passwords } = app.accounts
  const { id } = await users.create(login)
  const once = (act: (id: string) => Promise<unknown>) => async (id: string) => {
    meanwhile = null
    await act(id)
  }
  const disable = async (id: string) => await storage.users.update(id, { disabled: true }, new Date())
  meanwhile = once(disable)
  t.match(await passwords.set(id, OTHER_PASSWORD), { disabled: true }, 'it was disabled meanwhile')
  meanwhile = disable
  await t.rejects(passwords.set(id, PASSWORD), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' })
  meanwhile = once(async id => await storage.users.delete(id))
  t.equal(await passwords.set(id, PASSWORD), null)
})

t.test('what a host does in an admin\'s request is told with who did it', async t => {
  const { app, person } = await createPeopleApp(t, {}, app => {
    const { users, passwords } = app.accounts
    app.post('/manage', { onRequest: app.guard({ roles: ['support'] }) }, async request => {
      const { id } = await users.create({ email: EMAIL, password: PASSWORD }, { request })
      await passwords.set(id, OTHER_PASSWORD, { request })
      await users.update(id, { name: 'Ada' }, { request })
      await users.delete(id, { request })
      await users.update(request.principal!.user.id, { name: 'Self' }, { request })
      return { id }
    })
  })
  const { id: actorId, browser } = await person(['support'])
  const events = listen(t)
  const { id: userId } = (await browser.post('/manage')).json()
  const about = { userId, actorId, address: '127.0.0.1' }
  const taken = events.take()
  t.match(taken, [{ name: 'account.registered', ...about }, { name: 'password.changed', ...about }, { name: 'account.changed', ...about, reason: 'name' }, { name: 'account.deleted', ...about }, { name: 'account.changed', userId: actorId }])
  t.notOk('actorId' in taken.at(-1)!, 'nobody else did it')
  t.notMatch(JSON.stringify(taken), /argon2|harbor|compass|@example/)
  t.ok(app)
})

t.test('that there are no routes to manage users is said once, when the server starts', async t => {
  const lines: string[] = []
  const stream = new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } })
  const { list, ...users } = (await sqliteStorage(':memory:')).users
  const storage = { ...await sqliteStorage(':memory:'), users }
  await createHost(t, { server: { logger: { level: 'info', stream } }, accounts: { storage } })
  t.equal(lines.filter(line => line.includes('has no list')).length, 1)
})

t.test('I-09 an id that no database can hold is nobody\'s, for every service that takes one', async t => {
  const { app } = await createApp(t)
  const { users, sessions, passwords } = app.accounts
  for (const id of ['', '\0', 'a\0b', '\ud800', 'x'.repeat(256)]) {
    t.strictSame([await sessions.list(id), await sessions.end(id, 'x'), await sessions.end('x', id), await sessions.endAll(id)], [[], false, false, 0], JSON.stringify(id).slice(0, 20))
    t.strictSame([await users.find(id), await users.update(id, { name: 'x' }), await users.delete(id), await passwords.set(id, 'violet harbor 92 lantern')], [null, null, false, null])
  }
})

t.test('I-01 what a host hands to a service by mistake is refused by a code of ours or counts as nobody\'s, and never breaks it', async t => {
  const { app: { accounts } } = await createMailApp(t)
  const { id } = await accounts.users.create({ ...login, emailVerified: true })
  const calls: Readonly<Record<string, (wrong: any) => Promise<unknown>>> = {
    register: wrong => accounts.register(wrong),
    login: wrong => accounts.login(wrong),
    'login, an address': wrong => accounts.login({ email: wrong, password: PASSWORD }),
    'login, a user name': wrong => accounts.login({ username: wrong, password: PASSWORD }),
    'login, a password': wrong => accounts.login({ email: EMAIL, password: wrong }),
    'sessions.begin': wrong => accounts.sessions.begin(wrong),
    'sessions.begin, options': wrong => accounts.sessions.begin(id, wrong),
    'sessions.begin, a moment': wrong => accounts.sessions.begin(id, { authenticatedAt: wrong }),
    'sessions.begin, claims': wrong => accounts.sessions.begin(id, { claims: wrong }),
    'sessions.list': wrong => accounts.sessions.list(wrong),
    'sessions.end': wrong => accounts.sessions.end(wrong, wrong),
    'sessions.endAll': wrong => accounts.sessions.endAll(wrong),
    'sessions.endAll, options': wrong => accounts.sessions.endAll(id, wrong),
    'sessions.endAll, except': wrong => accounts.sessions.endAll(id, { except: wrong }),
    'passwords.change': wrong => accounts.passwords.change(wrong, { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }),
    'passwords.change, both': wrong => accounts.passwords.change(id, wrong),
    'passwords.change, the current one': wrong => accounts.passwords.change(id, { currentPassword: wrong, newPassword: OTHER_PASSWORD }),
    'passwords.change, a new one': wrong => accounts.passwords.change(id, { currentPassword: PASSWORD, newPassword: wrong }),
    'passwords.set': wrong => accounts.passwords.set(wrong, OTHER_PASSWORD),
    'passwords.set, one': wrong => accounts.passwords.set(id, wrong),
    'passwords.forgot': wrong => accounts.passwords.forgot(wrong),
    'passwords.reset': wrong => accounts.passwords.reset(wrong, OTHER_PASSWORD),
    'emails.verify': wrong => accounts.emails.verify(wrong),
    'emails.resend': wrong => accounts.emails.resend(wrong),
    'emails.change': wrong => accounts.emails.change(wrong, { email: 'new@example.com', password: PASSWORD }),
    'emails.change, both': wrong => accounts.emails.change(id, wrong),
    'emails.change, a password': wrong => accounts.emails.change(id, { email: 'new@example.com', password: wrong }),
    'users.find': wrong => accounts.users.find(wrong),
    'users.findByEmail': wrong => accounts.users.findByEmail(wrong),
    'users.findByUsername': wrong => accounts.users.findByUsername(wrong),
    'users.list': wrong => accounts.users.list(wrong),
    'users.create': wrong => accounts.users.create(wrong),
    'users.import': wrong => accounts.users.import(wrong),
    'users.update': wrong => accounts.users.update(wrong, { name: 'Ada' }),
    'users.update, a change': wrong => accounts.users.update(id, wrong),
    'users.confirmEmail': wrong => accounts.users.confirmEmail(wrong, EMAIL),
    'users.confirmEmail, an address': wrong => accounts.users.confirmEmail(id, wrong),
    'users.delete': wrong => accounts.users.delete(wrong),
    'users.export': wrong => accounts.users.export(wrong),
    'users.announce': wrong => accounts.users.announce(wrong),
    'personalTokens.list': wrong => accounts.personalTokens.list(wrong),
    'personalTokens.create': wrong => accounts.personalTokens.create(wrong, { name: 'one', context: 'server' }),
    'personalTokens.create, a token': wrong => accounts.personalTokens.create(id, wrong),
    'personalTokens.update': wrong => accounts.personalTokens.update(wrong, wrong, { name: 'one' }),
    'personalTokens.revoke': wrong => accounts.personalTokens.revoke(wrong, wrong),
    'personalTokens.revokeAll': wrong => accounts.personalTokens.revokeAll(wrong),
    'personalTokens.rotate': wrong => accounts.personalTokens.rotate(wrong, wrong),
    'personalTokens.rotate, options': wrong => accounts.personalTokens.rotate(id, 'none', wrong),
    'personalTokens.rotate, an overlap': wrong => accounts.personalTokens.rotate(id, 'none', { overlap: wrong }),
    'owner.claim': wrong => accounts.owner.claim(wrong)
  }
  const texts = ['login', 'login, an address', 'login, a password', 'passwords.forgot', 'passwords.reset', 'emails.verify', 'emails.resend', 'emails.change, both', 'users.findByEmail', 'users.findByUsername', 'passwords.change, both', 'passwords.change, the current one', 'passwords.change, a new one']
  for (const [title, call] of Object.entries(calls)) {
    for (const wrong of [undefined, null, 7, {}, [], () => {}]) {
      const code = await call(wrong).then(() => 'done', (error: { code?: string }) => String(error.code))
      const what = `${title} ${String(JSON.stringify(wrong) ?? typeof wrong)}: ${code}`
      t.ok(code === 'done' || (code.startsWith('FST_ACCOUNTS_') && code !== 'FST_ACCOUNTS_STORAGE_UNAVAILABLE'), what)
      if (texts.includes(title)) t.equal(code, 'FST_ACCOUNTS_INPUT_INVALID', what)
    }
  }
  t.match(await accounts.login(login), { user: { id, name: null } }, 'and nothing has changed')
})

t.test('I-01 an option that is misspelt or of another type is refused by name, and only a login, which may be a form, may have more members', async t => {
  const { app: { accounts } } = await createMailApp(t)
  const { id } = await accounts.users.create({ ...login, emailVerified: true })
  await accounts.sessions.begin(id)
  const passwords = { currentPassword: PASSWORD, newPassword: OTHER_PASSWORD }
  const change = { email: 'new@example.com', password: PASSWORD }
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    'login to remember': () => accounts.login({ ...login, remember: 'yes' } as never),
    'options /remember': () => accounts.sessions.begin(id, { remember: 'yes' } as never),
    'options misspelt': () => accounts.sessions.begin(id, { remembre: false } as never),
    'options of endAll': () => accounts.sessions.endAll(id, { exept: 'mine' } as never),
    'options /overlap': () => accounts.personalTokens.rotate(id, 'none', { overlap: true } as never),
    'options of rotate': () => accounts.personalTokens.rotate(id, 'none', { overlapp: '1h' } as never),
    'passwords and more': () => accounts.passwords.change(id, { ...passwords, force: true } as never),
    'change /email': () => accounts.emails.change(id, { ...change, email: 7 } as never),
    'change and more': () => accounts.emails.change(id, { ...change, verified: true } as never)
  }
  for (const [title, call] of Object.entries(calls)) await t.rejects(call(), { code: 'FST_ACCOUNTS_INPUT_INVALID', message: new RegExp(`^${title.split(' ')[0]}`) }, title)
  t.equal((await accounts.sessions.list(id)).length, 1, 'nothing was done')
  t.match(await accounts.login({ ...login, remember: false, csrf: 'x' } as never), { user: { id } })
})
