import { createHash, createHmac, generateKeyPairSync, sign, X509Certificate, type KeyObject } from 'node:crypto'

/** A secret for HMAC, or what signs with a key pair, in base64url. */
export type SigningKey = string | Buffer | ((input: string) => string)

/** What a forgery is made from: a token that is accepted, and the very key that signed it. */
export interface Genuine<Key extends SigningKey = SigningKey> {
  readonly token: string
  readonly key: Key
  /** Of a key pair: what everybody has. */
  readonly publicKey?: KeyObject
  /** Where the clock stands, in seconds. */
  readonly time: number
  /** Seconds that such a token may live at most. */
  readonly maxLifetime: number
  /** The other kind of token of the same session. */
  readonly sibling: { readonly token: string, readonly key: Key }
  /** A genuine token of the same kind, of an application with another key. */
  readonly foreign: { readonly token: string, readonly key: Key }
  readonly otherUser: { readonly sid: string, readonly sub: string }
}

export interface Forgery {
  readonly id: string
  readonly title: string
  readonly token: string
  /** `over`: well signed, but names no live session of that user. */
  readonly outcome: Outcome
}

type Outcome = 'invalid' | 'expired' | 'over' | 'absent'
type Case = readonly [title: string, token: string, outcome?: Outcome]
type Json = Record<string, unknown>

const SEED = 20260914
const AHEAD = [61, 62, 300, 3600, 86_400]
const ATTACKER = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ed25519: generateKeyPairSync('ed25519')
}

/**
 * Tokens of which none may be accepted. Most are signed with the right key, so that only a reader that is strict about
 * everything else can tell them. Ids are stable as long as cases are added at the end of their family.
 */
export function forge (genuine: Genuine): Forgery[] {
  const families: Record<string, readonly Case[]> = {
    ALG: algorithms(genuine),
    KEY: confusedKeys(genuine),
    KID: keyIds(genuine),
    HEADER: headerMembers(genuine),
    SHAPE: shapes(genuine),
    SPELL: spellings(genuine),
    JSON: jsonTexts(genuine),
    CLAIM: claimValues(genuine),
    TIME: times(genuine),
    LIFETIME: lifetimes(genuine),
    AHEAD: ahead(genuine),
    CURVE: curves(genuine)
  }
  return Object.entries(families).flatMap(([family, cases]) => cases.map(([title, token, outcome = 'invalid'], index) =>
    ({ id: `JW-${family}-${String(index + 1).padStart(3, '0')}`, title, token, outcome })))
}

export const encode = (part: string | Buffer | object) => (Buffer.isBuffer(part) ? part : Buffer.from(typeof part === 'string' ? part : JSON.stringify(part))).toString('base64url')
const mac = (input: string, key: SigningKey, hash = 'sha256') => typeof key === 'function' ? key(input) : createHmac(hash, key).update(input).digest('base64url')
/** Parts that are encoded already, signed. */
export const sealEncoded = (input: string, key: SigningKey) => `${input}.${mac(input, key)}`
export const seal = (header: string | Buffer | object, payload: string | Buffer | object, key: SigningKey) => sealEncoded(`${encode(header)}.${encode(payload)}`, key)
/** Bytes that look random and are the same in every run. */
const junk = (label: string) => createHash('sha512').update(`${SEED} ${label}`).digest()
const show = (value: unknown) => JSON.stringify(value)?.slice(0, 60) ?? 'missing'

export interface Opened {
  readonly header: Json & { readonly kid: string }
  readonly claims: Json & { readonly iss: string, readonly iat: number, readonly exp: number }
  readonly headerText: string
  readonly claimsText: string
  readonly parts: [header: string, payload: string, signature: string]
}

/** Read a token without judging it. */
export function open (token: string): Opened {
  const parts = token.split('.') as [string, string, string]
  const [headerText, claimsText] = parts.map(part => Buffer.from(part, 'base64url').toString()) as [string, string]
  return { header: JSON.parse(headerText), claims: JSON.parse(claimsText), headerText, claimsText, parts }
}

