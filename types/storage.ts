/*
 * The ports of persistence. Verbs speak intent and each is atomic: the core never reads, decides and then writes.
 * An adapter's author needs this file and the contract suite (`fastify-accounts/testing`), nothing else.
 *
 * Rules that hold for every verb:
 * - an expected outcome is a return value; a rejection means "could not be done" and becomes 503;
 * - a verb never runs twice by itself (no resend by the driver) unless it is idempotent;
 * - `Date` crosses the port, never a number; ids are opaque strings; secrets arrive as digests only.
 */
import type { BasicUseStore } from './basic-use-store.ts'
import type { HostSessionStore } from './host-session-store.ts'
import type { OneTimeTokenStore } from './one-time-token-store.ts'
import type { Outbox } from './outbox.ts'
import type { PersonalTokenStore } from './personal-token-store.ts'
import type { RedisInspection } from './redis-inspection.ts'
import type { RevocationFeed } from './revocation-feed.ts'
import type { ThrottleStore } from './throttle-store.ts'
import type { UserStore } from './user-store.ts'

export type { BasicUseRecord, BasicUseStore } from './basic-use-store.ts'
export type { HostSessionOwner, HostSessionRecord, HostSessionStore } from './host-session-store.ts'
export type { OneTimePurpose, OneTimeTokenRecord, OneTimeTokenStore } from './one-time-token-store.ts'
export type { Outbox, OutboxRecord } from './outbox.ts'
export type { PersonalTokenChange, PersonalTokenRecord, PersonalTokenStore, PersonalTokenUse } from './personal-token-store.ts'
export type { RedisInspection } from './redis-inspection.ts'
export type { Change, RevocationFeed } from './revocation-feed.ts'
export type { Attempt, ThrottleRecord, ThrottleRule, ThrottleStore } from './throttle-store.ts'
export type { NewUser, UserChange, UserCursor, UserQuery, UserRecord, UserStore } from './user-store.ts'

export type RevokeReason = 'signed-out' | 'too-many' | 'ended-by-user' | 'replaced' | 'reused' | 'password-changed' | 'password-reset' | 'disabled' | 'deleted' | 'ended-by-host' | 'ended-by-admin'

export interface SessionRecord {
  readonly id: string
  readonly userId: string
  /** The user's epoch when the password was checked. */
  readonly epoch: number
  /** Counts the refresh tokens of this session; only the current one rotates. */
  readonly generation: number
  readonly rotatedAt: Date
  /** The highest generation that the client has proved to hold. */
  readonly acknowledgedGeneration: number
  readonly createdAt: Date
  readonly authenticatedAt: Date
  readonly lastSeenAt: Date
  readonly idleExpiresAt: Date
  readonly expiresAt: Date
  /** `false`: cookies end with the browser. */
  readonly remember: boolean
  /** What its access tokens say beyond our own claims, as JSON text; `null`: nothing of this session's own. */
  readonly claims: string | null
  readonly userAgent: string | null
  readonly address: string | null
  readonly revokedAt: Date | null
  readonly revokeReason: RevokeReason | null
}

/** What requests have shown of a session since the last flush. */
export interface SessionActivity {
  readonly id: string
  readonly lastSeenAt: Date
  readonly acknowledgedGeneration: number
}

