import fc from 'fast-check'
import t from 'tap'
import { canonicalAddress, createAddressSet, readAddress } from '../lib/personal-tokens/addresses.ts'
import { runs } from './support/runs.ts'

const SETTINGS = { seed: 20260914, numRuns: runs(2000) }
const MAPPED = 0xffffn << 32n

t.test('N-04 N-05 an entry of allowedIps is stored in the one canonical form', async t => {
  const table: ReadonlyArray<readonly [string, string]> = [
    ['203.0.113.7', '203.0.113.7'], ['0.0.0.0', '0.0.0.0'], ['255.255.255.255', '255.255.255.255'], ['10.0.0.0/8', '10.0.0.0/8'], ['128.0.0.0/1', '128.0.0.0/1'], ['203.0.113.6/31', '203.0.113.6/31'], ['203.0.113.7/32', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'], ['::FFFF:cb00:7107', '203.0.113.7'], ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'], ['::ffff:0:0', '0.0.0.0'],
    ['2001:DB8::', '2001:db8::'], ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'], ['::', '::'], ['::1', '::1'], ['1::', '1::'], ['2001:db8::/32', '2001:db8::/32'], ['2001:DB8:0::/128', '2001:db8::'], ['8000::/1', '8000::/1'], ['::/1', '::/1'],
    // RFC 5952, 4.2: the longest run, the first of equals, never a single group.
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'], ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'], ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
    // These come by another way than their IPv4 address does.
    ['::10.0.0.1', '::a00:1'], ['::ffff:0:10.0.0.1', '::ffff:0:a00:1'], ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'], ['64:ff9b::/96', '64:ff9b::/96'], ['2002:a00:1::', '2002:a00:1::'], ['2002::/16', '2002::/16'], ['::/64', '::/64'], ['::fffe:0:0/96', '::fffe:0:0/96']
  ]
  for (const [text, expected] of table) {
    t.strictSame(readAddress(text), { kind: 'canonical', text: expected }, text)
    t.strictSame(readAddress(expected), { kind: 'canonical', text: expected }, `${expected} again`)
  }
})

t.test('N-04 N-06 N-07 what parsers read differently, or what is wider than it looks, is refused with words', async t => {
  const noAddress = [
    '', ' ', 'unknown', '_hidden', 'localhost', '*', '010.0.0.1', '10.0.0.01', '10.00.0.1', '0x0a000001', '0xa.0.0.1', '012.0.0.1', '167772161', '10.1', '10.0.1', '10', '10.', '.10.0.0.1', '10.0.0.1.', '10.0.0.256', '10.0.0.-1', '10.0.0.1e0',
    ' 10.0.0.1', '10.0.0.1 ', '10.0.0.1\n', '\t10.0.0.1', '10.0.0.1\0', '１0.0.0.1', '10。0。0。1', '"10.0.0.1"', '10.0.0.1:80', '[::1]', '[::1]:80', '::1:', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::', 'g::', '::10.0.0.256', '::ffff:010.0.0.1', '::ffff:10.0.1',
    '10/8', '10.0/16', '10.0.0.0/8/8', '10.0.0.0 /8', '/', '/8', '10.0.0.0-10.0.0.9', '10.0.0.*', '10.0.0.1,10.0.0.2', '10.0.0.1%eth0', '::1%'
  ]
  for (const text of noAddress) refused(t, text, /^not an IP address or network/)
  for (const text of ['fe80::1%eth0', 'fe80::1%1', '::1%25', 'fe80::%eth0/10', '::ffff:10.0.0.1%eth0']) refused(t, text, /^an address with a zone/)
  const prefixes = ['', '-1', '+8', '08', '008', '8.0', '8 ', ' 8', '8\n', '0x8', '1e1', '255.0.0.0', '８', 'a', '129', '1000', '00', '-0', '99999999999999999999']
  for (const prefix of [...prefixes, '33', '128']) refused(t, `10.0.0.0/${prefix}`, /number from 1 to 32$/)
  for (const prefix of prefixes) refused(t, `2001:db8::/${prefix}`, /number from 1 to 128$/)
  for (const text of ['0.0.0.0/0', '10.0.0.0/0', '::/0', '2001:db8::/0', '::ffff:0:0/0']) refused(t, text, /^a network of all addresses/)
  for (const [text, instead] of [['10.0.0.1/8', '10.0.0.0/8'], ['10.128.0.0/8', '10.0.0.0/8'], ['203.0.113.7/31', '203.0.113.6/31'], ['2001:DB8::1/32', '2001:db8::/32'], ['2001:db8:0:1::/63', '2001:db8::/63'], ['::1/127', '::/127'], ['::fffe:a00:1/96', '::fffe:0:0/96']] as const) {
    t.strictSame(readAddress(text), { kind: 'problem', text: `write ${instead} (bits after the prefix must be zero)` }, text)
  }
  for (const [text, instead] of [['::ffff:10.0.0.0/104', '10.0.0.0/8'], ['::FFFF:a00:0/104', '10.0.0.0/8'], ['::ffff:10.0.0.1/104', '10.0.0.0/8'], ['::ffff:10.0.0.1/128', '10.0.0.1'], ['::ffff:128.0.0.0/97', '128.0.0.0/1']] as const) {
    t.strictSame(readAddress(text), { kind: 'problem', text: `write ${instead} (a network of IPv4 addresses is written as such)` }, text)
  }
  for (const text of ['::ffff:0:0/96', '::ffff:0.0.0.0/96', '::ffff:10.0.0.0/80', '::ffff:0:0/1']) t.strictSame(readAddress(text), { kind: 'problem', text: 'a network of IPv4 addresses is written as such' }, text)
})

