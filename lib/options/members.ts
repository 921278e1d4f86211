import type { AccountsHookName } from '../../types/hooks.ts'
import type { MailKind } from '../../types/mailer.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../errors.ts'

/** Every option, and of a group of options every member. A name that is not here is refused: most are typing errors. */
const KNOWN = {
  '': ['appUrl', 'issuer', 'audience', 'leeway', 'tokenHeader', 'credentialOrder', 'secret', 'secrets', 'keys', 'storage', 'accessTokenTtl', 'refreshTokenTtl', 'sessionTtl', 'maxSessions', 'refresh', 'cookies', 'csrf', 'passwords', 'mailer', 'mail', 'links', 'registration', 'bearer', 'personalTokens', 'basic', 'throttle', 'rateLimit', 'routes', 'protect', 'expireSessionsOnRestart', 'hooks'],
  secrets: ['access', 'refresh', 'hash', 'session'],
  cookies: ['domain', 'sameSite', 'names', 'insecure'],
  'cookies.names': ['access', 'refresh', 'device'],
  passwords: ['minLength', 'maxBytes', 'blocklist', 'algorithm', 'argon2', 'rounds', 'verifyForeign', 'legacy', 'revokeTokens', 'maxQueue'],
  'passwords.argon2': ['memoryKiB', 'iterations', 'parallelism'],
  mail: ['appName', 'messages', 'linkTtl'],
  'mail.linkTtl': ['resetPassword', 'verifyEmail', 'changeEmail'],
  'mail.messages': ['reset-password', 'verify-email', 'change-email', 'email-change-requested', 'email-changed', 'email-taken', 'password-changed', 'session-reused', 'personal-token-created', 'personal-token-expiring'],
  links: ['resetPassword', 'verifyEmail', 'changeEmail'],
  'passwords.legacy': ['bcryptRounds', 'foreignMs'],
  registration: ['open', 'verifyEmail'],
  personalTokens: ['prefix', 'defaultTtl', 'maxTtl', 'maxPerUser', 'rateLimit', 'scopes'],
  'personalTokens.rateLimit': ['max', 'window'],
  basic: ['users', 'legacy', 'sunset', 'deprecated'],
  'basic.legacy': ['username', 'password'],
  throttle: ['free', 'limit'],
  rateLimit: ['max', 'maxSensitive', 'window', 'shared'],
  routes: ['prefix', 'health'],
  hooks: ['beforeRegister', 'afterRegister', 'beforeLogin', 'afterLogin', 'loginFailed', 'beforeSignIn', 'afterSignIn', 'afterSignOut', 'claims', 'verifyToken', 'authorize', 'sessionRefreshed', 'sessionReused', 'sessionRevoked', 'passwordChanged', 'personalTokenCreated', 'personalTokenRefused', 'mailFailed']
} as const

export const HOOK_NAMES: readonly AccountsHookName[] = KNOWN.hooks
export const MAIL_KINDS: readonly MailKind[] = KNOWN['mail.messages']

/** @throws {FST_ACCOUNTS_OPTION_INVALID} unless it is an object of known members */
export function checkMembers (group: unknown, path: keyof typeof KNOWN): void {
  if (typeof group !== 'object' || group === null || Array.isArray(group)) return refuse(path || 'options', `must be an object, not ${group === null ? 'null' : Array.isArray(group) ? 'a list' : typeof group}`)
  for (const name of Object.keys(group)) {
    if (!(KNOWN[path] as readonly string[]).includes(name)) refuse(path === '' ? name : `${path}.${name}`, 'is unknown')
  }
}

export function oneOf<T extends string> (value: T, allowed: readonly T[], option: string): T {
  return allowed.includes(value) ? value : refuse(option, `must be one of ${allowed.map(one => `"${one}"`).join(', ')}`)
}

export function boolean (value: boolean, option: string): boolean {
  return typeof value === 'boolean' ? value : refuse(option, 'must be true or false')
}

export function integer (value: number, min: number, max: number, option: string): number {
  return Number.isSafeInteger(value) && value >= min && value <= max ? value : refuse(option, `must be a whole number from ${min} to ${max}`)
}

/** @throws {FST_ACCOUNTS_OPTION_INVALID} naming the option; never its value, which may be a secret */
export function refuse (option: string, why: string): never {
  throw new FST_ACCOUNTS_OPTION_INVALID(option, why)
}