export interface SessionStore {
  /**
   * Where sessions live elsewhere than the rest, what tells of their ends: sessions that are revoked or gone, and no
   * others if it can be helped, for each is read again. It stands beside the feed of the storage, which goes on to tell
   * of users and personal tokens; memory counts while both are current. `close` of the store closes it too.
   */
  readonly feed?: RevocationFeed
  create (session: SessionRecord): Promise<void>
  find (id: string): Promise<SessionRecord | null>
  /** Sessions that are neither revoked nor past an end at `now`, newest first; without `now` all that are kept. */
  listForUser (userId: string, now: Date | null): Promise<SessionRecord[]>
  /**
   * Trade generation `generation` for the next one, if it is the current one and the session is not revoked:
   * exactly one racer gets the record, the others `null`. Also acknowledges `generation`.
   */
  rotate (id: string, generation: number, change: { readonly at: Date, readonly idleExpiresAt: Date }): Promise<SessionRecord | null>
  /**
   * Open the window of `generation` again (`rotatedAt = at`), if nobody acknowledged it, it is the current one,
   * its window began at `rotatedAt`, and the session is not revoked; else `null`. The idle end stays.
   */
  recover (id: string, generation: number, rotatedAt: Date, at: Date): Promise<SessionRecord | null>
  /** `true` for exactly one of racing calls. With `userId`: only a session of that user. */
  revoke (id: string, why: { readonly at: Date, readonly reason: RevokeReason, readonly userId?: string }): Promise<boolean>
  /** The ids of the sessions that this call revoked. */
  revokeAllForUser (userId: string, why: { readonly at: Date, readonly reason: RevokeReason, readonly except?: string }): Promise<string[]>
  /** Revoke the sessions of a user that are live at `at`, but for the `keep` that began last; the ids of those that this call revoked. */
  revokeOldest (userId: string, why: { readonly at: Date, readonly reason: RevokeReason, readonly keep: number }): Promise<string[]>
  /** Remove every session of a user without a trace; the ids of those that were not revoked before. */
  deleteAllForUser (userId: string): Promise<string[]>
  /** Move last-seen and acknowledgement forward, never back; unknown ids are passed over. */
  touch (activities: readonly SessionActivity[]): Promise<void>
  /** Forget sessions that ended before `before`; how many. Left out, they go by themselves. */
  deleteEnded? (before: Date): Promise<number>
}

/** A store may be kept in a place of its own, and have opened something for that. */
export interface Part {
  /** Called when the server that the store was given to closes. Twice does no harm. */
  close?(): Promise<void>
  /** Look at that place, and change nothing; within ten seconds. Stores of one place have one and the same function. */
  inspect?(): Promise<RedisInspection>
}

/** The stores, each replaceable by itself. */
export interface Stores {
  readonly users: UserStore & Part
  readonly sessions: SessionStore & Part
  readonly personalTokens?: PersonalTokenStore & Part
  readonly oneTimeTokens?: OneTimeTokenStore & Part
  readonly throttles?: ThrottleStore & Part
  readonly outbox?: Outbox & Part
  readonly basicUses?: BasicUseStore & Part
  /** Without one there is no `fastify-accounts/fastify-session`. */
  readonly hostSessions?: HostSessionStore & Part
}

/** What a database says of itself, for `doctor`. */
export interface StorageInspection {
  /** The time of day by its clock. */
  readonly now: Date
  /** Steps that it lacks, by name. */
  readonly missingMigrations: readonly string[]
  /** What the steps that it has should have left there, and is gone or invalid. */
  readonly missingIndexes: readonly string[]
  readonly missingTriggers: readonly string[]
  /** Triggers that are there and switched off, as `schema.table.trigger`, the schema quoted if need be; for databases that can do that. */
  readonly disabledTriggers?: readonly string[]
}

/** All that the package keeps: stores, and how they work together. Parts of several storages may be spread over each other. */
export interface Storage extends Stores {
  /** Without one, `checked` asks the store every time. It tells of sessions too, unless their store has a feed of its own. */
  readonly feed?: RevocationFeed
  /**
   * Run `work` on stores whose writes land together or not at all. Of `stores`, those that are this storage's own take
   * part; others (a host's users beside our sessions) are handed through as they are. `work` may run again after a
   * conflict, so it does nothing but call the stores, and writes before it reads. Left out: the stores are called one
   * by one, which is safe (a session of an old epoch is dead) but may leave rows behind.
   */
  atomically?<T> (stores: Stores, work: (stores: Stores) => Promise<T>): Promise<T>
  /**
   * Look at the database, and change nothing; within ten seconds. Left out, `doctor` says that it was not checked. Where
   * parts of several storages are spread over each other the last one's stands.
   */
  inspect?(): Promise<StorageInspection>
  /** Close what this storage itself opened; called when the server that it was given to closes. Twice does no harm. */
  close?(): Promise<void>
}