function algorithms ({ token, key }: Genuine): Case[] {
  const { header, parts: [, payload, signature] } = open(token)
  const signed = token.slice(0, token.lastIndexOf('.'))
  const algorithms = [
    'none', 'None', 'NONE', 'nOnE', 'none ', 'none\u0000', 'n\u03bfne', undefined, '', null, 256, ['HS256'], { name: 'HS256' }, true, 'hs256',
    'HS256 ', 'HS384', 'HS512', 'ES256', 'ES256K', 'RS256', 'PS256', 'EdDSA', 'RSA-OAEP', 'dir', 'HS256'
  ].filter(alg => alg !== header.alg)
  return [
    ...algorithms.flatMap((alg): Case[] => {
      const input = `${encode({ ...header, alg })}.${payload}`
      return [
        [`alg ${show(alg)}, empty signature`, `${input}.`],
        [`alg ${show(alg)}, junk for a signature`, `${input}.${encode(junk('signature').subarray(0, 32))}`],
        [`alg ${show(alg)}, signature of the genuine token`, `${input}.${signature}`],
        [`alg ${show(alg)}, signed with the right key`, sealEncoded(input, key)],
        [`alg ${show(alg)}, no last dot`, input]
      ]
    }),
    ...(['sha384', 'sha512'] as const).map((hash): Case => {
      const input = `${encode({ ...header, alg: hash === 'sha384' ? 'HS384' : 'HS512' })}.${payload}`
      return [`${hash} with the HS256 key`, `${input}.${mac(input, key, hash)}`]
    }),
    ['HS512, cut to the length of HS256', `${signed}.${encode(Buffer.from(mac(signed, key, 'sha512'), 'base64url').subarray(0, 32))}`]
  ]
}

function confusedKeys ({ token, sibling, foreign, publicKey: own }: Genuine): Case[] {
  const { header, headerText, claimsText } = open(token)
  const forged = (title: string, key: SigningKey): Case => [`HS256 with ${title}`, seal(own === undefined ? headerText : { ...header, alg: 'HS256' }, claimsText, key)]
  const certificate = selfSigned(ATTACKER.ec)
  return [
    ...Object.entries({ ...ATTACKER, ...(own === undefined ? {} : { own: { publicKey: own } }) }).flatMap(([name, { publicKey }]) => {
      const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
      const jwk = publicKey.export({ format: 'jwk' })
      return [
        forged(`${name} SPKI text`, pem),
        forged(`${name} SPKI without its last newline`, pem.trimEnd()),
        forged(`${name} SPKI with one newline more`, `${pem}\n`),
        forged(`${name} SPKI with CRLF`, pem.replaceAll('\n', '\r\n')),
        ...[' ', '\t', '\n', '\ufeff', '\u200b', '# key\n'].map(prefix => forged(`${name} SPKI after ${show(prefix)}`, prefix + pem)),
        forged(`${name} DER bytes`, publicKey.export({ type: 'spki', format: 'der' })),
        forged(`${name} JWK text`, JSON.stringify(jwk)),
        forged(`${name} JWKS text`, JSON.stringify({ keys: [{ ...jwk, kid: header.kid }] })),
        forged(`${name} bare number`, Buffer.from(jwk.n ?? jwk.x ?? '', 'base64url'))
      ]
    }),
    forged('an X.509 certificate as PEM', certificate.toString()),
    forged('an X.509 certificate as DER', certificate.raw),
    ...['', '\0', header.kid, 'secret', 'null', 'undefined', '{}'].map(key => forged(`the key ${show(key)}`, key)),
    forged('32 zero bytes', Buffer.alloc(32)),
    forged('the key of the other kind of token', sibling.key),
    forged('the key of another application', foreign.key),
    ['a genuine token of another application', foreign.token]
  ]
}

