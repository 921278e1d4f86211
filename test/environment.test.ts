import { createHmac } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import bcrypt from 'bcrypt'
import t, { type Test } from 'tap'
import { readSmtp } from '../lib/environment/mail.ts'
import { createReader } from '../lib/environment/reader.ts'
import { databaseFile, PASSWORD } from './support/app.ts'
import { holdClock, MINUTE } from './support/clock.ts'
import { needed, secret, startFromEnvironment, type Variables } from './support/from-environment.ts'
import { tokenOf } from './support/mail.ts'
import { databaseUrl, query, schemaName } from './support/postgres.ts'
import { startSmtp } from './support/smtp.ts'
import { accessOf, refreshOf } from './support/tokens.ts'

const ACCESS = 'accounts_access'
const REFRESH = 'accounts_refresh'

const isSignedBy = (token: string, key: string) => {
  const [header, payload, signature] = token.split('.') as [string, string, string]
  return createHmac('sha256', key).update(`${header}.${payload}`).digest('base64url') === signature
}

t.test('F2 F8 what is needed at least makes a server with the defaults of the options', async t => {
  const variables = needed()
  const { signedUp, options } = await startFromEnvironment(t, variables)
  const browser = await signedUp()
  t.strictSame((await browser.get('/private')).json(), { email: 'ada@example.com' })
  const { iss, aud, iat, exp } = accessOf(browser) as unknown as Record<string, number>
  t.strictSame([iss, aud], ['http://localhost:3000', 'http://localhost:3000'])
  t.ok(exp! - iat! > 56 * 60 && exp! - iat! <= 60 * 60)
  t.equal(refreshOf(browser).exp - refreshOf(browser).iat, 90 * 24 * 3600)
  t.strictSame(Object.keys(options).sort(), ['appUrl', 'secrets', 'storage'], 'what is not said is left to the options')
})

t.test('F7 APP_URL: the origin of requests that change something, and the security of cookies', async t => {
  const { client } = await startFromEnvironment(t, { APP_URL: 'https://app.example.com/tools' })
  const browser = client()
  const account = { email: 'ada@example.com', password: PASSWORD }
  t.equal((await browser.post('/auth/register', account, { origin: 'https://elsewhere.example' })).statusCode, 403)
  t.equal((await browser.post('/auth/register', account, { origin: 'https://app.example.com' })).statusCode, 201)
  t.ok(Object.keys(browser.cookies).every(name => name.startsWith('__Host-')))
})

t.test('SECURE_COOKIES=false: plain http beyond localhost, and nothing less over https', async t => {
  const lan = await startFromEnvironment(t, { APP_URL: 'http://tools.lan:3000', SECURE_COOKIES: 'false' })
  t.equal((await (await lan.signedUp()).get('/private')).statusCode, 200)
  const https = await startFromEnvironment(t, { APP_URL: 'https://app.example.com', SECURE_COOKIES: 'false' })
  const { cookies } = await https.client().post('/auth/register', { email: 'ada@example.com', password: PASSWORD })
  t.ok(cookies.every(cookie => cookie.secure === true))
})

t.test('F8 secrets: each signs what it is for, and the refresh token is not signed by the first when there is no second', async t => {
  const variables = { JWT_AUTH_TOKEN_SECRET: secret(), JWT_REFRESH_TOKEN_SECRET: secret() }
  const two = await (await startFromEnvironment(t, variables)).signedUp()
  t.ok(isSignedBy(two.cookies[ACCESS]!, variables.JWT_AUTH_TOKEN_SECRET))
  t.ok(isSignedBy(two.cookies[REFRESH]!, variables.JWT_REFRESH_TOKEN_SECRET))
  const one = await (await startFromEnvironment(t, { ...variables, JWT_REFRESH_TOKEN_SECRET: undefined })).signedUp()
  t.ok(isSignedBy(one.cookies[ACCESS]!, variables.JWT_AUTH_TOKEN_SECRET))
  t.notOk(isSignedBy(one.cookies[REFRESH]!, variables.JWT_AUTH_TOKEN_SECRET))
})

