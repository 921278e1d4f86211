import fc from 'fast-check'
import t from 'tap'
import type { PersonalTokenRecord } from '../types/personal-token-store.ts'
import type { UserRecord } from '../types/user-store.ts'
import { compileRules, decide, type Denial, type Presentation } from '../lib/personal-tokens/decide.ts'
import { runs } from './support/runs.ts'

const SETTINGS = { seed: 20260914, numRuns: runs(4000) }
const EXPIRES = Date.UTC(2026, 8, 1)

const TOKEN: PersonalTokenRecord = Object.freeze({
  id: 't'.repeat(24),
  userId: 'ada',
  name: 'deploy',
  digest: 'd'.repeat(43),
  context: 'server',
  allowedMethods: null,
  allowedIps: null,
  allowedReferrers: null,
  scopes: null,
  epoch: 3,
  createdAt: new Date(EXPIRES - 1e9),
  expiresAt: new Date(EXPIRES),
  lastUsedAt: null,
  lastUsedAddress: null,
  noticeAt: null,
  successorId: null,
  revokedAt: null
})
const OWNER: UserRecord = Object.freeze({ id: 'ada', email: 'ada@example.com', emailVerified: true, username: null, name: null, roles: [], disabled: false, createdAt: new Date(0), passwordDigest: null, epoch: 3 })
const REQUEST: Presentation = Object.freeze({ method: 'GET', address: '10.0.0.1', origin: undefined, referer: undefined })

interface World { readonly token: PersonalTokenRecord, readonly owner: UserRecord | null, readonly request: Presentation, readonly now: number }
const judge = ({ token, owner, request, now }: World) => decide(compileRules(token), owner, request, now)

/** Which addresses and origins of our small world each entry means, written out. */
const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  '10.0.0.0/8': ['10.0.0.1', '10.255.255.255'],
  '10.0.0.1': ['10.0.0.1'],
  '8.0.0.0/5': ['9.255.255.255', '10.0.0.1', '10.255.255.255', '11.0.0.0'],
  '2001:db8::/32': ['2001:db8::1'],
  '::/1': ['::a00:1', '2001:db8::1', '2001:db9::'],
  '2001:db8::1': ['2001:db8::1']
}
const ORIGINS: Readonly<Record<string, readonly string[]>> = {
  'https://a.example': ['https://a.example'],
  'https://a.example:8443': ['https://a.example:8443'],
  'http://a.example': ['http://a.example'],
  'https://*.example.com': ['https://x.example.com', 'https://y.example.com']
}
const METHODS: Readonly<Record<string, readonly string[]>> = { GET: ['GET', 'HEAD'], HEAD: ['HEAD'], POST: ['POST'], PUT: ['PUT'], PATCH: ['PATCH'], DELETE: ['DELETE'] }
const SITES = [...Object.values(ORIGINS).flat(), 'https://x.y.example.com', 'https://example.com', 'https://b.example', 'http://a.example:443', 'https://a.example:443', 'https://a.example.', 'HTTPS://a.example', 'https://u@a.example']

const usually = <Value>(usual: Value, ...others: Value[]) => fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) })
const listOf = (entries: object) => fc.option(fc.subarray(Object.keys(entries)), { freq: 4 })
const token: fc.Arbitrary<PersonalTokenRecord> = fc.record({
  context: fc.constantFrom('server' as const, 'browser' as const),
  allowedMethods: listOf(METHODS),
  allowedIps: listOf(ADDRESSES),
  allowedReferrers: listOf(ORIGINS),
  revokedAt: usually(null, new Date(EXPIRES - 2), new Date(EXPIRES + 1))
}).map(members => ({ ...TOKEN, ...members }))
const owner: fc.Arbitrary<UserRecord | null> = fc.tuple(usually(OWNER, null, { ...OWNER, id: 'eve' }), usually(false, true), usually(3, 2, 4)).map(([owner, disabled, epoch]) => owner && { ...owner, disabled, epoch })
const method = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE') }, { weight: 1, arbitrary: fc.constantFrom('get', 'Get', 'GET ', 'OPTIONS', 'TRACE', 'PROPFIND', '', '__proto__', 'constructor') })
const address = fc.constantFrom('10.0.0.1', '10.255.255.255', '11.0.0.0', '9.255.255.255', '2001:db8::1', '2001:db9::', '::a00:1', null)
const site = fc.constantFrom(...SITES)
const origin = fc.oneof(fc.constant(undefined), site, fc.constantFrom('null', '', 'https://a.example/', 'https://a.example, https://a.example'))
const referer = fc.oneof(fc.constant(undefined), fc.tuple(site, fc.constantFrom('', '/', '/p?q#f', '?q', '#f', '.evil.test/', '@evil.test/', ':8443/', '\\', ' /')).map(([site, rest]) => site + rest), fc.constantFrom('', 'null', 'about:blank'))
const request = fc.oneof(
  fc.record({ method, address, origin, referer }),
  // As browsers do: both of one page.
  fc.record({ method, address, site, path: fc.constantFrom('', '/', '/p') }).map(({ method, address, site, path }) => ({ method, address, origin: site, referer: site + path }))
)
const now = usually(EXPIRES - 1, EXPIRES, EXPIRES + 1, 0, Infinity, -Infinity, NaN)
const world: fc.Arbitrary<World> = fc.record({ token, owner, request, now })

