import { isIP } from 'node:net'
import type { AccountsHookName } from '../types/hooks.ts'
import type { AccountsOptions, CookieOptions, PasswordOptions } from '../types/options.ts'
import type { Duration } from '../types/policy.ts'
import type { Storage } from '../types/storage.ts'
import { DURATION_FORMAT, parseDuration } from './duration.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from './errors.ts'
import { createKeyRing, type KeyRing } from './tokens/secrets.ts'

/** The options, checked, complete and in milliseconds. */
export interface Settings {
  /** The serialized origin of `appUrl` (RFC 6454, 6.2), as browsers send it. */
  readonly origin: string
  /** Issuer and audience of every token. */
  readonly issuer: string
  readonly appPath: string
  readonly keys: KeyRing
  readonly storage: Storage
  readonly accessTokenTtl: number
  readonly refreshTokenTtl: number
  readonly sessionTtl: number
  readonly maxSessions: number
  readonly refresh: 'transparent' | 'explicit'
  readonly cookies: { readonly secure: boolean, readonly insecure: boolean, readonly domain: string | undefined, readonly sameSite: 'lax' | 'strict', readonly names: { readonly access: string, readonly refresh: string } }
  readonly csrf: 'standard' | 'strict'
  readonly passwords: PasswordSettings
  readonly registration: { readonly open: boolean }
  /** Where the routes are, `null` without routes. */
  readonly prefix: string | null
  readonly protect: 'none' | 'all'
  readonly hooks: NonNullable<AccountsOptions['hooks']>
}

export interface PasswordSettings {
  readonly minLength: number
  readonly maxBytes: number
  readonly blocklist: readonly string[] | false
  readonly argon2: { readonly memoryKiB: number, readonly iterations: number, readonly parallelism: number }
  readonly maxQueue: number
}

/** Every option, and of a group of options every member. A name that is not here is refused: most are typing errors. */
const KNOWN = {
  '': ['appUrl', 'secret', 'secrets', 'storage', 'accessTokenTtl', 'refreshTokenTtl', 'sessionTtl', 'maxSessions', 'refresh', 'cookies', 'csrf', 'passwords', 'registration', 'routes', 'protect', 'hooks'],
  secrets: ['access', 'refresh', 'hash'],
  cookies: ['domain', 'sameSite', 'names', 'insecure'],
  'cookies.names': ['access', 'refresh'],
  passwords: ['minLength', 'maxBytes', 'blocklist', 'argon2', 'maxQueue'],
  'passwords.argon2': ['memoryKiB', 'iterations', 'parallelism'],
  registration: ['open'],
  routes: ['prefix'],
  hooks: ['beforeRegister', 'afterRegister', 'beforeLogin', 'afterLogin', 'loginFailed', 'authorize', 'sessionRefreshed', 'sessionReused', 'sessionRevoked', 'passwordChanged']
} as const

export const HOOK_NAMES: readonly AccountsHookName[] = KNOWN.hooks

const LOCALHOST = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Check the options and fill in the defaults.
 * @throws {FST_ACCOUNTS_OPTION_INVALID} naming the option; never its value, which may be a secret
 */
export function resolveOptions (options: AccountsOptions): Settings {
  checkMembers(options, '')
  // Defaults stand in for what is left out, not for null.
  const {
    sessionTtl = '365d', maxSessions = 100, refresh = 'transparent', csrf = 'standard', protect = 'none',
    cookies = {}, passwords = {}, registration = {}, routes = {}, hooks = {}
  } = options
  const url = parseAppUrl(options.appUrl)
  const session = duration(sessionTtl, 'sessionTtl')
  const idle = within(options.refreshTokenTtl, '90d', session, 'refreshTokenTtl', 'sessionTtl')
  const access = within(options.accessTokenTtl, '60m', idle, 'accessTokenTtl', 'refreshTokenTtl')
  if (options.secrets !== undefined) checkMembers(options.secrets, 'secrets')
  return {
    origin: url.origin,
    issuer: url.origin + trimSlash(url.pathname),
    appPath: trimSlash(url.pathname),
    keys: createKeyRing(options),
    storage: checkStorage(options.storage),
    accessTokenTtl: access,
    refreshTokenTtl: idle,
    sessionTtl: session,
    maxSessions: integer(maxSessions, 1, 10_000, 'maxSessions'),
    refresh: oneOf(refresh, ['transparent', 'explicit'], 'refresh'),
    cookies: resolveCookies(cookies, url),
    csrf: oneOf(csrf, ['standard', 'strict'], 'csrf'),
    passwords: resolvePasswords(passwords),
    registration: { open: resolveRegistration(registration) },
    prefix: resolvePrefix(routes),
    protect: oneOf(protect, ['none', 'all'], 'protect'),
    hooks: resolveHooks(hooks)
  }
}