t.test('F12 TOKEN_HASH_SECRET: keys the digest of personal tokens', async t => {
  const variables = { JWT_AUTH_TOKEN_SECRET: secret(), TOKEN_HASH_SECRET: secret(), DATABASE_URL: databaseFile(t) }
  const first = await startFromEnvironment(t, variables)
  const { token } = (await (await first.signedUp()).post('/auth/tokens', { name: 'reports', context: 'server' })).json<{ token: string }>()
  const knock = async (change: Variables) => (await (await startFromEnvironment(t, { ...variables, ...change })).client().get('/private', { authorization: `ApiToken ${token}` })).statusCode
  t.equal(await knock({ JWT_AUTH_TOKEN_SECRET: secret() }), 200, 'what signs is another')
  t.equal(await knock({ TOKEN_HASH_SECRET: secret() }), 401)
})

t.test('F8 EXPRESS_SESSION_SECRET is there for the host to hand on', async t => {
  const variables = { EXPRESS_SESSION_SECRET: secret() }
  t.equal((await startFromEnvironment(t, variables)).options.secrets?.session, variables.EXPRESS_SESSION_SECRET)
})

t.test('F8 lifetimes in minutes; a long refresh token does not end before its time', async t => {
  const short = await (await startFromEnvironment(t, { JWT_TOKEN_EXPIRY_IN_MINUTES: '2', JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES: '10' })).signedUp()
  const { iat, exp } = accessOf(short)
  t.ok(exp - iat <= 120 && exp - iat >= 114)
  t.equal(refreshOf(short).exp - refreshOf(short).iat, 600)
  const long = await (await startFromEnvironment(t, { JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES: '1051200' })).signedUp()
  t.equal(refreshOf(long).exp - refreshOf(long).iat, 2 * 365 * 24 * 3600)
  t.equal((await long.get('/private')).statusCode, 200)
  const brief = await (await startFromEnvironment(t, { JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES: '5' })).signedUp()
  t.ok(accessOf(brief).exp - accessOf(brief).iat <= 300, 'the default of the other gives way')
})

t.test('F8 J-07 JWT_ISSUER and JWT_AUDIENCE stand in tokens, and none of another issuer or audience is taken', async t => {
  const variables = { JWT_AUTH_TOKEN_SECRET: secret(), DATABASE_URL: databaseFile(t) }
  const { signedUp } = await startFromEnvironment(t, { ...variables, JWT_ISSUER: 'ISSUER', JWT_AUDIENCE: 'AUDIENCE' })
  const browser = await signedUp()
  for (const claims of [accessOf(browser), refreshOf(browser)]) t.match(claims, { iss: 'ISSUER', aud: 'AUDIENCE' })
  const knock = async (change: Variables) => {
    const client = (await startFromEnvironment(t, { ...variables, ...change })).client()
    Object.assign(client.cookies, browser.cookies)
    return [(await client.get('/private')).statusCode, (await client.post('/auth/refresh')).statusCode]
  }
  t.strictSame(await knock({ JWT_ISSUER: 'ISSUER', JWT_AUDIENCE: 'AUDIENCE' }), [200, 200])
  for (const change of [{}, { JWT_ISSUER: 'ISSUER' }, { JWT_AUDIENCE: 'AUDIENCE' }, { JWT_ISSUER: 'AUDIENCE', JWT_AUDIENCE: 'ISSUER' }]) t.strictSame(await knock(change), [401, 401], JSON.stringify(change))
})

t.test('F9 EXPIRE_AUTH_TOKENS_ON_RESTART', async t => {
  const variables = { JWT_AUTH_TOKEN_SECRET: secret(), DATABASE_URL: databaseFile(t) }
  const first = await startFromEnvironment(t, variables)
  const browser = await first.signedUp()
  await first.app.close()
  for (const [value, expected] of [['false', 200], ['', 200], ['true', 401]] as const) {
    const client = (await startFromEnvironment(t, { ...variables, EXPIRE_AUTH_TOKENS_ON_RESTART: value })).client()
    Object.assign(client.cookies, browser.cookies)
    t.equal((await client.get('/private')).statusCode, expected, value)
  }
})