t.test('N-02 N-05 N-07 a client has a canonical address, or none', async t => {
  for (const [text, expected] of [
    ['203.0.113.7', '203.0.113.7'], ['::ffff:203.0.113.7', '203.0.113.7'], ['::FFFF:CB00:7107', '203.0.113.7'], ['2001:DB8:0:0::1', '2001:db8::1'], ['::1', '::1'], ['::203.0.113.7', '::cb00:7107'], ['64:ff9b::203.0.113.7', '64:ff9b::cb00:7107'],
    ...[null, '', 'unknown', '9.9.9.9:1234', '[::1]', '010.0.0.1', '10.1', '0xa000001', '10.0.0.0/8', '10.0.0.1/32', ' 10.0.0.1', 'fe80::1%eth0', '::ffff:10.0.0.1%1', '10.0.0.1, 10.0.0.2'].map(text => [text, null] as const)
  ] as const) t.equal(canonicalAddress(text), expected, String(text))
})

t.test('N-06 families never meet, not even where an IPv6 network holds the mapped addresses', async t => {
  for (const entry of ['::/1', '::/64', '::/80', '::ffff:0:0/96', '::/0']) {
    const { has } = createAddressSet([entry])
    t.notOk(has('10.0.0.1') || has('::ffff:10.0.0.1') || has('::ffff:a00:1'), entry)
  }
  t.ok(createAddressSet(['::/64']).has('::a00:1'))
  const { has } = createAddressSet(['10.0.0.0/8', '203.0.113.7', '2001:db8::/32', '::1'])
  for (const address of ['10.255.255.255', '::ffff:a00:1', '203.0.113.7', '2001:DB8:ffff::', '0:0:0:0:0:0:0:1']) t.ok(has(address), address)
  for (const address of ['::10.0.0.1', '64:ff9b::10.0.0.1', '2002:a00:1::', '::ffff:0:10.0.0.1', '11.0.0.0', '203.0.113.6', '::', '2001:db9::', '10.0.0.1%1', '2001:db8::1%eth0', '', 'x', null]) t.notOk(has(address), String(address))
})

t.test('F-30 T-05 entries that can not be read match nothing, nor does an empty list', async t => {
  const corrupt = ['0.0.0.0/0', '10.0.0.1/8', '10/8', '010.0.0.0/8', '::ffff:10.0.0.0/104', '10.0.0.0/8 ', '', null, undefined, 7, {}, ['10.0.0.1'], '10.0.0.1%1'] as string[]
  for (const entries of [corrupt, [], null, undefined, '10.0.0.1', { 0: '10.0.0.1', length: 1 }] as string[][]) {
    const { has } = createAddressSet(entries)
    for (const address of ['10.0.0.1', '0.0.0.0', '8.0.0.1', '::1', '', null]) t.notOk(has(address), `${JSON.stringify(entries)} ${address}`)
  }
  t.ok(createAddressSet([...corrupt, '10.0.0.1']).has('10.0.0.1'), 'the others stay')
})

t.test('T-I7 addresses are in a network where their numbers say so', async t => {
  const random = createRandom(20260914)
  const counts = { in: 0, out: 0, otherFamily: 0 }
  const wrong: string[] = []
  const rounds = runs(2000)
  for (let round = 0; round < rounds; round++) {
    const network = drawNetwork(random)
    const { has } = createAddressSet([`${spell(network.first, network.bits, random, false)}/${network.prefix}`])
    for (let count = 0; count < 50; count++) {
      const { number, bits } = drawAddress(network, random)
      const expected = bits === network.bits && number >> BigInt(bits - network.prefix) === network.first >> BigInt(bits - network.prefix)
      const text = spell(number, bits, random)
      if (has(text) !== expected) wrong.push(`${text} ${JSON.stringify({ ...network, first: String(network.first) })}`)
      counts[expected ? 'in' : bits === network.bits ? 'out' : 'otherFamily']++
    }
  }
  t.strictSame(wrong.slice(0, 5), [])
  t.ok(Object.values(counts).every(count => count > 2 * rounds), JSON.stringify(counts))
})

