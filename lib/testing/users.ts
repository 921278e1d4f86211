import { deepEqual, equal, notEqual } from 'node:assert/strict'
import type { ContractCase } from './storage-contract.ts'
import { NOON, race, sampleUser } from './samples.ts'

export const userCases: readonly ContractCase[] = [
  {
    title: 'a user is found by id, e-mail key and user-name key, with every field as it was given',
    async run ({ users }) {
      const sample = sampleUser({ username: 'Ada', usernameKey: sampleUser().id.toLowerCase(), name: 'Ada Lovelace ✓', roles: ['editor', 'owner'] })
      equal(await users.create(sample), 'created')
      const expected = { id: sample.id, email: sample.email, emailVerified: false, username: 'Ada', name: 'Ada Lovelace ✓', roles: ['editor', 'owner'], disabled: false, createdAt: NOON, passwordDigest: sample.passwordDigest, epoch: 0 }
      for (const found of [await users.find(sample.id), await users.findByEmail(sample.emailKey), await users.findByUsername(sample.usernameKey!)]) deepEqual({ ...found }, expected)
    }
  },
  {
    title: 'an unknown user is null, also for ids and keys that look like SQL, wildcards or object members',
    async run ({ users }) {
      await users.create(sampleUser())
      for (const text of ['', '%', '_', "' or 1=1 --", '__proto__', 'constructor', '\\', '*']) {
        deepEqual([await users.find(text), await users.findByEmail(text), await users.findByUsername(text)], [null, null, null])
      }
    }
  },
  {
    title: 'A-12 of 16 racers with one e-mail key exactly one creates an account',
    async run ({ users }) {
      const { emailKey } = sampleUser()
      const outcomes = await race(16, async () => await users.create(sampleUser({ emailKey })))
      deepEqual(outcomes.toSorted(), ['created', ...Array<string>(15).fill('email-taken')])
    }
  },
  {
    title: 'a taken user name is told from a taken address, and several users have none',
    async run ({ users }) {
      const usernameKey = sampleUser().id.toLowerCase()
      equal(await users.create(sampleUser({ username: usernameKey, usernameKey })), 'created')
      equal(await users.create(sampleUser({ username: usernameKey, usernameKey })), 'username-taken')
      equal(await users.create(sampleUser()), 'created')
      equal(await users.create(sampleUser()), 'created')
    }
  },
  {
    title: 'update changes what it names and nothing else; disabling raises the epoch, enabling does not',
    async run ({ users }) {
      const sample = sampleUser({ name: 'Ada', roles: ['editor'] })
      await users.create(sample)
      deepEqual(pick(await users.update(sample.id, { roles: ['owner'] }, NOON)), { name: 'Ada', roles: ['owner'], disabled: false, epoch: 0 })
      deepEqual(pick(await users.update(sample.id, { name: null }, NOON)), { name: null, roles: ['owner'], disabled: false, epoch: 0 })
      deepEqual(pick(await users.update(sample.id, { disabled: true }, NOON)), { name: null, roles: ['owner'], disabled: true, epoch: 1 })
      deepEqual(pick(await users.update(sample.id, { disabled: false }, NOON)), { name: null, roles: ['owner'], disabled: false, epoch: 1 })
      equal(await users.update('unknown', { name: 'x' }, NOON), null)
    }
  },
  {
    title: 'of 16 racers that change the password of one epoch exactly one succeeds',
    async run ({ users }) {
      const sample = sampleUser()
      await users.create(sample)
      const winners = (await race(16, async index => await users.changePassword(sample.id, 0, `digest ${index}`))).filter(user => user !== null)
      equal(winners.length, 1)
      const user = await users.find(sample.id)
      equal(user?.epoch, 1)
      equal(user.passwordDigest, winners[0]!.passwordDigest)
      notEqual(user.passwordDigest, sample.passwordDigest)
    }
  },
  {
    title: 'a deleted user is gone, once, and the address is free again',
    async run ({ users }) {
      const sample = sampleUser()
      await users.create(sample)
      deepEqual((await race(4, async () => await users.delete(sample.id))).toSorted(), [false, false, false, true])
      equal(await users.find(sample.id), null)
      equal(await users.create(sampleUser({ emailKey: sample.emailKey })), 'created')
    }
  }
]

function pick (user: { name: string | null, roles: readonly string[], disabled: boolean, epoch: number } | null) {
  return user && { name: user.name, roles: user.roles, disabled: user.disabled, epoch: user.epoch }
}
