import { deepEqual, equal, ok } from 'node:assert/strict'
import type { OneTimeTokenRecord, OutboxRecord, ThrottleRule } from '../../types/storage.ts'
import type { ContractCase } from './storage-contract.ts'
import { after, NOON, race, sampleId } from './samples.ts'

function sampleToken (change: Partial<OneTimeTokenRecord> = {}): OneTimeTokenRecord {
  return { digest: sampleId(), purpose: 'reset-password', userId: sampleId(), email: 'ada@example.com', epoch: 0, createdAt: NOON, expiresAt: after(900), ...change }
}

const oneTimeTokenCases: readonly ContractCase[] = [
  {
    title: 'W-01 a one-time token is found as it was issued, and consumed once',
    async run ({ oneTimeTokens }) {
      if (oneTimeTokens === undefined) return
      const token = sampleToken({ email: 'Ädä@bücher.example', epoch: 7 })
      await oneTimeTokens.issue(token)
      for (const found of [await oneTimeTokens.find(token.digest, token.purpose, NOON), (await oneTimeTokens.listForUser(token.userId))[0], await oneTimeTokens.consume(token.digest, token.purpose, NOON)]) deepEqual({ ...found }, token)
      equal(await oneTimeTokens.consume(token.digest, token.purpose, NOON), null)
      equal(await oneTimeTokens.find(token.digest, token.purpose, NOON), null)
    }
  },
  {
    title: 'W-01 of 16 racers for a one-time token exactly one gets it',
    async run ({ oneTimeTokens }) {
      if (oneTimeTokens === undefined) return
      const token = sampleToken()
      await oneTimeTokens.issue(token)
      const taken = await race(16, async () => await oneTimeTokens.consume(token.digest, token.purpose, NOON))
      equal(taken.filter(one => one !== null).length, 1)
    }
  },
  {
    title: 'W-01 the newest of a user and purpose voids those before it, and no other',
    async run ({ oneTimeTokens }) {
      if (oneTimeTokens === undefined) return
      const first = sampleToken()
      const others = [sampleToken({ userId: first.userId, purpose: 'verify-email' }), sampleToken()]
      for (const token of [first, ...others]) await oneTimeTokens.issue(token)
      const second = sampleToken({ userId: first.userId })
      await oneTimeTokens.issue(second)
      equal(await oneTimeTokens.find(first.digest, first.purpose, NOON), null)
      equal(await oneTimeTokens.consume(first.digest, first.purpose, NOON), null)
      for (const token of [second, ...others]) ok(await oneTimeTokens.consume(token.digest, token.purpose, NOON))
    }
  },
  {
    title: 'W-01 after one was consumed the next one is good, once',
    async run ({ oneTimeTokens }) {
      if (oneTimeTokens === undefined) return
      const first = sampleToken()
      const second = sampleToken({ userId: first.userId })
      for (const token of [first, second]) {
        await oneTimeTokens.issue(token)
        deepEqual({ ...await oneTimeTokens.find(token.digest, token.purpose, NOON) }, token)
        ok(await oneTimeTokens.consume(token.digest, token.purpose, NOON))
        equal(await oneTimeTokens.consume(token.digest, token.purpose, NOON), null)
      }
    }
  },
  {
    title: 'W-01 of racers who issue, one token is left',
    async run ({ oneTimeTokens }) {
      if (oneTimeTokens === undefined) return
      const { userId } = sampleToken()
      await race(8, async () => await oneTimeTokens.issue(sampleToken({ userId })))
      equal((await oneTimeTokens.listForUser(userId)).length, 1)
    }
  },
  {
    title: 'W-02 another purpose, an expired one and texts that nobody issued match nothing',
    async run ({ oneTimeTokens }) {
      if (oneTimeTokens === undefined) return
      const token = sampleToken()
      await oneTimeTokens.issue(token)
      for (const [digest, purpose, at] of [[token.digest, 'verify-email', NOON], [token.digest, token.purpose, after(900)], ['', token.purpose, NOON], ['%', token.purpose, NOON], ['null', token.purpose, NOON]] as const) {
        equal(await oneTimeTokens.find(digest, purpose, at), null)
        equal(await oneTimeTokens.consume(digest, purpose, at), null)
      }
      ok(await oneTimeTokens.consume(token.digest, token.purpose, after(899)))
    }
  },
  {
    title: 'one-time tokens go with their user, and when they have expired',
    async run ({ oneTimeTokens }) {
      if (oneTimeTokens === undefined) return
      const [gone, expired, stays] = [sampleToken(), sampleToken({ expiresAt: after(-2) }), sampleToken()]
      for (const token of [gone, expired, stays]) await oneTimeTokens.issue(token)
      await oneTimeTokens.deleteForUser(gone.userId)
      if (oneTimeTokens.deleteExpired !== undefined) {
        await oneTimeTokens.deleteExpired(after(-1))
        deepEqual(await oneTimeTokens.listForUser(expired.userId), [])
      }
      deepEqual(await Promise.all([gone, stays].map(async ({ userId }) => (await oneTimeTokens.listForUser(userId)).length)), [0, 1])
    }
  }
]

