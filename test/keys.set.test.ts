import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import type { AccountsKey } from '../types/index.ts'
import { createApp } from './support/app.ts'
import { createClient } from './support/client.ts'
import { command } from './support/command.ts'
import { freePort } from './services/free-port.js'

const PATH = '/auth/.well-known/jwks.json'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')
const KEYS: AccountsKey[] = [
  { kid: 'rsa', algorithm: 'PS256', publicKey: rsa.publicKey },
  { algorithm: 'ES256', privateKey: { ...ec.privateKey.export({ format: 'jwk' }), key_ops: ['sign'] } },
  { kid: 'ed', algorithm: 'EdDSA', privateKey: ed.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
]

t.test('J-15 the key set has every key that verifies, its public parts alone, and may be cached by anybody', async t => {
  const { app, signedUp } = await createApp(t, { keys: KEYS, rateLimit: {} })
  const { statusCode, headers, body } = await app.inject(PATH)
  t.equal(statusCode, 200)
  t.match(headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'public, max-age=300', 'set-cookie': undefined, vary: undefined })
  const { keys } = JSON.parse(body) as { keys: Array<Record<string, string>> }
  t.strictSame(keys.map(({ kid, kty, alg, use }) => [kid, kty, alg, use]).slice(1), [['rsa', 'RSA', 'PS256', 'sig'], ['ed', 'OKP', 'EdDSA', 'sig']])
  t.match(keys[0], { kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid: /^[\w-]{43}$/ })
  for (const { d, p } of [rsa, ec, ed].map(({ privateKey }) => privateKey.export({ format: 'jwk' }))) for (const part of [d, p]) if (part !== undefined) t.notOk(body.includes(part))
  t.strictSame([...new Set(keys.flatMap(key => Object.keys(key)))].sort(), ['alg', 'crv', 'e', 'kid', 'kty', 'n', 'use', 'x', 'y'])
  t.equal((await app.inject({ method: 'HEAD', url: PATH })).headers['cache-control'], 'public, max-age=300')
  const { headers: own } = await (await signedUp()).get(PATH)
  t.match(own, { 'cache-control': 'public, max-age=300', 'set-cookie': undefined }, 'whoever asks')
  for (const method of ['POST', 'PUT', 'DELETE'] as const) t.equal((await app.inject({ method, url: PATH })).statusCode, 404)
})

t.test('J-15 without keys there is no key set, under protect: \'all\' it is public, and it is below the prefix', async t => {
  t.equal((await (await createApp(t)).app.inject(PATH)).statusCode, 404)
  t.equal((await (await createApp(t, { keys: KEYS, routes: false })).app.inject(PATH)).statusCode, 404)
  const { app } = await createApp(t, { keys: KEYS, protect: 'all', routes: { prefix: '/api/accounts' } })
  t.equal((await app.inject('/api/accounts/.well-known/jwks.json')).json().keys.length, 3)
})

t.test('K1 another program verifies access tokens over the network, through a change of the key, and no other token', async t => {
  const port = await freePort() as number
  const appUrl = `http://localhost:${port}`
  let server: FastifyInstance | undefined
  const secret = randomBytes(32)
  const storage = (await createApp(t)).storage
  const start = async (keys: AccountsKey[]) => {
    await server?.close()
    const { close, ...parts } = storage
    const { app, signedUp } = await createApp(t, { appUrl, secret, keys, storage: parts })
    await app.listen({ port, host: '127.0.0.1' })
    server = app
    return { app, signedUp }
  }
  const keySet = createRemoteJWKSet(new URL(appUrl.replace('localhost', '127.0.0.1') + PATH), { cooldownDuration: 0 })
  const verify = async (token: string) => await jwtVerify(token, keySet, { issuer: appUrl, audience: appUrl, typ: 'at+jwt', algorithms: ['ES256', 'EdDSA'] })
  const [, es256, eddsa] = KEYS as [AccountsKey, AccountsKey, AccountsKey]

  const browser = await (await start([es256])).signedUp()
  const { payload, protectedHeader } = await verify(browser.cookies.accounts_access!)
  t.match({ payload, protectedHeader }, { payload: { sub: String, sid: String, iss: appUrl, aud: appUrl }, protectedHeader: { alg: 'ES256', typ: 'at+jwt', kid: /^[\w-]{43}$/ } })
  await t.rejects(verify(browser.cookies.accounts_refresh!), { code: 'ERR_JOSE_ALG_NOT_ALLOWED' })

  const { app } = await start([eddsa, es256])
  const renewed = createClient(app, { accounts_refresh: browser.cookies.accounts_refresh! })
  await renewed.get('/private')
  t.equal((await verify(renewed.cookies.accounts_access!)).protectedHeader.kid, 'ed', 'the set is read again for a name that it does not have')
  t.equal((await verify(browser.cookies.accounts_access!)).payload.sid, payload.sid, 'and the old key still verifies')
})

t.test('the command prints a private key that the option takes, and its name beside it', async t => {
  for (const algorithm of ['ES256', 'EdDSA', 'RS256', 'PS256'] as const) {
    const { code, stdout, stderr } = await command(['keypair', ...(algorithm === 'ES256' ? [] : ['--algorithm', algorithm])])
    t.match({ code, stdout }, { code: 0, stdout: /^-----BEGIN PRIVATE KEY-----\n[\w+/=\n]+\n-----END PRIVATE KEY-----\n$/ })
    const { app } = await createApp(t, { keys: [{ algorithm, privateKey: stdout }] })
    t.equal(stderr, `kid ${(await app.inject(PATH)).json().keys[0].kid}\n`)
  }
})
