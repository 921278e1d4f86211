import bcrypt from 'bcrypt'
import t, { type Test } from 'tap'
import { createBcrypt, importBcrypt, parseBcrypt, type BcryptLibrary } from '../lib/passwords/bcrypt.ts'
import type { PasswordOptions, Storage, UserRecord } from '../types/index.ts'
import { createApp, openStorage, OTHER_PASSWORD, PASSWORD } from './support/app.ts'
import { createCountedPasswords } from './support/counting-hasher.ts'

const EMAIL = 'ada@example.com'
const CHEAP = 4
const P72 = 'a phrase of seventy-two bytes, all of which the algorithm still can read'

/** An account whose digest comes from elsewhere. */
async function withDigest (t: Test, digest: string, passwords: PasswordOptions = {}) {
  const storage = await openStorage(t)
  const test = await createApp(t, { storage, passwords })
  const { id } = await test.app.accounts.users.create({ email: EMAIL })
  await setDigest(storage, id, digest)
  return {
    ...test,
    store: async (other: string) => { await setDigest(storage, id, other) },
    digest: async () => (await storage.users.find(id))!.passwordDigest!,
    login: async (password: string) => (await test.client().post('/auth/login', { email: EMAIL, password })).statusCode
  }
}

async function setDigest ({ users }: Storage, id: string, digest: string): Promise<UserRecord | null> {
  const { epoch } = (await users.find(id))!
  return await users.changePassword(id, epoch, digest)
}

/** Published digests: of crypt_blowfish (Openwall), jBCrypt and the manual of PHP. */
const VECTORS = [
  ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
  ['U*U*U', '$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a'],
  ['0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored', '$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui'],
  ['a', '$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe'],
  ['abc', '$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'],
  ['rasmuslerdorf', '$2y$10$.vGA1O9wmRjrwAVXD98HNOgsNpDczlqm3Jq7KnEd1rVAGv3Fykk1a']
] as const

const quiet = { error () {} }
const ARGON2ID = { algorithm: 'argon2id', rounds: 12, legacy: null } as const
const scheme = async () => await createBcrypt(ARGON2ID, quiet)

t.test('P-09 published digests verify, under each of the names $2a$, $2b$ and $2y$', async t => {
  const { costsOf, verify } = await scheme()
  for (const [password, published] of VECTORS) {
    for (const name of ['$2a$', '$2b$', '$2y$']) {
      const digest = name + published.slice(4)
      t.match(costsOf(digest), /^bcrypt (5|6|10)$/)
      t.equal(await verify(digest, password), true, `${password} ${digest}`)
    }
    t.equal(await verify(published, `.${password}`), false)
  }
})

t.test('P-09 who has such a digest logs in, and has an argon2id digest from then on', async t => {
  const made = await bcrypt.hash(PASSWORD, CHEAP)
  const { store, login, digest } = await withDigest(t, made)
  for (const name of ['$2a$', '$2b$', '$2y$']) {
    await store(name + made.slice(4))
    t.equal(await login(OTHER_PASSWORD), 401, name)
    t.equal(await digest(), name + made.slice(4), 'a wrong password changes nothing')
    t.equal(await login(PASSWORD), 200, name)
    t.match(await digest(), /^\$argon2id\$v=19\$m=7168,t=5,p=1\$/, 'P-10')
    t.equal(await login(PASSWORD), 200, 'and it is of the same password')
  }
})

const TAIL = 'abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234'

const HOSTILE = [
  `$2x$10$${TAIL}`, `$2$10$${TAIL}`, `$2c$10$${TAIL}`, `$2B$10$${TAIL}`, `$3b$10$${TAIL}`, `2b$10$${TAIL}`,
  `$2b$16$${TAIL}`, `$2b$31$${TAIL}`, `$2b$99$${TAIL}`, `$2b$03$${TAIL}`, `$2b$00$${TAIL}`, `$2b$4$${TAIL}`, `$2b$010$${TAIL}`, `$2b$-1$${TAIL}`, `$2b$1e$${TAIL}`, `$2b$ 4$${TAIL}`, `$2b$$${TAIL}`,
  `$2b$10$${TAIL.slice(1)}`, `$2b$10$${TAIL}A`, `$2b$10$${TAIL}\n`, ` $2b$10$${TAIL}`, `$2b$10$${TAIL.slice(1)}\0`, `$2b$10$${TAIL.slice(1)}=`, `$2b$10$${TAIL.slice(1)}é`,
  `$2b$10$${'A'.repeat(1_000_000)}`, '$2b$10$', '$2b$', '$2b$10', `$2y$31$${TAIL}`, `$2a$20$${TAIL}`
]

