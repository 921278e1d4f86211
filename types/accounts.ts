import type { FastifyRequest } from 'fastify'
import type { AccountExport } from './account-export.ts'
import type { AccountsFacts, CookieFacts } from './diagnosis.ts'
import type { AccountsHealth } from './health.ts'
import type { AccountsHookName, AccountsHooks } from './hooks.ts'
import type { HostSessions } from './host-sessions.ts'
import type { ImportedAccount, NewAccount, Registration } from './new-account.ts'
import type { Duration, RoutePolicy } from './policy.ts'
import type { CreatedPersonalToken, NewPersonalToken, PersonalTokenUpdate } from './personal-tokens.ts'
import type { ListedSession, PersonalToken, User } from './principal.ts'
import type { LoginInput, ServiceContext, SignedIn, SigningInContext, SignInOptions } from './signing-in.ts'
import type { BasicUseRecord, UserChange } from './storage.ts'
import type { UserList, UserListQuery } from './user-list.ts'

export type { ImportedAccount, NewAccount, Registration } from './new-account.ts'
export type { LoginInput, ServiceContext, SignedIn, SigningInContext, SignInOptions } from './signing-in.ts'
export type { UserList, UserListQuery } from './user-list.ts'

/** What shows that somebody is the operator: the setup code of the log, or the legacy credentials of `basic.legacy`. */
export type OwnerProof = { readonly setupCode: string } | { readonly username: string, readonly password: string }

/** Somebody who uses HTTP Basic at a route. */
export interface BasicUse extends BasicUseRecord {
  /** `null`: several share these credentials, or the account has been deleted. */
  readonly user: User | null
}

/**
 * The services behind the routes, for a host's own routes, jobs and tests. What could be nobody's id is taken for that of nobody.
 * @throws {FST_ACCOUNTS_INPUT_INVALID} from each, for any other argument of the wrong type
 */