const RULE: ThrottleRule = { at: NOON, delays: [0, 0, 30_000, 60_000], limit: 6, forgetAfter: 86_400_000 }

const throttleCases: readonly ContractCase[] = [
  {
    title: 'A-03 attempts are admitted one after another, ever later, until there are too many',
    async run ({ throttles }) {
      if (throttles === undefined) return
      const key = sampleId()
      const attempt = async (seconds: number) => {
        const { admitted, count, retryAt } = await throttles.attempt(key, { ...RULE, at: after(seconds) })
        return [admitted, count, (retryAt.getTime() - NOON.getTime()) / 1000]
      }
      equal(await throttles.find(key), null)
      deepEqual(await attempt(0), [true, 1, 0])
      deepEqual(await attempt(1), [true, 2, 1])
      deepEqual(await attempt(1), [true, 3, 31])
      deepEqual(await attempt(30), [false, 3, 31])
      deepEqual(await attempt(31), [true, 4, 91])
      deepEqual(await attempt(91), [true, 5, 151])
      deepEqual(await attempt(151), [true, 6, 211])
      deepEqual(await attempt(9999), [false, 6, 211])
      deepEqual({ ...await throttles.find(key) }, { count: 6, retryAt: after(211) })
      await throttles.reset(key)
      deepEqual(await attempt(9999), [true, 1, 9999])
    }
  },
  {
    title: 'A-05 of 16 racers as many are admitted as would be one after another',
    async run ({ throttles }) {
      if (throttles === undefined) return
      const key = sampleId()
      const outcomes = await race(16, async () => await throttles.attempt(key, RULE))
      deepEqual(outcomes.filter(({ admitted }) => admitted).map(({ count }) => count).sort(), [1, 2, 3])
      equal((await throttles.find(key))?.count, 3)
    }
  },
  {
    title: 'A-03 a key that was left alone for long starts anew, and other keys are not touched',
    async run ({ throttles }) {
      if (throttles === undefined) return
      const [key, other] = [sampleId(), sampleId()]
      const rule = { ...RULE, limit: 1, forgetAfter: 60_000 }
      await throttles.attempt(key, rule)
      await throttles.attempt(other, rule)
      equal((await throttles.attempt(key, { ...rule, at: after(59) })).admitted, false)
      deepEqual({ ...await throttles.attempt(key, { ...rule, at: after(60) }) }, { admitted: true, count: 1, retryAt: after(60) })
      equal((await throttles.find(other))?.count, 1)
      if (throttles.deleteForgotten === undefined) return
      await throttles.deleteForgotten(after(61))
      deepEqual([(await throttles.find(key))?.count, await throttles.find(other)], [1, null])
    }
  }
]

function sampleMail (change: Partial<OutboxRecord> = {}): OutboxRecord {
  return { id: sampleId(), kind: 'reset-password', userId: sampleId(), recipient: 'ada@example.com', data: {}, locale: null, attempts: 0, createdAt: NOON, dueAt: NOON, ...change }
}

// The outbox is common to all that runs on the storage, so each case has a year of its own.
let year = 2100
const newYear = () => new Date(`${year++}-01-01T00:00:00.000Z`)

