import Type from 'typebox'
import type { NewPersonalToken, PersonalTokenUpdate } from '../../types/personal-tokens.ts'
import type { PersonalTokenChange, PersonalTokenRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID } from '../errors.ts'
import type { PersonalTokenSettings } from '../options/personal-tokens.ts'
import { createShape } from '../shape.ts'
import { checkScopes, readLimits } from './limits.ts'
import { nextNotice } from './records.ts'

const closed = { additionalProperties: false }
const List = Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()]))
const fields = {
  name: Type.String(),
  // A text or a Date: what it is is looked at below.
  expiresAt: Type.Optional(Type.Unknown()),
  allowedMethods: List,
  allowedIps: List,
  allowedReferrers: List,
  scopes: List
}
const readNew = createShape('token', Type.Object({ ...fields, context: Type.Enum(['server', 'browser']) }, closed))
const readChange = createShape('change', Type.Object({ ...fields, name: Type.Optional(fields.name) }, { ...closed, minProperties: 1 }))

type Chosen = Pick<PersonalTokenRecord, 'name' | 'context' | 'allowedMethods' | 'allowedIps' | 'allowedReferrers' | 'scopes' | 'expiresAt' | 'noticeAt'>

/** Read what a caller asks for, all of it checked. */
export interface Fields {
  /**
   * @throws {FST_ACCOUNTS_INPUT_INVALID} for the shape
   * @throws {FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID} for what can't be had
   */
  readNew (given: NewPersonalToken, createdAt: Date): Chosen
  /** The same for what is to change of a token; what is left out stays. */
  readChange (given: PersonalTokenUpdate, token: Pick<PersonalTokenRecord, 'context' | 'createdAt'>): PersonalTokenChange
}

export function createFields ({ defaultTtl, maxTtl, scopes: known }: Pick<PersonalTokenSettings, 'defaultTtl' | 'maxTtl' | 'scopes'>): Fields {
  /** The secret's life counts from its making: changes don't prolong it beyond the longest. */
  function readExpiry (given: unknown, createdAt: number): { readonly expiresAt: Date, readonly noticeAt: Date | null } {
    const time = now()
    const expiresAt = given === undefined ? new Date(createdAt + defaultTtl) : readMoment(given)
    if (expiresAt.getTime() <= time) refuse('expiresAt is past')
    if (expiresAt.getTime() > createdAt + maxTtl) refuse(`expiresAt is too late: a token lives until ${new Date(createdAt + maxTtl).toISOString()} at most`)
    return { expiresAt, noticeAt: nextNotice(expiresAt, time) }
  }

  return {
    readNew (given, at) {
      const { name, context, expiresAt, scopes, ...lists } = readNew(given)
      return { name: checkName(name), context, ...readLimits(lists, context), scopes: checkScopes(scopes ?? null, known), ...readExpiry(expiresAt, at.getTime()) }
    },
    readChange (given, { context, createdAt }) {
      const { name, expiresAt, scopes, ...lists } = readChange(given)
      const limits = Object.entries(readLimits(lists, context)).filter(([member]) => member in lists)
      return {
        ...Object.fromEntries(limits),
        ...(name === undefined ? {} : { name: checkName(name) }),
        ...(scopes === undefined ? {} : { scopes: checkScopes(scopes, known) }),
        ...(expiresAt === undefined ? {} : readExpiry(expiresAt, createdAt.getTime()))
      }
    }
  }
}

function checkName (name: string): string {
  const isName = name.isWellFormed() && name.trim() !== '' && [...name].length <= 100 && !/[\p{Cc}\u2028\u2029]/u.test(name)
  return isName ? name : refuse('name must have 1 to 100 characters, not only spaces, and no control characters')
}

/** RFC 3339, 5.6, to the millisecond. A number could be seconds or milliseconds, and a date alone leaves the zone open. */
const RFC3339 = /^\d{4}-\d{2}-(\d{2})T(\d{2}):\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})$/

function readMoment (given: unknown): Date {
  const moment = given instanceof Date ? new Date(given) : typeof given === 'string' && isMoment(given) ? new Date(given) : null
  return moment === null || Number.isNaN(moment.getTime()) ? refuse('expiresAt must be a moment such as 2027-01-31T12:00:00Z (RFC 3339)') : moment
}

/** `Date` takes the 30th of February for the 2nd of March. */
function isMoment (text: string): boolean {
  const [, day, hour] = RFC3339.exec(text) ?? []
  if (day === undefined || hour === '24') return false
  return new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDate() === Number(day)
}

function refuse (why: string): never {
  throw new FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID(why)
}
