import { fail } from 'node:assert/strict'
import type { Accounts, SignInOptions } from '../../../types/accounts.ts'
import type { NewPersonalToken } from '../../../types/personal-tokens.ts'
import type { User } from '../../../types/principal.ts'

/** A server with the plugin, or the scope of it in which the plugin is registered. */
export interface AppUnderTest {
  readonly accounts: Accounts
  ready (): PromiseLike<unknown>
}

/**
 * A user who is there, by id; or the account of an address: it is made, verified and without a password, if there is none,
 * and has the roles that are given.
 */
export type Somebody = Pick<User, 'id'> | { readonly email: string, readonly roles?: readonly string[] }

/** `authenticatedAt`: when they gave their password, for policies with `fresh`, if not now. */
export interface SessionAuth extends Pick<SignInOptions, 'authenticatedAt' | 'claims'> {
  /** @default 'cookie' */
  readonly via?: 'cookie' | 'bearer'
}

/** The fields are those of a personal token, by default a nameless one of a script that is not limited. */
export interface PersonalTokenAuth extends Partial<NewPersonalToken> {
  readonly via: 'personal-token'
}

export type AuthOptions = SessionAuth | PersonalTokenAuth

/**
 * Sign somebody in, by a session or token as real as any, and make the headers of their requests, for `inject` or `fetch`. They
 * come from a page of the application, as far as the check of origins goes.
 * @throws an AssertionError if there is no such user, or a disabled one
 */
export async function authAs (app: AppUnderTest, somebody: Somebody, options: AuthOptions = {}): Promise<Record<string, string>> {
  refuseUnknown(somebody, 'id' in Object(somebody) ? null : ['email', 'roles'])
  refuseUnknown(options, options?.via === 'personal-token' ? null : ['via', 'authenticatedAt', 'claims'])
  await app.ready()
  const { accounts } = app
  const { id } = await find(accounts, somebody)
  return options.via === 'personal-token' ? await byPersonalToken(accounts, id, options) : await bySession(accounts, id, options)
}

/** A typing error would make a test pass for the wrong reason. */
function refuseUnknown (given: object, known: readonly string[] | null): void {
  if (typeof given !== 'object' || given === null) fail(`authAs takes objects: { id }, { email, roles }, and options; not ${String(given)}`)
  const unknown = known === null ? undefined : Object.keys(given).find(name => !known.includes(name))
  if (unknown !== undefined) fail(`authAs knows no "${unknown}" here, only ${known!.join(', ')}`)
  if ('via' in given && !['cookie', 'bearer', 'personal-token', undefined].includes(given.via as string)) fail(`authAs knows no credential "${String(given.via)}"`)
}

async function find ({ users }: Accounts, somebody: Somebody): Promise<User> {
  const user = 'id' in somebody ? await users.find(somebody.id) : await findByEmail(users, somebody)
  if (user === null || user.disabled) fail(`nobody can be signed in as ${JSON.stringify(somebody)}: ${user === null ? 'there is no such user' : 'the account is disabled'}`)
  return user
}

async function findByEmail (users: Accounts['users'], { email, roles }: Extract<Somebody, { email: string }>): Promise<User | null> {
  const user = await users.findByEmail(email)
  if (user === null) return await users.create({ email, emailVerified: true, ...(roles === undefined ? {} : { roles }) })
  return roles === undefined ? user : await users.update(user.id, { roles })
}

async function bySession ({ sessions, cookies: { access, refresh } }: Accounts, id: string, { via, ...options }: SessionAuth): Promise<Record<string, string>> {
  const { accessToken, refreshToken } = await sessions.begin(id, options)
  if (via === 'bearer') return { authorization: `Bearer ${accessToken}` }
  return { cookie: `${access.name}=${accessToken}; ${refresh.name}=${refreshToken}`, 'sec-fetch-site': 'same-origin' }
}

async function byPersonalToken ({ personalTokens }: Accounts, id: string, { via, ...fields }: PersonalTokenAuth): Promise<Record<string, string>> {
  const created = await personalTokens.create(id, { name: 'test', context: 'server', ...fields })
  return { authorization: `ApiToken ${created!.token}` }
}