function parseAppUrl (appUrl: unknown): URL {
  if (typeof appUrl !== 'string') return refuse('appUrl', `must be a URL, not ${typeof appUrl}`)
  // Tokens carry it twice, and a cookie holds 4096 bytes (RFC 6265bis, 5.6).
  if (appUrl.length > 1000) refuse('appUrl', 'is longer than 1000 characters')
  const url = URL.canParse(appUrl) ? new URL(appUrl) : refuse('appUrl', 'is not a URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') refuse('appUrl', 'must start with https:// (or http://)')
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') refuse('appUrl', 'must have no user, query or fragment')
  return url
}

function resolveCookies (options: CookieOptions, url: URL): Settings['cookies'] {
  checkMembers(options, 'cookies')
  const { domain, insecure = false, sameSite = 'lax', names: given = {} } = options
  checkMembers(given, 'cookies.names')
  const secure = url.protocol === 'https:'
  const host = url.hostname
  if (typeof insecure !== 'boolean') refuse('cookies.insecure', 'must be true or false')
  if (!secure && !LOCALHOST.has(host) && !insecure) refuse('appUrl', 'is plain http beyond localhost: use https, or set cookies.insecure if every network on the way is trusted')
  if (domain !== undefined && isIP(host.replace(/^\[|\]$/g, '')) !== 0) refuse('cookies.domain', 'is of no use: the host of appUrl is an address')
  if (domain !== undefined && (typeof domain !== 'string' || !/^[a-z0-9.-]+\.[a-z0-9-]+$/i.test(domain) || !`.${host}`.endsWith(`.${domain.toLowerCase()}`))) refuse('cookies.domain', 'must be the host of appUrl or a parent domain of it')
  const { access = 'accounts_access', refresh = 'accounts_refresh' } = given
  const names = { access, refresh }
  for (const [kind, name] of Object.entries(names)) {
    // RFC 6265, 4.1.1: a token; the prefixes are ours to set.
    if (typeof name !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(name) || /^__(host|secure)-/i.test(name)) refuse(`cookies.names.${kind}`, 'must be 1 to 64 letters, digits, "_", "." or "-", without a prefix')
  }
  if (names.access === names.refresh) refuse('cookies.names', 'are equal')
  return { secure, insecure: insecure && !secure, domain: domain?.toLowerCase(), sameSite: oneOf(sameSite, ['lax', 'strict'], 'cookies.sameSite'), names }
}

