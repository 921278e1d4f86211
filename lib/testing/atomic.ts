import { deepEqual, equal, ok, rejects } from 'node:assert/strict'
import type { ContractCase } from './storage-contract.ts'
import { createUser, NOON, sampleSession } from './samples.ts'

export const atomicCases: readonly ContractCase[] = [
  {
    title: 'S-I15 writes of one unit of work land together',
    async run (storage) {
      if (storage.atomically === undefined) return
      const { user, session } = await storage.atomically(storage, async stores => {
        const user = await createUser(stores.users)
        const session = sampleSession(user.id)
        await stores.sessions.create(session)
        return { user, session }
      })
      deepEqual([(await storage.users.find(user.id))?.id, (await storage.sessions.find(session.id))?.id], [user.id, session.id])
    }
  },
  {
    title: 'S-I15 or not at all, when the work fails half-way',
    async run (storage) {
      if (storage.atomically === undefined) return
      const user = await createUser(storage.users)
      const session = sampleSession(user.id)
      const failure = new RangeError('half-way')
      let takesPart = false
      await rejects(storage.atomically(storage, async stores => {
        takesPart = stores.sessions !== storage.sessions
        await stores.sessions.create(session)
        await stores.users.update(user.id, { name: 'half' }, NOON)
        throw failure
      }), failure)
      equal((await storage.users.find(user.id))?.name, user.name)
      if (!takesPart) return
      equal(await storage.sessions.find(session.id), null)
      await storage.sessions.create(session)
    }
  },
  {
    title: 'a store that belongs to somebody else is handed through a unit of work as it is',
    async run (storage) {
      if (storage.atomically === undefined) return
      const foreign = { ...storage.sessions }
      await storage.atomically({ users: storage.users, sessions: foreign }, async stores => {
        ok(stores.sessions === foreign)
        ok(stores.users !== storage.users, 'ours takes part in the transaction')
      })
    }
  },
  {
    title: 'units of work that race do not mix',
    async run (storage) {
      if (storage.atomically === undefined) return
      const user = await createUser(storage.users)
      const outcomes = await Promise.all(Array.from({ length: 8 }, async (_, index) => await storage.atomically!(storage, async stores => {
        const changed = await stores.users.changePassword(user.id, 0, `digest ${index}`)
        if (changed !== null) await stores.sessions.create(sampleSession(user.id, { epoch: changed.epoch }))
        return changed !== null
      })))
      deepEqual(outcomes.filter(Boolean), [true])
      equal((await storage.sessions.listForUser(user.id, new Date('2026-06-01T12:00:00Z'))).length, 1)
    }
  }
]
