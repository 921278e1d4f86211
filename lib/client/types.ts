import type { CallOptions } from './call.ts'
import type { ConnectionOptions, Fetch } from './connection.ts'
import type {
  ChangeEmailBody, ChangeMeBody, ChangePasswordBody, ChangeTokenBody, ChangeUserBody, ClaimBody, ClaimedAnswer, CreatedTokenAnswer, CreateTokenBody,
  DeleteMeBody, EmailBody, ExportAnswer, LoginBody, RegisterBody, ResetPasswordBody, RotateTokenBody, SessionsAnswer, SignedInAnswer, TokenAnswer,
  TokenLogin, TokensAnswer, UserAnswer, UsersAnswer, UsersQuery, VerifyEmailBody
} from './described.ts'

export type ClientOptions = ConnectionOptions

export interface BearerClientOptions extends ConnectionOptions {
  readonly url: string
  /** One that `save` was given before: no login is needed. It belongs to one client at a time. */
  readonly refreshToken?: string | undefined
  /**
   * Called with each new refresh token, and with `null` when the session is over, for a program that keeps it somewhere safe.
   * It is awaited before the tokens are used. A rejection is that of the call, and the client goes on with the token of before.
   */
  save? (refreshToken: string | null): void | Promise<void>
}

export interface PersonalTokenClientOptions extends ConnectionOptions {
  readonly url: string
  readonly token: string
}

/**
 * `fetch` for the routes of the application, and for no other origin: it proves who calls, renews the session when it has
 * to, and repeats the request. Resolves with what the route has answered, whatever its status. Rejects with an
 * `AccountsError` if the session could not be renewed; it is over only if that says 401.
 */
export type AccountsFetch = Fetch

/** What both kinds of sessions can do. Every method rejects with an `AccountsError` where the server refuses. */
export interface Methods {
  me (options?: CallOptions): Promise<UserAnswer>
  updateMe (body: ChangeMeBody, options?: CallOptions): Promise<UserAnswer>
  deleteMe (body: DeleteMeBody, options?: CallOptions): Promise<void>
  exportMe (options?: CallOptions): Promise<ExportAnswer>
  readonly sessions: {
    list (options?: CallOptions): Promise<SessionsAnswer>
    end (id: string, options?: CallOptions): Promise<void>
    endOthers (options?: CallOptions): Promise<void>
  }
  readonly passwords: {
    /** Ends every session, and signs this client in anew. */
    change (body: ChangePasswordBody, options?: CallOptions): Promise<void>
    forgot (body: EmailBody, options?: CallOptions): Promise<void>
    /** With the token of a link; ends every session, and signs nobody in. */
    reset (body: ResetPasswordBody, options?: CallOptions): Promise<void>
  }
  readonly emails: {
    verify (body: VerifyEmailBody, options?: CallOptions): Promise<void>
    resend (body: EmailBody, options?: CallOptions): Promise<void>
    change (body: ChangeEmailBody, options?: CallOptions): Promise<void>
  }
  readonly tokens: {
    list (options?: CallOptions): Promise<TokensAnswer>
    /** The secret is shown this once. */
    create (body: CreateTokenBody, options?: CallOptions): Promise<CreatedTokenAnswer>
    update (id: string, body: ChangeTokenBody, options?: CallOptions): Promise<TokenAnswer>
    revoke (id: string, options?: CallOptions): Promise<void>
    rotate (id: string, body?: RotateTokenBody, options?: CallOptions): Promise<CreatedTokenAnswer>
  }
  readonly users: {
    list (query?: UsersQuery, options?: CallOptions): Promise<UsersAnswer>
    update (id: string, body: ChangeUserBody, options?: CallOptions): Promise<UserAnswer>
    endSessions (id: string, options?: CallOptions): Promise<void>
  }
}

export interface Client extends Methods {
  readonly fetch: AccountsFetch
  /** `null`: the address has to be verified first; what came of it is told by mail. */
  register (body: RegisterBody, options?: CallOptions): Promise<SignedInAnswer | null>
  login (body: LoginBody, options?: CallOptions): Promise<SignedInAnswer>
  logout (options?: CallOptions): Promise<void>
  /** Renew the session now. `fetch` and all else do it by themselves. */
  refresh (options?: CallOptions): Promise<SignedInAnswer>
  readonly owner: {
    status (options?: CallOptions): Promise<ClaimedAnswer>
    /** Make the account of the first owner, and sign in. */
    claim (body: ClaimBody, options?: CallOptions): Promise<SignedInAnswer>
  }
}

export interface BearerClient extends Methods {
  readonly fetch: AccountsFetch
  /** `username` may be the address. A session of before is not ended by it: `logout` does that. */
  login (body: TokenLogin, options?: CallOptions): Promise<void>
  /** The tokens are kept if the server can't be reached, so that it can be tried again. */
  logout (options?: CallOptions): Promise<void>
  /** Renew the tokens now. `fetch` and all else do it by themselves. */
  refresh (options?: CallOptions): Promise<void>
}

export interface PersonalTokenClient extends Pick<Methods, 'me'> {
  readonly fetch: AccountsFetch
}
