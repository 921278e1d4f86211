import t from 'tap'
import { checkScopes, readLimits, type GivenLimits } from '../lib/personal-tokens/limits.ts'

const CODE = 'FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID'
const many = (count: number) => Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`)

t.test('T-05 a list that is left out does not limit; others are stored canonical, without duplicates', async t => {
  const unlimited = { allowedMethods: null, allowedIps: null, allowedReferrers: null }
  for (const context of ['server', 'browser'] as const) {
    for (const given of [{}, unlimited, { allowedMethods: undefined, allowedIps: undefined, allowedReferrers: undefined }]) t.strictSame(readLimits(given, context), unlimited)
  }
  const given = Object.freeze({ allowedMethods: Object.freeze(['POST', 'GET', 'POST']), allowedIps: Object.freeze(['2001:DB8::/32', '::ffff:10.0.0.1', '10.0.0.1', '10.0.0.1/32', '10.0.0.0/8', '2001:db8:0::/32']) })
  t.strictSame(readLimits(given, 'server'), { allowedMethods: ['POST', 'GET'], allowedIps: ['2001:db8::/32', '10.0.0.1', '10.0.0.0/8'], allowedReferrers: null })
  t.strictSame(readLimits({ allowedReferrers: ['https://a.example:443', 'https://a.example', 'https://*.example.com'] }, 'browser'), { ...unlimited, allowedReferrers: ['https://a.example', 'https://*.example.com'] })
  t.equal(readLimits({ allowedIps: many(50) }, 'server').allowedIps?.length, 50)
  t.strictSame(readLimits({ allowedMethods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] }, 'browser').allowedMethods, ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
})

t.test('T-05 a list that makes no sense is refused, and the message names the member, the entry and what is wrong', async t => {
  const table: ReadonlyArray<readonly ['server' | 'browser', unknown, string]> = [
    ['server', { allowedMethods: [] }, 'allowedMethods is an empty list, which would allow nothing: leave it out for no limit'],
    ['server', { allowedIps: [] }, 'allowedIps is an empty list, which would allow nothing: leave it out for no limit'],
    ['browser', { allowedReferrers: [] }, 'allowedReferrers is an empty list, which would allow nothing: leave it out for no limit'],
    ['browser', { allowedIps: ['10.0.0.1'] }, 'allowedIps is only for tokens of the context "server"'],
    ['browser', { allowedIps: [] }, 'allowedIps is only for tokens of the context "server"'],
    ['server', { allowedReferrers: ['https://a.example'] }, 'allowedReferrers is only for tokens of the context "browser"'],
    ['server', { allowedIps: many(51) }, 'allowedIps has more than 50 entries'],
    ['server', { allowedIps: new Array(51).fill('10.0.0.1') }, 'allowedIps has more than 50 entries'],
    ['server', { allowedIps: ['10.0.0.1', '10.0.0.1/8'] }, 'allowedIps[1] "10.0.0.1/8": write 10.0.0.0/8 (bits after the prefix must be zero)'],
    ['server', { allowedIps: ['0.0.0.0/0'] }, 'allowedIps[0] "0.0.0.0/0": a network of all addresses: leave the list out instead'],
    ['server', { allowedMethods: ['POST', 'get'] }, 'allowedMethods[1] "get": write GET (not one of GET, HEAD, POST, PUT, PATCH, DELETE)'],
    ['server', { allowedMethods: ['OPTIONS'] }, 'allowedMethods[0] "OPTIONS": not one of GET, HEAD, POST, PUT, PATCH, DELETE'],
    ['browser', { allowedReferrers: ['https://a.example/'] }, 'allowedReferrers[0] "https://a.example/": write https://a.example (an origin ends with its host or port, no "/" or more follows)'],
    ['browser', { allowedReferrers: ['*'] }, 'allowedReferrers[0] "*": every site would be allowed: leave the list out instead'],
    ['server', { allowedIps: '10.0.0.1' }, 'allowedIps must be a list of texts'],
    ['server', { allowedIps: { 0: '10.0.0.1', length: 1 } }, 'allowedIps must be a list of texts'],
    ['server', { allowedIps: [['10.0.0.1']] }, 'allowedIps[0] must be a text'],
    // eslint-disable-next-line no-sparse-arrays -- a hole is no entry that was checked
    ['server', { allowedMethods: ['GET', , 'POST'] }, 'allowedMethods[1] must be a text'],
    ['server', { allowedMethods: [null] }, 'allowedMethods[0] must be a text']
  ]
  for (const [context, given, message] of table) t.throws(() => readLimits(given as GivenLimits, context), { code: CODE, statusCode: 422, message }, message)
})

t.test('P-15 no more of an entry is repeated than what is harmless to read', async t => {
  const messageOf = (given: GivenLimits, context: 'server' | 'browser') => {
    try {
      readLimits(given, context)
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  t.equal(messageOf({ allowedMethods: [`\u001b[31m\n\r\0é𝐚\u202e%s%d"${'x'.repeat(100)}`] }, 'server'), `allowedMethods[0] "?[31m???????%s%d"${'x'.repeat(60 - 17)}": not one of GET, HEAD, POST, PUT, PATCH, DELETE`)
  for (const entry of ['x'.repeat(10_000), 'é'.repeat(10_000), `https://${'a'.repeat(60)}.example/`, `https://x.example/${'a'.repeat(10_000)}`, `https://${'A.'.repeat(100)}example`]) {
    for (const [given, context] of [[{ allowedMethods: [entry] }, 'server'], [{ allowedIps: [entry] }, 'server'], [{ allowedReferrers: [entry] }, 'browser']] as const) {
      const message = messageOf(given, context)
      t.ok(message.length > 30 && message.length < 260 && /^[\x20-\x7e]+$/.test(message), message)
    }
  }
  t.notMatch(messageOf({ allowedReferrers: [`https://${'A.'.repeat(100)}example`] }, 'browser'), /write/, 'what would have to be cut is not proposed')
})

