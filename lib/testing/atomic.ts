import { deepEqual, equal, rejects } from 'node:assert/strict'
import type { ContractCase } from './storage-contract.ts'
import { sampleSession, sampleUser } from './samples.ts'

export const atomicCases: readonly ContractCase[] = [
  {
    title: 'S-I15 writes of one unit of work land together',
    async run (storage) {
      if (storage.atomically === undefined) return
      const user = sampleUser()
      const session = sampleSession(user.id)
      const outcome = await storage.atomically(async stores => {
        await stores.users.create(user)
        await stores.sessions.create(session)
        return 'done'
      })
      equal(outcome, 'done')
      deepEqual([(await storage.users.find(user.id))?.id, (await storage.sessions.find(session.id))?.id], [user.id, session.id])
    }
  },
  {
    title: 'S-I15 or not at all, when the work fails half-way',
    async run (storage) {
      if (storage.atomically === undefined) return
      const user = sampleUser()
      const failure = new RangeError('half-way')
      await rejects(storage.atomically(async stores => {
        await stores.users.create(user)
        throw failure
      }), failure)
      equal(await storage.users.find(user.id), null)
      equal(await storage.users.create(user), 'created', 'and nothing stays locked')
    }
  },
  {
    title: 'units of work that race do not mix',
    async run (storage) {
      if (storage.atomically === undefined) return
      const user = sampleUser()
      await storage.users.create(user)
      const outcomes = await Promise.all(Array.from({ length: 8 }, async (_, index) => await storage.atomically!(async stores => {
        const changed = await stores.users.changePassword(user.id, 0, `digest ${index}`)
        if (changed !== null) await stores.sessions.create(sampleSession(user.id, { epoch: changed.epoch }))
        return changed !== null
      })))
      deepEqual(outcomes.filter(Boolean), [true])
      equal((await storage.sessions.listForUser(user.id, new Date('2026-06-01T12:00:00Z'))).length, 1)
    }
  }
]
