import { inspect } from 'node:util'
import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import fc from 'fast-check'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import accounts, { optionsFromEnv } from '../lib/index.ts'
import { databaseFile } from './support/app.ts'
import { needed, secret, type Variables } from './support/from-environment.ts'

/** Stands in values: no error may repeat it. */
const MARK = 'zQ7marker'

interface Refusal { readonly code: string, readonly message: string, readonly names: string[], readonly printed: string }

/** What it refuses, and how; `null`: nothing. What was opened is closed. */
async function refusalOf (variables: Variables): Promise<Refusal | null> {
  try {
    const { storage, mailer } = await optionsFromEnv(variables)
    await mailer?.close?.()
    await storage.close?.()
    return null
  } catch (thrown) {
    const error = thrown as Error & { code: string }
    return { code: error.code, message: error.message, names: [...error.message.matchAll(/^ {2}([A-Z_]+) /gm)].map(match => match[1]!), printed: `${inspect(error, { depth: 9 })} ${JSON.stringify(error)} ${String(error.stack)}` }
  }
}

async function refuses (t: Test, variables: Variables, ...names: string[]): Promise<void> {
  const refusal = await refusalOf({ ...needed(), ...variables })
  const shown = JSON.stringify(variables).slice(0, 100)
  t.strictSame([refusal?.code, refusal?.names.sort()], ['FST_ACCOUNTS_ENVIRONMENT_INVALID', names.sort()], shown)
  // Shorter ones stand in any stack by chance.
  for (const value of Object.values(variables)) if ((value ?? '').length > 11) t.notOk(refusal?.printed.includes(value!), 'the value is not shown')
  t.notMatch(refusal?.printed, MARK)
}

t.test('what is required is named, all at once', async t => {
  t.match(await refusalOf({}), { code: 'FST_ACCOUNTS_ENVIRONMENT_INVALID', names: ['APP_URL', 'JWT_AUTH_TOKEN_SECRET', 'DATABASE_URL'] })
  await refuses(t, { APP_URL: '' }, 'APP_URL')
  await refuses(t, { DATABASE_URL: '' }, 'DATABASE_URL')
  await refuses(t, { JWT_AUTH_TOKEN_SECRET: undefined }, 'JWT_AUTH_TOKEN_SECRET')
})

t.test('everything that is wrong is told in one error, and nothing was opened', async t => {
  const file = databaseFile(t)
  await refuses(t, { DATABASE_URL: file, APP_URL: MARK, SMTP_SECURE: 'yes', JWT_TOKEN_EXPIRY_IN_MINUTES: '1h', JWT_REFRESH_TOKEN_SECRET: 'flowise', SMTP_HOST: 'mail.example.com' },
    'SMTP_SECURE', 'APP_URL', 'JWT_REFRESH_TOKEN_SECRET', 'JWT_TOKEN_EXPIRY_IN_MINUTES', 'SENDER_EMAIL')
  t.strictSame(readdirSync(dirname(file)), [])
})

const SECRETS = ['JWT_AUTH_TOKEN_SECRET', 'JWT_REFRESH_TOKEN_SECRET', 'TOKEN_HASH_SECRET', 'EXPRESS_SESSION_SECRET']

t.test('F8 A-11 a secret that is well known, short, weak or empty is refused by the name of its variable', async t => {
  for (const name of SECRETS) {
    for (const weak of ['', 'auth_token', 'refresh_token', 'flowise', 'Secre$t', 'flowise'.repeat(6), `Secre$t-${secret()}`, secret().slice(0, 31), 'a'.repeat(64), `my-secret-${secret()}`]) await refuses(t, { [name]: weak }, name)
  }
})

t.test('F10 a switch is true or false and nothing else', async t => {
  for (const name of ['EXPIRE_AUTH_TOKENS_ON_RESTART', 'SMTP_SECURE', 'ALLOW_UNAUTHORIZED_CERTS', 'SECURE_COOKIES']) {
    for (const value of ['1', '0', 'yes', 'no', 'on', 'off', 'TRUE', 'False', 'true ', ' false', '"true"', 'true\r', 'undefined', 'null', MARK]) await refuses(t, { [name]: value }, name)
  }
})

t.test('a number is plain decimal, and within its bounds', async t => {
  const bounds = { JWT_TOKEN_EXPIRY_IN_MINUTES: ['0', '5256001'], JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES: ['0', '5256001'], SMTP_PORT: ['0', '65536'], PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS: ['0', '31'], PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES: ['0', '31'], PASSWORD_SALT_HASH_ROUNDS: ['3', '16'] }
  for (const [name, beyond] of Object.entries(bounds)) {
    for (const value of [...beyond, '-5', '+5', '05', '5.0', '5.5', '5m', '5e0', '0x5', '٥', ' 5', '5 ', '5\n', '1_0', 'NaN', 'Infinity', '9'.repeat(40), MARK]) await refuses(t, { [name]: value }, name)
  }
  await refuses(t, { PASSWORD_ALGORITHM: 'bcrypt', PASSWORD_SALT_HASH_ROUNDS: '9' }, 'PASSWORD_SALT_HASH_ROUNDS')
})