/** All that speaks against it, in the order in which it is told: facts, not steps. */
function objections ({ token, owner, request, now }: World): Denial[] {
  const { method, address, origin, referer } = request
  const holds = (list: readonly string[] | null, meaning: typeof METHODS, value: string | null) => list === null || list.flatMap(entry => meaning[entry] ?? []).some(one => one === value)
  const isLimited = { server: token.context === 'server' && token.allowedIps !== null, browser: token.context === 'browser' && token.allowedReferrers !== null }
  const from = referer === undefined ? null : SITES.find(site => site === referer || referer.indexOf(`${site}/`) === 0) ?? ''
  const facts: ReadonlyArray<readonly [Denial, boolean]> = [
    ['revoked', token.revokedAt instanceof Date],
    ['expired', Number.isNaN(now) || token.expiresAt <= new Date(Math.min(now, 8.64e15)) || now === Infinity],
    ['owner-gone', owner?.id !== 'ada'],
    ['owner-disabled', owner?.disabled === true],
    ['owner-changed', owner?.epoch !== 3],
    ['method', !holds(token.allowedMethods, METHODS, method)],
    ['address-unknown', isLimited.server && address === null],
    ['address', isLimited.server && !holds(token.allowedIps, ADDRESSES, address)],
    ['referrer-missing', isLimited.browser && origin === undefined && referer === undefined],
    ['referrer-conflict', isLimited.browser && origin !== undefined && referer !== undefined && !`${referer}/`.startsWith(`${origin}/`)],
    ['referrer', isLimited.browser && !(holds(token.allowedReferrers, ORIGINS, origin ?? from) && (from === null || holds(token.allowedReferrers, ORIGINS, from)))]
  ]
  return facts.filter(([, isSo]) => isSo).map(([denial]) => denial)
}

t.test('T-I1 a request is let through exactly where nothing speaks against it, and else the first reason is told', async t => {
  const counts = new Map<Denial | null, number>()
  t.doesNotThrow(() => fc.assert(fc.property(world, world => {
    const verdict = judge(world)
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
    return verdict === (objections(world)[0] ?? null)
  }), { ...SETTINGS, numRuns: runs(10_000) }))
  t.equal(counts.size, 12, 'every reason was seen, and none')
  t.ok([...counts.values()].every(count => count > 20), JSON.stringify([...counts]))
})

