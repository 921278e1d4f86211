/*
 * The port of users, as in storage.ts: verbs speak intent, each is atomic, an expected outcome is a return value and a
 * rejection becomes 503.
 */
import type { User } from './principal.ts'

export interface UserRecord extends User {
  /** PHC string; `null`: this account has no password. */
  readonly passwordDigest: string | null
  /**
   * Counts the events that end all that was issued before (password change, disabling).
   * A session whose `epoch` differs is dead, whatever its row says.
   */
  readonly epoch: number
}

export interface NewUser {
  readonly id: string
  readonly email: string
  /** Canonical form, unique. */
  readonly emailKey: string
  readonly username: string | null
  /** Canonical form, unique; `null` without a user name. */
  readonly usernameKey: string | null
  readonly name: string | null
  readonly roles: readonly string[]
  readonly passwordDigest: string | null
  /** Whether somebody has vouched for the address already. */
  readonly emailVerified: boolean
  readonly createdAt: Date
}

/** What to change of a user; what is left out stays. */
export interface UserChange {
  readonly name?: string | null
  readonly roles?: readonly string[]
  /** Disabling also raises the epoch, so that enabling again revives no session. */
  readonly disabled?: boolean
}

/** Where a page of users ended: the last one that it showed. */
export interface UserCursor { readonly createdAt: Date, readonly id: string }

export interface UserQuery {
  /** Part of an address, user name or name, without regard to (ASCII) case; `null`: all users. */
  readonly search: string | null
  /** Only users that come after this one in the order. */
  readonly after: UserCursor | null
  readonly limit: number
}

/**
 * A host may bring its own, over a users table that it has. `findByUsername`, `list` and `upgradePassword` may be left out:
 * then nobody logs in by user name, there is no list of users, and old digests stay. `confirmEmail` and `changeEmail` may
 * be left out where there is no mailer; without `confirmEmail` there is no `users.confirmEmail` either. `hasOwner` and `createFirstOwner` may be left out together: then nobody claims the first
 * account over HTTP.
 *
 * The last owner: a user with the role `owner` who is not disabled can't be disabled, deleted or lose that role while
 * there is no other such user, also when two of them go at the same moment.
 */
export interface UserStore {
  find (id: string): Promise<UserRecord | null>
  findByEmail (emailKey: string): Promise<UserRecord | null>
  findByUsername? (usernameKey: string): Promise<UserRecord | null>
  /**
   * Newest first; of one moment, greater ids first. Moments are milliseconds: a column that holds more of them is compared
   * as `date_trunc('milliseconds', …)`, or pages leave users out.
   */
  list? (query: UserQuery): Promise<UserRecord[]>
  /**
   * Insert, unless a key is taken; of racers with one key exactly one gets the record. `id` is a proposal: a table
   * whose ids are its own answers with its own, of 1 to 128 letters, digits and `_`, `-`, `.`, `:`, `@`, `|`: no token can
   * name another.
   */
  create (user: NewUser): Promise<UserRecord | 'email-taken' | 'username-taken'>
  /** Whether anybody has the role `owner`, disabled or not. */
  hasOwner? (): Promise<boolean>
  /** The same as `create`, unless anybody has the role `owner`, disabled or not: of racers exactly one gets in, whatever their keys. */
  createFirstOwner? (user: NewUser): Promise<UserRecord | 'owner-exists' | 'email-taken' | 'username-taken'>
  /**
   * `null`: no such user. With `unlessOwner` a user who has the role `owner` at that very moment, disabled or not, stays
   * as they are, and the answer is `is-owner`: the rule must hold too while somebody else makes them one.
   */
  update (id: string, change: UserChange, at: Date, options?: { readonly unlessOwner?: boolean }): Promise<UserRecord | 'last-owner' | 'is-owner' | null>
  /** Set the digest and raise the epoch, if the epoch is still `epoch`; `null`: it is not, or no such user. */
  changePassword (id: string, epoch: number, passwordDigest: string): Promise<UserRecord | null>
  /**
   * Replace the digest `from` by `to`, which is of the same password: the epoch stays. `false`: the digest is another by
   * now. Left out: digests stay as they were made.
   */
  upgradePassword? (id: string, from: string, to: string): Promise<boolean>
  /** Mark the address as verified, if it is still this one; `null`: it is not, or no such user. Twice does no harm. */
  confirmEmail? (id: string, emailKey: string, at: Date): Promise<UserRecord | null>
  /**
   * Set a verified address, if the epoch is still `epoch`; `null`: it is not, or no such user. In a unit of work
   * `email-taken` may be the end of it: whoever called gives up.
   */
  changeEmail? (id: string, epoch: number, address: { readonly email: string, readonly emailKey: string }, at: Date): Promise<UserRecord | 'email-taken' | null>
  delete (id: string): Promise<'deleted' | 'last-owner' | 'not-found'>
}