t.test('F1 PASSWORD_SALT_HASH_ROUNDS is the cost of new digests where bcrypt makes them, else of old ones', async t => {
  const digestIn = async ({ options }: Awaited<ReturnType<typeof startFromEnvironment>>) => (await options.storage.users.findByEmail('ada@example.com'))!.passwordDigest
  const chosen = await startFromEnvironment(t, { PASSWORD_ALGORITHM: 'bcrypt', PASSWORD_SALT_HASH_ROUNDS: '10' })
  await chosen.signedUp()
  t.match(await digestIn(chosen), /^\$2b\$10\$/)

  const migrated = await startFromEnvironment(t, { PASSWORD_SALT_HASH_ROUNDS: '6' })
  t.strictSame(migrated.options.passwords, { legacy: { bcryptRounds: 6 } })
  await migrated.options.storage.users.create({ id: 'ada', email: 'ada@example.com', emailKey: 'ada@example.com', username: null, usernameKey: null, name: null, passwordDigest: await bcrypt.hash(PASSWORD, 6), roles: [], emailVerified: true, createdAt: new Date() })
  t.equal((await migrated.client().post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).statusCode, 200)
  t.match(await digestIn(migrated), /^\$argon2id\$/)
})

t.test('F10 F11 SMTP_*, SENDER_EMAIL, ALLOW_UNAUTHORIZED_CERTS: mail goes out by them, and a link lasts as long as is said', async t => {
  const clock = holdClock(t)
  const smtp = await startSmtp(t, { tls: 'implicit', user: { name: 'shop', password: 'p4ss of the shop' } })
  const variables = { SMTP_HOST: smtp.host, SMTP_PORT: String(smtp.port), SMTP_USER: 'shop', SMTP_PASSWORD: 'p4ss of the shop', SMTP_SECURE: 'true', SENDER_EMAIL: 'Ada\'s Shop <shop@example.com>' }
  const warned = new Promise<Error>(resolve => { process.once('warning', resolve) })
  const { client } = await startFromEnvironment(t, { ...variables, ALLOW_UNAUTHORIZED_CERTS: 'true', PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS: '5' })
  t.match((await warned).message, /allowUnauthorizedCerts/)
  const browser = client()
  t.equal((await browser.post('/auth/register', { email: 'ada@example.com', password: PASSWORD })).statusCode, 202)
  const [verification] = await smtp.received(1)
  t.match(verification, { from: 'shop@example.com', to: ['ada@example.com'], secure: true, user: 'shop' })
  t.equal((await browser.post('/auth/email/verify', { token: tokenOf(verification!) })).statusCode, 204)
  await browser.post('/auth/password/forgot', { email: 'ada@example.com' })
  const [, reset] = await smtp.received(2)
  clock.advance(4.9 * MINUTE)
  t.equal((await browser.post('/auth/password/reset', { token: tokenOf(reset!), password: 'short' })).json<{ code: string }>().code, 'FST_ACCOUNTS_PASSWORD_TOO_SHORT', 'it still works')
  clock.advance(0.2 * MINUTE)
  t.equal((await browser.post('/auth/password/reset', { token: tokenOf(reset!), password: PASSWORD })).statusCode, 422)

  await t.test('F10 false means false: a certificate that nobody vouches for is refused', async t => {
    const { options } = await startFromEnvironment(t, { ...variables, ALLOW_UNAUTHORIZED_CERTS: 'false' })
    await t.rejects(options.mailer!.verify!(), { code: 'FST_ACCOUNTS_MAIL_FAILED', message: /self.signed/ })
  })
})

