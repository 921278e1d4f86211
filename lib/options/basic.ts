import type { BasicOptions } from '../../types/options.ts'
import type { Storage } from '../../types/storage.ts'
import { boolean, checkMembers, refuse } from './members.ts'

export interface BasicSettings {
  readonly users: boolean
  /** `null`: there are none. */
  readonly legacy: { readonly username: string, readonly password: string } | null
  /** Milliseconds since 1970; `null`: no end is set. */
  readonly sunset: number | null
  readonly deprecated: number
}

/** What RFC 7617, 2 can carry: no colon in the name, and nothing that controls. */
const NAME = /^[^\p{Cc}:]{1,255}$/u
const PASSWORD = /^\P{Cc}{1,512}$/u

/** `null`: there is none. */
export function resolveBasic (options: false | BasicOptions | undefined, { basicUses }: Storage): BasicSettings | null {
  if (options === undefined || options === false) return null
  if (typeof options === 'boolean') refuse('basic', 'must be an object, or false')
  checkMembers(options, 'basic')
  const { users = false, legacy, sunset, deprecated = new Date(0) } = options
  boolean(users, 'basic.users')
  if (!users && legacy === undefined) refuse('basic', 'lets nobody in: set basic.users, basic.legacy, or both')
  if (basicUses === undefined) refuse('storage.basicUses', 'is missing: who still uses HTTP Basic is kept there')
  return {
    users,
    legacy: legacy === undefined ? null : checkLegacy(legacy),
    sunset: sunset === undefined ? null : time(sunset, 'basic.sunset'),
    deprecated: time(deprecated, 'basic.deprecated')
  }
}

export function checkLegacy (legacy: NonNullable<BasicOptions['legacy']>): NonNullable<BasicSettings['legacy']> {
  checkMembers(legacy, 'basic.legacy')
  const { username, password } = legacy
  if (typeof username !== 'string' || !NAME.test(username)) refuse('basic.legacy.username', 'must have 1 to 255 characters, no colon and no control characters')
  if (typeof password !== 'string' || !PASSWORD.test(password)) refuse('basic.legacy.password', 'must have 1 to 512 characters and no control characters')
  return { username, password }
}

const time = (date: Date, option: string) => date instanceof Date && !Number.isNaN(date.getTime()) ? date.getTime() : refuse(option, 'must be a Date')
