import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { Storage, User } from '../types/index.ts'
import { databaseFile, PASSWORD } from './support/app.ts'
import { createPeopleApp, type PeopleApp, type Person } from './support/people.ts'
import { tapStorage } from './support/tapped-storage.ts'

const patch = async ({ browser }: Person, id: string, body: object) => await browser.request('PATCH', `/auth/users/${id}`, body)

async function owners ({ app }: PeopleApp): Promise<User[]> {
  const { users, next } = await app.accounts.users.list({ limit: 100 })
  if (next !== null) throw new RangeError('more users than a page holds')
  return users.filter(({ roles, disabled }) => roles.includes('owner') && !disabled)
}

t.test('the last active owner can\'t go, in whatever way', async t => {
  const test = await createPeopleApp(t)
  const { app, client, person } = test
  const { users } = app.accounts
  const { id } = await users.create({ email: 'ada@example.com', password: PASSWORD, roles: ['owner', 'admin'] })
  const browser = client()
  await browser.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  const last = { id, browser }
  await person(['owner'], { disabled: true })
  await person(['admin'])
  for (const body of [{ roles: [] }, { roles: ['admin'] }, { disabled: true }, { disabled: true, roles: ['owner'] }, { disabled: false, roles: ['admin'] }]) {
    const answer = await patch(last, id, body)
    t.match([answer.statusCode, answer.json().code], [409, 'FST_ACCOUNTS_LAST_OWNER'], JSON.stringify(body))
    await t.rejects(users.update(id, body), { code: 'FST_ACCOUNTS_LAST_OWNER' })
  }
  t.equal((await browser.request('DELETE', '/auth/me', { password: PASSWORD })).statusCode, 409)
  await t.rejects(users.delete(id), { code: 'FST_ACCOUNTS_LAST_OWNER' })
  t.match(await users.find(id), { roles: ['owner', 'admin'], disabled: false })
  t.equal((await browser.get('/private')).statusCode, 200, 'and no session has ended')

  t.equal((await patch(last, id, { roles: ['owner'] })).statusCode, 200, 'what leaves them an owner may be done')
  const heir = await person()
  t.equal((await patch(last, heir.id, { roles: ['owner'] })).statusCode, 200)
  t.equal((await patch(last, id, { roles: [] })).statusCode, 200, 'with an heir they may go')
  t.strictSame((await owners(test)).map(user => user.id), [heir.id])
})

for (const [title, open] of [
  ['in memory', async () => await sqliteStorage(':memory:')],
  ['in a file', async (t: Parameters<typeof databaseFile>[0]) => await sqliteStorage(databaseFile(t))]
] as const) {
  t.test(`of 16 owners who all take the role from each other at once exactly one stays: ${title}`, async t => {
    const test = await createPeopleApp(t, { storage: await open(t) })
    const people = await Promise.all(Array.from({ length: 16 }, async () => await test.person(['owner'])))
    const answers = await Promise.all(people.flatMap(one => people.filter(other => other !== one).map(async (other, index) =>
      await patch(one, other.id, index % 2 === 0 ? { roles: ['editor'] } : { disabled: true }))))
    t.strictSame(answers.map(({ statusCode }) => statusCode).filter(statusCode => ![200, 401, 403, 409].includes(statusCode)), [])
    t.equal((await owners(test)).length, 1)
  })

  t.test(`of 16 owners who all go by themselves at once, in three ways, exactly one stays: ${title}`, async t => {
    const test = await createPeopleApp(t, { storage: await open(t) })
    const people = await Promise.all(Array.from({ length: 16 }, async () => await test.person(['owner'])))
    const codes = await Promise.all(people.map(async (one, index) => {
      if (index % 3 === 2) return await test.app.accounts.users.delete(one.id).then(() => 200, ({ statusCode }: { statusCode: number }) => statusCode)
      return (await patch(one, one.id, index % 3 === 0 ? { roles: ['admin'] } : { disabled: true })).statusCode
    }))
    t.strictSame(codes.sort(), [...Array<number>(15).fill(200), 409])
    t.equal((await owners(test)).length, 1)
  })
}

/** An admin's request stands still after it has looked at its target, and `meanwhile` happens. */
async function overtaken (t: Parameters<typeof databaseFile>[0], meanwhile: (storage: Storage, id: string) => Promise<unknown>) {
  const storage = await sqliteStorage(':memory:')
  let target: string | null = null
  const tapped = tapStorage(storage, async (verb, [id], call) => {
    const result = await call()
    if (verb !== 'users.find' || target === null || id !== target) return result
    target = null
    await meanwhile(storage, String(id))
    return result
  })
  const test = await createPeopleApp(t, { storage: tapped })
  await test.person(['owner'])
  const [admin, user] = [await test.person(['admin']), await test.person(['editor'])]
  return { ...test, admin, user, arm () { target = user.id }, isArmed: () => target !== null }
}