function keyIds ({ token, key, sibling, foreign }: Genuine): Case[] {
  const { header, claimsText } = open(token)
  const ids = [
    '../../../../dev/null', '/dev/null', '/proc/sys/kernel/randomize_va_space', 'file:///dev/null', "k1' UNION SELECT 'x'--", 'k1|sleep 1', ';', 'k'.repeat(65536),
    '__proto__', 'constructor', 'toString', '0', '', ' ', { id: 1 }, [header.kid], 0, null, true, undefined,
    'AAAAAAAA', `${header.kid} `, `${header.kid}\0`, header.kid.slice(1), header.kid.toLowerCase() === header.kid ? header.kid.toUpperCase() : header.kid.toLowerCase(),
    open(sibling.token).header.kid, open(foreign.token).header.kid
  ]
  return [
    ...ids.flatMap((kid): Case[] => [
      [`kid ${show(kid)}, signed with the right key`, seal({ ...header, kid }, claimsText, key)],
      [`kid ${show(kid)}, signed with the empty key`, seal({ ...header, kid }, claimsText, '')]
    ]),
    ['a removed or foreign kid with its own key, over good claims', seal({ ...header, kid: open(foreign.token).header.kid }, claimsText, foreign.key)],
    ['kid twice, ours last', seal(`{"alg":"HS256","kid":"x",${JSON.stringify(header).slice(1)}`, claimsText, key)],
    ['kid twice, ours first', seal(`${JSON.stringify(header).slice(0, -1)},"kid":"x"}`, claimsText, key)]
  ]
}

function headerMembers ({ token, key }: Genuine): Case[] {
  const { header, claimsText, parts: [, payload] } = open(token)
  const jwk = ATTACKER.rsa.publicKey.export({ format: 'jwk' })
  const urls = ['https://evil.example/jwks.json', 'https://localhost:3000@evil.example/', 'http://169.254.169.254/latest/meta-data', 'file:///etc/passwd', '//evil.example', '']
  const added: Json[] = [
    { jwk }, { jwk: { kty: 'oct', k: encode(Buffer.isBuffer(key) ? key : junk('oct')) } }, { jwk: null },
    ...urls.flatMap(url => [{ jku: url }, { x5u: url }]),
    { x5c: [selfSigned(ATTACKER.ec).raw.toString('base64')] }, { x5t: encode(junk('x5t').subarray(0, 20)) }, { 'x5t#S256': encode(junk('x5t256').subarray(0, 32)) },
    { b64: false }, { b64: true }, { crit: ['b64'], b64: false }, { crit: ['b64'], b64: true }, { crit: [] }, { crit: 'exp' }, { crit: ['exp'] },
    { crit: ['exp'], exp: 1 }, { crit: ['unknown'] }, { crit: ['unknown'], unknown: 1 }, { crit: ['kid'] }, { crit: null }, { crit: {} },
    { zip: 'DEF' }, { cty: 'JWT' }, { cty: 'at+jwt' }, { epk: {} }, { enc: 'A256GCM' }, { iss: 'x' }, { unknown: 1 }, { '': 1 }, { typ: undefined }, { typ: 'JWT' },
    { typ: 'AT+JWT' }, { typ: 'RT+JWT' }, { typ: `application/${header.typ as string}` }, { typ: `${header.typ as string} ` }, { typ: [header.typ] }, { typ: null },
    { typ: 1 }
  ]
  const rawInput = `${encode({ ...header, crit: ['b64'], b64: false })}.${claimsText}`
  const embedded = `${encode({ ...header, alg: 'RS256', jwk })}.${payload}`
  return [
    ...added.map((more): Case => [`header with ${show(more)}`, seal({ ...header, ...more }, claimsText, key)]),
    ['b64 false and the payload as it is', sealEncoded(rawInput, key)],
    ['RS256 with the public key beside', `${embedded}.${encode(sign('sha256', Buffer.from(embedded), ATTACKER.rsa.privateKey))}`],
    ['crit twice', seal(`${JSON.stringify(header).slice(0, -1)},"crit":["exp"],"crit":[]}`, claimsText, key)]
  ]
}