t.test('T-10 T-13 each reason, and what is just not one', async t => {
  const browser = { ...TOKEN, context: 'browser', allowedReferrers: ['https://a.example', 'https://*.example.com'] } as const
  const server = { ...TOKEN, allowedIps: ['10.0.0.0/8'] } as const
  const from = (origin?: string, referer?: string): Partial<World> => ({ token: browser, request: { ...REQUEST, origin, referer } })
  const table: ReadonlyArray<readonly [string, Denial | null, Partial<World>]> = [
    ['nothing is limited', null, {}],
    ['revoked at any time', 'revoked', { token: { ...TOKEN, revokedAt: new Date(EXPIRES + 1e9) } }],
    ['expired', 'expired', { now: EXPIRES }],
    ['deleted owner', 'owner-gone', { owner: null }],
    ['another owner', 'owner-gone', { owner: { ...OWNER, id: 'eve' } }],
    ['disabled owner', 'owner-disabled', { owner: { ...OWNER, disabled: true } }],
    ['a later epoch', 'owner-changed', { owner: { ...OWNER, epoch: 4 } }],
    ['an earlier epoch', 'owner-changed', { owner: { ...OWNER, epoch: 2 } }],
    ['another method', 'method', { token: { ...TOKEN, allowedMethods: ['POST'] } }],
    ['HEAD by GET', null, { token: { ...TOKEN, allowedMethods: ['GET'] }, request: { ...REQUEST, method: 'HEAD' } }],
    ['GET not by HEAD', 'method', { token: { ...TOKEN, allowedMethods: ['HEAD'] } }],
    ['within the network', null, { token: server }],
    ['outside of it', 'address', { token: server, request: { ...REQUEST, address: '11.0.0.1' } }],
    ['from nowhere', 'address-unknown', { token: server, request: { ...REQUEST, address: null } }],
    ['from nowhere, with no list', null, { request: { ...REQUEST, address: null } }],
    ['an empty list of methods', 'method', { token: { ...TOKEN, allowedMethods: [] } }],
    ['an empty list of addresses', 'address', { token: { ...TOKEN, allowedIps: [] } }],
    ['an empty list of referrers', 'referrer', { ...from('https://a.example'), token: { ...browser, allowedReferrers: [] } }],
    ['Origin', null, from('https://a.example')],
    ['Referer', null, from(undefined, 'https://a.example/p')],
    ['both', null, from('https://a.example', 'https://a.example/p?q')],
    ['both, by a wildcard', null, from('https://x.example.com', 'https://x.example.com/')],
    ['neither', 'referrer-missing', from()],
    ['two listed ones that differ', 'referrer-conflict', from('https://a.example', 'https://x.example.com/')],
    ['a Referer that only begins like the Origin', 'referrer-conflict', from('https://a.example', 'https://a.example.evil.test/')],
    ['a Referer of another port', 'referrer-conflict', from('https://a.example', 'https://a.example:8443/')],
    ['an opaque Origin', 'referrer', from('null')],
    ['an opaque Origin beside a Referer', 'referrer-conflict', from('null', 'https://a.example/')],
    ['an empty Origin', 'referrer', from('')],
    ['an empty Referer', 'referrer', from(undefined, '')],
    ['an empty Referer beside the Origin', 'referrer-conflict', from('https://a.example', '')],
    ['an Origin with a path', 'referrer', from('https://a.example/')],
    ['an Origin with a path, of which the Referer is', 'referrer', from('https://a.example/', 'https://a.example//')],
    ['an Origin with the default port', 'referrer', from('https://a.example:443')],
    ['an Origin in capitals', 'referrer', from('https://A.example')],
    ['the wildcard itself', 'referrer', from('https://*.example.com')],
    ['a Referer without a path but with a query', 'referrer', from(undefined, 'https://a.example?q')],
    ['another site', 'referrer', from(undefined, 'https://evil.test/https://a.example/')]
  ]
  for (const [title, expected, changes] of table) t.equal(judge({ token: TOKEN, owner: OWNER, request: REQUEST, now: EXPIRES - 1, ...changes }), expected, title)
})

t.test('T-I2 less allowed, a shorter life or a revocation never lets anybody in, more allowed never shuts anybody out', async t => {
  const lists = ['allowedMethods', 'allowedIps', 'allowedReferrers'] as const
  const counts = { in: 0, out: 0 }
  t.doesNotThrow(() => fc.assert(fc.property(world, fc.constantFrom(...lists), fc.nat(), fc.nat(1e12), ({ token, owner, request, now }, member, at, earlier) => {
    const verdict = (changes: Partial<PersonalTokenRecord>) => judge({ token: { ...token, ...changes }, owner, request, now })
    const list = token[member]
    const whole = verdict({})
    counts[whole === null ? 'in' : 'out']++
    const less = [{ revokedAt: new Date(0) }, { expiresAt: new Date(EXPIRES - earlier) }, ...list === null || list.length === 0 ? [] : [{ [member]: list.toSpliced(at % list.length, 1) }], ...list === null ? [{ [member]: ['GET', '10.0.0.1', 'https://a.example'] }] : []]
    const every = Object.keys({ allowedMethods: METHODS, allowedIps: ADDRESSES, allowedReferrers: ORIGINS }[member])
    const more = list === null ? [{}] : [{ [member]: null }, { [member]: [...list, every[at % every.length]!] }, { [member]: [...list, 'x', '', '0.0.0.0/0'] }]
    return (whole === null || less.every(changes => verdict(changes) !== null)) && (whole !== null || more.every(changes => verdict(changes) === null))
  }), SETTINGS))
  t.ok(counts.in > 200 && counts.out > 200, JSON.stringify(counts))
})

t.test('T-I3 where a server token is used from is its address alone, and of a browser token its headers alone', async t => {
  t.doesNotThrow(() => fc.assert(fc.property(world, request, (world, other) => {
    const { request, token } = world
    const changed = token.context === 'server' ? { ...other, method: request.method, address: request.address } : { ...request, address: other.address }
    const unused = token.context === 'server' ? { allowedReferrers: null } : { allowedIps: null }
    return judge(world) === judge({ ...world, request: changed }) && judge(world) === judge({ ...world, token: { ...token, ...unused } })
  }), SETTINGS))
})