t.test('T-I6 another spelling of an address changes nothing, one bit of the network does', async t => {
  t.doesNotThrow(() => fc.assert(fc.property(fc.integer(), seed => {
    const random = createRandom(seed)
    const { first, bits, prefix } = drawNetwork(random)
    const number = first + (draw(bits, random) & ((1n << BigInt(bits - prefix)) - 1n))
    const [one, other] = [spell(number, bits, random), spell(number, bits, random)]
    if (isMapped(number, bits)) return true
    const set = createAddressSet([`${spell(first, bits, random, false)}/${prefix}`])
    const flipped = number ^ (1n << BigInt(bits - 1 - random(prefix)))
    return canonicalAddress(one) === canonicalAddress(other) && readOf(one) === readOf(other) && readOf(one) === canonicalAddress(one) &&
      set.has(one) && set.has(other) && !set.has(spell(flipped, bits, random)) && set.has(one)
  }), SETTINGS))
})

t.test('N-04 the canonical form is that of URL, and what a refusal says to write is accepted', async t => {
  const counts = { canonical: 0, instead: 0 }
  fc.assert(fc.property(fc.integer(), seed => {
    const random = createRandom(seed)
    const bits = random(2) === 0 ? 32 : 128
    const number = draw(bits, random)
    const address = spell(number, bits, random)
    if (bits === 128 && !isMapped(number, bits) && canonicalAddress(address) !== new URL(`http://[${address}]`).hostname.slice(1, -1)) return false
    const reading = readAddress(`${address}/${1 + random(address.includes(':') ? 128 : 32)}`)
    const instead = reading.kind === 'canonical' ? reading.text : /^write (\S+) \(/.exec(reading.text)?.[1]
    counts[reading.kind === 'canonical' ? 'canonical' : 'instead']++
    return instead === undefined ? reading.text.startsWith('a network of IPv4') : readOf(instead) === instead
  }), SETTINGS)
  t.ok(counts.canonical > 100 && counts.instead > 100, JSON.stringify(counts))
})

interface Network { readonly first: bigint, readonly bits: number, readonly prefix: number }
type Random = (below: number) => number

function refused (t: { match: (found: unknown, pattern: unknown, message: string) => unknown }, text: string, pattern: RegExp) {
  t.match(readAddress(text), { kind: 'problem', text: pattern }, JSON.stringify(text))
}

const readOf = (text: string) => {
  const reading = readAddress(text)
  return reading.kind === 'canonical' ? reading.text : null
}

const isMapped = (number: bigint, bits: number) => bits === 128 && number >> 32n === 0xffffn

/** mulberry32. */
function createRandom (seed: number): Random {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** A number of so many bits, often with long runs of zeros or ones. */
function draw (bits: number, random: Random): bigint {
  let number = 0n
  for (let at = 0; at < bits; at += 16) number = (number << 16n) | BigInt([0, 0, 0xffff, random(0x10000), random(0x10000)][random(5)]!)
  return number
}

function drawNetwork (random: Random): Network {
  const bits = random(2) === 0 ? 32 : 128
  const prefix = 1 + random(bits)
  const around = bits === 128 && random(4) === 0 ? [0n, MAPPED, 0xfffen << 32n, 1n << 48n][random(4)]! : draw(bits, random)
  const first = around >> BigInt(bits - prefix) << BigInt(bits - prefix)
  // Refused, which the tables see to.
  return isMapped(first, bits) ? { first: 0n, bits, prefix } : { first, bits, prefix }
}

/** An address in the network, just outside of it, one bit away, anywhere, or of the other family. */
function drawAddress ({ first, bits, prefix }: Network, random: Random): { number: bigint, bits: number } {
  const all = (1n << BigInt(bits)) - 1n
  const size = 1n << BigInt(bits - prefix)
  const candidates = [
    () => first, () => first - 1n, () => first + size - 1n, () => first + size, () => first ^ (1n << BigInt(bits - prefix)), () => first ^ (1n << BigInt(random(bits))),
    () => first + (draw(bits, random) & (size - 1n)), () => draw(bits, random)
  ]
  const number = candidates[random(candidates.length)]!() & all
  if (random(8) === 0) return { number: bits === 32 ? number : number & 0xffffffffn, bits: bits === 32 ? 128 : 32 }
  return isMapped(number, bits) ? { number: number & 0xffffffffn, bits: 32 } : { number, bits }
}

/** Write a number as an address, in any of the spellings that there are; IPv4 also as mapped into IPv6. */
function spell (number: bigint, bits: number, random: Random, mayMap = true): string {
  const dotted = [24n, 16n, 8n, 0n].map(shift => String((number >> shift) & 255n)).join('.')
  if (bits === 32 && (!mayMap || random(2) === 0)) return dotted
  const value = bits === 32 ? MAPPED | number : number
  const padding = random(3) === 0 ? 4 : 1
  const groups: string[] = []
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(((value >> shift) & 0xffffn).toString(16).padStart(padding, '0'))
  if (random(4) === 0) groups.splice(6, 2, dotted)
  const from = random(groups.length)
  let end = from
  while (end < groups.length && random(8) !== 0 && /^0+$/.test(groups[end]!)) end++
  const text = end === from ? groups.join(':') : `${groups.slice(0, from).join(':')}::${groups.slice(end).join(':')}`
  return random(3) === 0 ? text.toUpperCase() : text
}
