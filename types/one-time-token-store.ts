/*
 * The port of one-time tokens, as in storage.ts: verbs speak intent, each is atomic, an expected outcome is a return value
 * and a rejection becomes 503.
 */

export type OneTimePurpose = 'reset-password' | 'verify-email' | 'change-email'

export interface OneTimeTokenRecord {
  /** HMAC-SHA-256 of the token, unique. */
  readonly digest: string
  readonly purpose: OneTimePurpose
  readonly userId: string
  /** The exact address that the token was sent to. */
  readonly email: string
  /** The user's epoch when it was made: it is worth nothing at another one. */
  readonly epoch: number
  readonly createdAt: Date
  readonly expiresAt: Date
}

export interface OneTimeTokenStore {
  /** Keep this one and void every other of the same user and purpose. */
  issue (token: OneTimeTokenRecord): Promise<void>
  /** Look at it without using it up; `null`: none such, or expired at `now`. */
  find (digest: string, purpose: OneTimePurpose, now: Date): Promise<OneTimeTokenRecord | null>
  /** Take it away and return it: exactly one racer gets it. `null`: none such, or expired at `now`. */
  consume (digest: string, purpose: OneTimePurpose, now: Date): Promise<OneTimeTokenRecord | null>
  listForUser (userId: string): Promise<OneTimeTokenRecord[]>
  deleteForUser (userId: string): Promise<void>
  /** Forget what expired before `before`. Left out, it goes by itself. */
  deleteExpired? (before: Date): Promise<void>
}
