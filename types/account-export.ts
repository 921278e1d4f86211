import type { ListedSession, PersonalToken, User } from './principal.ts'
import type { BasicUseRecord, OneTimeTokenRecord, OutboxRecord, RevokeReason } from './storage.ts'

/** All that is stored on a person, for themselves (GDPR, article 15). */
export interface AccountExport {
  readonly user: User
  readonly hasPassword: boolean
  /** Also those that ended within the last week. */
  readonly sessions: ReadonlyArray<Omit<ListedSession, 'current'> & { readonly userAgent: string | null, readonly remember: boolean, readonly claims: unknown, readonly revokedAt: Date | null, readonly revokeReason: RevokeReason | null }>
  /** Personal tokens; the secrets are not stored. Also those that ended within the last month. */
  readonly personalTokens: ReadonlyArray<PersonalToken & { readonly revokedAt: Date | null }>
  /** Links in mail that still work; their tokens are not stored. */
  readonly links: ReadonlyArray<Pick<OneTimeTokenRecord, 'purpose' | 'email' | 'createdAt' | 'expiresAt'>>
  /** What the host keeps for sessions of this user, by `fastify-accounts/fastify-session`. */
  readonly hostSessions: ReadonlyArray<{ readonly data: unknown, readonly expiresAt: Date }>
  /** Mail that waits to be sent. */
  readonly mails: ReadonlyArray<Omit<OutboxRecord, 'id' | 'userId'>>
  /** Where HTTP Basic was used, within the last 400 days. */
  readonly basicUses: ReadonlyArray<Omit<BasicUseRecord, 'userId'>>
}
