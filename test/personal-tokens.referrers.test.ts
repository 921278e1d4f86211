import fc from 'fast-check'
import t from 'tap'
import { createOriginSet, originOfReferer, readReferrer } from '../lib/personal-tokens/referrers.ts'
import { runs } from './support/runs.ts'

const SETTINGS = { seed: 20260914, numRuns: runs(10_000) }

t.test('T-04 an entry of allowedReferrers is stored as browsers send it, without the default port', async t => {
  const asTheyAre = [
    'https://a.example', 'http://a.example', 'https://a.example:8443', 'http://a.example:443', 'https://a.example:80', 'https://a', 'https://localhost', 'http://localhost:3000', 'http://127.0.0.1', 'http://127.0.0.1:8080', 'http://[::1]', 'http://[::1]:3000', 'https://[2001:db8::1]',
    'https://xn--bcher-kva.example', 'https://a_b.example', 'https://-a-.example', 'https://com', 'https://github.io', 'https://1.example', 'https://a.b.c.d.e.f', `https://${'a'.repeat(63)}.example`, `https://${'a.'.repeat(126)}a`,
    'https://*.example.com', 'http://*.example.com', 'https://*.example.com:8443', 'https://*.a.b.example.com', 'https://*.user.github.io', 'https://*.example.co.uk', 'https://*.app.localhost', 'https://*.host.internal', 'https://*.xn--bcher-kva.example', 'https://*.city.kawasaki.jp', 'https://*.www.ck'
  ]
  for (const text of asTheyAre) t.strictSame(readReferrer(text), { kind: 'canonical', text }, text)
  for (const [text, expected] of [['https://a.example:443', 'https://a.example'], ['http://a.example:80', 'http://a.example'], ['http://[::1]:80', 'http://[::1]'], ['https://*.example.com:443', 'https://*.example.com']] as const) {
    t.strictSame(readReferrer(text), { kind: 'canonical', text: expected }, text)
  }
})

t.test('T-04 another spelling of an origin is refused, and the refusal says what to write', async t => {
  const table: ReadonlyArray<readonly [string, string, RegExp]> = [
    ...['https://a.example/', 'https://a.example/path', 'https://a.example?q', 'https://a.example?', 'https://a.example#', 'https://a.example/#f', 'https://a.example//', 'https://a.example/x'].map(text => [text, 'https://a.example', /no "\/" or more follows/] as const),
    ...['HTTPS://a.example', 'https://A.example', 'https://a.example.', 'https://a.example:', 'https://a.example:0443', 'https://@a.example', 'https:a.example', 'https:///a.example', 'https:\\\\a.example', ' https://a.example', 'https://a.example ', 'https://a.exa\nmple', 'https://ａ.example', 'https://a%2eexample', 'https://a。example', 'https://a.example.:443'].map(text => [text, 'https://a.example', /not spelled as browsers send it/] as const),
    ['https://bücher.example', 'https://xn--bcher-kva.example', /spelled/], ['http://0x7f.1', 'http://127.0.0.1', /spelled/], ['http://2130706433', 'http://127.0.0.1', /spelled/], ['http://127.1:80', 'http://127.0.0.1', /spelled/], ['http://[::ffff:1.2.3.4]', 'http://[::ffff:102:304]', /spelled/], ['http://[0:0::1]', 'http://[::1]', /spelled/],
    ['https://a.example:08443', 'https://a.example:8443', /spelled/], ['http://a.example:80/', 'http://a.example', /follows/], ['https://*.Example.com/', 'https://*.example.com', /follows/], ['https://*.example.com.', 'https://*.example.com', /spelled/], ['HTTPS://*.example.com', 'https://*.example.com', /spelled/]
  ]
  for (const [text, instead, why] of table) {
    const reading = readReferrer(text)
    t.match(reading, { kind: 'problem', text: why }, JSON.stringify(text))
    t.ok(reading.text.startsWith(`write ${instead} (`), `${JSON.stringify(text)}: ${reading.text}`)
  }
})

