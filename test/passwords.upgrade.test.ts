import bcrypt from 'bcrypt'
import t, { type Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { loadHasher } from '../lib/passwords/hasher.ts'
import type { Storage } from '../types/index.ts'
import { createApp, databaseFile, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { CHEAP_COSTS } from './support/counting-hasher.ts'
import { listen } from './support/events.ts'
import { openPostgres, schemaName } from './support/postgres.ts'
import { countCalls, tapStorage } from './support/tapped-storage.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }
const OLD = { memoryKiB: 7168, iterations: 2, parallelism: 1 }

/** An account whose digest was made when the options said something else. */
async function withOldDigest (t: Test, tap: (storage: Storage) => Storage) {
  const storage = await openStorage(t)
  const test = await createApp(t, { storage: tap(storage), passwords: { argon2: CHEAP_COSTS } })
  const browser = test.client()
  await browser.post('/auth/register', ADA)
  const { id, passwordDigest } = (await storage.users.findByEmail(ADA.email))!
  const old = await (await loadHasher(OLD)).hash(PASSWORD)
  await storage.users.upgradePassword!(id, passwordDigest!, old)
  const digest = async () => (await storage.users.find(id))!.passwordDigest!
  return { ...test, browser, old, digest, login: async (password = PASSWORD) => (await test.client().post('/auth/login', { ...ADA, password })).statusCode }
}

t.test('P-10 a login with a digest of other costs makes it anew, once for 32 at the same time', async t => {
  let calls: string[] = []
  const { login, digest, old } = await withOldDigest(t, storage => {
    const counted = countCalls(storage)
    calls = counted.calls
    return counted.storage
  })
  t.equal(await login(OTHER_PASSWORD), 401)
  t.equal(await digest(), old, 'a wrong password changes nothing')
  calls.length = 0
  t.strictSame(await Promise.all(Array.from({ length: 32 }, async () => await login())), Array(32).fill(200))
  t.match(await digest(), /^\$argon2id\$v=19\$m=7168,t=5,p=1\$/)
  t.equal(calls.filter(call => call === 'users.upgradePassword').length, 1)
  const upgraded = await digest()
  t.equal(await login(), 200, 'and it is of the same password')
  t.equal(await digest(), upgraded, 'what is up to date stays')
})

t.test('P-10 sessions go on through it', async t => {
  const { browser, login, digest, old } = await withOldDigest(t, storage => storage)
  t.equal(await login(), 200)
  t.not(await digest(), old)
  t.equal((await browser.get('/private')).statusCode, 200)
})

t.test('P-10 a store that fails at it fails no login, and the next login tries again', async t => {
  let isBroken = true
  const { login, digest, old } = await withOldDigest(t, storage => tapStorage(storage, async (verb, _args, call) => {
    if (verb === 'users.upgradePassword' && isBroken) throw new TypeError('disk full')
    return await call()
  }))
  t.equal(await login(), 200)
  t.equal(await digest(), old)
  isBroken = false
  t.equal(await login(), 200)
  t.not(await digest(), old)
})

/** Two storages on one database. */
const TWICE: Readonly<Record<string, (t: Test) => Promise<readonly [Storage, Storage]>>> = {
  async SQLite (t) {
    const file = databaseFile(t)
    return [await sqliteStorage(file), await sqliteStorage(file)]
  },
  async PostgreSQL (t) {
    const schema = schemaName(t)
    return [await openPostgres(t, { schema }), await openPostgres(t, { schema })]
  }
}

const KINDS = {
  bcrypt: async () => await bcrypt.hash(PASSWORD, 4),
  'another system': async () => `vendor ${PASSWORD}`
}

for (const [database, open] of Object.entries(TWICE)) {
  for (const [kind, make] of Object.entries(KINDS)) {
    t.test(`P-10 of 32 logins at two servers on one ${database} exactly one replaces the digest of ${kind}`, async t => {
      const storages = await open(t)
      const [replaced, apps] = [[] as unknown[], [] as Array<Awaited<ReturnType<typeof createApp>>>]
      for (const storage of storages) {
        const watched = tapStorage(storage, async (verb, args, call) => {
          const value = await call()
          if (verb === 'users.upgradePassword' && value === true) replaced.push(args[2])
          return value
        })
        apps.push(await createApp(t, { storage: watched, passwords: { verifyForeign: (digest, password) => digest === `vendor ${password}` } }))
      }
      const { id } = await apps[0]!.app.accounts.users.create({ email: ADA.email })
      await storages[0].users.changePassword(id, 0, await make())
      const events = listen(t)
      const statuses = await Promise.all(Array.from({ length: 32 }, async (_, index) => (await apps[index % 2]!.client().post('/auth/login', ADA)).statusCode))
      t.strictSame(statuses, Array(32).fill(200))
      t.strictSame(replaced, [(await storages[1].users.find(id))!.passwordDigest])
      t.match(replaced, [/^\$argon2id\$v=19\$m=7168,t=5,p=1\$/])
      t.equal(events.takeNames().filter(name => name === 'password.upgraded').length, 1)
      t.equal((await apps[1]!.client().post('/auth/login', ADA)).statusCode, 200)
    })
  }
}
