import type { SecretFacts } from '../../types/diagnosis.ts'
import type { AccountsOptions } from '../../types/options.ts'
import type { Duration } from '../../types/policy.ts'
import type { CredentialKind } from '../../types/principal.ts'
import type { Storage } from '../../types/storage.ts'
import { DURATION_FORMAT, parseDuration } from '../duration.ts'
import { describeSecrets } from '../tokens/secret-facts.ts'
import type { KeyPair } from '../tokens/key-pairs.ts'
import type { TokenHeader } from '../tokens/jwt.ts'
import { createKeyRing, type KeyRing } from '../tokens/secrets.ts'
import { resolveBasic, type BasicSettings } from './basic.ts'
import { claimList, resolveLeeway, resolveTokenHeader } from './claims.ts'
import { resolveCookies, type CookieSettings } from './cookies.ts'
import { resolveKeys } from './keys.ts'
import { resolveMail, type MailSettings } from './mail.ts'
import { boolean, checkMembers, integer, oneOf, refuse } from './members.ts'
import { resolvePersonalTokens, type PersonalTokenSettings } from './personal-tokens.ts'
import { resolvePasswords, type PasswordSettings } from './passwords.ts'
import { resolveRateLimit, resolveThrottle, type RateLimitSettings, type ThrottleSettings } from './throttle.ts'

/** The options, checked, complete and in milliseconds. */
export interface Settings {
  /** The serialized origin of `appUrl` (RFC 6454, 6.2), as browsers send it. */
  readonly origin: string
  /** What tokens say in `iss` and `aud`: the first is written, all are good. */
  readonly issuers: readonly string[]
  readonly audiences: readonly string[]
  readonly leeway: number
  readonly tokenHeader: TokenHeader
  /** `null`: a request with several credentials is refused. */
  readonly credentialOrder: readonly CredentialKind[] | null
  readonly appPath: string
  readonly keys: KeyRing
  /** What signs access tokens, then what only verifies them; `null`: `keys.access` does both. */
  readonly keyPairs: readonly KeyPair[] | null
  readonly secretFacts: SecretFacts
  readonly storage: Storage
  readonly accessTokenTtl: number
  readonly refreshTokenTtl: number
  readonly sessionTtl: number
  readonly maxSessions: number
  readonly refresh: 'transparent' | 'explicit'
  readonly cookies: CookieSettings
  readonly csrf: 'standard' | 'strict'
  readonly passwords: PasswordSettings
  /** `null` without a mailer. */
  readonly mail: MailSettings | null
  readonly registration: { readonly open: boolean, readonly verifyEmail: boolean }
  /** Whether access tokens are taken from the `Authorization` header. */
  readonly bearer: boolean
  /** `null`: off; the same goes for the next three. */
  readonly personalTokens: PersonalTokenSettings | null
  readonly basic: BasicSettings | null
  readonly throttle: ThrottleSettings | null
  readonly rateLimit: RateLimitSettings | null
  /** Where the routes are, `null` without routes. */
  readonly prefix: string | null
  readonly hasHealthRoute: boolean
  readonly protect: 'none' | 'all'
  readonly expireSessionsOnRestart: boolean
  readonly hooks: NonNullable<AccountsOptions['hooks']>
}

/**
 * Check the options and fill in the defaults.
 * @throws {FST_ACCOUNTS_OPTION_INVALID} naming the option; never its value, which may be a secret
 */
