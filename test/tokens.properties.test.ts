import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { createJwts } from '../lib/tokens/jwt.ts'
import { createTokens } from '../lib/tokens/tokens.ts'
import { HOUR, SECOND, stopClock } from './support/clock.ts'
import { open, seal } from './support/jwt-corpus.ts'
import { runs } from './support/runs.ts'

/** fast-check prints it, with the path to the smallest counterexample, when a property fails. */
const SETTINGS = { seed: 20260914, numRuns: runs(3000) }
const ISSUER = 'https://app.example'
const TTL = HOUR

const id = fc.string({ unit: fc.constantFrom(...'ABCXYZabcxyz0189-_'), minLength: 24, maxLength: 24 })
const subject = fc.record({
  sessionId: id,
  userId: fc.string({ unit: fc.constantFrom(...'abcXYZ019_.:@|-'), minLength: 1, maxLength: 128 }).filter(text => text !== '__proto__'),
  generation: fc.nat(2 ** 31),
  authenticatedAt: fc.integer({ min: 0, max: Date.now() })
})

t.test('5.4 what is minted is read back as it was, and by no other reader', async t => {
  // Some live for a second, and that may be how long the machine is busy with others.
  stopClock(t)
  const { tokens } = await setUp(t)
  fc.assert(fc.property(subject, fc.integer({ min: 1, max: 2 * TTL }), (subject, life) => {
    const time = Date.now()
    const latest = time + life + SECOND
    const expected = { sid: subject.sessionId, gen: subject.generation, sub: subject.userId, iss: ISSUER, aud: ISSUER }
    const access = tokens.mintAccess(subject, latest, {})
    const refresh = tokens.mintRefresh(subject, latest)
    const readings = [tokens.readAccess(access.token), tokens.readRefresh(refresh.token)] as const
    if (readings[0].kind !== 'valid' || readings[1].kind !== 'valid') return false
    const [{ claims: one }, { claims: two }] = readings
    for (const [name, value] of Object.entries(expected)) {
      if (one[name as keyof typeof expected] !== value || two[name as keyof typeof expected] !== value) return false
    }
    return one.auth_time === Math.floor(subject.authenticatedAt / SECOND) && one.jti !== two.jti &&
      one.exp * SECOND === access.expiresAt && access.expiresAt <= Math.min(latest, time + TTL + SECOND) && access.expiresAt >= Math.min(latest, time + 0.95 * TTL) - SECOND &&
      two.exp * SECOND === refresh.expiresAt && refresh.expiresAt === Math.floor(latest / SECOND) * SECOND &&
      tokens.readAccess(refresh.token).kind === 'invalid' && tokens.readRefresh(access.token).kind === 'invalid'
  }), SETTINGS)
})

t.test('5.4 an accepted token with any one byte changed, lost or added is refused', async t => {
  const { tokens, genuine } = await setUp(t)
  const fresh = genuine()
  const position = fc.nat(fresh.length)
  const byte = fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code))
  const isRefused = (changed: string) => changed === fresh || tokens.readAccess(changed).kind === 'invalid'
  t.equal(tokens.readAccess(fresh).kind, 'valid')
  fc.assert(fc.property(position, byte, (at, char) => isRefused(fresh.slice(0, at) + char + fresh.slice(at + 1))), SETTINGS)
  fc.assert(fc.property(position, byte, (at, char) => isRefused(fresh.slice(0, at) + char + fresh.slice(at))), SETTINGS)
  // Every place, not only those that were drawn.
  for (let at = 0; at < fresh.length; at++) {
    const others = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= '].filter(char => char !== fresh[at])
    const accepted = others.filter(char => tokens.readAccess(fresh.slice(0, at) + char + fresh.slice(at + 1)).kind !== 'invalid')
    t.strictSame(accepted, [], `character ${at}`)
    t.equal(tokens.readAccess(fresh.slice(0, at) + fresh.slice(at + 1)).kind, 'invalid', `without character ${at}`)
  }
})

