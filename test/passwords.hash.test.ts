import Database from 'better-sqlite3'
import t from 'tap'
import type { Test } from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { loadArgon2, loadHasher, loadNodeRs } from '../lib/passwords/hasher.ts'
import { parsePhc } from '../lib/passwords/phc.ts'
import type { PasswordHasher } from '../types/index.ts'
import { createApp, databaseFile, PASSWORD } from './support/app.ts'
import { CHEAP_COSTS, createCountedPasswords } from './support/counting-hasher.ts'

const SALT = 'c2FsdHNhbHRzYWx0c2FsdA'
const TAG = 'A'.repeat(43)
const MEBIBYTE = 1024 * 1024

/** Each of these would cost the process its memory, its time or its life, or is not ours to verify. */
const HOSTILE = [
  `$argon2id$v=19$m=4294967295,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=2147483648,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=16777216,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=9999999,t=1,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=262145,t=1,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,t=4294967295,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,t=999,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,t=11,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,t=0,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=262144,t=1,p=16777215$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,t=2,p=17$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,t=2,p=0$${SALT}$${TAG}`,
  `$argon2id$v=19$m=8,t=2,p=2$${SALT}$${TAG}`,
  `$argon2id$v=19$m=-1,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=1e9,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=0x4c00,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,m=4294967295,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$t=2,m=4294967295,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=4294967295,p=1,t=2$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,p=1,t=4294967295$${SALT}$${TAG}`,
  `$argon2id$m=4294967295,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=16$m=19456,t=2,p=1$${SALT}$${TAG}`,
  `$argon2i$v=19$m=4294967295,t=2,p=1$${SALT}$${TAG}`,
  `$argon2d$v=19$m=19456,t=2,p=1$${SALT}$${TAG}`,
  `$argon2id$v=19$m=19456,t=2,p=1$${SALT}$`,
  `$argon2id$v=19$m=19456,t=2,p=1$$${TAG}`,
  `$argon2id$v=19$m=19456,t=2,p=1$${SALT}$${'A'.repeat(1_000_000)}`,
  `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(1_000_000)}$${TAG}`,
  `$argon2id$v=19$m=19456,t=2,p=1$${SALT}$${TAG}\n`,
  ` $argon2id$v=19$m=19456,t=2,p=1$${SALT}$${TAG}`,
  // A base64 text of this length does not exist: the library itself refuses it.
  `$argon2id$v=19$m=7168,t=5,p=1$${SALT.slice(0, 13)}$${TAG}`,
  '$2b$31$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234',
  '$2x$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234',
  '$scrypt$ln=31,r=4294967295,p=1$c2FsdA$aGFzaA',
  '$pbkdf2-sha256$i=4294967295$c2FsdA$aGFzaA',
  '5f4dcc3b5aa765d61d8327deb882cf99',
  PASSWORD,
  '',
  '\0',
  '$'.repeat(10_000)
]

async function seesHostile (t: Test): Promise<Awaited<ReturnType<typeof createApp>> & { store (digest: string | Buffer): void }> {
  const file = databaseFile(t)
  const app = await createApp(t, { storage: await sqliteStorage(file), throttle: false })
  await app.signedUp('ada@example.com')
  const database = new Database(file)
  t.teardown(() => { database.close() })
  const update = database.prepare('update accounts_users set password_digest = ?')
  return { ...app, store: digest => { update.run(digest) } }
}

t.test('P-08 a hostile stored digest is a wrong password: same answer, no crash, no memory', async t => {
  const { client, store } = await seesHostile(t)
  const login = async () => await client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })
  const nobody = await client().post('/auth/login', { email: 'nobody@example.com', password: PASSWORD })
  t.equal(nobody.statusCode, 401)
  t.equal((await login()).statusCode, 200, 'before')

  const peak = () => process.resourceUsage().maxRSS * 1024
  const before = process.memoryUsage.rss()
  for (const digest of HOSTILE) {
    store(digest)
    const { statusCode, body } = await login()
    t.equal(statusCode, 401, JSON.stringify(digest.slice(0, 70)))
    t.equal(body, nobody.body)
  }
  t.ok(peak() - before < 300 * MEBIBYTE, `grew by ${Math.round((peak() - before) / MEBIBYTE)} MiB at most`)
})

t.test('P-08 the same digests can\'t be changed or deleted away by the password', async t => {
  const { store, signedUp } = await seesHostile(t)
  const browser = await signedUp('eve@example.com')
  for (const digest of HOSTILE.slice(0, 3)) {
    store(digest)
    t.equal((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: 'another long phrase' })).statusCode, 403)
    t.equal((await browser.request('DELETE', '/auth/me', { password: PASSWORD })).statusCode, 403)
  }
})

t.test('P-08 neither library is ever called with a hostile digest', async t => {
  for (const library of await bothLibraries(t)) {
    const received: string[] = []
    const watched: PasswordHasher = {
      hash: library.hash,
      async verify (digest, password) {
        received.push(digest)
        return await library.verify(digest, password)
      }
    }
    const { passwords } = await createCountedPasswords(watched)
    for (const digest of HOSTILE) t.equal(await passwords.verify(digest, PASSWORD), false)
    t.equal(received.length, HOSTILE.length, 'one verification each')
    const costs = received.map(parsePhc)
    t.ok(costs.every(cost => cost !== null && cost.memoryKiB <= 262_144 && cost.iterations <= 10 && cost.parallelism <= 16))
    t.ok(received.filter(digest => HOSTILE.includes(digest)).length <= 1, 'at most the one that is well-formed but for its base64')
  }
})