t.test('T-I9 T-11 a method is one of the list to the letter, and HEAD where GET is; nothing else of a request names it', async t => {
  const anyMethod = fc.oneof(method, fc.string({ unit: 'binary-ascii', maxLength: 8 }), fc.constantFrom(...Object.keys(METHODS)).map(method => method.toLowerCase()))
  t.doesNotThrow(() => fc.assert(fc.property(fc.subarray(Object.keys(METHODS)), anyMethod, request, (allowedMethods, method, request) => {
    const withOverride = { ...request, method, headers: { 'x-http-method-override': allowedMethods[0] } }
    const expected = allowedMethods.includes(method) || (method === 'HEAD' && allowedMethods.includes('GET'))
    return (judge({ token: { ...TOKEN, allowedMethods }, owner: OWNER, request: withOverride, now: 0 }) === null) === expected
  }), SETTINGS))
  for (const corrupt of ['get', 'GET ', '*', 'OPTIONS', 'TRACE', '', null, ['GET']] as string[]) {
    for (const method of ['GET', 'HEAD', 'get', '*', 'OPTIONS', 'TRACE', '']) t.equal(judge({ token: { ...TOKEN, allowedMethods: [corrupt] }, owner: OWNER, request: { ...REQUEST, method }, now: 0 }), 'method', `${corrupt} ${method}`)
  }
})

t.test('T-I11 rules that were used before decide as fresh ones do, and change nothing', async t => {
  t.doesNotThrow(() => fc.assert(fc.property(token, fc.array(fc.tuple(owner, request, now), { minLength: 2, maxLength: 12 }), (token, uses) => {
    const frozen = Object.freeze({ ...token, allowedMethods: token.allowedMethods && Object.freeze([...token.allowedMethods]), allowedIps: token.allowedIps && Object.freeze([...token.allowedIps]), allowedReferrers: token.allowedReferrers && Object.freeze([...token.allowedReferrers]) })
    const rules = Object.freeze(compileRules(frozen))
    return [...uses, ...uses].every(([owner, request, now]) => decide(rules, owner && Object.freeze(owner), Object.freeze(request), now) === judge({ token, owner, request, now }))
  }), { ...SETTINGS, numRuns: runs(2000) }))
})

t.test('T-I15 a millisecond before its end a token lives, and at its end it does not', async t => {
  const moment = fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }), fc.integer({ min: 0, max: 4e12 }), fc.constantFrom(0, 1, -1, 8.64e15, -8.64e15, 2 ** 31 * 1000, 2 ** 32, 2 ** 52))
  t.doesNotThrow(() => fc.assert(fc.property(moment, fc.nat(1e15), (end, span) => {
    const at = (now: number) => judge({ token: { ...TOKEN, expiresAt: new Date(end) }, owner: OWNER, request: REQUEST, now })
    return at(end - 1) === null && at(end) === 'expired' && at(end + 1) === 'expired' && at(end - 1 - span) === null && at(end + span) === 'expired'
  }), SETTINGS))
  for (const now of [-Infinity, 0, Infinity, NaN]) t.equal(judge({ token: { ...TOKEN, expiresAt: new Date(NaN) }, owner: OWNER, request: REQUEST, now }), 'expired', `no end at all, at ${now}`)
  t.equal(judge({ token: TOKEN, owner: OWNER, request: REQUEST, now: NaN }), 'expired')
})

t.test('F-30 F-31 what a row lacks never lets anybody in', async t => {
  const lacks = (record: object, ...members: string[]) => Object.fromEntries(Object.entries(record).filter(([member]) => !members.includes(member)))
  const verdict = (token: object, owner: object) => judge({ token: token as PersonalTokenRecord, owner: owner as UserRecord, request: { ...REQUEST, origin: 'https://a.example' }, now: 0 })
  t.equal(verdict(TOKEN, OWNER), null)
  for (const member of ['revokedAt', 'userId', 'epoch', 'allowedMethods', 'allowedIps']) t.not(verdict(lacks(TOKEN, member), OWNER), null, member)
  t.not(verdict(lacks({ ...TOKEN, context: 'browser' }, 'allowedReferrers'), OWNER), null)
  for (const member of ['id', 'epoch', 'disabled']) t.not(verdict(TOKEN, lacks(OWNER, member)), null, member)
  t.throws(() => verdict(lacks(TOKEN, 'expiresAt'), OWNER), TypeError)
  for (const disabled of [null, 0, 'false', 1]) t.equal(verdict(TOKEN, { ...OWNER, disabled }), 'owner-disabled', String(disabled))
})