function resolvePasswords (options: PasswordOptions): PasswordSettings {
  checkMembers(options, 'passwords')
  const { minLength = 15, maxBytes = 1024, blocklist = [], maxQueue = 256, argon2: costs = {} } = options
  checkMembers(costs, 'passwords.argon2')
  const { memoryKiB = 19456, iterations = 2, parallelism = 1 } = costs
  if (blocklist !== false && !(Array.isArray(blocklist) && blocklist.every(word => typeof word === 'string'))) refuse('passwords.blocklist', 'must be a list of words, or false')
  const argon2 = {
    memoryKiB: integer(memoryKiB, 7168, 262144, 'passwords.argon2.memoryKiB'),
    iterations: integer(iterations, 1, 10, 'passwords.argon2.iterations'),
    parallelism: integer(parallelism, 1, 16, 'passwords.argon2.parallelism')
  }
  // OWASP Password Storage: m=47104 t=1, m=19456 t=2, m=12288 t=3, m=9216 t=4, m=7168 t=5 are equally strong.
  const floor = [47104, 19456, 12288, 9216, 7168][Math.min(argon2.iterations, 5) - 1] ?? 47104
  if (argon2.memoryKiB < floor) refuse('passwords.argon2', `is under the OWASP floor: ${argon2.iterations} iterations need ${floor} KiB`)
  return {
    minLength: integer(minLength, 8, 64, 'passwords.minLength'),
    maxBytes: integer(maxBytes, 64, 4096, 'passwords.maxBytes'),
    blocklist,
    argon2,
    maxQueue: integer(maxQueue, 1, 100_000, 'passwords.maxQueue')
  }
}

function resolveRegistration (options: { readonly open?: boolean }): boolean {
  checkMembers(options, 'registration')
  const { open = true } = options
  return typeof open === 'boolean' ? open : refuse('registration.open', 'must be true or false')
}

function resolvePrefix (routes: NonNullable<AccountsOptions['routes']>): string | null {
  if (routes === false) return null
  checkMembers(routes, 'routes')
  const { prefix = '/auth' } = routes
  if (typeof prefix !== 'string' || !/^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.~-]+)+$/.test(prefix)) refuse('routes.prefix', 'must be a path like "/auth"')
  return prefix
}

function resolveHooks (hooks: NonNullable<AccountsOptions['hooks']>): Settings['hooks'] {
  checkMembers(hooks, 'hooks')
  for (const [name, hook] of Object.entries(hooks)) {
    if (hook !== undefined && ![hook].flat().every(one => typeof one === 'function')) refuse(`hooks.${name}`, 'must be a function or a list of functions')
  }
  return hooks
}

function checkStorage (storage: unknown): Storage {
  if (storage instanceof Promise) refuse('storage', 'is a promise: await it')
  if (typeof storage !== 'object' || storage === null) refuse('storage', `must be a storage, not ${storage === null ? 'null' : typeof storage}`)
  for (const name of ['users', 'sessions'] as const) {
    const store = (storage as Partial<Record<typeof name, unknown>>)[name]
    if (typeof store !== 'object' || store === null) refuse(`storage.${name}`, 'is missing')
  }
  return storage as Storage
}

function checkMembers (group: unknown, path: keyof typeof KNOWN): void {
  if (typeof group !== 'object' || group === null || Array.isArray(group)) return refuse(path || 'options', `must be an object, not ${group === null ? 'null' : Array.isArray(group) ? 'a list' : typeof group}`)
  for (const name of Object.keys(group)) {
    if (!(KNOWN[path] as readonly string[]).includes(name)) refuse(path === '' ? name : `${path}.${name}`, 'is unknown')
  }
}

function duration (value: Duration, option: string): number {
  return parseDuration(value) ?? refuse(option, DURATION_FORMAT)
}

/** A lifetime that can't be longer than the one around it; its default gives way to that. */
function within (value: Duration | undefined, byDefault: Duration, limit: number, option: string, around: string): number {
  if (value === undefined) return Math.min(duration(byDefault, option), limit)
  const milliseconds = duration(value, option)
  return milliseconds <= limit ? milliseconds : refuse(option, `is longer than ${around}`)
}

function oneOf<T extends string> (value: T, allowed: readonly T[], option: string): T {
  return allowed.includes(value) ? value : refuse(option, `must be one of ${allowed.map(one => `"${one}"`).join(', ')}`)
}

function integer (value: number, min: number, max: number, option: string): number {
  return Number.isSafeInteger(value) && value >= min && value <= max ? value : refuse(option, `must be a whole number from ${min} to ${max}`)
}

function refuse (option: string, why: string): never {
  throw new FST_ACCOUNTS_OPTION_INVALID(option, why)
}

const trimSlash = (path: string) => path.replace(/\/+$/, '')