t.test('T-07 scopes are of the letters of RFC 6749, few and short, and of those that there are', async t => {
  t.equal(checkScopes(undefined, ['read']), null)
  t.equal(checkScopes(null, null), null)
  t.strictSame(checkScopes(['read', 'write:all', 'read'], null), ['read', 'write:all'])
  t.strictSame(checkScopes(['read'], ['write', 'read']), ['read'])
  const printing = Array.from({ length: 0x7e - 0x20 }, (_, index) => String.fromCharCode(0x21 + index)).filter(char => char !== '"' && char !== '\\')
  t.equal(printing.length, 92)
  for (const char of printing) t.strictSame(checkScopes([char], null), [char])
  for (const scope of ['', ' ', 'a b', '"', '\\', '\x7f', '\n', 'a\n', '\0', 'é', 'x'.repeat(65)]) t.throws(() => checkScopes(['a', scope], null), { code: CODE, statusCode: 422, message: /^scopes\[1\] "/ }, JSON.stringify(scope))
  t.strictSame(checkScopes(['x'.repeat(64)], null), ['x'.repeat(64)])
  t.equal(checkScopes(Array.from({ length: 32 }, (_, index) => `s${index}`), null)?.length, 32)
  t.throws(() => checkScopes(Array.from({ length: 33 }, (_, index) => `s${index}`), null), { code: CODE, message: 'scopes has more than 32 entries' })
  t.throws(() => checkScopes([], null), { code: CODE, message: /^scopes is an empty list/ })
  const many = Array.from({ length: 21 }, (_, index) => `s${index}`)
  const unknown = [[['Admin'], 'Admin'], [['admin ', 'adm'], 'admin , adm'], [many.slice(0, 20), many.slice(0, 20).join(', ')], [many, `${many.slice(0, 20).join(', ')} and 1 more`]] as const
  for (const [known, names] of unknown) t.throws(() => checkScopes(['admin'], known), { code: CODE, message: `scopes[0] "admin": not one of ${names}` })
  t.throws(() => checkScopes('admin' as never, ['a', 'd', 'm', 'i', 'n']), { code: CODE })
})
