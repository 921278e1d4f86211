import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { createApp, databaseFile } from './support/app.ts'
import type { Client } from './support/client.ts'
import { startWorker } from './support/processes.ts'
import { accessOf } from './support/tokens.ts'

const BOUND_MS = 1000

const cookieOf = ({ cookies }: Client) => `accounts_access=${cookies.accounts_access}`

function describe (times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  return `median ${sorted[Math.floor(sorted.length / 2)]} ms, largest ${sorted.at(-1)} ms of ${sorted.length}`
}

t.test('J-11 what one process has revoked no other process lets in for longer than a second', async t => {
  const file = databaseFile(t)
  const { app, secret, signedUp } = await createApp(t, { storage: await sqliteStorage(file) })
  const workers = [await startWorker(t, 'liveness-worker', { file }, secret), await startWorker(t, 'liveness-worker', { file }, secret)]
  const times: number[] = []
  for (let round = 0; round < 9; round++) {
    const browser = await signedUp()
    const cookie = cookieOf(browser)
    const ends = [
      async () => await browser.copy().post('/auth/logout'),
      async () => await app.accounts.users.update(accessOf(browser).sub, { disabled: true }),
      async () => await app.accounts.users.delete(accessOf(browser).sub)
    ]
    const letIn = workers.map(async worker => await new Promise<void>(resolve => worker.on('let in', resolve)))
    const knocking = workers.map(async worker => await worker.ask<{ lastIn: number, refused: boolean }>('untilRefused', { cookie, limit: 3 * BOUND_MS }))
    await Promise.all(letIn)
    await new Promise(resolve => setTimeout(resolve, Math.random() * 30))
    await ends[round % ends.length]!()
    const acknowledgedAt = Date.now()
    for (const { lastIn, refused } of await Promise.all(knocking)) {
      t.ok(refused)
      times.push(Math.max(0, lastIn - acknowledgedAt))
    }
  }
  t.ok(times.every(ms => ms <= BOUND_MS))
  t.comment(`let in after the acknowledgement: ${describe(times)}`)
})

t.test('J-11 the signal of a stream aborts when its session ends in another process', async t => {
  const file = databaseFile(t)
  const { secret, signedUp } = await createApp(t, { storage: await sqliteStorage(file) })
  const worker = await startWorker(t, 'liveness-worker', { file }, secret)
  const times: number[] = []
  for (let round = 0; round < 4; round++) {
    const browser = await signedUp()
    const abortedAt = new Promise<number>(resolve => worker.on('aborted', ({ at }: { at: number }) => resolve(at)))
    t.equal(await worker.ask('knock', { url: '/watch', cookie: cookieOf(browser) }), 200)
    await new Promise(resolve => setTimeout(resolve, Math.random() * 200))
    await browser.post('/auth/logout')
    const acknowledgedAt = Date.now()
    times.push(Math.max(0, await abortedAt - acknowledgedAt))
  }
  t.ok(times.every(ms => ms <= BOUND_MS))
  t.comment(`until the signal aborted: ${describe(times)}`)
})

interface Figures { readonly what: string, readonly observations: number, readonly median: number, readonly largest: number, readonly 'after 1 s': number, readonly 'signal largest': number }

for (const sessions of ['PostgreSQL', 'Redis']) {
  t.test(`J-11 what is revoked with sessions in ${sessions} no other process lets in for longer than a second, also if it can't hear of it`, async t => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'soak', 'revocation.js'), '--sessions', sessions === 'Redis' ? 'redis' : 'postgres', '--trials', '14', '--broken', '0.3', '--json'], { env: { ...process.env, NODE_OPTIONS: '' } })
    const figures = JSON.parse(stdout) as Figures[]
    const of = (name: string) => figures.find(({ what }) => what === name)!
    t.match(of('all'), { observations: 56, 'after 1 s': 0 })
    t.ok(of('all')['signal largest'] <= BOUND_MS)
    for (const name of ['all', 'feed whole', 'feed broken']) {
      const { observations, median, largest, 'signal largest': signal } = of(name)
      t.comment(`${name}: median ${median} ms, largest ${largest} ms, signals ${signal} ms, of ${observations}`)
    }
  })
}