export function resolveOptions (options: AccountsOptions): Settings {
  checkMembers(options, '')
  // Defaults stand in for what is left out, not for null.
  const {
    sessionTtl = '365d', maxSessions = 100, refresh = 'transparent', csrf = 'standard', protect = 'none', leeway = 0, tokenHeader = {}, bearer = true, expireSessionsOnRestart = false,
    cookies = {}, passwords = {}, registration = {}, throttle = {}, rateLimit = {}, routes = {}, hooks = {}
  } = options
  const url = parseAppUrl(options.appUrl)
  const appUrl = url.origin + trimSlash(url.pathname)
  const session = duration(sessionTtl, 'sessionTtl')
  const idle = within(options.refreshTokenTtl, '90d', session, 'refreshTokenTtl', 'sessionTtl')
  const access = within(options.accessTokenTtl, '60m', idle, 'accessTokenTtl', 'refreshTokenTtl')
  if (options.secrets !== undefined) checkMembers(options.secrets, 'secrets')
  const storage = checkStorage(options.storage)
  return {
    origin: url.origin,
    issuers: claimList(options.issuer, appUrl, 'issuer'),
    audiences: claimList(options.audience, appUrl, 'audience'),
    leeway: resolveLeeway(leeway),
    tokenHeader: resolveTokenHeader(tokenHeader),
    appPath: trimSlash(url.pathname),
    keys: createKeyRing(options),
    keyPairs: resolveKeys(options.keys),
    secretFacts: describeSecrets(options),
    storage,
    accessTokenTtl: access,
    refreshTokenTtl: idle,
    sessionTtl: session,
    maxSessions: integer(maxSessions, 1, 10_000, 'maxSessions'),
    refresh: oneOf(refresh, ['transparent', 'explicit'], 'refresh'),
    cookies: resolveCookies(cookies, url),
    csrf: oneOf(csrf, ['standard', 'strict'], 'csrf'),
    passwords: resolvePasswords(passwords),
    mail: resolveMail(options, appUrl),
    registration: resolveRegistration(registration, options.mailer !== undefined),
    bearer: boolean(bearer, 'bearer'),
    credentialOrder: options.credentialOrder === undefined ? null : resolveOrder(options.credentialOrder),
    personalTokens: resolvePersonalTokens(options.personalTokens, storage),
    basic: resolveBasic(options.basic, storage),
    throttle: resolveThrottle(throttle, storage),
    rateLimit: resolveRateLimit(rateLimit, storage),
    ...resolveRoutes(routes),
    protect: oneOf(protect, ['none', 'all'], 'protect'),
    expireSessionsOnRestart: boolean(expireSessionsOnRestart, 'expireSessionsOnRestart'),
    hooks: resolveHooks(hooks)
  }
}

export function parseAppUrl (appUrl: unknown): URL {
  if (typeof appUrl !== 'string') return refuse('appUrl', `must be a URL, not ${typeof appUrl}`)
  // Tokens carry it twice, and a cookie holds 4096 bytes (RFC 6265bis, 5.6).
  if (appUrl.length > 1000) refuse('appUrl', 'is longer than 1000 characters')
  const url = URL.canParse(appUrl) ? new URL(appUrl) : refuse('appUrl', 'is not a URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') refuse('appUrl', 'must start with https:// (or http://)')
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') refuse('appUrl', 'must have no user, query or fragment')
  return url
}

function resolveRegistration (options: NonNullable<AccountsOptions['registration']>, hasMailer: boolean): Settings['registration'] {
  checkMembers(options, 'registration')
  const { open = true, verifyEmail = hasMailer } = options
  if (boolean(verifyEmail, 'registration.verifyEmail') && !hasMailer) refuse('registration.verifyEmail', 'needs a mailer')
  return { open: boolean(open, 'registration.open'), verifyEmail }
}

const KINDS: readonly CredentialKind[] = ['cookie', 'bearer', 'personal-token', 'basic']

function resolveOrder (order: readonly CredentialKind[]): readonly CredentialKind[] {
  if (!Array.isArray(order) || order.length === 0) refuse('credentialOrder', 'must be a list of kinds')
  order.forEach((kind, index) => oneOf(kind, KINDS, `credentialOrder[${index}]`))
  if (new Set(order).size < order.length) refuse('credentialOrder', 'names a kind twice')
  return [...order]
}

function resolveRoutes (routes: NonNullable<AccountsOptions['routes']>): Pick<Settings, 'prefix' | 'hasHealthRoute'> {
  if (routes === false) return { prefix: null, hasHealthRoute: false }
  checkMembers(routes, 'routes')
  const { prefix = '/auth', health = false } = routes
  if (typeof prefix !== 'string' || !/^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.~-]+)+$/.test(prefix)) refuse('routes.prefix', 'must be a path like "/auth"')
  return { prefix, hasHealthRoute: boolean(health, 'routes.health') }
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

function duration (value: Duration, option: string): number {
  return parseDuration(value) ?? refuse(option, DURATION_FORMAT)
}

/** A lifetime that can't be longer than the one around it; its default gives way to that. */
function within (value: Duration | undefined, byDefault: Duration, limit: number, option: string, around: string): number {
  if (value === undefined) return Math.min(duration(byDefault, option), limit)
  const milliseconds = duration(value, option)
  return milliseconds <= limit ? milliseconds : refuse(option, `is longer than ${around}`)
}

const trimSlash = (path: string) => path.replace(/\/+$/, '')
