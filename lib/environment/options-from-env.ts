import type { AccountsOptions, BasicOptions, Secrets } from '../../types/options.ts'
import { checkLegacy } from '../options/basic.ts'
import { isPlainBeyondLocalhost } from '../options/cookies.ts'
import { parseAppUrl } from '../options/index.ts'
import { DATABASE_FORMAT, parseDatabase, type Database } from './database.ts'
import { given } from './given.ts'
import { createMailer, readMailOptions, readSmtp } from './mail.ts'
import { readPasswords, requireBcrypt } from './passwords.ts'
import { createReader, type Environment, type Reader } from './reader.ts'
import { isRedisUrl, openWithRedis, REDIS_FORMAT, type RedisTarget } from './redis.ts'
import { readClaims, readLifetimes, readSecrets } from './tokens.ts'

/**
 * Complete options from the environment (docs/environment.md), storage and mailer included: for the plugin as they are, or
 * spread below options of your own.
 * @param env `process.env`, or an object of its kind
 * @throws {FST_ACCOUNTS_ENVIRONMENT_INVALID} naming every variable that is wrong, never with its value; nothing was opened
 * @throws {FST_ACCOUNTS_STORAGE_UNOPENED} or `_MIGRATION_PENDING`, `_MIGRATION_FAILED`
 */
export async function optionsFromEnv (env: Environment): Promise<AccountsOptions & { readonly secrets: Secrets }> {
  const read = createReader(env)
  const application = readApplication(read)
  const secrets = readSecrets(read)
  const options = { ...readClaims(read), ...readLifetimes(read), ...given({ expireSessionsOnRestart: read.boolean('EXPIRE_AUTH_TOKENS_ON_RESTART') }) }
  const passwords = readPasswords(read)
  const basic = readBasic(read)
  const mail = readMailOptions(read)
  const smtp = readSmtp(read)
  const database = readDatabase(read)
  const redis = readRedis(read)
  read.finish()

  if (passwords !== undefined) await requireBcrypt(passwords, read)
  const mailer = smtp === null ? undefined : await createMailer(smtp, read)
  read.finish()

  try {
    return { ...application, ...options, ...given({ passwords, basic, mailer, mail: mailer && mail }), secrets, storage: await openWithRedis(database!, redis), ...(redis === undefined ? {} : { rateLimit: { shared: true } }) }
  } catch (error) {
    await mailer?.close?.()
    throw error
  }
}

function readApplication (read: Reader): Pick<AccountsOptions, 'appUrl' | 'cookies'> {
  const isSecure = read.boolean('SECURE_COOKIES')
  const appUrl = read.text('APP_URL', text => { parseAppUrl(text) }) ?? read.refuse('APP_URL', 'is missing: give the public URL, such as https://app.example.com')
  const url = appUrl === undefined ? null : new URL(appUrl)
  if (url?.protocol === 'http:' && isSecure === true) read.refuse('SECURE_COOKIES', 'is true, but APP_URL does not begin with https://')
  if (url !== null && isSecure !== false && isPlainBeyondLocalhost(url)) read.refuse('APP_URL', 'is plain http beyond localhost: use https, or set SECURE_COOKIES=false if every network on the way is trusted')
  // Without it `finish` throws.
  return { appUrl: appUrl!, ...(isSecure === false ? { cookies: { insecure: true } } : {}) }
}

/** The name and password that all shared before there were accounts. */
function readBasic (read: Reader): BasicOptions | undefined {
  const [name, word] = ['FLOWISE_USERNAME', 'FLOWISE_PASSWORD'] as const
  const username = read.text(name, text => { checkLegacy({ username: text, password: 'x' }) })
  const password = read.text(word, text => { checkLegacy({ username: 'x', password: text }) })
  if (username !== undefined && password !== undefined) return { legacy: { username, password } }
  if (username !== undefined) return read.refuse(word, `is missing, as there is ${name}`)
  return password === undefined ? undefined : read.refuse(name, `is missing, as there is ${word}`)
}

/** `undefined`: refused. */
function readDatabase (read: Reader): Database | undefined {
  const text = read.text('DATABASE_URL')
  if (text === undefined) return read.refuse('DATABASE_URL', 'is missing: give the path of a SQLite file or a postgres:// URL')
  return parseDatabase(text) ?? read.refuse('DATABASE_URL', DATABASE_FORMAT)
}

function readRedis (read: Reader): RedisTarget | undefined {
  const url = read.text('REDIS_URL')
  if (url === undefined) return undefined
  return isRedisUrl(url) ? { url } : read.refuse('REDIS_URL', REDIS_FORMAT)
}
