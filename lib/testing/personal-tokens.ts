import { deepEqual, equal, rejects } from 'node:assert/strict'
import type { PersonalTokenRecord, PersonalTokenStore } from '../../types/storage.ts'
import { personalTokenRaceCases } from './personal-token-races.ts'
import { after, NOON, sampleId, samplePersonalToken } from './samples.ts'
import type { ContractCase } from './storage-contract.ts'

const MANY = 1000

async function createTokens (tokens: PersonalTokenStore, ...changes: ReadonlyArray<Partial<PersonalTokenRecord>>): Promise<PersonalTokenRecord[]> {
  const records = changes.map(samplePersonalToken)
  for (const record of records) equal(await tokens.create(record, MANY), 'created')
  return records
}

export const personalTokenCases: readonly ContractCase[] = [
  {
    title: 'a personal token is found with every field as it was given, by id and by digest; an unknown one is null',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const used = { lastUsedAt: after(5), lastUsedAddress: '2001:db8::1', noticeAt: after(60), successorId: sampleId(), revokedAt: after(9) }
      const records = await createTokens(tokens,
        { name: 'Sicherung ✓ \'"\\', allowedMethods: ['GET', 'HEAD'], allowedIps: ['192.0.2.0/24', '2001:db8::/32'], scopes: ['a:b', 'ü "\\'], epoch: 7, ...used },
        { context: 'browser', allowedReferrers: ['https://example.com'] },
        { allowedMethods: [], allowedIps: [], allowedReferrers: [], scopes: [] },
        {})
      for (const record of records) {
        for (const found of [await tokens.find(record.id), await tokens.findByDigest(record.digest), (await tokens.listForUser(record.userId))[0]]) deepEqual({ ...found }, record)
      }
      for (const unknown of ['unknown', '', '%', 'null', records[0]!.name]) deepEqual([await tokens.find(unknown), await tokens.findByDigest(unknown), await tokens.listForUser(unknown)], [null, null, []])
      deepEqual([await tokens.find(records[0]!.digest), await tokens.findByDigest(records[0]!.id)], [null, null])
    }
  },
  {
    title: 'no two personal tokens share a digest',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const [first] = await createTokens(tokens, {})
      const second = samplePersonalToken({ digest: first!.digest })
      await rejects(tokens.create(second, MANY))
      deepEqual([await tokens.find(second.id), (await tokens.findByDigest(first!.digest))?.id], [null, first!.id])
    }
  },
  {
    title: 'the limit of a user counts live personal tokens of one epoch alone, and what is over it leaves no trace',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const userId = sampleId()
      await createTokens(tokens, { userId, epoch: 1 }, { userId, epoch: 3 }, { userId, epoch: 2, revokedAt: NOON }, { userId, epoch: 2, expiresAt: after(10) }, { epoch: 2 })
      const create = async (createdAt: Date) => {
        const token = samplePersonalToken({ userId, epoch: 2, createdAt, expiresAt: after(7200) })
        return [await tokens.create(token, 2), await tokens.find(token.id) !== null]
      }
      deepEqual(await create(after(9)), ['created', true])
      deepEqual(await create(after(9)), ['limit-reached', false])
      deepEqual(await create(after(10)), ['created', true], 'one has ended at that very moment')
      deepEqual(await create(after(10)), ['limit-reached', false])
      equal(await tokens.create(samplePersonalToken(), 0), 'limit-reached')
    }
  },
  {
    title: 'the list of a user has all personal tokens that are kept, newest first; of one moment, greater ids first',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const userId = sampleId()
      const mark = sampleId()
      // By their bytes, whatever the language of the database.
      const ids = ['z', 'a', 'Z', 'A', '_', '9', '-'].map(first => first + mark)
      await createTokens(tokens, {}, { id: `new${mark}`, userId, createdAt: after(5) }, { id: `old${mark}`, userId, createdAt: after(-5), revokedAt: NOON, expiresAt: after(-1) }, ...ids.toReversed().map(id => ({ id, userId })))
      deepEqual((await tokens.listForUser(userId)).map(({ id }) => id.replace(mark, '')), ['new', 'z', 'a', '_', 'Z', 'A', '9', '-', 'old'])
    }
  },
  {
    title: 'a change of a personal token sets what it names and leaves the rest',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const [token] = await createTokens(tokens, { allowedMethods: ['GET'], scopes: ['read'], noticeAt: after(60) })
      let expected = token!
      for (const change of [
        {}, { name: 'other' }, { allowedMethods: null }, { allowedMethods: ['POST'] }, { allowedIps: ['192.0.2.1'] }, { allowedReferrers: [] }, { scopes: null }, { expiresAt: after(100) },
        { noticeAt: null }, { noticeAt: after(70) }, { name: 'last', allowedMethods: null, allowedIps: null, allowedReferrers: null, scopes: ['a', 'b'], expiresAt: after(50), noticeAt: after(40) }
      ]) {
        expected = { ...expected, ...change }
        deepEqual({ ...await tokens.update(token!.id, token!.userId, change, NOON) }, expected)
        deepEqual({ ...await tokens.find(token!.id) }, expected)
      }
    }
  },
  {
    title: 'a personal token of somebody else, or one that has ended, is neither changed nor replaced; nor is one of somebody else revoked, or one twice',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const [live, revoked, expired] = await createTokens(tokens, {}, { revokedAt: NOON }, { expiresAt: after(10) })
      for (const [token, userId] of [[live!, 'somebody else'], [live!, revoked!.userId], [revoked!, revoked!.userId], [expired!, expired!.userId], [samplePersonalToken(), 'nobody']] as const) {
        const successor = samplePersonalToken({ userId, createdAt: after(10) })
        equal(await tokens.update(token.id, userId, { name: 'taken', expiresAt: after(9999) }, after(10)), null)
        equal(await tokens.replace(token.id, userId, successor, after(20), 9), 'not-found')
        equal(await tokens.find(successor.id), null)
        if (token !== expired) equal(await tokens.revoke(token.id, userId, after(10)), false)
      }
      for (const token of [live!, revoked!, expired!]) deepEqual({ ...await tokens.find(token.id) }, token)
      equal((await tokens.update(expired!.id, expired!.userId, { name: 'still' }, after(9)))?.name, 'still')
    }
  },
  {
    title: 'all personal tokens of one user are revoked once, and nobody else\'s',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const userId = sampleId()
      const [one, other, revoked, stranger] = await createTokens(tokens, { userId }, { userId, epoch: 4 }, { userId, revokedAt: NOON }, {})
      deepEqual((await tokens.revokeAllForUser(userId, after(5))).toSorted(), [one!.id, other!.id].toSorted())
      deepEqual(await tokens.revokeAllForUser(userId, after(6)), [])
      deepEqual(await Promise.all([one, other, revoked, stranger].map(async token => (await tokens.find(token!.id))?.revokedAt)), [after(5), after(5), NOON, null])
    }
  },
  {
    title: 'a replacement lands as a whole or not at all, and there is but one',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const [old, taken] = await createTokens(tokens, {}, {})
      const broken = samplePersonalToken({ userId: old!.userId, createdAt: after(5), digest: taken!.digest })
      await rejects(tokens.replace(old!.id, old!.userId, broken, after(60), 9))
      deepEqual([{ ...await tokens.find(old!.id) }, await tokens.find(broken.id)], [old, null])
      const successor = samplePersonalToken({ userId: old!.userId, createdAt: after(5), name: 'new', scopes: ['read'] })
      equal(await tokens.replace(old!.id, old!.userId, successor, after(60), 1), 'replaced')
      deepEqual([{ ...await tokens.find(old!.id) }, { ...await tokens.find(successor.id) }], [{ ...old!, successorId: successor.id, expiresAt: after(60) }, successor])
      equal(await tokens.replace(old!.id, old!.userId, samplePersonalToken({ userId: old!.userId, createdAt: after(5) }), after(60), 9), 'not-found')
    }
  },
  {
    title: 'a personal token of an epoch that is over is not replaced: a change of the password came first',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const [old] = await createTokens(tokens, { epoch: 3 })
      for (const epoch of [2, 4]) {
        const successor = samplePersonalToken({ userId: old!.userId, epoch })
        equal(await tokens.replace(old!.id, old!.userId, successor, after(60), 9), 'not-found')
        deepEqual([{ ...await tokens.find(old!.id) }, await tokens.find(successor.id)], [old, null])
      }
    }
  },
  {
    title: 'replacing personal tokens that live on does not get round the limit',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const userId = sampleId()
      const [old] = await createTokens(tokens, { userId }, { userId }, { userId, epoch: 4 }, { userId, revokedAt: NOON }, { userId, expiresAt: after(5) }, {})
      const [second, third] = [5, 6].map(seconds => samplePersonalToken({ userId, createdAt: after(seconds) }))
      equal(await tokens.replace(old!.id, userId, second!, after(60), 2), 'replaced')
      equal(await tokens.replace(second!.id, userId, third!, after(60), 2), 'limit-reached')
      deepEqual([{ ...await tokens.find(second!.id) }, await tokens.find(third!.id)], [second, null])
      const late = samplePersonalToken({ userId, createdAt: after(60) })
      equal(await tokens.replace(second!.id, userId, late, after(90), 2), 'replaced', 'the first one has ended')
    }
  },
  {
    title: 'the personal tokens of one epoch of a user are carried over, but for revoked ones',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const userId = sampleId()
      const records = await createTokens(tokens, { userId, epoch: 2 }, { userId, epoch: 2 }, { userId, epoch: 1 }, { userId, epoch: 2, revokedAt: NOON }, { epoch: 2 })
      await tokens.carryOver(userId, 2, 3)
      deepEqual(await Promise.all(records.map(async ({ id }) => (await tokens.find(id))?.epoch)), [3, 3, 1, 2, 2])
    }
  },
  {
    title: 'the last use of personal tokens moves forward and never back; unknown ids are passed over',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const [one, other] = await createTokens(tokens, {}, { lastUsedAt: after(3), lastUsedAddress: '192.0.2.3' })
      const touch = async (id: string, seconds: number, lastUsedAddress: string | null) => await tokens.touch([{ id, lastUsedAt: after(seconds), lastUsedAddress }])
      const usesOf = async () => await Promise.all([one, other].map(async token => await tokens.find(token!.id).then(found => [found?.lastUsedAt, found?.lastUsedAddress])))
      await tokens.touch([])
      await tokens.touch([{ id: one!.id, lastUsedAt: after(7), lastUsedAddress: '192.0.2.1' }, { id: 'unknown', lastUsedAt: after(8), lastUsedAddress: null }, { id: other!.id, lastUsedAt: after(2), lastUsedAddress: '192.0.2.2' }])
      deepEqual(await usesOf(), [[after(7), '192.0.2.1'], [after(3), '192.0.2.3']])
      await touch(one!.id, 6, '192.0.2.6')
      await touch(other!.id, 9, null)
      deepEqual(await usesOf(), [[after(7), '192.0.2.1'], [after(9), null]])
      await tokens.touch([10, 12, 11].map(seconds => ({ id: one!.id, lastUsedAt: after(seconds), lastUsedAddress: `192.0.2.${seconds}` })))
      deepEqual((await usesOf())[0], [after(12), '192.0.2.12'])
      deepEqual({ ...await tokens.find(one!.id) }, { ...one!, lastUsedAt: after(12), lastUsedAddress: '192.0.2.12' }, 'and nothing else changes')
    }
  },
  {
    title: 'notices that are due are found, the earliest first, until they are advanced',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      // They are common to all that runs on the storage.
      for (const { id, noticeAt } of await tokens.findNoticesDue(after(60), 100_000)) await tokens.advanceNotice(id, noticeAt!, null)
      const [third, first, second] = await createTokens(tokens, { noticeAt: after(60) }, { noticeAt: after(40), expiresAt: after(45) }, { noticeAt: after(50) }, { noticeAt: after(61) }, { noticeAt: after(30), revokedAt: NOON }, {})
      const due = async (limit: number, seconds = 60) => (await tokens.findNoticesDue(after(seconds), limit)).map(({ id }) => id)
      deepEqual([await due(100), await due(2), await due(100, 59), await due(100, 39)], [[first!.id, second!.id, third!.id], [first!.id, second!.id], [first!.id, second!.id], []])
      deepEqual((await tokens.findNoticesDue(after(60), 1)).map(one => ({ ...one })), [first])
      equal(await tokens.advanceNotice(first!.id, after(41), null), false)
      equal(await tokens.advanceNotice('unknown', after(40), null), false)
      equal(await tokens.advanceNotice(first!.id, after(40), after(55)), true)
      equal(await tokens.advanceNotice(second!.id, after(50), null), true)
      deepEqual(await due(100), [first!.id, third!.id])
      deepEqual({ ...await tokens.find(first!.id) }, { ...first!, noticeAt: after(55) })
    }
  },
  {
    title: 'the personal tokens of a deleted account leave no row; those not revoked before are named',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      const userId = sampleId()
      const [live, revoked, expired, stranger] = await createTokens(tokens, { userId }, { userId, revokedAt: NOON }, { userId, expiresAt: after(-1) }, {})
      deepEqual((await tokens.deleteAllForUser(userId)).toSorted(), [live!.id, expired!.id].toSorted())
      deepEqual(await Promise.all([live, revoked, expired, stranger].map(async token => (await tokens.find(token!.id))?.id)), [undefined, undefined, undefined, stranger!.id])
      deepEqual(await tokens.deleteAllForUser(userId), [])
    }
  },
  {
    title: 'personal tokens that ended before a moment are forgotten and counted, others are not',
    async run ({ personalTokens: tokens }) {
      if (tokens === undefined) return
      await tokens.deleteEnded(after(11))
      const records = await createTokens(tokens, {}, { expiresAt: after(10) }, { revokedAt: after(10) }, { expiresAt: after(11) }, { revokedAt: after(11) })
      equal(await tokens.deleteEnded(after(11)), 2)
      deepEqual(await Promise.all(records.map(async ({ id }) => await tokens.find(id) !== null)), [true, false, false, true, true])
    }
  },
  ...personalTokenRaceCases
]
