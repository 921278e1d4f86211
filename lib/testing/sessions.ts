import { deepEqual, equal } from 'node:assert/strict'
import type { Storage } from '../../types/storage.ts'
import type { ContractCase } from './storage-contract.ts'
import { after, createUser, NOON, race, sampleSession } from './samples.ts'

async function withSession ({ users, sessions }: Storage, change: Parameters<typeof sampleSession>[1] = {}) {
  const user = await createUser(users)
  const session = sampleSession(user.id, change)
  await sessions.create(session)
  return { user, session }
}

export const sessionCases: readonly ContractCase[] = [
  {
    title: 'a session is found with every field as it was given; an unknown one is null',
    async run (storage) {
      const { session } = await withSession(storage, { userAgent: null, address: '2001:db8::1', remember: false, claims: '{"tenant":"ä"}' })
      deepEqual({ ...await storage.sessions.find(session.id) }, session)
      equal(await storage.sessions.find('unknown'), null)
    }
  },
  {
    title: 'R-02 of 16 racers that rotate one generation exactly one succeeds',
    async run (storage) {
      const { session } = await withSession(storage)
      const change = { at: after(60), idleExpiresAt: after(3660) }
      const winners = (await race(16, async () => await storage.sessions.rotate(session.id, 0, change))).filter(record => record !== null)
      equal(winners.length, 1)
      deepEqual({ ...winners[0] }, { ...session, generation: 1, rotatedAt: after(60), idleExpiresAt: after(3660) })
      equal(await storage.sessions.rotate(session.id, 0, change), null, 'the old generation')
      equal(await storage.sessions.rotate(session.id, 2, change), null, 'one that does not exist yet')
      equal((await storage.sessions.rotate(session.id, 1, change))?.acknowledgedGeneration, 1, 'who presents a generation has received it')
    }
  },
  {
    title: 'a window opens again for exactly one of 16 racers, and only while nobody acknowledged the generation',
    async run (storage) {
      const { session } = await withSession(storage)
      await storage.sessions.rotate(session.id, 0, { at: after(60), idleExpiresAt: after(3660) })
      const winners = (await race(16, async () => await storage.sessions.recover(session.id, 1, after(60), after(120)))).filter(record => record !== null)
      deepEqual(winners.map(({ rotatedAt, idleExpiresAt, generation }) => ({ rotatedAt, idleExpiresAt, generation })), [{ rotatedAt: after(120), idleExpiresAt: after(3660), generation: 1 }])
      await storage.sessions.touch([{ id: session.id, lastSeenAt: after(121), acknowledgedGeneration: 1 }])
      equal(await storage.sessions.recover(session.id, 1, after(120), after(180)), null)

      const { session: revoked } = await withSession(storage)
      await storage.sessions.rotate(revoked.id, 0, { at: after(60), idleExpiresAt: after(3660) })
      await storage.sessions.revoke(revoked.id, { at: after(61), reason: 'signed-out' })
      equal(await storage.sessions.recover(revoked.id, 1, after(60), after(120)), null, 'nor of a session that was revoked')
    }
  },
  {
    title: 'S-I16 a session is revoked once, by its user alone where one is named, and stays revoked',
    async run (storage) {
      const { session, user } = await withSession(storage)
      equal(await storage.sessions.revoke(session.id, { at: after(1), reason: 'ended-by-user', userId: 'somebody else' }), false)
      deepEqual((await race(16, async () => await storage.sessions.revoke(session.id, { at: after(1), reason: 'signed-out', userId: user.id }))).filter(Boolean), [true])
      const record = await storage.sessions.find(session.id)
      deepEqual([record?.revokedAt, record?.revokeReason], [after(1), 'signed-out'])
      equal(await storage.sessions.rotate(session.id, 0, { at: after(60), idleExpiresAt: after(3660) }), null)
      equal(await storage.sessions.recover(session.id, 0, NOON, after(60)), null)
      equal(await storage.sessions.revoke('unknown', { at: after(1), reason: 'signed-out' }), false)
    }
  },
  {
    title: 'a rotation and a revocation that race leave the session revoked',
    async run (storage) {
      for (let round = 0; round < 8; round++) {
        const { session } = await withSession(storage)
        await Promise.all([
          storage.sessions.rotate(session.id, 0, { at: after(60), idleExpiresAt: after(3660) }),
          storage.sessions.revoke(session.id, { at: after(60), reason: 'signed-out' })
        ])
        equal((await storage.sessions.find(session.id))?.revokeReason, 'signed-out')
      }
    }
  },
  {
    title: 'S-I11 all sessions of one user are revoked but the excepted one, and nobody else\'s',
    async run (storage) {
      const { session, user } = await withSession(storage)
      const stranger = await withSession(storage)
      const kept = sampleSession(user.id)
      await storage.sessions.create(kept)
      deepEqual(await storage.sessions.revokeAllForUser(user.id, { at: after(1), reason: 'ended-by-user', except: kept.id }), [session.id])
      deepEqual(await storage.sessions.revokeAllForUser(user.id, { at: after(1), reason: 'password-changed' }), [kept.id])
      deepEqual(await storage.sessions.revokeAllForUser(user.id, { at: after(1), reason: 'password-changed' }), [])
      equal((await storage.sessions.find(stranger.session.id))?.revokedAt, null)
    }
  },
  {
    title: 'S-09 of 16 racers that begin a session where 4 are allowed exactly 4 stay, those that began last; others\' do not count',
    async run ({ users, sessions }) {
      const user = await createUser(users)
      const stranger = sampleSession((await createUser(users)).id)
      await sessions.create(stranger)
      const idle = sampleSession(user.id, { createdAt: after(100), idleExpiresAt: after(20) })
      await sessions.create(idle)
      const begun = Array.from({ length: 16 }, (_, index) => sampleSession(user.id, { createdAt: after(index) }))
      const ended = await race(16, async index => {
        await sessions.create(begun[index]!)
        return await sessions.revokeOldest(user.id, { at: after(30), reason: 'too-many', keep: 4 })
      })
      deepEqual((await sessions.listForUser(user.id, after(30))).map(({ id }) => id), begun.slice(12).toReversed().map(({ id }) => id))
      deepEqual(ended.flat().toSorted(), begun.slice(0, 12).map(({ id }) => id).toSorted(), 'each is named once')
      equal((await sessions.find(begun[0]!.id))?.revokeReason, 'too-many')
      deepEqual([(await sessions.find(stranger.id))?.revokedAt, (await sessions.find(idle.id))?.revokedAt], [null, null])
    }
  },
  {
    title: 'the list of a user has the live sessions alone, newest first',
    async run (storage) {
      const { session, user } = await withSession(storage)
      const newer = sampleSession(user.id, { createdAt: after(5) })
      const idle = sampleSession(user.id, { idleExpiresAt: after(10) })
      const past = sampleSession(user.id, { idleExpiresAt: after(10), expiresAt: after(10) })
      const revoked = sampleSession(user.id)
      for (const one of [newer, idle, past, revoked]) await storage.sessions.create(one)
      await storage.sessions.revoke(revoked.id, { at: after(1), reason: 'signed-out' })
      await withSession(storage)
      deepEqual((await storage.sessions.listForUser(user.id, after(10))).map(({ id }) => id), [newer.id, session.id])
    }
  },
  {
    title: 'activity moves forward and never back, acknowledges no generation that was not issued, and passes over unknown ids',
    async run (storage) {
      const { session } = await withSession(storage)
      const other = await withSession(storage)
      await storage.sessions.rotate(session.id, 0, { at: after(60), idleExpiresAt: after(3660) })
      await storage.sessions.touch([])
      await storage.sessions.touch([
        { id: session.id, lastSeenAt: after(70), acknowledgedGeneration: 1 },
        { id: 'unknown', lastSeenAt: after(70), acknowledgedGeneration: 1 },
        { id: other.session.id, lastSeenAt: after(71), acknowledgedGeneration: 5 }
      ])
      await storage.sessions.touch([{ id: session.id, lastSeenAt: after(65), acknowledgedGeneration: 0 }])
      const [first, second] = [await storage.sessions.find(session.id), await storage.sessions.find(other.session.id)]
      deepEqual([first?.lastSeenAt, first?.acknowledgedGeneration], [after(70), 1])
      deepEqual([second?.lastSeenAt, second?.acknowledgedGeneration], [after(71), 0])
    }
  },
  {
    title: 'S-04 the sessions of a deleted account leave no row; the live ones among them are named',
    async run (storage) {
      const { session, user } = await withSession(storage)
      const revoked = sampleSession(user.id)
      await storage.sessions.create(revoked)
      await storage.sessions.revoke(revoked.id, { at: after(1), reason: 'signed-out' })
      deepEqual(await storage.sessions.deleteAllForUser(user.id), [session.id])
      deepEqual([await storage.sessions.find(session.id), await storage.sessions.find(revoked.id)], [null, null])
    }
  },
  {
    title: 'sessions that ended before a moment are forgotten, others are not',
    async run (storage) {
      if (storage.sessions.deleteEnded === undefined) return
      const { session, user } = await withSession(storage)
      const idle = sampleSession(user.id, { idleExpiresAt: after(10) })
      const revoked = sampleSession(user.id)
      for (const one of [idle, revoked]) await storage.sessions.create(one)
      await storage.sessions.revoke(revoked.id, { at: after(1), reason: 'signed-out' })
      await storage.sessions.deleteEnded(after(11))
      deepEqual([await storage.sessions.find(idle.id), await storage.sessions.find(revoked.id)], [null, null])
      equal((await storage.sessions.find(session.id))?.id, session.id)
    }
  }
]
