import type { PersonalTokenOptions } from '../../types/options.ts'
import type { Duration } from '../../types/policy.ts'
import type { Storage } from '../../types/storage.ts'
import { DURATION_FORMAT, parseDuration } from '../duration.ts'
import { isScope } from '../tokens/scopes.ts'
import { checkMembers, integer, refuse } from './members.ts'

export interface PersonalTokenSettings {
  readonly prefix: string
  /** Milliseconds. */
  readonly defaultTtl: number
  readonly maxTtl: number
  readonly maxPerUser: number
  /** `null`: no limit. The window in milliseconds. */
  readonly rateLimit: { readonly max: number, readonly window: number } | null
  /** `null`: any. */
  readonly scopes: readonly string[] | null
}

/** `null`: there are none. */
export function resolvePersonalTokens (options: false | PersonalTokenOptions | undefined, { personalTokens }: Storage): PersonalTokenSettings | null {
  if (options === false || (options === undefined && personalTokens === undefined)) return null
  if (typeof options === 'boolean') refuse('personalTokens', 'must be an object, or false')
  if (personalTokens === undefined) refuse('storage.personalTokens', 'is missing: personal tokens are kept there. Give the storage one, or leave out "personalTokens"')
  checkMembers(options ?? {}, 'personalTokens')
  const { prefix = 'pat', defaultTtl, maxTtl = '366d', maxPerUser = 50, rateLimit = false, scopes } = options ?? {}
  if (typeof prefix !== 'string' || !/^[A-Za-z][A-Za-z0-9_]{0,30}[A-Za-z0-9]$/.test(prefix)) refuse('personalTokens.prefix', 'must be 2 to 32 letters, digits and underscores; a letter first, no underscore last')
  const most = duration(maxTtl, 'maxTtl')
  const usual = defaultTtl === undefined ? Math.min(parseDuration('30d')!, most) : duration(defaultTtl, 'defaultTtl')
  if (usual > most) refuse('personalTokens.defaultTtl', 'is longer than personalTokens.maxTtl')
  return {
    prefix,
    defaultTtl: usual,
    maxTtl: most,
    maxPerUser: integer(maxPerUser, 1, 10_000, 'personalTokens.maxPerUser'),
    rateLimit: resolveRateLimit(rateLimit),
    scopes: scopes === undefined ? null : resolveScopes(scopes)
  }
}

function resolveRateLimit (options: NonNullable<PersonalTokenOptions['rateLimit']>): PersonalTokenSettings['rateLimit'] {
  if (options === false) return null
  checkMembers(options, 'personalTokens.rateLimit')
  const { max, window = '1m' } = options
  return { max: integer(max, 1, 1_000_000_000, 'personalTokens.rateLimit.max'), window: duration(window, 'rateLimit.window') }
}

function resolveScopes (scopes: readonly string[]): readonly string[] {
  const isList = Array.isArray(scopes) && scopes.length > 0 && scopes.every(scope => typeof scope === 'string' && isScope(scope))
  return isList ? [...scopes] : refuse('personalTokens.scopes', 'must be a list of at least one scope, each of 1 to 64 printable ASCII characters but space, " and \\')
}

const duration = (value: Duration, member: string) => parseDuration(value) ?? refuse(`personalTokens.${member}`, DURATION_FORMAT)