t.test('T-04 T-16 what is no origin, or more than one, is refused with words', async t => {
  const table: ReadonlyArray<readonly [RegExp, readonly string[]]> = [
    [/^not an origin that begins with http:\/\/ or https:\/\//, ['', ' ', 'null', 'a.example', 'localhost:3000', '//a.example', 'ftp://a.example', 'file:///a', 'data:text/html,x', 'javascript:alert(1)', 'blob:https://a.example/x', 'chrome-extension://abc', 'ws://a.example', 'https', 'https:', 'https://', 'http:///', 'https://:443', 'https://a.example:65536', 'https://a.example:x', 'https://[::1', 'https://[::1%25eth0]', 'https://256.0.0.1', 'https://a b.example', 'https://*.', 'https://*.:443']],
    [/^an origin has no user name$/, ['https://user@a.example', 'https://user:password@a.example', 'https://:password@a.example', 'https://a.example@evil.example', 'https://*.a.example@evil.example']],
    [/^the host is a name of at most 253 characters/, ["https://a'b.example", 'https://a,b.example', 'https://a..example', 'https://.a.example', 'https://a.example..', 'https://a!.example', 'https://a;b.example', `https://${'a'.repeat(64)}.example`, `https://${'a.'.repeat(126)}aa`, `https://*.${'a.'.repeat(125)}aa`]],
    [/^every site would be allowed/, ['*', 'https://*', 'http://*', 'HTTPS://*']],
    [/^"\*" stands for nothing but the whole left-most label/, ['https://a.*.example.com', 'https://*a.example.com', 'https://a*.example.com', 'https://*.*.example.com', 'https://**.example.com', 'https://example.*', 'https://*:443', 'https://*/', '*.example.com', '*://a.example', '*://*', 'https://a.example:*', 'https://a.example/*', 'https://user:*@a.example']],
    [/^"\*" stands for a part of a name/, ['https://*.127.0.0.1', 'https://*.[::1]', 'https://*.1', 'https://*.0x7f.1']],
    [/^"\*" is followed by at least two more labels/, ['https://*.com', 'https://*.localhost', 'https://*.localhost:3000', 'https://*.internal', 'https://*.com.', 'https://*.COM', 'https://*.com/']],
    [/^under a public suffix anybody can have a name: put your own between it and "\*", as in https:\/\/\*\.example\.co\.uk$/, ['https://*.co.uk', 'https://*.github.io', 'https://*.kawasaki.jp', 'https://*.x.kawasaki.jp', 'https://*.foo.ck', 'https://*.compute.amazonaws.com', 'https://*.herokuapp.com:8443', 'https://*.pages.dev', 'https://*.vercel.app', 'https://*.co.uk.', 'https://*.GitHub.io', 'https://*.platformsh.site']]
  ]
  for (const [why, texts] of table) for (const text of texts) t.match(readReferrer(text), { kind: 'problem', text: why }, JSON.stringify(text))
  // What is no Punycode is a host since the URL Standard of 2025, as in Node 24, and was none before.
  const misspelt = 'https://xn--zz.example'
  t.equal(readReferrer(misspelt).kind, URL.canParse(misspelt) ? 'canonical' : 'problem')
})

t.test('T-16 "*" is exactly one label, of the same scheme and port', async t => {
  const { has } = createOriginSet(['https://*.example.com', 'https://*.example.com:8443', 'https://b.example'])
  for (const origin of ['https://a.example.com', 'https://a-b_9.example.com', 'https://a.example.com:8443', `https://${'a'.repeat(63)}.example.com`, 'https://xn--bcher-kva.example.com', 'https://b.example']) t.ok(has(origin), origin)
  for (const origin of [
    'https://example.com', 'https://.example.com', 'https://a.b.example.com', 'https://*.example.com', 'https://*.example.com:8443', 'http://a.example.com', 'https://a.example.com:443', 'https://a.example.com:9443', 'https://A.example.com', 'https://a.example.com.', 'https://a.example.com/', `https://${'a'.repeat(64)}.example.com`,
    'https://aexample.com', 'https://a.xexample.com', 'https://a.example.com.evil.example', 'https://evil.example/.example.com', 'https://evil.example?.example.com', 'https://evil.example#.example.com', 'https://evil.example:1.example.com', 'https://u@a.example.com', 'https://evil\\.example.com', 'https://é.example.com', 'https://a b.example.com', 'https://%61.example.com',
    'https://`.example.com', 'https://{.example.com', 'https://@.example.com', 'https://[.example.com', 'https://^.example.com',
    'https://a.b.example', 'null', '', 'https://', 'https://b.example:443', 'https://B.example', 'https://b.example/', ' https://b.example', 'https://b.exampl', 'https://b.examplee'
  ]) t.notOk(has(origin), origin)
})

t.test('F-30 T-05 entries that can not be read match nothing, nor does an empty list', async t => {
  const corrupt = ['*', 'https://*', 'https://*.com', 'https://*.github.io', 'HTTPS://a.example', 'https://a.example/', 'https://a.example.', 'https://u@a.example', 'null', '', null, undefined, 7, {}, ['https://a.example']] as string[]
  for (const entries of [corrupt, [], null, undefined, 'https://a.example', { 0: 'https://a.example', length: 1 }] as string[][]) {
    const { has } = createOriginSet(entries)
    for (const origin of ['https://a.example', 'https://a.com', 'https://a.github.io', 'https://*.com', 'null', '', '*', 'HTTPS://a.example', 'https://a.example/', 'undefined']) t.notOk(has(origin), `${JSON.stringify(entries)} ${origin}`)
  }
  t.ok(createOriginSet([...corrupt, 'https://a.example']).has('https://a.example'), 'the others stay')
})

t.test('T-I8 the origin of a Referer is cut off as it stands, or there is none', async t => {
  for (const [referer, expected] of [
    ['https://a.example', 'https://a.example'], ['https://a.example/', 'https://a.example'], ['https://a.example/p?q=https://b.example/#f', 'https://a.example'], ['http://[::1]:3000/x', 'http://[::1]:3000'], ['http://127.0.0.1/', 'http://127.0.0.1'], ['https://a_b.example:8443//x', 'https://a_b.example:8443'], ['https://a.example:443/', 'https://a.example:443'],
    ...['', '/', 'null', 'about:blank', 'a.example', '//a.example/', 'https:/a.example/', 'https:a.example/', 'https:\\\\a.example\\', 'https://', 'https:///', 'HTTPS://a.example/', 'https://A.example/', 'https://a.example?q', 'https://a.example#f', 'https://a.example\\', 'https://a.example\n', 'https://a.example\n/', ' https://a.example/', 'https://a.example /', 'https://a.example./', 'https://a..example/', 'https://.a.example/', 'https://u@a.example/', 'https://a.example@evil.example/', 'https://a.example:/', 'https://a.example:0443/', 'https://a.example:443443/', 'https://a.example:x/', 'https://bücher.example/', 'https://a%2eexample/', 'https://*.example.com/', 'ftp://a.example/', 'android-app://a.example/', 'blob:https://a.example/x', 'view-source:https://a.example/'].map(referer => [referer, null] as const)
  ] as const) t.equal(originOfReferer(referer), expected, JSON.stringify(referer))
})

const LISTED = ['https://a.example', 'http://a.example', 'https://a.example:8443', 'http://localhost:3000', 'http://[::1]', 'http://127.0.0.1:80', 'https://b.a.example', 'https://*.example.com', 'https://*.example.com:8443', 'http://*.b.example.com']
const HOSTS = ['a.example', 'a.example', 'b.a.example', 'x.example.com', 'x.y.example.com', 'q.b.example.com', 'x_1-.example.com', 'example.com', 'A.example', 'a.example.', 'a.example.evil.test', 'evila.example', 'localhost', '[::1]', '[0:0::1]', '127.0.0.1', '127.1', '0x7f000001', '*.example.com', '.example.com', 'x.EXAMPLE.com', 'ａ.example', 'a%2eexample', '', `${'a'.repeat(64)}.example.com`]
// Of the big list of naughty strings, what could be taken for more or less of a URL than it is.
const NAUGHTY = ['undefined', 'NULL', '0', '1/0', '\\\\', '//', '/%00', '<script>', '\u0000', '\ufeff', '\u202e', '𝐚', '%2f', ';', '@', '..', '/../', ':', '?', '#', '\t', ' ', '"', '\'', '{', '|', '^', '`', '*', 'a', 'A', '-', '_', '.', '/', '443', ':443', ':80', '[', ']']
const often = <Usual>(usual: Usual, ...others: Usual[]) => fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) })
const grammar = fc.tuple(
  often('https', 'http', 'HTTPS', 'httpS', 'ftp', 'ws', 'blob:https', ''), often('://', ':/', ':', ':\\\\', '//', ':///', ''), often('', '@', 'u@', 'u:p@', 'a.example@'),
  fc.constantFrom(...HOSTS), often('', ':443', ':80', ':8443', ':3000', ':0443', ':', ':65536'), often('', '/', '/', '/p/q?r=s#t', '//', '?q', '#f', '\\', ' ', '/https://a.example', '\n', '/\n', '/é')
).map(parts => parts.join(''))
const mutation = fc.tuple(fc.nat(40), fc.nat(3), fc.constantFrom(...NAUGHTY), fc.boolean())
  .map(([at, cut, inserted, isUpper]) => (text: string) => text.slice(0, at) + (isUpper ? text.slice(at, at + cut).toUpperCase() : cut === 0 ? inserted : inserted.slice(0, at % 2)) + text.slice(at + cut))