t.test('P-08 a hostile bcrypt digest is a wrong password, and reaches neither the library nor the host', async t => {
  const foreign: string[] = []
  const { store, login, client } = await withDigest(t, 'x', { verifyForeign: digest => foreign.push(digest) > 0 })
  const nobody = await client().post('/auth/login', { email: 'nobody@example.com', password: PASSWORD })
  for (const digest of HOSTILE) {
    t.equal(parseBcrypt(digest), null, JSON.stringify(digest.slice(0, 40)))
    // A NUL is no text to PostgreSQL.
    if (/^\$2[a-z]?\$/.test(digest) && !digest.includes('\0')) {
      await store(digest)
      const answer = await client().post('/auth/login', { email: EMAIL, password: PASSWORD })
      t.equal(answer.statusCode, 401)
      t.equal(answer.body, nobody.body)
    }
  }
  t.strictSame(foreign, [])
  await store(await bcrypt.hash(PASSWORD, CHEAP))
  t.equal(await login(PASSWORD), 200, 'the server is as it was')
})

t.test('P-08 the bounds themselves are inside, 4 and 15; what only reads like a digest does not fit', async t => {
  t.strictSame(['04', '09', '10', '15'].map(rounds => parseBcrypt(`$2b$${rounds}$${TAIL}`)), [4, 9, 10, 15])
  const { verify } = await scheme()
  for (const tail of [TAIL, '.'.repeat(53), '/'.repeat(53), '9'.repeat(53)]) t.equal(await verify(`$2b$04$${tail}`, PASSWORD), false)
})

t.test('P-06 of an old digest what was cut off does not count, and the new one is of all that was typed', async t => {
  const { store, login, digest } = await withDigest(t, 'x')
  t.equal(Buffer.byteLength(P72), 72)
  for (const [hashed, typed] of [[`${P72}X`, `${P72}X`], [`${P72}X`, `${P72}Y`], [P72, `${P72}Y`], [`${'€'.repeat(24)}X`, `${'€'.repeat(24)}Y`]] as const) {
    await store(await bcrypt.hash(hashed, CHEAP))
    t.equal(await login(typed), 200, typed)
    t.match(await digest(), /^\$argon2id\$/)
    t.equal(await login(`${typed}.`), 401, 'from now on every letter counts')
    t.equal(await login(typed), 200)
  }
  await store(await bcrypt.hash(`${P72}X`, CHEAP))
  t.equal(await login(`.${P72}`), 401)
  t.equal(await login(P72.slice(0, 71)), 401)
})

t.test('P-06 under $2a$ too more than 254 bytes are cut off at 72: the library would count their length modulo 256', async t => {
  const { verify } = await scheme()
  const text = Array.from({ length: 300 }, (_, index) => String.fromCharCode(97 + (index * index + 7 * index) % 26)).join('')
  const digest = (await bcrypt.hash(text, CHEAP)).replace('$2b$', '$2a$')
  t.equal(await bcrypt.compare(text, digest), false, 'as the library has it')
  for (const length of [72, 254, 255, 256, 300]) t.equal(await verify(digest, text.slice(0, length)), true, String(length))
  t.equal(await verify(digest, text.slice(0, 71)), false)
})

t.test('P-04 an old digest fits the password as it was typed then, composed or not', async t => {
  const { store, login } = await withDigest(t, 'x')
  const [nfc, nfd] = ['café au lait, très chaud', 'café au lait, très chaud'].map((text, index) => text.normalize(index === 0 ? 'NFC' : 'NFD')) as [string, string]
  for (const [hashed, typed, expected] of [[nfc, nfc, 200], [nfd, nfd, 200], [nfc, nfd, 200], [nfd, nfc, 401]] as const) {
    await store(await bcrypt.hash(hashed, CHEAP))
    t.equal(await login(typed), expected, `${hashed === nfc ? 'NFC' : 'NFD'}, typed ${typed === nfc ? 'NFC' : 'NFD'}`)
  }
  t.equal(await login(nfd), 200)
  t.equal(await login(nfc), 200, 'the new digest takes both')
})