t.test('S-11 an admin does not touch somebody who has become an owner since the admin\'s request looked', async t => {
  for (const body of [{ disabled: true }, { roles: [] }, { roles: ['admin'], disabled: false }]) {
    const { admin, user, arm, isArmed, find } = await overtaken(t, async ({ users }, id) => await users.update(id, { roles: ['owner'] }, new Date()))
    arm()
    const answer = await patch(admin, user.id, body)
    t.notOk(isArmed(), 'it did look')
    t.match([answer.statusCode, answer.json().code], [403, 'FST_ACCOUNTS_FORBIDDEN'])
    t.match(await find(user.id), { roles: ['owner'], disabled: false })
    t.equal((await user.browser.get('/private')).statusCode, 200)
  }
})

t.test('a target that is deleted since the request looked is not found', async t => {
  const { admin, user, arm } = await overtaken(t, async ({ users }, id) => await users.delete(id))
  arm()
  t.equal((await patch(admin, user.id, { disabled: true })).statusCode, 404)
})

t.test('S-11 a users store of the host\'s own that knows no conditions still leaves owners to owners', async t => {
  const { atomically, ...storage } = await sqliteStorage(':memory:')
  const { users } = storage
  const { person, find } = await createPeopleApp(t, { storage: { ...storage, users: { ...users, update: async (id, change, at) => await users.update(id, change, at) } } })
  const [owner, admin, user] = [await person(['owner']), await person(['admin']), await person()]
  t.equal((await patch(admin, owner.id, { disabled: true })).statusCode, 403)
  t.equal((await patch(admin, user.id, { disabled: true })).statusCode, 200)
  t.match([await find(owner.id), await find(user.id)], [{ disabled: false }, { disabled: true }])
})

t.test('S-11 admins who disable and owners who promote the same people at once: who was refused has changed nothing', async t => {
  const { person, find } = await createPeopleApp(t, { storage: await sqliteStorage(databaseFile(t)) })
  const [owner, admin] = [await person(['owner']), await person(['admin'])]
  const targets = await Promise.all(Array.from({ length: 24 }, async () => await person()))
  await Promise.all(targets.map(async ({ id }, index) => {
    const acts = [async () => await patch(owner, id, { roles: ['owner'] }), async () => await patch(admin, id, { disabled: true })]
    const answers = await Promise.all((index % 2 === 0 ? acts : acts.reverse()).map(async act => await act()))
    const [promoted, disabled] = index % 2 === 0 ? answers : answers.reverse()
    t.equal(promoted!.statusCode, 200)
    t.ok([200, 403].includes(disabled!.statusCode))
    t.match(await find(id), { roles: ['owner'], disabled: disabled!.statusCode === 200 })
  }))
})

t.test('paging shows everybody who is there all the while exactly once, while others come and go', async t => {
  const { app, person } = await createPeopleApp(t)
  const { users } = app.accounts
  const owner = await person(['owner'])
  // Many of one moment, which only their ids tell apart.
  const crowd = await Promise.all(Array.from({ length: 90 }, async (_, index) => (await users.create({ email: `crowd${index}@example.com` })).id))
  const doomed = new Set(crowd.filter((_, index) => index % 3 === 0))
  const shown: string[] = []
  let cursor: string | null = null
  let turn = 0
  do {
    const answer = await owner.browser.get(`/auth/users?limit=7${cursor === null ? '' : `&cursor=${cursor}`}`)
    const page = answer.json() as { users: User[], next: string | null }
    t.ok(page.users.length === 7 || page.next === null)
    shown.push(...page.users.map(({ id }) => id))
    // The one that the cursor names among them.
    for (const id of [...[page.users.at(-1)!.id].filter(id => doomed.has(id)), ...[...doomed].slice(0, 2)]) {
      doomed.delete(id)
      await users.delete(id)
    }
    await users.create({ email: `late${turn++}@example.com` })
    cursor = page.next
  } while (cursor !== null)
  t.equal(new Set(shown).size, shown.length, 'nobody twice')
  const everybody = await Promise.all([owner.id, ...crowd].map(async id => (await users.find(id))?.id))
  t.strictSame(everybody.filter(id => id !== undefined && !shown.includes(id)), [], 'nobody left out')
  t.ok(turn >= 10)
})
