import type { PersonalTokenRecord } from '../../types/personal-token-store.ts'
import { FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID } from '../errors.ts'
import { readAddress } from './addresses.ts'
import { isScope } from '../tokens/scopes.ts'
import { readMethod } from './methods.ts'
import { canonical, excerpt, problem, type Reading } from './reading.ts'
import { readReferrer } from './referrers.ts'

/** The lists of a token, canonical and without duplicates; `null`: not limited. */
export type Limits = Pick<PersonalTokenRecord, 'allowedMethods' | 'allowedIps' | 'allowedReferrers'>

type GivenList = readonly string[] | null | undefined
/** The lists as they were given; what is left out does not limit. */
export type GivenLimits = { readonly [Member in keyof Limits]?: GivenList }

const MAX_ENTRIES = 50
const MAX_SCOPES = 32
/** As many as a message can name and still be read. */
const MAX_LISTED = 20

/** Read the lists of a token that is to be used in `context`. @throws {FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID} */
export function readLimits (given: GivenLimits, context: PersonalTokenRecord['context']): Limits {
  if (context !== 'server') refuseList('allowedIps', given.allowedIps, 'server')
  if (context !== 'browser') refuseList('allowedReferrers', given.allowedReferrers, 'browser')
  return {
    allowedMethods: readList('allowedMethods', given.allowedMethods, readMethod, MAX_ENTRIES),
    allowedIps: readList('allowedIps', given.allowedIps, readAddress, MAX_ENTRIES),
    allowedReferrers: readList('allowedReferrers', given.allowedReferrers, readReferrer, MAX_ENTRIES)
  }
}

/**
 * Check the scopes of a token, and answer them without duplicates.
 * @param known all that there are; `null`: whatever the host means by them
 * @throws {FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID}
 */
export function checkScopes (scopes: GivenList, known: readonly string[] | null): readonly string[] | null {
  return readList('scopes', scopes, scope => {
    if (!isScope(scope)) return problem('a scope has 1 to 64 printing ASCII characters other than space, \'"\' and "\\"')
    return known === null || known.includes(scope) ? canonical(scope) : problem(`not one of ${listed(known)}`)
  }, MAX_SCOPES)
}

function listed (known: readonly string[]): string {
  return known.slice(0, MAX_LISTED).join(', ') + (known.length > MAX_LISTED ? ` and ${known.length - MAX_LISTED} more` : '')
}

function refuseList (member: keyof Limits, given: GivenList, context: PersonalTokenRecord['context']): void {
  if (given !== undefined && given !== null) refuse(`${member} is only for tokens of the context "${context}"`)
}

function readList (member: string, given: GivenList, read: (entry: string) => Reading, max: number): readonly string[] | null {
  if (given === undefined || given === null) return null
  if (!Array.isArray(given)) refuse(`${member} must be a list of texts`)
  if (given.length === 0) refuse(`${member} is an empty list, which would allow nothing: leave it out for no limit`)
  if (given.length > max) refuse(`${member} has more than ${max} entries`)
  return [...new Set(Array.from(given as readonly unknown[], (entry, index) => {
    if (typeof entry !== 'string') refuse(`${member}[${index}] must be a text`)
    const reading = read(entry)
    if (reading.kind === 'problem') refuse(`${member}[${index}] "${excerpt(entry)}": ${reading.text}`)
    return reading.text
  }))]
}

function refuse (why: string): never {
  throw new FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID(why)
}