const outboxCases: readonly ContractCase[] = [
  {
    title: 'F-18 a mail is claimed as it was enqueued, and settled once',
    async run ({ outbox }) {
      if (outbox === undefined) return
      const at = newYear()
      const mail = sampleMail({ data: { name: 'Ada ✓ "<&', none: null }, locale: 'de-AT', createdAt: at, dueAt: at })
      await outbox.enqueue(mail)
      deepEqual((await outbox.listForUser(mail.userId!)).map(one => ({ ...one })), [mail])
      const claimed = (await outbox.claim(at, after(60, at), 1000)).filter(({ id }) => id === mail.id)
      deepEqual(claimed.map(one => ({ ...one })), [{ ...mail, attempts: 1, dueAt: after(60, at) }])
      equal(await outbox.settle(mail.id, 1, null), true)
      equal(await outbox.settle(mail.id, 1, null), false)
      deepEqual(await outbox.listForUser(mail.userId!), [])
    }
  },
  {
    title: 'F-18 of nodes that claim at once each mail goes to exactly one, the longest due first',
    async run ({ outbox }) {
      if (outbox === undefined) return
      const at = newYear()
      // What other cases have left behind is out of the way.
      await outbox.claim(at, newYear(), 100_000)
      const mails = Array.from({ length: 24 }, (_, index) => sampleMail({ createdAt: after(index, at), dueAt: after(index, at) }))
      for (const mail of mails) await outbox.enqueue(mail)
      const first = await outbox.claim(after(100, at), after(160, at), 8)
      deepEqual(first.map(({ id }) => id), mails.slice(0, 8).map(({ id }) => id))
      const lots = await race(8, async () => await outbox.claim(after(100, at), after(160, at), 8))
      const rest = await outbox.claim(after(100, at), after(160, at), 100)
      deepEqual([...lots, rest].flat().map(({ id }) => id).sort(), mails.slice(8).map(({ id }) => id).sort())
      deepEqual(await outbox.claim(after(159, at), after(200, at), 100), [])
    }
  },
  {
    title: 'F-18 a claim that ran out goes to another, and who had it can settle nothing any more',
    async run ({ outbox }) {
      if (outbox === undefined) return
      const at = newYear()
      const mail = sampleMail({ createdAt: at, dueAt: at })
      await outbox.enqueue(mail)
      const claim = async (seconds: number) => (await outbox.claim(after(seconds, at), after(seconds + 60, at), 1000)).some(({ id }) => id === mail.id)
      deepEqual([await claim(0), await claim(59), await claim(60)], [true, false, true])
      equal(await outbox.settle(mail.id, 1, null), false)
      equal(await outbox.settle(mail.id, 1, after(1, at)), false)
      equal(await outbox.settle(mail.id, 2, after(70, at)), true)
      deepEqual([await claim(69), await claim(70)], [false, true])
      await outbox.deleteForUser(mail.userId!)
      equal(await outbox.settle(mail.id, 3, after(80, at)), false)
    }
  },
  {
    title: 'mails are counted as far as anybody wants to know',
    async run ({ outbox }) {
      if (outbox?.count === undefined) return
      for (let mail = 0; mail < 3; mail++) await outbox.enqueue(sampleMail())
      deepEqual([await outbox.count(1), await outbox.count(3)], [1, 3])
    }
  },
  {
    title: 'W-04 a mail to nobody is kept and claimed like any other',
    async run ({ outbox }) {
      if (outbox === undefined) return
      const at = newYear()
      const mail = sampleMail({ kind: 'none', userId: null, recipient: '', createdAt: at, dueAt: at })
      await outbox.enqueue(mail)
      ok((await outbox.claim(at, after(60, at), 1000)).some(({ id }) => id === mail.id))
    }
  },
  {
    title: 'S-I15 a mail lands with what it is about, or not at all',
    async run (storage) {
      if (storage.atomically === undefined || storage.outbox === undefined) return
      const mail = sampleMail()
      await storage.atomically(storage, async stores => {
        await stores.outbox!.enqueue(mail)
        throw new RangeError('half-way')
      }).catch(() => {})
      deepEqual(await storage.outbox.listForUser(mail.userId!), [])
    }
  }
]

export const mailAndThrottleCases: readonly ContractCase[] = [...oneTimeTokenCases, ...throttleCases, ...outboxCases]