t.test('5.4 any text whatever is read without throwing, and soon', async t => {
  const { tokens, genuine } = await setUp(t)
  const parts = genuine().split('.')
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ unit: 'binary-ascii', maxLength: 5000 }), fc.base64String({ maxLength: 5000 }), fc.constantFrom(...parts, '.', '..', ''))
  const token = fc.oneof(text, fc.array(text, { maxLength: 6 }).map(texts => texts.join('.')), fc.tuple(fc.constant(parts[0]!), text, text).map(texts => texts.join('.')))
  let slowest = 0
  fc.assert(fc.property(token, token => {
    const start = process.cpuUsage()
    const kinds = [tokens.readAccess(token).kind, tokens.readRefresh(token).kind]
    slowest = Math.max(slowest, millisecondsSince(start))
    return token === parts.join('.') || kinds.every(kind => kind === 'invalid')
  }), SETTINGS)
  t.ok(slowest < 50, `the slowest took ${slowest.toFixed(1)} ms of CPU`)
})

t.test('5.4 a hostile text costs no time, however long it is', async t => {
  const { tokens, genuine } = await setUp(t)
  const [header, payload, signature] = genuine().split('.') as [string, string, string]
  const hostile: Array<(size: number) => string> = [
    size => '.'.repeat(size), size => 'A'.repeat(size), size => `${header}.${'A'.repeat(size)}`, size => `${header}.${'A.'.repeat(size / 2)}`,
    size => `${header}.${payload}.${signature}${'='.repeat(size)}`, size => `${header}.${'-'.repeat(size)}.${signature}`, size => `${header}.${payload}.${'A'.repeat(43)}`.padEnd(size)
  ]
  for (const [index, make] of hostile.entries()) {
    for (const size of [4000, 1_000_000, 4_000_000]) {
      const token = make(size)
      const start = process.cpuUsage()
      t.equal(tokens.readAccess(token).kind, 'invalid')
      t.ok(millisecondsSince(start) < 50, `text ${index} of ${size} characters`)
    }
  }
})

