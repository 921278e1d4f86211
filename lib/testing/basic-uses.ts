import { deepEqual } from 'node:assert/strict'
import type { BasicUseRecord } from '../../types/storage.ts'
import { after, NOON, race, sampleId } from './samples.ts'
import type { ContractCase } from './storage-contract.ts'

const sample = (changes: Partial<BasicUseRecord> = {}): BasicUseRecord => ({ userId: sampleId(), method: 'GET', route: '/reports/:id', lastUsedAt: NOON, lastUsedAddress: '192.0.2.1', ...changes })

const plain = (uses: readonly BasicUseRecord[]) => uses.map(use => ({ ...use }))

export const basicUseCases: readonly ContractCase[] = [
  {
    title: 'of the uses of HTTP Basic by one user at one route the latest is kept, in whatever order they come',
    async run ({ basicUses: uses }) {
      if (uses === undefined) return
      const first = sample()
      const other = sample({ userId: first.userId, method: 'POST', lastUsedAt: after(1) })
      const latest = { ...first, lastUsedAt: after(9), lastUsedAddress: null }
      await uses.note([])
      await uses.note([first, other, latest, { ...first, lastUsedAt: after(5) }])
      await uses.note([{ ...first, lastUsedAt: after(7) }])
      deepEqual(plain(await uses.listForUser(first.userId!)), [latest, other])
    }
  },
  {
    title: 'uses of HTTP Basic that several share have no user; the list has the latest first and no more than was asked for',
    async run ({ basicUses: uses }) {
      if (uses === undefined) return
      const [shared, later] = [sample({ userId: null, route: `/${sampleId()}`, lastUsedAt: after(99_998) }), sample({ lastUsedAt: after(99_999) })]
      await uses.note([shared, later])
      deepEqual(plain(await uses.list(2)), [later, shared])
      deepEqual(await uses.listForUser(''), [])
      await uses.deleteAllForUser('')
      deepEqual(plain(await uses.list(2)), [later, shared])
    }
  },
  {
    title: 'uses of HTTP Basic go with their user, or with time',
    async run ({ basicUses: uses }) {
      if (uses === undefined) return
      const [gone, old, kept] = [sample(), sample({ lastUsedAt: after(-86_400) }), sample()]
      await uses.note([gone, old, kept])
      await uses.deleteAllForUser(gone.userId!)
      await uses.deleteUnused(NOON)
      deepEqual((await Promise.all([gone, old, kept].map(async ({ userId }) => await uses.listForUser(userId!)))).map(({ length }) => length), [0, 0, 1])
    }
  },
  {
    title: 'processes that note the same uses of HTTP Basic at once all come to an end',
    async run ({ basicUses: uses }) {
      if (uses === undefined) return
      const records = Array.from({ length: 16 }, () => sample())
      await race(16, async index => await uses.note((index % 2 === 0 ? records : records.toReversed()).map(use => ({ ...use, lastUsedAt: after(index) }))))
      for (const { userId } of records) deepEqual((await uses.listForUser(userId!)).map(({ lastUsedAt }) => lastUsedAt), [after(15)])
    }
  }
]
