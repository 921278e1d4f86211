import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { redisStorage } from '../lib/adapters/redis/index.ts'
import { storageContract } from '../lib/testing/index.ts'
import { sampleSession } from '../lib/testing/samples.ts'
import type { Storage } from '../types/index.ts'
import { openPostgres } from './support/postgres.ts'
import { besideRedis, openRedis } from './support/redis.ts'

const BACKENDS: ReadonlyArray<readonly [string, (t: Test) => Promise<Storage>]> = [
  ['SQLite', async () => await sqliteStorage(':memory:')],
  ['PostgreSQL', async t => await openPostgres(t)]
]

for (const [name, open] of BACKENDS) {
  t.test(`S-I24 the storage contract on parts in Redis, and the rest in ${name}`, async t => {
    const rest = await open(t)
    t.teardown(async () => await rest.close?.())
    const { parts, client, prefix } = openRedis(t)
    const other = redisStorage(client, { prefix })
    t.teardown(async () => await other.sessions.close!())
    // Every second verb goes over another connection, as it does with two processes.
    const storage = besideRedis(rest, alternating(parts, other))
    for (const { title, run } of storageContract) await t.resolves(run(storage), title)
  })
}

t.test('a session that is there is never begun again, as a call whose answer was lost might', async t => {
  const { parts: { sessions } } = openRedis(t)
  const [session, other] = [sampleSession('ada'), sampleSession('eve')]
  await sessions.create(session)
  await sessions.create({ ...other, id: session.id })
  t.equal((await sessions.find(session.id))?.userId, 'ada')
})

function alternating<Parts extends object> (one: Parts, other: Parts): Parts {
  let turn = 0
  const alternate = (name: string) => {
    const [first, second] = [one, other].map(parts => (parts as Record<string, Record<string, (...args: unknown[]) => Promise<unknown>>>)[name]!)
    return Object.fromEntries(Object.keys(first!).map(verb => [verb, verb === 'feed' ? first![verb] : async (...args: unknown[]) => await (turn++ % 2 === 0 ? first : second)![verb]!(...args)]))
  }
  return Object.fromEntries(Object.keys(one).map(name => [name, alternate(name)])) as Parts
}
