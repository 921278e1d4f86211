/*
 * The port of personal tokens, as in storage.ts: verbs speak intent, each is atomic, an expected outcome is a return value
 * and a rejection becomes 503.
 *
 * A token is live at a moment when it is not revoked and that moment is before `expiresAt`. Whether its owner may still use
 * it is not for the store to say.
 */
import type { PersonalToken } from './principal.ts'

export interface PersonalTokenRecord extends PersonalToken {
  readonly userId: string
  /** HMAC-SHA-256 of the token, unique. The token itself is never stored. */
  readonly digest: string
  /** The user's epoch when it was made, or that it was carried over to: at another one it is dead. */
  readonly epoch: number
  /** When its owner is next to be told that it ends; `null`: not any more. */
  readonly noticeAt: Date | null
  readonly revokedAt: Date | null
}

/** What to change of a token; what is left out stays. */
export type PersonalTokenChange = Partial<Pick<PersonalTokenRecord, 'name' | 'allowedMethods' | 'allowedIps' | 'allowedReferrers' | 'scopes' | 'expiresAt' | 'noticeAt'>>

export interface PersonalTokenUse {
  readonly id: string
  readonly lastUsedAt: Date
  /** `null`: unknown. */
  readonly lastUsedAddress: string | null
}

export interface PersonalTokenStore {
  /** Insert, unless the user has `limit` tokens of this epoch already that are live at `token.createdAt`; also of racers no more get in. */
  create (token: PersonalTokenRecord, limit: number): Promise<'created' | 'limit-reached'>
  find (id: string): Promise<PersonalTokenRecord | null>
  findByDigest (digest: string): Promise<PersonalTokenRecord | null>
  /** All that are kept, newest first; of one moment, greater ids first. */
  listForUser (userId: string): Promise<PersonalTokenRecord[]>
  /** Change a token of that user that is live at `at`; `null`: none such. */
  update (id: string, userId: string, change: PersonalTokenChange, at: Date): Promise<PersonalTokenRecord | null>
  /** `true` for exactly one of racing calls. Only a token of that user. */
  revoke (id: string, userId: string, at: Date): Promise<boolean>
  /** The ids of the tokens that this call revoked. */
  revokeAllForUser (userId: string, at: Date): Promise<string[]>
  /**
   * Insert `successor`, note it as the successor of `id`, and let that end at `oldExpiresAt`, all together, if it is a token
   * of that user and of the successor's epoch that is live at `successor.createdAt` and has no successor yet: of racers
   * exactly one, else `not-found`. As in `create` the user has at most `limit` such tokens besides the old one.
   */
  replace (id: string, userId: string, successor: PersonalTokenRecord, oldExpiresAt: Date, limit: number): Promise<'replaced' | 'limit-reached' | 'not-found'>
  /** Move the tokens of one epoch of a user, but for those that were revoked, to another: a change of the password that is not to end them. */
  carryOver (userId: string, fromEpoch: number, toEpoch: number): Promise<void>
  /** Move the last use forward, never back; unknown ids are passed over. Nobody needs to hear of it. */
  touch (uses: readonly PersonalTokenUse[]): Promise<void>
  /** Tokens that are not revoked and whose `noticeAt` is not after `now`, the earliest first. */
  findNoticesDue (now: Date, limit: number): Promise<PersonalTokenRecord[]>
  /** Set `noticeAt` to `next`, if it is still `noticeAt`: `true` for exactly one of racing calls. Nobody needs to hear of it. */
  advanceNotice (id: string, noticeAt: Date, next: Date | null): Promise<boolean>
  /** Remove every token of a user without a trace; the ids of those that were not revoked before. */
  deleteAllForUser (userId: string): Promise<string[]>
  /** Forget tokens that were revoked, or expired, before `before`; how many. */
  deleteEnded (before: Date): Promise<number>
}