export interface Accounts {
  /**
   * Create an account and begin its first session; `null`: its address has to be verified first, by the link in a mail,
   * and the caller must not learn whether it is new.
   * @throws {FST_ACCOUNTS_EMAIL_TAKEN} or `_INVALID`
   * @throws {FST_ACCOUNTS_USERNAME_TAKEN} or `_INVALID`
   * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`
   */
  register (input: Registration, context?: SigningInContext): Promise<SignedIn | null>
  /**
   * Check a password and begin a session.
   * @throws {FST_ACCOUNTS_CREDENTIALS_INVALID} whatever was wrong
   * @throws {FST_ACCOUNTS_TOO_MANY_ATTEMPTS} whatever was right; `retryAfter` in seconds
   */
  login (input: LoginInput, context?: SigningInContext): Promise<SignedIn>
  readonly sessions: {
    /**
     * Begin a session for somebody whom you have authenticated yourself, where there is no reply whose cookies could be set
     * (else `reply.signIn`): whoever holds the tokens is that user.
     * @throws {FST_ACCOUNTS_CREDENTIALS_INVALID} no such user, or disabled
     * @throws {FST_ACCOUNTS_FORBIDDEN} the request in `context` was let in by a personal token
     * @throws {FST_ACCOUNTS_INPUT_INVALID}
     */
    begin (userId: string, options?: SignInOptions, context?: ServiceContext): Promise<SignedIn>
    list (userId: string, currentId?: string): Promise<ListedSession[]>
    /** `false`: no such live session of this user. */
    end (userId: string, sessionId: string, context?: ServiceContext): Promise<boolean>
    /** End all sessions of a user, except one if it is named; how many. */
    endAll (userId: string, options?: { readonly except?: string }, context?: ServiceContext): Promise<number>
  }
  /** The cookies of a session, but for their values: what is to hold `accessToken` and `refreshToken` in a browser. */
  readonly cookies: Readonly<Record<'access' | 'refresh', CookieFacts>>
  readonly passwords: {
    /**
     * Prove the current password, set another, end every session and begin a new one.
     * @throws {FST_ACCOUNTS_PASSWORD_WRONG} the current one
     * @throws {FST_ACCOUNTS_TOO_MANY_ATTEMPTS}
     * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`
     */
    change (userId: string, passwords: { readonly currentPassword: string, readonly newPassword: string }, context?: SigningInContext): Promise<SignedIn>
    /**
     * Set a password without knowing the old one, as an operator, and end every session; `null`: no such user.
     * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`
     */
    set (userId: string, newPassword: string, context?: ServiceContext): Promise<User | null>
    /**
     * Mail a link to the address of an account, if there is one; nobody learns whether.
     * @throws {FST_ACCOUNTS_EMAIL_INVALID}
     * @throws {FST_ACCOUNTS_MAIL_UNSUPPORTED} there is no mailer
     */
    forgot (email: string, context?: ServiceContext): Promise<void>
    /**
     * Set a password by the token of such a link, and end every session.
     * @throws {FST_ACCOUNTS_LINK_INVALID}
     * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`; the token stays good
     * @throws {FST_ACCOUNTS_MAIL_UNSUPPORTED}
     */
    reset (token: string, newPassword: string, context?: ServiceContext): Promise<User>
  }
  readonly emails: {
    /**
     * Take the token of a link that proves an address: of a new account, or the new one of an old account.
     * @throws {FST_ACCOUNTS_LINK_INVALID}
     * @throws {FST_ACCOUNTS_EMAIL_TAKEN}
     * @throws {FST_ACCOUNTS_MAIL_UNSUPPORTED}
     */
    verify (token: string, context?: ServiceContext): Promise<User>
    /**
     * Mail a link to verify an address, if an account waits for it; nobody learns whether.
     * @throws {FST_ACCOUNTS_EMAIL_INVALID}
     * @throws {FST_ACCOUNTS_MAIL_UNSUPPORTED}
     */
    resend (email: string, context?: ServiceContext): Promise<void>
    /**
     * Mail a link to the new address of a user who has proved the password, and a word to the old one.
     * @throws {FST_ACCOUNTS_EMAIL_INVALID}
     * @throws {FST_ACCOUNTS_PASSWORD_WRONG}
     * @throws {FST_ACCOUNTS_TOO_MANY_ATTEMPTS}
     * @throws {FST_ACCOUNTS_MAIL_UNSUPPORTED}
     */
    change (userId: string, change: { readonly email: string, readonly password: string }, context?: ServiceContext): Promise<void>
  }
  readonly users: {
    find (id: string): Promise<User | null>
    /** @throws {FST_ACCOUNTS_EMAIL_INVALID} */
    findByEmail (email: string): Promise<User | null>
    findByUsername (username: string): Promise<User | null>
    /**
     * Users page by page, the newest first; who is there all the while is on exactly one page.
     * @throws {FST_ACCOUNTS_INPUT_INVALID}
     * @throws {FST_ACCOUNTS_LIST_UNSUPPORTED} the host's own users store has none
     */
    list (query?: UserListQuery): Promise<UserList>
    /**
     * Create an account without a session; `beforeRegister` is asked, `afterRegister` is not called.
     * @throws {FST_ACCOUNTS_INPUT_INVALID} or what `register` throws
     * @throws {FST_ACCOUNTS_ROLE_INVALID}
     */
    create (account: NewAccount, context?: ServiceContext): Promise<User>
    /**
     * Bring an account of another system along, with its id and digest. Neither a hook nor the password policy is asked:
     * it was registered there. For scripts of the operator; no route does this.
     * @throws {FST_ACCOUNTS_INPUT_INVALID} also for a digest of a kind that could not be verified; it is not repeated
     * @throws {FST_ACCOUNTS_PASSWORD_UNVERIFIABLE} for a bcrypt digest where the package `bcrypt` is not installed
     * @throws {FST_ACCOUNTS_USER_EXISTS} by id
     * @throws {FST_ACCOUNTS_EMAIL_TAKEN} or `_INVALID`
     * @throws {FST_ACCOUNTS_USERNAME_TAKEN} or `_INVALID`
     * @throws {FST_ACCOUNTS_NAME_INVALID} or `_ROLE_INVALID`
     */
    import (account: ImportedAccount, context?: ServiceContext): Promise<User>
    /**
     * Change name, roles or state; `null`: no such user. Disabling ends every session for good.
     * @throws {FST_ACCOUNTS_INPUT_INVALID} for anything else, or nothing
     * @throws {FST_ACCOUNTS_ROLE_INVALID}
     * @throws {FST_ACCOUNTS_LAST_OWNER}
     */
    update (id: string, change: UserChange, context?: ServiceContext): Promise<User | null>
    /**
     * Say that this user has proved this address to the host, by an identity provider that vouches for it for instance; `null`:
     * no such user, or another address. If it was not verified, whoever signed up with it may have been a stranger: the
     * password, every session and every personal token end. Of a verified address nothing changes.
     * @throws {FST_ACCOUNTS_EMAIL_INVALID}
     * @throws {FST_ACCOUNTS_EMAIL_CONFIRMATION_UNSUPPORTED} the host's own users store has no `confirmEmail`
     */
    confirmEmail (id: string, email: string, context?: ServiceContext): Promise<User | null>
    /** `false`: no such user. @throws {FST_ACCOUNTS_LAST_OWNER} */
    delete (id: string, context?: ServiceContext): Promise<boolean>
    /** All that is stored on a user, but for digests; `null`: no such user. */
    export (id: string): Promise<AccountExport | null>
    /** Say that a user has changed, where the host itself did it, in a users table of its own: verdicts in memory end. */
    announce (id: string): Promise<void>
  }
  /**
   * Personal access tokens of a user; the checks are those of the routes.
   * @throws {FST_ACCOUNTS_PERSONAL_TOKENS_OFF} from each, with `personalTokens: false`
   */
  readonly personalTokens: {
    /** Newest first, also those that have expired within the last month. */
    list (userId: string): Promise<PersonalToken[]>
    /**
     * `null`: no such user, or one who is disabled.
     * @throws {FST_ACCOUNTS_INPUT_INVALID}
     * @throws {FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID}
     * @throws {FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED}
     */
    create (userId: string, token: NewPersonalToken, context?: ServiceContext): Promise<CreatedPersonalToken | null>
    /**
     * `null`: no such live token of this user.
     * @throws {FST_ACCOUNTS_INPUT_INVALID}
     * @throws {FST_ACCOUNTS_PERSONAL_TOKEN_FIELD_INVALID}
     */
    update (userId: string, id: string, change: PersonalTokenUpdate, context?: ServiceContext): Promise<PersonalToken | null>
    /** `false`: no such live token of this user. */
    revoke (userId: string, id: string, context?: ServiceContext): Promise<boolean>
    /** How many. */
    revokeAll (userId: string, context?: ServiceContext): Promise<number>
    /**
     * Make another with the same limits and a life as long, in the place of this one, which goes on for `overlap`, at most to
     * its own end. `null`: no such live token of this user, or it has been replaced already.
     * @throws {FST_ACCOUNTS_INPUT_INVALID}, {FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED} when as many others are live
     */
    rotate (userId: string, id: string, options?: { readonly overlap?: Duration }, context?: ServiceContext): Promise<CreatedPersonalToken | null>
  }
  /** The first owner of an installation, where the users store can tell who is first. */
  readonly owner: {
    /** Whether anybody has the role `owner`. */
    isClaimed (): Promise<boolean>
    /**
     * Check what proves a claim: the legacy credentials as long as they are good for anything, else the setup code. Guesses are counted.
     * @throws {FST_ACCOUNTS_INPUT_INVALID}
     * @throws {FST_ACCOUNTS_OWNER_PROOF_REFUSED}
     * @throws {FST_ACCOUNTS_TOO_MANY_ATTEMPTS}
     */
    checkProof (proof: OwnerProof, context: { readonly request: FastifyRequest }): Promise<void>
    /**
     * Make the account of the first owner, and a session. Who may is for the caller to find out, by `checkProof` for instance.
     * @throws {FST_ACCOUNTS_OWNER_EXISTS} and what `register` throws
     */
    claim (input: Registration, context?: SigningInContext): Promise<SignedIn>
    /** What proves a claim, as it stands in the log; `null`: there is an owner, or at the moment the legacy credentials prove it. */
    setupCode (): Promise<string | null>
  }
  /**
   * Who still uses HTTP Basic and where, the latest first, at most 1000. Other processes' uses are at most ten seconds behind.
   * @throws {FST_ACCOUNTS_BASIC_OFF} where the storage keeps none
   */
  basicUsage (): Promise<BasicUse[]>
  /** For `fastify-accounts/fastify-session`, and others like it; `null`: the storage keeps none. */
  readonly hostSessions: HostSessions | null
  /** The matrix of routes and policies of this scope, by url and method, once the server is ready; for a snapshot `formatPolicies` prints it. */
  policies (): RoutePolicy[]
  /**
   * Ask the storage and the mailer how they are, and say what there is to know of this configuration: what
   * `npx fastify-accounts doctor` judges. No mail is sent and nothing is written. It takes as long as a mail server may take.
   */
  diagnose (): Promise<AccountsFacts>
  /**
   * How this server is at the moment: what the route `GET /auth/health` answers. Never rejects, and takes a second at most; the stores are
   * asked once a second, however many call.
   */
  health (): Promise<AccountsHealth>
  /** Add a hook; hooks of one name run in the order in which they were added. */
  addHook<Name extends AccountsHookName> (name: Name, hook: AccountsHooks[Name]): void
}