function shapes ({ token, key, sibling }: Genuine): Case[] {
  const { claims, headerText, parts: [header, payload, signature] } = open(token)
  const padded = (size: number) => seal(headerText, { ...claims, x: 'x'.repeat(size) }, key)
  const room = Math.ceil((4096 - padded(0).length) * 3 / 4)
  const deep = (depth: number) => seal(headerText, JSON.stringify({ ...claims, x: null }).replace('"x":null', `"x":${'['.repeat(depth)}${']'.repeat(depth)}`), key)
  const blanks = [' ', '\t', '\n', '\r\n', '\u00a0', '\u200b', '\ufeff', '\0', '\u2028']
  return [
    ['nothing', '', 'absent'], ['one dot', '.'], ['two dots', '..'], ['three dots', '...'], ['a quote', '"'], ['undefined', 'undefined'], ['null', 'null'],
    ['[object Object]', '[object Object]'],
    ['one segment', header], ['two segments', `${header}.${payload}`], ['four segments', `${token}.${signature}`],
    ['five segments', `${header}.${payload}.${signature}.${payload}.${signature}`],
    ['trailing dot', `${token}.`], ['leading dot', `.${token}`], ['doubled dot', `${header}..${payload}.${signature}`],
    ['empty header', sealEncoded(`.${payload}`, key)], ['empty payload', sealEncoded(`${header}.`, key)], ['empty signature', `${header}.${payload}.`],
    ['parts in another order', `${payload}.${header}.${signature}`], ['header twice', sealEncoded(`${header}.${header}`, key)],
    ['payload twice', sealEncoded(`${payload}.${payload}`, key)],
    ['twice in a row', token + token], ['two tokens with a comma', `${token},${token}`], ['in quotes', `"${token}"`], ['after Bearer', `Bearer ${token}`],
    ['with a signature of cookies', `s:${token}`],
    ...blanks.flatMap((blank): Case[] => [
      [`${show(blank)} before`, blank + token], [`${show(blank)} after`, token + blank], [`${show(blank)} before a dot`, `${header}${blank}.${payload}.${signature}`],
      [`${show(blank)} after a dot`, `${header}.${blank}${payload}.${signature}`],
      [`${show(blank)} inside the signature`, `${header}.${payload}.${signature.slice(0, 9)}${blank}${signature.slice(9)}`],
      [`${show(blank)} in the payload, signed over`, sealEncoded(`${header}.${payload}${blank}`, key)]
    ]),
    ['%2E for dots', token.replaceAll('.', '%2E')], ['full-width dots', token.replaceAll('.', '\uff0e')], ['cut by one character', token.slice(0, -1)],
    ['cut by the first', token.slice(1)], ['one character more', `${token}A`],
    ['a byte more', `${header}.${payload}.${encode(Buffer.concat([Buffer.from(signature, 'base64url'), Buffer.alloc(1)]))}`],
    ['a byte less', `${header}.${payload}.${encode(Buffer.from(signature, 'base64url').subarray(0, -1))}`],
    ['16 bytes of signature', `${header}.${payload}.${encode(Buffer.from(signature, 'base64url').subarray(0, 16))}`],
    ['signature in hex', `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('hex')}`],
    ['signature of zeros', `${header}.${payload}.${'A'.repeat(signature.length)}`], ['another token\'s signature', `${header}.${payload}.${open(sibling.token).parts[2]}`],
    ['another token\'s payload', `${header}.${open(sibling.token).parts[1]}.${signature}`],
    ['another token\'s header', `${open(sibling.token).parts[0]}.${payload}.${signature}`],
    ['JSON serialization', JSON.stringify({ payload, protected: header, signature })],
    ['general JSON serialization', JSON.stringify({ payload, signatures: [{ protected: header, signature }] })],
    ['JWE with five parts', `${encode({ alg: 'dir', enc: 'A256GCM' })}..${encode(junk('iv').subarray(0, 12))}.${payload}.${encode(junk('tag').subarray(0, 16))}`],
    ['nested in another', seal(headerText, JSON.stringify(token), key)],
    ['just over 4 KiB', padded(room + 1)], ['8 KiB', padded(8192)], ['1 MB', padded(1_000_000)], ['5000 arrays deep', deep(5000)], ['1000 arrays deep', deep(1000)],
    ['9 arrays deep', deep(9)],
    ['100000 members', seal(headerText, { ...claims, ...Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`x${index}`, 0])) }, key)]
  ]
}