const listed = fc.tuple(fc.constantFrom(...LISTED), often('x', 'x', 'x-1_', 'x.y', ''), often('/', '', '/p/q?r=s#t', '//', '?q', '.', ':443', '/https://b.example/')).map(([entry, label, rest]) => entry.replace('*', label) + rest)
const text = fc.tuple(fc.oneof({ weight: 6, arbitrary: listed }, { weight: 8, arbitrary: grammar }, { weight: 2, arbitrary: fc.webUrl({ validSchemes: ['https', 'http'] }) }, { weight: 1, arbitrary: fc.string({ unit: 'binary' }) }), fc.array(mutation, { maxLength: 2 }))
  .map(([text, mutations]) => mutations.reduce((text, mutate) => mutate(text), text))

t.test('T-I8 a Referer is allowed where its raw text is a listed origin, or that and a path', async t => {
  const counts = { allowed: 0, denied: 0 }
  t.doesNotThrow(() => fc.assert(fc.property(fc.subarray(LISTED, { minLength: 1 }), text, (list, referer) => {
    const serialization = serializationOf(referer)
    const expected = serialization !== null && (referer === serialization || referer.startsWith(`${serialization}/`)) && isListed(list, new URL(serialization))
    const set = createOriginSet(list)
    const origin = originOfReferer(referer)
    counts[expected ? 'allowed' : 'denied']++
    return (origin !== null && set.has(origin)) === expected && (origin === null || referer.startsWith(origin)) &&
      // As an Origin header nothing may follow.
      set.has(referer) === (expected && referer === serialization)
  }), SETTINGS))
  t.ok(counts.allowed > 300 && counts.denied > 300, JSON.stringify(counts))
})

