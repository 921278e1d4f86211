import { deepEqual, equal, fail, notEqual } from 'node:assert/strict'
import type { UserRecord, UserStore } from '../../types/storage.ts'
import type { ContractCase } from './storage-contract.ts'
import { after, createUser, NOON, race, sampleUser } from './samples.ts'

export const userCases: readonly ContractCase[] = [
  {
    title: 'a user is found by id, e-mail key and user-name key, with every field as it was given',
    async run ({ users }) {
      const username = users.findByUsername === undefined ? {} : { username: 'Ada', usernameKey: sampleUser().id.toLowerCase() }
      const sample = sampleUser({ ...username, name: 'Ada Lovelace ✓', roles: ['editor', 'author'] })
      const created = record(await users.create(sample))
      const expected = { id: created.id, email: sample.email, emailVerified: false, username: sample.username, name: 'Ada Lovelace ✓', roles: ['editor', 'author'], disabled: false, createdAt: NOON, passwordDigest: sample.passwordDigest, epoch: 0 }
      for (const found of [created, await users.find(created.id), await users.findByEmail(sample.emailKey)]) deepEqual({ ...found, ...expected }, { ...found })
      if (users.findByUsername !== undefined) deepEqual({ ...await users.findByUsername(sample.usernameKey!) }, { ...created })
    }
  },
  {
    title: 'an unknown user is null, also for ids and keys that look like SQL, wildcards or object members',
    async run ({ users }) {
      await createUser(users)
      for (const text of ['', '%', '_', "' or 1=1 --", '__proto__', 'constructor', '\\', '*']) {
        deepEqual([await users.find(text), await users.findByEmail(text), await users.findByUsername?.(text) ?? null], [null, null, null])
      }
    }
  },
  {
    title: 'A-12 of 16 racers with one e-mail key exactly one creates an account',
    async run ({ users }) {
      const { emailKey } = sampleUser()
      const outcomes = await race(16, async () => await users.create(sampleUser({ emailKey })))
      const [winner, ...others] = outcomes.toSorted((one, other) => Number(typeof one === 'string') - Number(typeof other === 'string'))
      deepEqual(others, Array<string>(15).fill('email-taken'))
      deepEqual(await users.findByEmail(emailKey), winner)
    }
  },
  {
    title: 'F6 of 16 racers for the first owner exactly one gets in, and nobody after; users without that role do not count',
    async run (storage) {
      const { users } = storage
      if (users.createFirstOwner === undefined || users.hasOwner === undefined) return
      await createUser(users, { roles: ['admin', 'owners'] })
      const hadOwner = await users.hasOwner()
      const candidate = () => sampleUser({ roles: ['owner'] })
      const outcomes = await race(16, async index => index % 2 === 0 || storage.atomically === undefined
        ? await users.createFirstOwner!(candidate())
        : await storage.atomically(storage, async inside => await inside.users.createFirstOwner!(candidate())))
      const winners = outcomes.filter(outcome => typeof outcome === 'object')
      // Another case may have made one before.
      equal(winners.length, hadOwner ? 0 : 1)
      deepEqual(outcomes.filter(outcome => typeof outcome === 'string'), Array<string>(16 - winners.length).fill('owner-exists'))
      deepEqual([await users.hasOwner(), await users.createFirstOwner(candidate())], [true, 'owner-exists'])
    }
  },
  {
    title: 'W-11 an address is confirmed only while it is still the one, and stays confirmed',
    async run ({ users }) {
      if (users.confirmEmail === undefined) return
      const user = await createUser(users)
      equal(await users.confirmEmail(user.id, sampleUser().emailKey, NOON), null)
      equal((await users.find(user.id))?.emailVerified, false)
      for (let twice = 0; twice < 2; twice++) equal((await users.confirmEmail(user.id, user.emailKey, NOON))?.emailVerified, true)
      equal((await users.find(user.id))?.emailVerified, true)
      equal((await createUser(users, { emailVerified: true })).emailVerified, true)
    }
  },
  {
    title: 'W-11 of two changes to one address exactly one user gets it, and not after another change of the account',
    async run ({ users }) {
      if (users.changeEmail === undefined) return
      const changeEmail = users.changeEmail.bind(users)
      const [one, other] = [await createUser(users), await createUser(users)]
      const { email, emailKey } = sampleUser()
      equal(await changeEmail(one.id, one.epoch + 1, { email, emailKey }, NOON), null)
      const outcomes = await Promise.all([one, other].map(async ({ id, epoch }) => await changeEmail(id, epoch, { email, emailKey }, NOON)))
      deepEqual(outcomes.map(outcome => typeof outcome === 'string' ? outcome : outcome?.email).toSorted(), [email, 'email-taken'].toSorted())
      const owner = outcomes.find(outcome => typeof outcome === 'object')
      deepEqual([owner?.emailVerified, (await users.findByEmail(emailKey))?.id], [true, owner?.id])
    }
  },
  {
    title: 'a taken user name is told from a taken address, and several users have none',
    async run ({ users }) {
      const usernameKey = sampleUser().id.toLowerCase()
      if (users.findByUsername !== undefined) {
        await createUser(users, { username: usernameKey, usernameKey })
        equal(await users.create(sampleUser({ username: usernameKey, usernameKey })), 'username-taken')
      }
      await createUser(users)
      await createUser(users)
    }
  },
  {
    title: 'update changes what it names and nothing else; disabling raises the epoch, enabling does not',
    async run ({ users }) {
      const { id } = await createUser(users, { name: 'Ada', roles: ['editor'] })
      deepEqual(pick(await users.update(id, { roles: ['author'] }, NOON)), { name: 'Ada', roles: ['author'], disabled: false, epoch: 0 })
      deepEqual(pick(await users.update(id, { name: null }, NOON)), { name: null, roles: ['author'], disabled: false, epoch: 0 })
      deepEqual(pick(await users.update(id, { disabled: true }, NOON)), { name: null, roles: ['author'], disabled: true, epoch: 1 })
      deepEqual(pick(await users.update(id, { disabled: false }, NOON)), { name: null, roles: ['author'], disabled: false, epoch: 1 })
      equal(await users.update('unknown', { name: 'x' }, NOON), null)
      equal(await users.update('unknown', { disabled: true }, NOON), null)
    }
  },
  {
    title: 'of 16 racers that change the password of one epoch exactly one succeeds',
    async run ({ users }) {
      const sample = await createUser(users)
      const winners = (await race(16, async index => await users.changePassword(sample.id, 0, `digest ${index}`))).filter(user => user !== null)
      equal(winners.length, 1)
      const user = await users.find(sample.id)
      equal(user?.epoch, 1)
      equal(user.passwordDigest, winners[0]!.passwordDigest)
      notEqual(user.passwordDigest, sample.passwordDigest)
    }
  },
  {
    title: 'P-10 of 16 racers that bring a digest up to date exactly one succeeds; the epoch stays, and a new password is not overwritten',
    async run ({ users }) {
      if (users.upgradePassword === undefined) return
      const sample = await createUser(users)
      const old = sample.passwordDigest!
      deepEqual((await race(16, async index => await users.upgradePassword!(sample.id, old, `${old} ${index}`))).filter(Boolean), [true])
      const upgraded = await users.find(sample.id)
      equal(upgraded?.epoch, 0)
      await users.changePassword(sample.id, 0, 'a new password')
      equal(await users.upgradePassword(sample.id, upgraded.passwordDigest!, 'the old password'), false)
      equal((await users.find(sample.id))?.passwordDigest, 'a new password')
      equal(await users.upgradePassword('unknown', 'x', 'y'), false)
    }
  },
  {
    title: 'a deleted user is gone, once, and the address is free again',
    async run ({ users }) {
      const { id, emailKey } = await createUser(users)
      deepEqual((await race(4, async () => await users.delete(id))).toSorted(), ['deleted', 'not-found', 'not-found', 'not-found'])
      equal(await users.find(id), null)
      await createUser(users, { emailKey })
    }
  },
  {
    title: 'the last active owner can\'t be disabled, deleted or lose the role; of several who all go at once, in whatever way, exactly one has to stay',
    async run ({ users }) {
      const takes = takings(users)
      let last = await createUser(users, { roles: ['owner'] })
      await endOtherOwners(users, last.id)
      for (const take of takes) equal(await take(last.id), 'last-owner')
      deepEqual(pick(await users.find(last.id)), { name: null, roles: ['owner'], disabled: false, epoch: 0 })
      deepEqual(pick(await users.update(last.id, { roles: ['owner', 'editor'], name: 'Ada' }, NOON)), { name: 'Ada', roles: ['owner', 'editor'], disabled: false, epoch: 0 })

      const disabled = await createUser(users, { roles: ['owner'] })
      await users.update(disabled.id, { disabled: true }, NOON)
      for (const take of takes) equal(await take(last.id), 'last-owner', 'a disabled owner does not count')
      for (const take of takes) notEqual(await take((await createUser(users, { roles: ['owner'] })).id), 'last-owner')

      // Often, and over connections that are open: a store without a lock gets it right most of the time.
      await race(8, async () => await users.find(last.id))
      for (let round = 0; round < 12; round++) {
        const owners = [last, ...await race(7, async () => await createUser(users, { roles: ['owner'] }))]
        const outcomes = await race(8, async index => await takes[(index + round) % takes.length]!(owners[index]!.id))
        equal(outcomes.filter(outcome => outcome === 'last-owner').length, 1)
        last = owners[outcomes.indexOf('last-owner')]!
      }
    }
  },
  {
    title: 'a change for users who are no owners leaves owners as they are, also those of this very moment',
    async run ({ users }) {
      const unlessOwner = { unlessOwner: true }
      const { id } = await createUser(users, { roles: ['editor'] })
      deepEqual(pick(await users.update(id, { name: 'Ada' }, NOON, unlessOwner)), { name: 'Ada', roles: ['editor'], disabled: false, epoch: 0 })
      deepEqual(pick(await users.update(id, { roles: ['author'], disabled: true }, NOON, unlessOwner)), { name: 'Ada', roles: ['author'], disabled: true, epoch: 1 })
      equal(await users.update('unknown', { disabled: true }, NOON, unlessOwner), null)

      const owner = await createUser(users, { roles: ['author', 'owner'] })
      await createUser(users, { roles: ['owner'] })
      for (const change of [{ name: 'x' }, { roles: [] }, { roles: ['owner'] }, { disabled: true }]) equal(await users.update(owner.id, change, NOON, unlessOwner), 'is-owner')
      deepEqual(pick(await users.find(owner.id)), { name: null, roles: ['author', 'owner'], disabled: false, epoch: 0 })
      await users.update(owner.id, { disabled: true }, NOON)
      equal(await users.update(owner.id, { disabled: false }, NOON, unlessOwner), 'is-owner', 'a disabled owner is one')

      const risen = await race(8, async () => (await createUser(users)).id)
      const outcomes = await race(16, async index => index % 2 === 0
        ? await users.update(risen[index >> 1]!, { roles: ['owner'] }, NOON)
        : await users.update(risen[index >> 1]!, { disabled: true }, NOON, unlessOwner))
      for (const [index, id] of risen.entries()) {
        const refused = outcomes[2 * index + 1] === 'is-owner'
        equal((await users.find(id))?.disabled, !refused, 'it came first, or not at all')
      }
    }
  },
  {
    title: 'the list has the newest first, page by page, and finds parts of addresses and names',
    async run ({ users }) {
      if (users.list === undefined) return
      const mark = sampleUser().id.toLowerCase()
      const created: UserRecord[] = []
      for (const [index, name] of ['Grace%Hopper', 'Ada_Lovelace', 'Edsger\\Dijkstra', null].entries()) {
        // Two of one moment: their ids tell them apart.
        const email = `${mark}-${index}@example.com`
        created.push(record(await users.create(sampleUser({ email, emailKey: email, name, createdAt: after(Math.max(index, 1)) }))))
      }
      const list = async (search: string, last: UserRecord | null = null, limit = 10) => (await users.list!({ search, after: last === null ? null : { createdAt: last.createdAt, id: last.id }, limit })).filter(user => created.some(({ id }) => id === user.id))
      const all = await list(mark)
      deepEqual(all.map(({ createdAt }) => createdAt), [after(3), after(2), after(1), after(1)])
      deepEqual((await list(mark.toUpperCase())).length, 4)
      deepEqual(await list(mark, null, 3), all.slice(0, 3))
      deepEqual(await list(mark, all[2]), all.slice(3), 'nobody is shown twice or left out')
      deepEqual(await list(mark, all[3]), [])
      for (const [search, name] of [['grace%', 'Grace%Hopper'], ['a_love', 'Ada_Lovelace'], ['R\\D', 'Edsger\\Dijkstra']] as const) {
        deepEqual((await list(search)).map(user => user.name), [name], 'wildcards stand for themselves')
      }
      deepEqual(await list('e%p'), [])
    }
  }
]

/** The three ways in which an owner goes. */
function takings (users: UserStore): ReadonlyArray<(id: string) => Promise<unknown>> {
  return [
    async id => await users.update(id, { disabled: true }, NOON),
    async id => await users.update(id, { roles: ['editor'] }, NOON),
    async id => await users.delete(id)
  ]
}

/** Other cases, and other runs, may have left some. */
async function endOtherOwners (users: UserStore, id: string): Promise<void> {
  if (users.list === undefined) return
  const query = { search: null, limit: 100 }
  for (let page = await users.list({ ...query, after: null }); page.length > 0; page = await users.list({ ...query, after: page.at(-1)! })) {
    for (const other of page) { if (other.id !== id && other.roles.includes('owner')) await users.update(other.id, { roles: [] }, NOON) }
  }
}

function record (user: Awaited<ReturnType<UserStore['create']>>): UserRecord {
  return typeof user === 'string' ? fail(user) : user
}

function pick (user: UserRecord | string | null) {
  return typeof user !== 'object' || user === null ? user : { name: user.name, roles: user.roles, disabled: user.disabled, epoch: user.epoch }
}
