import type { FastifyRequest } from 'fastify'
import type { AccountsHookName, AccountsHooks } from './hooks.ts'
import type { RoutePolicy } from './policy.ts'
import type { ListedSession, Session, User } from './principal.ts'
import type { UserChange } from './storage.ts'

/** The request on whose behalf a service acts: its address, user agent and presented session. */
export interface ServiceContext { readonly request?: FastifyRequest | null }

export interface Registration {
  readonly email: string
  readonly password: string
  readonly username?: string
  readonly name?: string
}

export type LoginInput = ({ readonly email: string } | { readonly username: string }) & {
  readonly password: string
  readonly remember?: boolean
}

export interface SignInOptions {
  /** `false`: the cookies end with the browser. @default true */
  readonly remember?: boolean
}

/** A session just begun, with the tokens that prove it. The tokens are secrets. */
export interface SignedIn {
  readonly user: User
  readonly session: Session
  readonly accessToken: string
  readonly refreshToken: string
}

/** The services behind the routes, for a host's own routes, jobs and tests. */
export interface Accounts {
  /**
   * Create an account and begin its first session.
   * @throws {FST_ACCOUNTS_EMAIL_TAKEN} or `_INVALID`
   * @throws {FST_ACCOUNTS_USERNAME_TAKEN} or `_INVALID`
   * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`
   */
  register (input: Registration, context?: ServiceContext): Promise<SignedIn>
  /**
   * Check a password and begin a session.
   * @throws {FST_ACCOUNTS_CREDENTIALS_INVALID} whatever was wrong
   */
  login (input: LoginInput, context?: ServiceContext): Promise<SignedIn>
  readonly sessions: {
    list (userId: string, currentId?: string): Promise<ListedSession[]>
    /** `false`: no such live session of this user. */
    end (userId: string, sessionId: string): Promise<boolean>
    /** End all sessions of a user, except one if it is named; how many. */
    endAll (userId: string, options?: { readonly except?: string }): Promise<number>
  }
  readonly passwords: {
    /**
     * Prove the current password, set another, end every session and begin a new one.
     * @throws {FST_ACCOUNTS_PASSWORD_WRONG} the current one
     * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`
     */
    change (userId: string, passwords: { readonly currentPassword: string, readonly newPassword: string }, context?: ServiceContext): Promise<SignedIn>
  }
  readonly users: {
    find (id: string): Promise<User | null>
    findByEmail (email: string): Promise<User | null>
    /** Change name, roles or state. Disabling ends every session for good. */
    update (id: string, change: UserChange): Promise<User | null>
    delete (id: string): Promise<boolean>
  }
  /** The matrix of routes and policies of this scope, by url and method, once the server is ready; for a snapshot `formatPolicies` prints it. */
  policies (): RoutePolicy[]
  /** Add a hook; hooks of one name run in the order in which they were added. */
  addHook<Name extends AccountsHookName> (name: Name, hook: AccountsHooks[Name]): void
}