t.test('J-05 of all spellings of the same claims, signed by the right key, one is accepted', async t => {
  const { tokens, genuine, key } = await setUp(t)
  const mostly = <Usual, Other>(usual: Usual, other: fc.Arbitrary<Other>) => fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other })
  const spelling = fc.record({
    space: mostly('', fc.constantFrom(' ', '\n', '\t', '\r\n')),
    at: fc.nat(40),
    escape: mostly(null, fc.nat(120)),
    twice: mostly(null, fc.nat(8)),
    number: mostly('', fc.constantFrom('.0', 'e0', 'E+0')),
    padding: mostly('', fc.constantFrom('=', '=='))
  })
  let accepted = 0
  fc.assert(fc.property(spelling, ({ space, at, escape, twice, number, padding }) => {
    const token = genuine()
    const { headerText, claims } = open(token)
    const members = Object.entries(claims).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}${typeof value === 'number' ? number : ''}`)
    if (twice !== null) members.push(members[twice % members.length]!)
    const tokensOfJson = members.flatMap((member, index) => index === 0 ? [member] : [',', member])
    tokensOfJson.splice(at % (tokensOfJson.length + 1), 0, space)
    const text = `{${tokensOfJson.join('')}}`
    const spelled = seal(headerText, escape === null ? text : escapeLetter(text, escape), key) + padding
    const isSame = spelled === token
    if (isSame) accepted++
    return (tokens.readAccess(spelled).kind === 'valid') === isSame
  }), SETTINGS)
  t.ok(accepted > SETTINGS.numRuns / 10 && accepted < SETTINGS.numRuns / 2, `${accepted} were the genuine spelling`)
})

t.test('5.4 no two different texts are both accepted with the same jti', async t => {
  const { tokens, genuine } = await setUp(t)
  const seen = new Map<string, string>()
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const originals = Array.from({ length: 20 }, genuine)
  const change = fc.oneof(
    fc.constant((text: string) => text),
    fc.constantFrom(...'=+/ .\n\0').map(extra => (text: string) => text + extra),
    fc.constantFrom(1, 2, 3).map(bits => (text: string) => text.replace(/.$/, last => alphabet[alphabet.indexOf(last) ^ bits]!)),
    fc.constantFrom(1, 2, 3).map(bits => (text: string) => text.replace(/[^.](?=\.[^.]*$)/, last => alphabet[alphabet.indexOf(last) ^ bits]!)),
    fc.constant((text: string) => text.replaceAll('-', '+')), fc.constant((text: string) => text.replaceAll('_', '/')), fc.constant((text: string) => text.toUpperCase()),
    fc.tuple(fc.nat(500), fc.constantFrom(...alphabet)).map(([at, char]) => (text: string) => text.slice(0, at) + char + text.slice(at + 1)),
    fc.constantFrom(...originals).map(other => (text: string) => [...text.split('.').slice(0, 2), other.split('.')[2]].join('.'))
  )
  fc.assert(fc.property(fc.constantFrom(...originals), fc.array(change, { maxLength: 3 }), (original, changes) => {
    const token = changes.reduce((text, change) => change(text), original)
    const reading = tokens.readAccess(token)
    if (reading.kind === 'invalid') return true
    const { jti } = reading.claims
    if ((seen.get(jti) ?? token) !== token) return false
    seen.set(jti, token)
    return true
  }), SETTINGS)
  t.equal(seen.size, originals.length, 'each original was accepted')
})

t.test('5.4 what the reader accepts, the JWT library accepts as well', async t => {
  const { tokens, genuine, key } = await setUp(t)
  const verify = createVerifier({ key, algorithms: ['HS256'], allowedIss: ISSUER, allowedAud: ISSUER, checkTyp: 'at+jwt', requiredClaims: ['iss', 'aud', 'exp', 'iat', 'sub', 'jti', 'sid'], ignoreNotBefore: true })
  const seconds = Math.floor(Date.now() / SECOND)
  const when = fc.oneof(fc.integer({ min: seconds - 7200, max: seconds + 7200 }), fc.double(), fc.string(), fc.constant(null), fc.maxSafeInteger())
  const strange = fc.oneof(fc.constantFrom<unknown>(null, '', 0, true, [], {}, '__proto__'), fc.string({ unit: 'binary' }), fc.jsonValue())
  const name = fc.constantFrom('iss', 'aud', 'sub', 'jti', 'sid', 'gen', 'auth_time', 'x')
  const other = fc.tuple(fc.constantFrom('exp', 'iat', 'nbf'), when) as fc.Arbitrary<[string, unknown]>
  const changes = fc.array(fc.oneof(other, fc.tuple(name, strange)), { maxLength: 2 })
  const headers = fc.oneof({ weight: 9, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: fc.dictionary(fc.constantFrom('alg', 'typ', 'kid', 'crit', 'jwk', 'x'), strange, { maxKeys: 2 }) })
  const counts = { valid: 0, refused: 0, lenient: 0 }
  fc.assert(fc.property(headers, changes, (header, changes) => {
    const { header: genuineHeader, claims } = open(genuine())
    const token = seal({ ...genuineHeader, ...header }, { ...claims, ...Object.fromEntries(changes) }, key)
    const isValid = tokens.readAccess(token).kind === 'valid'
    const isAcceptedByLibrary = succeeds(() => verify(token))
    counts[isValid ? 'valid' : isAcceptedByLibrary ? 'lenient' : 'refused']++
    return !isValid || isAcceptedByLibrary
  }), SETTINGS)
  t.ok(Object.values(counts).every(count => count > 100), `both outcomes of both readers were seen: ${JSON.stringify(counts)}`)
})

async function setUp (t: Test) {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const key = randomBytes(32)
  const jwts = { access: await createJwts(app, [{ id: 'access', bytes: key }], 'at+jwt'), refresh: await createJwts(app, [{ id: 'refresh', bytes: randomBytes(32) }], 'rt+jwt') }
  const tokens = createTokens(jwts, { issuers: [ISSUER], audiences: [ISSUER], accessTokenTtl: TTL, leeway: 0 })
  const genuine = () => tokens.mintAccess({ sessionId: randomBytes(18).toString('base64url'), userId: randomBytes(18).toString('base64url'), generation: 1, authenticatedAt: Date.now() }, Infinity, {}).token
  return { key, tokens, genuine }
}

/** Spell the first letter from `at` on as an escape, if it stands inside a text. */
function escapeLetter (text: string, at: number): string {
  return text.slice(0, at) + text.slice(at).replace(/(?<=[\w"/.-])[a-z](?=[\w"/.-])/i, letter => `\\u00${letter.charCodeAt(0).toString(16)}`)
}

/** CPU time, so that a busy machine changes nothing. */
function millisecondsSince (start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

function succeeds (work: () => unknown): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}
