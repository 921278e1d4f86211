import { once } from 'node:events'
import t, { type Test } from 'tap'
import { postgresStorage, sqliteStorage } from '../lib/adapters/kysely/index.ts'
import type { Storage } from '../types/index.ts'
import { createApp, databaseFile, type TestApp } from './support/app.ts'
import { DAY, holdClock, HOUR, MINUTE } from './support/clock.ts'
import { databaseUrl, schemaName } from './support/postgres.ts'
import { startWorker } from './support/processes.ts'
import type { StorageAddress } from './workers/open-storage.js'

/** What one process has acknowledged is refused by every other after this time. */
const BOUND_MS = 1000

interface Place { readonly storage: Storage, readonly address: StorageAddress }

const PLACES: Readonly<Record<string, (t: Test) => Promise<Place>>> = {
  'one SQLite file': async t => {
    const file = databaseFile(t)
    return { storage: await sqliteStorage(file), address: { file } }
  },
  PostgreSQL: async t => {
    const [url, schema] = [databaseUrl(), schemaName(t)]
    return { storage: await postgresStorage(url, { schema }), address: { url, schema } }
  }
}

function describe (times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  return `median ${sorted[Math.floor(sorted.length / 2)]} ms, largest ${sorted.at(-1)} ms of ${sorted.length}`
}

async function owned ({ app }: Pick<TestApp, 'app'>, index: number) {
  const { id } = await app.accounts.users.create({ email: `person${index}@example.com` })
  const { token, personalToken } = (await app.accounts.personalTokens.create(id, { name: 'a token', context: 'server' }))!
  return { id, tokenId: personalToken.id, authorization: `ApiToken ${token}` }
}

/** Each acknowledges before it returns. */
const ENDS: ReadonlyArray<readonly [title: string, end: (app: TestApp['app'], id: string, tokenId: string) => Promise<unknown>]> = [
  ['revoked', async ({ accounts }, id, tokenId) => await accounts.personalTokens.revoke(id, tokenId)],
  ['narrowed to other methods', async ({ accounts }, id, tokenId) => await accounts.personalTokens.update(id, tokenId, { allowedMethods: ['POST'] })],
  ['narrowed to other addresses', async ({ accounts }, id, tokenId) => await accounts.personalTokens.update(id, tokenId, { allowedIps: ['203.0.113.7'] })],
  ['rotated', async ({ accounts }, id, tokenId) => await accounts.personalTokens.rotate(id, tokenId)],
  ['owner disabled', async ({ accounts }, id) => await accounts.users.update(id, { disabled: true })],
  ['owner deleted', async ({ accounts }, id) => await accounts.users.delete(id)]
]

for (const [place, open] of Object.entries(PLACES)) {
  t.test(`T-03 T-09 what one process has ended no other lets in for longer than a second, and the signal of its streams aborts, on ${place}`, async t => {
    const { storage, address } = await open(t)
    const test = await createApp(t, { storage })
    const workers = await Promise.all([0, 1].map(async () => await startWorker(t, 'liveness-worker', address, test.secret)))
    const times: number[] = []
    for (let round = 0; round < ENDS.length; round++) {
      const [title, end] = ENDS[round % ENDS.length]!
      const { id, tokenId, authorization } = await owned(test, round)
      const letIn = workers.map(async worker => await new Promise<void>(resolve => worker.on('let in', resolve)))
      const knocking = workers.map(async worker => await worker.ask<{ lastIn: number, refused: boolean }>('untilRefused', { authorization, limit: 3 * BOUND_MS }))
      await Promise.all(letIn)
      await new Promise(resolve => setTimeout(resolve, Math.random() * 30))
      await end(test.app, id, tokenId)
      const acknowledgedAt = Date.now()
      t.equal((await test.app.inject({ url: '/private', headers: { authorization } })).statusCode, 401, `${title}: here at once`)
      for (const { lastIn, refused } of await Promise.all(knocking)) {
        t.ok(refused, title)
        times.push(Math.max(0, lastIn - acknowledgedAt))
      }
      for (const worker of workers) t.equal(await worker.ask('knock', { url: '/private', authorization }), 401, `${title}: and it stays shut`)
    }
    t.ok(times.every(ms => ms <= BOUND_MS))
    t.comment(`let in after the acknowledgement: ${describe(times)}`)

    const silences: number[] = []
    for (const [round, [title, end]] of ENDS.filter(([title]) => !title.startsWith('narrowed')).entries()) {
      const { id, tokenId, authorization } = await owned(test, 1000 + round)
      const aborted = workers.map(async worker => await new Promise<number>(resolve => worker.on('aborted', ({ at }: { at: number }) => resolve(at))))
      for (const worker of workers) t.equal(await worker.ask('knock', { url: '/watch', authorization }), 200, title)
      await new Promise(resolve => setTimeout(resolve, Math.random() * 100))
      await end(test.app, id, tokenId)
      const acknowledgedAt = Date.now()
      for (const at of await Promise.all(aborted)) silences.push(Math.max(0, at - acknowledgedAt))
    }
    t.ok(silences.every(ms => ms <= BOUND_MS))
    t.comment(`until the signal aborted: ${describe(silences)}`)
  })
}

t.test('T-12 a stream ends when its token does, also if that was brought forward or put off meanwhile', async t => {
  const clock = holdClock(t)
  const signals: AbortSignal[] = []
  const test = await createApp(t, {}, app => {
    app.get('/watch', { onRequest: app.authenticate }, async ({ principal }) => {
      signals.push(principal!.signal)
      return 'watched'
    })
  })
  const { personalTokens } = test.app.accounts
  const changes: ReadonlyArray<readonly [title: string, change: (id: string, tokenId: string) => Promise<unknown>, endsAfter: number]> = [
    ['as it was', async () => {}, 30 * DAY],
    ['shortened', async (id, tokenId) => await personalTokens.update(id, tokenId, { expiresAt: new Date(Date.now() + HOUR) }), HOUR],
    ['rotated with an overlap', async (id, tokenId) => await personalTokens.rotate(id, tokenId, { overlap: '1h' }), HOUR],
    ['prolonged', async (id, tokenId) => await personalTokens.update(id, tokenId, { expiresAt: new Date(Date.now() + 60 * DAY) }), 60 * DAY]
  ]
  for (const [index, [title, change, endsAfter]] of changes.entries()) {
    const { id, tokenId, authorization } = await owned(test, index)
    await test.app.inject({ url: '/watch', headers: { authorization } })
    const signal = signals.at(-1)!
    const began = Date.now()
    await change(id, tokenId)
    const settle = async () => await new Promise(resolve => setTimeout(resolve, 250))
    await settle()
    clock.advance(endsAfter - MINUTE - (Date.now() - began))
    await settle()
    t.notOk(signal.aborted, `${title}: not a minute before`)
    if (!signal.aborted) {
      clock.advance(2 * MINUTE)
      await Promise.race([once(signal, 'abort'), settle()])
    }
    t.ok(signal.aborted, `${title}: but then`)
  }
})