t.test('F11 the reset link has two names, which must agree', async t => {
  for (const variables of [{ PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS: '7' }, { PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES: '7' }, { PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS: '7', PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES: '7' }]) {
    const { options } = await startFromEnvironment(t, { ...variables, SMTP_HOST: 'localhost', SENDER_EMAIL: 'a@example.com' })
    t.strictSame(options.mail, { linkTtl: { resetPassword: '7m' } })
    const { options: without } = await startFromEnvironment(t, variables)
    t.strictSame([without.mail, without.mailer], [undefined, undefined], 'and no effect without mail')
  }
})

t.test('F10 what SMTP_SECURE means goes by the port', async t => {
  const read = (variables: Variables) => {
    const { secure, requireTls } = readSmtp(createReader({ SMTP_HOST: 'mail.example.com', SENDER_EMAIL: 'a@example.com', ...variables }))! as { secure?: boolean, requireTls?: boolean }
    return [secure, requireTls]
  }
  const login = { SMTP_USER: 'u', SMTP_PASSWORD: 'p' }
  t.strictSame(read({ SMTP_PORT: '587' }), [undefined, undefined], 'the mailer knows')
  t.strictSame(read({ SMTP_SECURE: 'true' }), [true, undefined])
  t.strictSame(read({ SMTP_SECURE: 'true', SMTP_PORT: '465' }), [true, undefined])
  t.strictSame(read({ SMTP_SECURE: 'true', SMTP_PORT: '587' }), [false, true])
  t.strictSame(read({ SMTP_SECURE: 'true', SMTP_PORT: '25' }), [false, true])
  t.strictSame(read({ SMTP_SECURE: 'false' }), [false, undefined])
  t.strictSame(read({ SMTP_SECURE: 'false', SMTP_PORT: '587' }), [false, undefined], 'STARTTLS, as the mailer has it')
  t.strictSame(read({ SMTP_SECURE: 'false', SMTP_PORT: '1025' }), [false, false])
  t.strictSame(read({ SMTP_SECURE: 'false', SMTP_PORT: '1025', ...login }), [false, undefined], 'never a password in the clear')
})

const served = async (t: Test, url: string) => {
  const { app, signedUp } = await startFromEnvironment(t, { DATABASE_URL: url })
  t.equal((await (await signedUp()).get('/private')).statusCode, 200)
  await app.close()
}

t.test('DATABASE_URL: a SQLite file by its path, sqlite: or file:', async t => {
  for (const write of [(file: string) => file, (file: string) => `sqlite:${file}`, (file: string) => `sqlite://${file}`, (file: string) => pathToFileURL(file).href, (file: string) => `file:${file}`, (file: string) => `file:${relative(process.cwd(), file)}`]) {
    const file = databaseFile(t)
    await served(t, write(file))
    t.ok(existsSync(file), write('FILE'))
  }
  const odd = join(dirname(databaseFile(t)), 'a@b=c ü.db')
  await served(t, `sqlite:${odd}`)
  await served(t, pathToFileURL(odd.replace('ü', 'ö')).href)
  t.ok(existsSync(odd) && existsSync(odd.replace('ü', 'ö')))
})

t.test('F6 F13 FLOWISE_USERNAME and FLOWISE_PASSWORD are what all shared: they prove who may claim the first account', async t => {
  const { client } = await startFromEnvironment(t, { FLOWISE_USERNAME: 'user', FLOWISE_PASSWORD: '1234' })
  const claim = async (pair: string) => (await client().post('/auth/owner', { email: 'ada@example.com', password: PASSWORD }, { authorization: `Basic ${Buffer.from(pair).toString('base64')}` })).statusCode
  t.strictSame([await claim('user:4321'), await claim('user:1234'), await claim('user:1234')], [401, 201, 409])
})

t.test('DATABASE_URL: PostgreSQL', async t => {
  const schema = schemaName(t)
  await query(`create schema ${schema}`)
  const url = new URL(databaseUrl())
  url.searchParams.set('options', `-c search_path=${schema}`)
  await served(t, url.href)
  t.strictSame(await query(`select email from ${schema}.accounts_users`), [{ email: 'ada@example.com' }])
})