t.test('T-04 an origin is read where URL says that it is one, and what a refusal says to write is accepted', async t => {
  const counts = { canonical: 0, instead: 0, other: 0 }
  t.doesNotThrow(() => fc.assert(fc.property(text, text => {
    const reading = readReferrer(text)
    if (reading.kind === 'canonical' && !/^https?:\/\/\*\.[^*]+$/.test(reading.text)) {
      counts.canonical++
      const defaultPort = reading.text.startsWith('https:') ? ':443' : ':80'
      return serializationOf(reading.text) === reading.text && (text === reading.text || text === reading.text + defaultPort)
    }
    const instead = /^write (\S+) \(/.exec(reading.text)?.[1]
    counts[instead === undefined ? 'other' : 'instead']++
    // A host of other letters, or longer ones, than names have is refused, though a browser would try it.
    const isOdd = !/^[a-z]+:\/\/(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}(?::|$)|\[/.test(text)
    if (instead === undefined) return serializationOf(text) !== text || isOdd
    const again = readReferrer(instead)
    return again.kind === 'canonical' && again.text === instead && (serializationOf(text) !== text || /\.(?::\d+)?$/.test(text))
  }), SETTINGS))
  t.ok(Object.values(counts).every(count => count > 300), JSON.stringify(counts))
})

t.test('5.4 a hostile text costs no time, however long it is', async t => {
  const { has } = createOriginSet(LISTED)
  const hostile: Array<(size: number) => string> = [
    size => 'https://' + 'a'.repeat(size), size => 'https://' + 'a.'.repeat(size / 2), size => 'https://' + 'a.'.repeat(size / 2) + '!', size => 'https://[' + ':'.repeat(size), size => 'https://' + 'a'.repeat(size) + '.example.com', size => 'https://a.example:' + '1'.repeat(size), size => '*'.repeat(size), size => 'https://*.' + '*.'.repeat(size / 2)
  ]
  for (const [index, make] of hostile.entries()) {
    const text = make(1_000_000)
    const start = process.cpuUsage()
    t.notOk(has(text))
    t.notOk(has(originOfReferer(text) ?? ''))
    t.equal(readReferrer(text).kind, 'problem')
    const { user, system } = process.cpuUsage(start)
    t.ok(user + system < 250_000, `text ${index}: ${(user + system) / 1000} ms`)
  }
})

/** What URL makes of a text, serialized; `null`: no origin that a page is loaded from. */
function serializationOf (text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null
  return url !== null && /^https?:$/.test(url.protocol) ? url.origin : null
}

/** Whether one of the entries means this origin: by the parts that URL makes of both. */
function isListed (list: readonly string[], url: URL): boolean {
  return list.some(entry => {
    const other = new URL(entry.replace('*.', ''))
    if (other.protocol !== url.protocol || other.port !== url.port) return false
    if (!entry.includes('*')) return other.hostname === url.hostname
    const [label = '', ...rest] = url.hostname.split('.')
    return rest.join('.') === other.hostname && /^[\w-]{1,63}$/.test(label)
  })
}