t.test('what contradicts itself or makes no sense is refused', async t => {
  const mail = { SMTP_HOST: 'mail.example.com', SENDER_EMAIL: 'a@example.com' }
  const cases: ReadonlyArray<readonly [Variables, ...string[]]> = [
    [{ APP_URL: MARK }, 'APP_URL'], [{ APP_URL: `ftp://${MARK}` }, 'APP_URL'], [{ APP_URL: `https://ada:${MARK}@example.com` }, 'APP_URL'], [{ APP_URL: `https://example.com/?${MARK}` }, 'APP_URL'],
    [{ APP_URL: `http://${MARK}.example.com` }, 'APP_URL'], [{ APP_URL: `http://${MARK}.example.com`, SECURE_COOKIES: 'true' }, 'SECURE_COOKIES', 'APP_URL'], [{ SECURE_COOKIES: 'true' }, 'SECURE_COOKIES'],
    [{ JWT_TOKEN_EXPIRY_IN_MINUTES: '61', JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES: '60' }, 'JWT_TOKEN_EXPIRY_IN_MINUTES'], [{ JWT_TOKEN_EXPIRY_IN_MINUTES: '129601' }, 'JWT_TOKEN_EXPIRY_IN_MINUTES'],
    [{ JWT_ISSUER: `${MARK}\n` }, 'JWT_ISSUER'], [{ JWT_AUDIENCE: `ü${MARK}` }, 'JWT_AUDIENCE'], [{ JWT_AUDIENCE: 'x'.repeat(501) }, 'JWT_AUDIENCE'],
    [{ PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS: '5', PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES: '6' }, 'PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES'],
    [{ FLOWISE_USERNAME: MARK }, 'FLOWISE_PASSWORD'], [{ FLOWISE_PASSWORD: MARK }, 'FLOWISE_USERNAME'], [{ FLOWISE_USERNAME: MARK, FLOWISE_PASSWORD: '' }, 'FLOWISE_PASSWORD'], [{ FLOWISE_USERNAME: `a:${MARK}`, FLOWISE_PASSWORD: 'x' }, 'FLOWISE_USERNAME'], [{ FLOWISE_USERNAME: 'x', FLOWISE_PASSWORD: `${MARK}\n` }, 'FLOWISE_PASSWORD'],
    [{ PASSWORD_ALGORITHM: MARK }, 'PASSWORD_ALGORITHM'], [{ PASSWORD_ALGORITHM: 'BCRYPT' }, 'PASSWORD_ALGORITHM'],
    [{ SMTP_HOST: mail.SMTP_HOST }, 'SENDER_EMAIL'], [{ ...mail, SMTP_USER: MARK }, 'SMTP_PASSWORD'], [{ ...mail, SMTP_PASSWORD: MARK }, 'SMTP_USER'], [{ ...mail, SMTP_USER: MARK, SMTP_PASSWORD: '' }, 'SMTP_PASSWORD'],
    [{ ...mail, SMTP_SECURE: 'false', SMTP_PORT: '465' }, 'SMTP_SECURE'], [{ ...mail, SMTP_HOST: `smtp://${MARK}` }, 'SMTP_HOST'], [{ ...mail, SENDER_EMAIL: MARK }, 'SENDER_EMAIL'], [{ ...mail, SENDER_EMAIL: `${MARK}@example.com, b@example.com` }, 'SENDER_EMAIL'],
    ...['mysql://ada:PW@db/x', 'Postgres://ada:PW@db/x', 'postgres:/ada:PW@db/x', 'postgres://ada:PW@db:99999/x', '//ada:PW@db/x', 'ada:PW@db/x', 'ada@db/PW', 'db/x?password=PW', 'host=db password=PW', 'redis://:PW@db', 'sqlite://PW', 'sqlite:', 'file:', 'file:PW.db?mode=ro', 'file://db/PW', 'file:///a%2FPW'].map(url => [{ DATABASE_URL: url.replace('PW', MARK) }, 'DATABASE_URL'] as const),
    ...['http://:PW@cache', 'redis:PW@cache', 'Redis://:PW@cache', 'redis://:PW@cache:99999', 'unix://PW', 'PW', 'redis://'].map(url => [{ REDIS_URL: url.replace('PW', MARK) }, 'REDIS_URL'] as const)
  ]
  for (const [variables, ...names] of cases) await refuses(t, variables, ...names)
})

t.test('a value that is no text is refused, not converted', async t => {
  await refuses(t, { JWT_TOKEN_EXPIRY_IN_MINUTES: 60, EXPIRE_AUTH_TOKENS_ON_RESTART: true, JWT_AUTH_TOKEN_SECRET: Buffer.alloc(32), JWT_ISSUER: null } as never, 'JWT_AUTH_TOKEN_SECRET', 'JWT_ISSUER', 'JWT_TOKEN_EXPIRY_IN_MINUTES', 'EXPIRE_AUTH_TOKENS_ON_RESTART')
})