t.test('P-06 with algorithm bcrypt a new password has 72 bytes at most, in NFC', async t => {
  const { client, signedUp, storage } = await createApp(t, { passwords: { algorithm: 'bcrypt', rounds: 10 } })
  const register = async (email: string, password: string) => await client().post('/auth/register', { email, password })
  for (const password of [`${P72}X`, `${'€'.repeat(24)}X`, 'e\u0301'.repeat(14) + '€'.repeat(15)]) {
    t.match((await register('b@example.com', password)).json(), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_TOO_LONG', message: /72 bytes/ }, `${Buffer.byteLength(password)} bytes`)
  }
  t.equal((await register('p72@example.com', P72)).statusCode, 201)
  t.match((await storage.users.findByEmail('p72@example.com'))!.passwordDigest, /^\$2b\$10\$/)
  t.equal((await register('nfc@example.com', 'déjà vu, à côté, très âgé: où naît tout, là où brûle'.normalize('NFD'))).statusCode, 201, 'it is counted as it is hashed, composed')
  const login = async (password: string) => (await client().post('/auth/login', { email: 'p72@example.com', password })).statusCode
  t.strictSame([await login(P72), await login(`${P72}X`), await login(`${P72}Y`), await login(`${P72} `)], [200, 401, 401, 401])
  const browser = await signedUp('ada@example.com')
  t.match((await browser.post('/auth/password/change', { currentPassword: PASSWORD, newPassword: `${P72}X` })).json(), { statusCode: 422, code: 'FST_ACCOUNTS_PASSWORD_TOO_LONG' })
})

t.test('P-10 with algorithm bcrypt argon2id digests and those of other rounds fit, and become bcrypt digests of these rounds', async t => {
  const { app: other, storage: otherStorage } = await createApp(t)
  await other.accounts.users.create({ email: EMAIL, password: PASSWORD })
  await other.accounts.users.create({ email: 'long@example.com', password: `${P72}X` })
  const [argon2id, long] = await Promise.all([EMAIL, 'long@example.com'].map(async email => (await otherStorage.users.findByEmail(email))!.passwordDigest!)) as [string, string]

  const { store, login, digest } = await withDigest(t, argon2id, { algorithm: 'bcrypt', rounds: 10 })
  for (const old of [argon2id, await bcrypt.hash(PASSWORD, CHEAP)]) {
    await store(old)
    t.equal(await login(OTHER_PASSWORD), 401)
    t.equal(await login(PASSWORD), 200)
    t.match(await digest(), /^\$2b\$10\$/)
  }
  const current = await digest()
  t.equal(await login(PASSWORD), 200)
  t.equal(await digest(), current, 'what is up to date stays')

  await store(long)
  t.equal(await login(`${P72}X`), 200)
  t.equal(await digest(), long, 'a password that bcrypt would cut off keeps its argon2id digest')
  t.equal(await login(`${P72}Y`), 401)
})

/** As in a project in which nobody has installed it. */
async function withoutBcrypt (): Promise<BcryptLibrary> {
  return await import('bcrypt-is-not-installed' as string) as BcryptLibrary
}

t.test('without the package an option that needs it is refused at start', async t => {
  await t.rejects(createBcrypt({ ...ARGON2ID, algorithm: 'bcrypt' }, quiet, withoutBcrypt), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: 'Option "passwords.algorithm" needs the package "bcrypt": npm install bcrypt' })
  await t.rejects(createBcrypt({ ...ARGON2ID, legacy: { bcryptRounds: 12 } }, quiet, withoutBcrypt), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: 'Option "passwords.legacy.bcryptRounds" needs the package "bcrypt": npm install bcrypt' })
  await t.resolves(createBcrypt(ARGON2ID, quiet, withoutBcrypt), 'no option, no need')
})

t.test('without the package an old digest is 503, no wrong password, and the log says once how to mend it', async t => {
  const lines: string[] = []
  const bcrypt = await createBcrypt(ARGON2ID, { error: (_: unknown, line?: string) => { lines.push(line!) } }, withoutBcrypt)
  const { passwords } = await createCountedPasswords(undefined, bcrypt)
  for (let login = 0; login < 3; login++) await t.rejects(passwords.verify(`$2b$10$${TAIL}`, PASSWORD), { code: 'FST_ACCOUNTS_PASSWORD_UNVERIFIABLE', statusCode: 503 })
  t.equal(await passwords.verify(await passwords.hash(PASSWORD), PASSWORD), true, 'others are not affected')
  t.equal(await passwords.verify(null, PASSWORD), false)
  t.equal(lines.length, 1)
  t.match(lines[0], /npm install bcrypt/)
})

t.test('the package is not loaded before a digest or an option needs it', async t => {
  let loads = 0
  const counted = async () => {
    loads++
    return await importBcrypt()
  }
  const { prepare, costsOf } = await createBcrypt(ARGON2ID, quiet, counted)
  costsOf(`$2b$10$${TAIL}`)
  t.equal(loads, 0)
  const [ten, twelve] = await Promise.all([prepare!('bcrypt 10'), prepare!('bcrypt 12')]) as [number, number]
  t.equal(loads, 1)
  t.equal(twelve, 4 * ten, 'each round takes twice as long')
})
