import { deepEqual, equal, rejects } from 'node:assert/strict'
import { after, createUser, NOON, race, sampleId, samplePersonalToken } from './samples.ts'
import type { ContractCase } from './storage-contract.ts'

export const personalTokenRaceCases: readonly ContractCase[] = [
  {
    title: 'of 16 racers that create personal tokens where 4 are allowed exactly 4 get in; another user\'s do not count',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const [userId, otherId] = [sampleId(), sampleId()]
      const outcomes = await race(32, async index => await tokens.create(samplePersonalToken({ userId: index % 2 === 0 ? userId : otherId }), 4))
      for (const parity of [0, 1]) equal(outcomes.filter((outcome, index) => index % 2 === parity && outcome === 'created').length, 4)
      deepEqual([(await tokens.listForUser(userId)).length, (await tokens.listForUser(otherId)).length], [4, 4])
    }
  },
  {
    title: 'nor do more get in when each is created in a unit of work',
    async run (storage) {
      if (storage.personalTokens === undefined || storage.atomically === undefined) return
      const userId = sampleId()
      const outcomes = await race(8, async () => await storage.atomically!(storage, async ({ personalTokens }) => await personalTokens!.create(samplePersonalToken({ userId }), 2)))
      equal(outcomes.filter(outcome => outcome === 'created').length, 2)
      equal((await storage.personalTokens.listForUser(userId)).length, 2)
    }
  },
  {
    title: 'of 16 racers that replace one personal token exactly one succeeds',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const old = samplePersonalToken()
      await tokens.create(old, 1)
      const successors = Array.from({ length: 16 }, () => samplePersonalToken({ userId: old.userId, createdAt: after(5) }))
      const outcomes = await race(16, async index => await tokens.replace(old.id, old.userId, successors[index]!, after(60), 1))
      deepEqual(outcomes.toSorted().slice(-2), ['not-found', 'replaced'])
      const winner = successors[outcomes.indexOf('replaced')]!
      deepEqual((await tokens.listForUser(old.userId)).map(({ id }) => id), [winner.id, old.id])
      equal((await tokens.find(old.id))?.successorId, winner.id)
    }
  },
  {
    title: 'of 16 racers that revoke one personal token exactly one succeeds, and it stays revoked',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const token = samplePersonalToken()
      await tokens.create(token, 1)
      deepEqual((await race(16, async () => await tokens.revoke(token.id, token.userId, after(5)))).filter(Boolean), [true])
      equal(await tokens.revoke(token.id, token.userId, after(6)), false)
      deepEqual({ ...await tokens.find(token.id) }, { ...token, revokedAt: after(5) })
    }
  },
  {
    title: 'whatever races a revocation leaves the personal token revoked',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      for (let round = 0; round < 8; round++) {
        const token = samplePersonalToken()
        await tokens.create(token, 1)
        await Promise.all([
          tokens.update(token.id, token.userId, { expiresAt: after(9999) }, NOON),
          tokens.carryOver(token.userId, 0, 1),
          tokens.touch([{ id: token.id, lastUsedAt: after(1), lastUsedAddress: null }]),
          tokens.replace(token.id, token.userId, samplePersonalToken({ userId: token.userId }), after(9999), 9),
          tokens.revoke(token.id, token.userId, after(1))
        ])
        deepEqual((await tokens.find(token.id))?.revokedAt, after(1))
      }
    }
  },
  {
    title: 'verbs that change several personal tokens of one user at once all come to an end',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const userId = sampleId()
      const records = Array.from({ length: 24 }, () => samplePersonalToken({ userId }))
      for (const record of records) await tokens.create(record, 24)
      const revoked = await race(16, async index => {
        if (index % 4 === 0) return await tokens.revokeAllForUser(userId, after(index))
        if (index % 4 === 1) await tokens.carryOver(userId, 0, 0)
        else await tokens.touch((index % 4 === 2 ? records : records.toReversed()).map(({ id }) => ({ id, lastUsedAt: after(index), lastUsedAddress: null })))
        return []
      })
      deepEqual(revoked.flat().toSorted(), records.map(({ id }) => id).toSorted(), 'each is named once')
    }
  },
  {
    title: 'of 16 racers that advance one notice exactly one succeeds',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const token = samplePersonalToken({ noticeAt: after(30) })
      await tokens.create(token, 1)
      deepEqual((await race(16, async index => await tokens.advanceNotice(token.id, after(30), index % 2 === 0 ? null : after(60 + index)))).filter(Boolean), [true])
    }
  },
  {
    title: 'what a unit of work does to personal tokens is undone with it',
    async run (storage) {
      const { personalTokens: tokens } = storage
      if (tokens === undefined || storage.atomically === undefined) return
      const [kept, fresh] = [samplePersonalToken(), samplePersonalToken()]
      const successor = samplePersonalToken({ userId: kept.userId })
      await tokens.create(kept, 1)
      const failure = new RangeError('half-way')
      await rejects(storage.atomically(storage, async stores => {
        await createUser(stores.users)
        equal(await stores.personalTokens!.create(fresh, 1), 'created')
        equal(await stores.personalTokens!.replace(kept.id, kept.userId, successor, after(60), 1), 'replaced')
        throw failure
      }), failure)
      deepEqual([{ ...await tokens.find(kept.id) }, await tokens.find(fresh.id), await tokens.find(successor.id)], [kept, null, null])
    }
  }
]