t.test('P-08 the bounds themselves are inside: a strong digest from elsewhere verifies', async t => {
  for (const costs of [{ memoryKiB: 262_144, iterations: 1, parallelism: 1 }, { memoryKiB: 8 * 16, iterations: 1, parallelism: 16 }, { memoryKiB: 7168, iterations: 10, parallelism: 4 }]) {
    const foreign = await loadHasher(costs)
    const digest = await foreign.hash(PASSWORD)
    t.strictSame(parsePhc(digest), costs)
    const { passwords } = await createCountedPasswords()
    t.equal(await passwords.verify(digest, PASSWORD), true)
    t.equal(await passwords.verify(digest, `${PASSWORD}.`), false)
  }
})

async function bothLibraries (t: Test): Promise<[PasswordHasher, PasswordHasher]> {
  const options = { memoryCost: CHEAP_COSTS.memoryKiB, timeCost: CHEAP_COSTS.iterations, parallelism: CHEAP_COSTS.parallelism }
  const nodeRs = await loadNodeRs(options)
  t.not(nodeRs, null, '@node-rs/argon2 is installed here')
  return [nodeRs!, await loadArgon2(options)]
}

t.test('P-07 both argon2 libraries make argon2id digests in PHC format and verify each other\'s', async t => {
  const libraries = await bothLibraries(t)
  const texts = [PASSWORD, 'пароль длинный очень', '🦊🌵🎷🚲🧭🥑🪁🛶🧵🎈🔭🍄🦉🎲🧲', 'x'.repeat(1024), ' ']
  for (const text of texts) {
    const digests = await Promise.all(libraries.map(async library => await library.hash(text)))
    for (const digest of digests) {
      t.match(digest, /^\$argon2id\$v=19\$m=7168,(t=5,p=1|p=1,t=5)\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
      t.strictSame(parsePhc(digest), CHEAP_COSTS, 'and is one that we would verify')
      for (const library of libraries) {
        t.equal(await library.verify(digest, text), true)
        t.equal(await library.verify(digest, `${text}.`), false)
      }
    }
    t.not(digests[0], await libraries[0].hash(text), 'a salt of its own each time')
  }
})

t.test('P-07 whichever library is installed, what it has hashed verifies, as it does after the other one came', async t => {
  const libraries = await bothLibraries(t)
  for (const [name, writer] of [['@node-rs/argon2', libraries[0]], ['argon2', libraries[1]]] as const) {
    const digest = await (await createCountedPasswords(writer)).passwords.hash(PASSWORD)
    for (const reader of libraries) {
      const { passwords } = await createCountedPasswords(reader)
      t.equal(await passwords.verify(digest, PASSWORD), true, `${name} wrote it`)
      t.equal(await passwords.verify(digest, `${PASSWORD}.`), false)
    }
  }
})

t.test('P-07 a stored password has the costs that were asked for, or the default of OWASP', async t => {
  for (const [argon2, expected] of [[{}, 'm=19456,t=2,p=1'], [{ memoryKiB: 47_104, iterations: 1 }, 'm=47104,t=1,p=1']] as const) {
    // What createApp would make cheap is given in full.
    const { storage, signedUp } = await createApp(t, { passwords: { argon2 } })
    await signedUp('ada@example.com')
    t.match((await storage.users.findByEmail('ada@example.com'))!.passwordDigest, `$argon2id$v=19$${expected}$`)
  }
})

t.test('P-07 weaker costs refuse to start, by name', async t => {
  const weak = [
    [{ memoryKiB: 1024 }, 'memoryKiB'], [{ memoryKiB: 7167, iterations: 10 }, 'memoryKiB'], [{ memoryKiB: 0 }, 'memoryKiB'],
    [{ memoryKiB: 19_455 }, 'argon2'], [{ iterations: 1 }, 'argon2'], [{ memoryKiB: 47_103, iterations: 1 }, 'argon2'],
    [{ memoryKiB: 12_287, iterations: 3 }, 'argon2'], [{ memoryKiB: 9215, iterations: 4 }, 'argon2'], [{ memoryKiB: 7168, iterations: 4 }, 'argon2'],
    [{ iterations: 0 }, 'iterations'], [{ iterations: -2 }, 'iterations'], [{ parallelism: 0 }, 'parallelism']
  ] as const
  for (const [argon2, name] of weak) {
    await t.rejects(createApp(t, { passwords: { argon2 } }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: new RegExp(`"passwords\\.(argon2\\.)?${name}"`) }, JSON.stringify(argon2))
  }
  for (const argon2 of [{ memoryKiB: 19_456 }, { memoryKiB: 12_288, iterations: 3 }, { memoryKiB: 9216, iterations: 4 }, { memoryKiB: 7168, iterations: 5 }]) {
    await t.resolves(createApp(t, { passwords: { argon2 } }), `the floor itself: ${JSON.stringify(argon2)}`)
  }
})
