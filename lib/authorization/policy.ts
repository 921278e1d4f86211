import type { Check, Liveness, Policy } from '../../types/policy.ts'
import type { CredentialKind } from '../../types/principal.ts'
import { DURATION_FORMAT, parseDuration } from '../duration.ts'
import { FST_ACCOUNTS_POLICY_INVALID } from '../errors.ts'

/** A policy, checked and complete. */
export interface Rule {
  readonly via: readonly CredentialKind[]
  readonly optional: boolean
  /** Milliseconds. */
  readonly fresh: number | null
  readonly roles: readonly string[] | null
  /** `null`: no narrowed credential passes; `[]`: any. */
  readonly scopes: readonly string[] | null
  readonly liveness: Liveness
  readonly check: Check | null
}

/** What a policy may speak of. */
export interface Vocabulary {
  readonly enabled: readonly CredentialKind[]
  /** `null`: any. */
  readonly scopes: readonly string[] | null
}

/** What a policy is called in an error: it begins the sentence. */
export type Subject = 'Policy' | `Route ${string}: policy`

type Refuse = (why: string) => never

const MEMBERS = ['via', 'optional', 'fresh', 'roles', 'scopes', 'liveness', 'check']
const DEMANDS: readonly Liveness[] = ['checked', 'strict', 'stateless']

/**
 * Check a policy once, when its guard is made. What it is called in an error is said by `subject`.
 * @throws {FST_ACCOUNTS_POLICY_INVALID} for what is unknown, ill-typed, not enabled or contradictory
 */
export function resolvePolicy (policy: Policy, { enabled, scopes: known }: Vocabulary, subject: Subject): Rule {
  const refuse: Refuse = why => { throw new FST_ACCOUNTS_POLICY_INVALID(subject, why) }
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) refuse('must be an object')
  const unknown = Object.keys(policy).find(member => !MEMBERS.includes(member))
  if (unknown !== undefined) refuse(`has an unknown member "${unknown}"`)
  const { optional = false, roles, scopes, check } = policy
  if (typeof optional !== 'boolean') refuse('"optional" must be true or false')
  if (roles !== undefined && !(isTexts(roles) && roles.length > 0)) refuse('"roles" must be a list of at least one role')
  if (scopes !== undefined && !isTexts(scopes)) refuse('"scopes" must be a list of scopes')
  const unheardOf = known === null ? undefined : scopes?.find(scope => !known.includes(scope))
  if (unheardOf !== undefined) refuse(`"scopes" names "${unheardOf}", which is not among personalTokens.scopes`)
  if (check !== undefined && typeof check !== 'function') refuse('"check" must be a function')
  const fresh = policy.fresh === undefined ? null : parseDuration(policy.fresh) ?? refuse(`"fresh" ${DURATION_FORMAT}`)
  const liveness = policy.liveness ?? (fresh === null ? 'checked' : 'strict')
  if (!DEMANDS.includes(liveness)) refuse(`"liveness" must be one of ${DEMANDS.join(', ')}`)
  if (liveness === 'stateless' && roles !== undefined) refuse('demands "roles", which only the store knows, together with liveness "stateless"')
  // ASVS 7.5.1: what needs a recent proof needs it from the store.
  if (fresh !== null && liveness !== 'strict') refuse(`demands "fresh", for which the store is asked, together with liveness "${liveness}"`)
  if (optional && (fresh !== null || roles !== undefined)) refuse('is "optional" and yet demands "fresh" or "roles"')
  return { via: resolveVia(policy.via, enabled, fresh !== null, refuse), optional, fresh, roles: copy(roles), scopes: copy(scopes), liveness, check: check ?? null }
}

const copy = (list: readonly string[] | undefined) => list === undefined ? null : [...list]

function resolveVia (via: Policy['via'], enabled: readonly CredentialKind[], mustBeFresh: boolean, refuse: Refuse): readonly CredentialKind[] {
  // HTTP Basic is for routes that ask for it by name.
  if (via === undefined) return enabled.filter(kind => kind !== 'basic' && !(mustBeFresh && kind === 'personal-token'))
  const kinds = (Array.isArray(via) ? via : [via]) as readonly CredentialKind[]
  if (!isTexts(kinds) || kinds.length === 0) refuse('"via" must name at least one kind of credential')
  const off = kinds.find(kind => !enabled.includes(kind))
  if (off !== undefined) refuse(`"via" names "${off}", which is not enabled (enabled: ${enabled.join(', ')})`)
  if (mustBeFresh && kinds.includes('personal-token')) refuse('demands "fresh" of a personal token, which proves no password')
  return [...kinds]
}

const isTexts = (list: unknown): list is readonly string[] => Array.isArray(list) && list.every(item => typeof item === 'string' && item !== '')
