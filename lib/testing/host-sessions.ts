import { deepEqual, equal } from 'node:assert/strict'
import type { HostSessionRecord, HostSessionStore } from '../../types/storage.ts'
import type { ContractCase } from './storage-contract.ts'
import { after, NOON, race, sampleId } from './samples.ts'

function sampleHostSession (change: Partial<HostSessionRecord> = {}): HostSessionRecord {
  return { digest: sampleId(), owner: null, data: '{"cart":[]}', expiresAt: after(3600), ...change }
}

const sampleOwner = () => ({ userId: sampleId(), sessionId: sampleId() })

/** Which of them are found at noon. */
async function found (store: HostSessionStore, records: readonly HostSessionRecord[]): Promise<boolean[]> {
  return await Promise.all(records.map(async ({ digest }) => await store.find(digest, NOON) !== null))
}

export const hostSessionCases: readonly ContractCase[] = [
  {
    title: 'a session of the host\'s is found as it was saved, and as it was saved last; an unknown one is null',
    async run ({ hostSessions }) {
      if (hostSessions === undefined) return
      const record = sampleHostSession({ data: '{"cart":["Ä \\u0000 ✓ \'; --"]}' })
      await hostSessions.save(record)
      deepEqual({ ...await hostSessions.find(record.digest, NOON) }, record)
      const changed = { ...record, owner: sampleOwner(), data: '{}', expiresAt: after(7200) }
      await hostSessions.save(changed)
      deepEqual({ ...await hostSessions.find(record.digest, NOON) }, changed)
      await hostSessions.save(record)
      equal((await hostSessions.find(record.digest, NOON))?.owner, null)
      for (const unknown of [sampleId(), '', '%', 'null']) equal(await hostSessions.find(unknown, NOON), null)
    }
  },
  {
    title: 'S-02 a session of the host\'s is not found from its end on, and forgotten then',
    async run ({ hostSessions }) {
      if (hostSessions === undefined) return
      const record = sampleHostSession({ expiresAt: after(-60) })
      const stays = sampleHostSession()
      for (const one of [record, stays]) await hostSessions.save(one)
      equal((await hostSessions.find(record.digest, after(-61)))?.digest, record.digest)
      equal(await hostSessions.find(record.digest, after(-60)), null)
      await hostSessions.deleteExpired(after(-59))
      equal(await hostSessions.find(record.digest, after(-61)), null)
      deepEqual(await found(hostSessions, [stays]), [true])
    }
  },
  {
    title: 'A-09 a destroyed session of the host\'s never comes back, whoever saves it, also one that was never stored',
    async run ({ hostSessions }) {
      if (hostSessions === undefined) return
      const [stored, unknown] = [sampleHostSession({ owner: sampleOwner() }), sampleHostSession()]
      await hostSessions.save(stored)
      for (const record of [stored, unknown]) {
        await hostSessions.destroy(record.digest, after(86_400))
        await hostSessions.save({ ...record, expiresAt: after(99_999) })
        await hostSessions.destroy(record.digest, after(86_400))
      }
      deepEqual(await found(hostSessions, [stored, unknown]), [false, false])
      deepEqual(await hostSessions.listForUser(stored.owner!.userId), [])
    }
  },
  {
    title: 'A-09 of racers who save and one who destroys, the last word is that it is destroyed',
    async run ({ hostSessions }) {
      if (hostSessions === undefined) return
      const record = sampleHostSession()
      await race(16, async index => index === 8 ? await hostSessions.destroy(record.digest, after(60)) : await hostSessions.save(record))
      deepEqual(await found(hostSessions, [record]), [false])
    }
  },
  {
    title: 'S-04 what the host keeps for a session or a user goes with it, and nothing else does',
    async run ({ hostSessions }) {
      if (hostSessions === undefined) return
      const [ada, bob] = [sampleOwner(), sampleOwner()]
      const elsewhere = { ...ada, sessionId: sampleId() }
      const records = [ada, elsewhere, bob, null].map((owner, index) => sampleHostSession({ owner, expiresAt: after(60 + index) }))
      for (const record of records) await hostSessions.save(record)
      deepEqual((await hostSessions.listForUser(ada.userId)).map(one => ({ ...one })), records.slice(0, 2))
      await hostSessions.deleteForSession(ada.sessionId)
      deepEqual(await found(hostSessions, records), [false, true, true, true])
      await hostSessions.deleteForUser(ada.userId)
      deepEqual(await found(hostSessions, records), [false, false, true, true])
    }
  }
]