t.test('a server that can not be reached is told without its password', async t => {
  const refusal = await refusalOf({ ...needed(), DATABASE_URL: `postgres://app:${MARK}@127.0.0.1:1/shop` })
  t.match(refusal, { code: 'FST_ACCOUNTS_STORAGE_UNOPENED', message: /^Could not open PostgreSQL at 127\.0\.0\.1:1, database shop: / })
  t.notMatch(refusal?.printed, MARK)
})

const oneOf = (...values: Array<string | undefined>) => fc.constantFrom(undefined, '', MARK, ...values)
const switches = oneOf('true', 'false', '1', `true${MARK}`)
const minutes = fc.oneof(oneOf('5', '30', '60', '525601', '0', `5${MARK}`), fc.nat(200_000).map(String))
const secrets = fc.oneof(oneOf('flowise', `${MARK}${'x'.repeat(40)}`), fc.uint8Array({ minLength: 20, maxLength: 48 }).map(bytes => MARK + Buffer.from(bytes).toString('base64url')))
const ENVIRONMENT = fc.record({
  APP_URL: oneOf('http://localhost:3000', 'https://app.example.com/tools', `http://${MARK}.lan`, `https://${MARK}@example.com`),
  DATABASE_URL: fc.constantFrom(undefined, '', ':memory:', ':memory:', ':memory:', `mysql://${MARK}`),
  JWT_AUTH_TOKEN_SECRET: secrets,
  JWT_REFRESH_TOKEN_SECRET: secrets,
  TOKEN_HASH_SECRET: secrets,
  EXPRESS_SESSION_SECRET: secrets,
  JWT_TOKEN_EXPIRY_IN_MINUTES: minutes,
  JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES: minutes,
  JWT_ISSUER: oneOf('ISSUER', `${MARK}\0`),
  JWT_AUDIENCE: oneOf('AUDIENCE', '{"', `${MARK}é`),
  EXPIRE_AUTH_TOKENS_ON_RESTART: switches,
  SECURE_COOKIES: switches,
  SMTP_HOST: oneOf('localhost', 'mail.example.com', `${MARK}/`),
  SMTP_PORT: oneOf('25', '465', '587', '1025', '0'),
  SMTP_USER: oneOf(undefined, `${MARK}@example.com`),
  SMTP_PASSWORD: oneOf(undefined, `p4ss ${MARK}`),
  SMTP_SECURE: switches,
  ALLOW_UNAUTHORIZED_CERTS: oneOf('false', 'False'),
  SENDER_EMAIL: oneOf('a@example.com', `Ada <${MARK}@example.com>`, `${MARK}\n@example.com`),
  PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS: oneOf('5', '31'),
  PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES: oneOf('5', '6'),
  FLOWISE_USERNAME: oneOf('user', `a:${MARK}`),
  FLOWISE_PASSWORD: oneOf('1234', `${MARK}\0`),
  PASSWORD_ALGORITHM: oneOf('argon2id', 'bcrypt'),
  PASSWORD_SALT_HASH_ROUNDS: oneOf('4', '10', '16')
})

t.test('of any environment: what is refused is refused by names that are set or required, never with a value', async () => {
  const REQUIRED = ['APP_URL', 'DATABASE_URL', 'JWT_AUTH_TOKEN_SECRET', 'SENDER_EMAIL', 'SMTP_USER', 'SMTP_PASSWORD', 'FLOWISE_USERNAME', 'FLOWISE_PASSWORD']
  await fc.assert(fc.asyncProperty(ENVIRONMENT, async variables => {
    const refusal = await refusalOf(variables)
    if (refusal === null) return true
    return refusal.code === 'FST_ACCOUNTS_ENVIRONMENT_INVALID' && !refusal.printed.includes(MARK) && refusal.names.length > 0 &&
      refusal.names.every(name => REQUIRED.includes(name) || variables[name as keyof typeof variables] !== undefined)
  }), { numRuns: 1000, seed: 20261121 })
})

t.test('of any environment: the plugin takes what was not refused', async () => {
  await fc.assert(fc.asyncProperty(ENVIRONMENT, async variables => {
    const environment: Variables = { ...variables }
    // What is refused is left out, until nothing is.
    for (let refused = ['']; refused.length > 0; refused = (await refusalOf(environment))?.names ?? []) {
      for (const name of refused) environment[name] = undefined
      if (refused.some(name => /^(SENDER|SMTP)/.test(name))) environment.SMTP_HOST = undefined
      if (refused.some(name => name.startsWith('FLOWISE'))) environment.FLOWISE_USERNAME = environment.FLOWISE_PASSWORD = undefined
      for (const [name, value] of Object.entries(needed())) if ((environment[name] ?? '') === '') environment[name] = value
    }
    const app = Fastify()
    await app.register(accounts, await optionsFromEnv(environment))
    await app.ready()
    await app.close()
  }), { numRuns: 25, seed: 20261121 })
})