/** Other spellings of the same bytes, each signed over as it is spelled: two strings for one token. */
function spellings ({ token, key }: Genuine): Case[] {
  const { claims, headerText, parts: [header, payload, signature] } = open(token)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(signature.at(-1)!)
  // Payloads of every length modulo 3, all with both special characters of the alphabet.
  const payloads = [0, 1, 2].map(size => encode({ ...claims, x: '???>>>~~~' + 'x'.repeat(size) }))
  const respelled = (title: string, spell: (text: string) => string): Case[] =>
    payloads.filter(text => spell(text) !== text).map(text => [title, sealEncoded(`${header}.${spell(text)}`, key)])
  const twin = (bits: number) => (text: string) => text.length % 4 === 0 ? text : text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1)!) ^ bits]!
  return [
    ...[1, 2, 3].map((bits): Case => [`unused bits ${bits} of the signature`, `${header}.${payload}.${signature.slice(0, -1)}${alphabet[last ^ bits]!}`]),
    ...[1, 2, 3].flatMap(bits => respelled(`unused bits ${bits} of the payload`, twin(bits))),
    ...respelled('= after the payload', text => text + '='.repeat((4 - text.length % 4) % 4)), ...respelled('one = too many', text => `${text}=`),
    ...respelled('standard alphabet', text => text.replaceAll('-', '+').replaceAll('_', '/')),
    ...respelled('a lone character more', text => text.length % 4 === 0 ? `${text}A` : text),
    ['= after the signature', `${token}=`], ['= after the header', sealEncoded(`${header}${'='.repeat((4 - header.length % 4) % 4 || 4)}.${payload}`, key)],
    ['standard alphabet in the signature', `${header}.${payload}.${signature.replaceAll('-', '+').replaceAll('_', '/').replace(/^[^+/]+$/, text => `+${text.slice(1)}`)}`],
    ['header in hex', sealEncoded(`${Buffer.from(headerText).toString('hex')}.${payload}`, key)], ['header not encoded', sealEncoded(`${headerText}.${payload}`, key)],
    ['header in upper case', sealEncoded(`${header.toUpperCase()}.${payload}`, key)], ['payload in lower case', sealEncoded(`${header}.${payload.toLowerCase()}`, key)]
  ]
}

function jsonTexts ({ token, key }: Genuine): Case[] {
  const { headerText, claims, claimsText } = open(token)
  const { sub, exp } = claims
  const inHeader = (title: string, text: string | Buffer): Case => [`header: ${title}`, seal(text, claimsText, key)]
  const inPayload = (title: string, text: string | Buffer): Case => [`payload: ${title}`, seal(headerText, text, key)]
  const both = (title: string, change: (text: string) => string | Buffer) => [inHeader(title, change(headerText)), inPayload(title, change(claimsText))]
  const added = (member: string | Buffer) => Buffer.concat([Buffer.from(claimsText.slice(0, -1) + ','), Buffer.from(member), Buffer.from('}')])
  const replaced = (name: string, text: string) => claimsText.replace(new RegExp(`"${name}":[^,}]+`), `"${name}":${text}`)
  return [
    ...[' ', '\n', '\t', '\ufeff', '\0', '/* */', '//\n'].flatMap(extra => [
      ...both(`${show(extra)} before`, text => extra + text), ...both(`${show(extra)} after`, text => text + extra), ...both(`${show(extra)} inside`, text => text.replace('{', `{${extra}`))
    ]),
    ...both('a trailing comma', text => text.replace('}', ',}')), ...both('single quotes', text => text.replaceAll('"', "'")),
    ...both('UTF-16', text => Buffer.from(text, 'utf16le')), ...both('two objects', text => text + text), ...both('cut', text => text.slice(0, -1)),
    ...both('in an array', text => `[${text}]`), ...both('as a text', text => JSON.stringify(text)),
    ...both('pretty', text => JSON.stringify(JSON.parse(text), null, 2)), ...both('null', () => 'null'), ...both('true', () => 'true'), ...both('a number', () => '1'),
    ...both('an empty object', () => '{}'), ...both('an empty array', () => '[]'), ...both('0xFF', () => Buffer.from([0xff])),
    ...both('__proto__', text => text.replace('{', '{"__proto__":{"x":1},')),
    ...both('an escaped name', text => text.replace(/"(.)/, (_match, first: string) => `"\\u00${first.charCodeAt(0).toString(16)}`)),
    inHeader('alg twice, the same', headerText.replace('{', '{"alg":"HS256",')), inHeader('alg twice, none first', headerText.replace('{', '{"alg":"none",')),
    inHeader('alg twice, none last', headerText.replace('}', ',"alg":"none"}')),
    inHeader('other order', JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(headerText)).reverse()))),
    inPayload('sub twice, the same', added(`"sub":${show(sub)}`)), inPayload('sub twice, another first', claimsText.replace('{', '{"sub":"x",')),
    inPayload('exp twice', added(`"exp":${exp}`)), inPayload('exp twice, one escaped', added(`"\\u0065xp":${exp}`)), inPayload('iat twice', added('"iat":0')),
    inPayload('an unknown member twice', added('"x":1,"x":1')),
    inPayload('an invalid byte', added(Buffer.from([0x22, 0x78, 0x22, 0x3a, 0x22, 0xff, 0x22]))),
    inPayload('an overlong slash', added(Buffer.from([0x22, 0x78, 0x22, 0x3a, 0x22, 0xc0, 0xaf, 0x22]))),
    inPayload('a surrogate in UTF-8', added(Buffer.from([0x22, 0x78, 0x22, 0x3a, 0x22, 0xed, 0xa0, 0x80, 0x22]))),
    inPayload('a control character as it is', added('"x":"\x01"')), inPayload('__proto__ further in', added('"x":{"__proto__":{"y":1}}')),
    inPayload('sub with a lone surrogate', replaced('sub', '"\\ud800"')), inPayload('sub with NUL', replaced('sub', '"a\\u0000"')),
    inPayload('an escaped slash', claimsText.replaceAll('//', '\\/\\/')), inPayload('an escaped letter', claimsText.replace('http', '\\u0068ttp')),
    ...[
      '1e400', '-1e400', '-0', '-1', '+1', '01', '0x7fffffff', '1.', '.5', 'NaN', 'Infinity', `${exp}.0`, `${exp}e0`, `${exp / 10}e1`, '9007199254740993', '9007199254740992', '1e21', '12345678901234567890'
    ].map(text => inPayload(`exp ${text}`, replaced('exp', text)))
  ]
}

function claimValues ({ token, key, otherUser }: Genuine): Case[] {
  const { headerText, claims } = open(token)
  const { iss } = claims
  const wrong = [
    undefined, null, '', 'https://evil.example', iss.slice(0, -1), `${iss}/`, `${iss} `, ` ${iss}`, iss.toUpperCase(), `${iss}.evil.example`,
    iss.replace('http:', 'https:'), [iss], [iss, 'https://evil.example'], [[iss]], { 0: iss }, 1, true, `${iss}\0`
  ]
  const strange = [undefined, null, '', 0, 1.5, true, [], {}, '__proto__', 'a\0', 'a b', 'x'.repeat(129), 'x'.repeat(10_240), { $ne: null }, { $gt: '' }, "' OR 1=1--", '../..', '\u00e9']
  const table: Record<string, unknown[]> = {
    iss: wrong,
    aud: wrong,
    sub: [...strange, [claims.sub], `${claims.sub as string}\n`],
    jti: [...strange, 'x'.repeat(23), 'x'.repeat(25), [claims.jti]],
    sid: [...strange, `${claims.sid as string}=`, [claims.sid]],
    gen: [undefined, null, '0', -1, 0.5, true, [0], {}, 2 ** 53]
  }
  return [
    ...Object.entries(table).flatMap(([name, values]) => values.map((value): Case => [`${name} ${show(value)}`, seal(headerText, { ...claims, [name]: value }, key)])),
    ...Object.entries({ sub: [otherUser.sub, 'constructor', 'x'], sid: [otherUser.sid, 'x'.repeat(24), '-'.repeat(24)] }).flatMap(([name, values]) =>
      values.map((value): Case => [`${name} of another`, seal(headerText, { ...claims, [name]: value }, key), 'over']))
  ]
}

function times ({ token, key, time }: Genuine): Case[] {
  const { headerText, claims } = open(token)
  const strange = [null, '', true, [], {}, '1', `${time}`, [time], time + 0.5, -1, -time, 2 ** 53, { $gt: 0 }]
  const forged = (title: string, more: Json, outcome: Outcome = 'invalid'): Case => [title, seal(headerText, { ...claims, ...more }, key), outcome]
  return [
    ...['exp', 'iat'].flatMap(name => [undefined, ...strange].map(value => forged(`${name} ${show(value)}`, { [name]: value }))),
    ...strange.map(value => forged(`nbf ${show(value)}`, { nbf: value })),
    forged('exp 0', { exp: 0 }), forged('exp of yesterday, before iat', { exp: time - 86_400 }), forged('exp is iat', { exp: claims.iat }),
    ...AHEAD.map(seconds => forged(`nbf ${seconds} s ahead`, { nbf: time + seconds })),
    forged('all in milliseconds', { iat: claims.iat * 1000, exp: claims.exp * 1000 }),
    ...[0, 1, 60, 3600].map(ago => forged(`ended ${ago} s ago`, { iat: time - 3700, exp: time - ago }, 'expired'))
  ]
}

/** Well signed, by a clock that is wrong. */
function ahead ({ token, key, time }: Genuine): Case[] {
  const { headerText, claims } = open(token)
  return AHEAD.map((seconds): Case => [`iat ${seconds} s ahead`, seal(headerText, { ...claims, iat: time + seconds, exp: time + seconds + 60 }, key), 'expired'])
}

/** Well signed, but living longer than such a token may. */
function lifetimes ({ token, key, time, maxLifetime }: Genuine): Case[] {
  const { headerText, claims } = open(token)
  return [maxLifetime + 1, maxLifetime * 2, 253_402_300_799 - time, time * 1000, Number.MAX_SAFE_INTEGER - time].map((seconds): Case =>
    [`lives ${seconds} s`, seal(headerText, { ...claims, iat: time, exp: time + seconds }, key), 'expired'])
}

function curves ({ token }: Genuine): Case[] {
  const { header, parts: [genuineHeader, payload] } = open(token)
  const n = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const word = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
  const psychic = [[0n, 0n], [0n, 1n], [1n, 0n], [n, n], [n - 1n, n - 1n], [n, 1n]] as const
  return [['ES256', encode({ ...header, alg: 'ES256' })], ['the genuine header', genuineHeader]].flatMap(([title, encoded]): Case[] => {
    const input = `${encoded!}.${payload}`
    const signed = (key: KeyObject, over = input) => sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', Buffer.from(over), { key, dsaEncoding: 'ieee-p1363' })
    const good = signed(ATTACKER.ec.privateKey)
    const forged = (name: string, signature: Buffer): Case => [`${title!}: ${name}`, `${input}.${encode(signature)}`]
    return [
      forged('a signature by the attacker', good), forged('its twin (r, n - s)', Buffer.concat([good.subarray(0, 32), word(n - BigInt(`0x${good.subarray(32).toString('hex')}`))])),
      ...psychic.map(([r, s]) => forged(`r = ${r}, s = ${s}`, Buffer.concat([word(r), word(s)]))),
      forged('DER', sign('sha256', Buffer.from(input), ATTACKER.ec.privateKey)), forged('another curve', signed(ATTACKER.p384.privateKey)),
      forged('of another payload', signed(ATTACKER.ec.privateKey, `${encoded!}.e30`)),
      forged('Ed25519', signed(ATTACKER.ed25519.privateKey)), forged('Ed25519 of small order', Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])),
      forged('RSA', sign('sha256', Buffer.from(input), ATTACKER.rsa.privateKey)), forged('half of it', good.subarray(0, 32))
    ]
  })
}

/** A self-signed certificate (RFC 5280, 4.1) without extensions, for a P-256 key. */
function selfSigned ({ publicKey, privateKey }: { publicKey: KeyObject, privateKey: KeyObject }): X509Certificate {
  const der = (tag: number, ...parts: Buffer[]) => {
    const body = Buffer.concat(parts)
    return Buffer.concat([Buffer.from([tag, ...(body.length < 128 ? [] : body.length < 256 ? [0x81] : [0x82, body.length >> 8]), body.length & 0xff]), body])
  }
  const algorithm = der(0x30, Buffer.from('06082a8648ce3d040302', 'hex'))
  const name = der(0x30, der(0x31, der(0x30, Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from('evil')))))
  const validity = der(0x30, der(0x17, Buffer.from('260101000000Z')), der(0x17, Buffer.from('460101000000Z')))
  const body = der(0x30, der(0x02, Buffer.from([1])), algorithm, name, validity, name, publicKey.export({ type: 'spki', format: 'der' }))
  return new X509Certificate(der(0x30, body, algorithm, der(0x03, Buffer.from([0]), sign('sha256', body, privateKey))))
}
