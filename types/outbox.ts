/*
 * The port of mail that waits, as in storage.ts: verbs speak intent, each is atomic, an expected outcome is a return value
 * and a rejection becomes 503.
 */

/** A mail that waits: what to say and to whom, never a token (it is minted when the mail is sent). */
export interface OutboxRecord {
  readonly id: string
  readonly kind: string
  /** `null`: it concerns no account and is not sent to anybody. */
  readonly userId: string | null
  readonly recipient: string
  /** What the text needs to know, as JSON. */
  readonly data: Readonly<Record<string, string | null>>
  /** A language tag (RFC 5646) that the request asked for. */
  readonly locale: string | null
  /** How often it was claimed so far. */
  readonly attempts: number
  readonly createdAt: Date
  readonly dueAt: Date
}

export interface Outbox {
  enqueue (mail: OutboxRecord): Promise<void>
  /**
   * Lend up to `limit` mails that are due at `now` to one node, the longest due first: each counts one more attempt and is
   * due again at `until`, so that no other node gets it before, and none loses it if this one dies.
   */
  claim (now: Date, until: Date, limit: number): Promise<OutboxRecord[]>
  /**
   * Say what became of a claimed mail: it is gone (`null`) or due again. `false`: its claim has run out and somebody else
   * has it, or it is no longer there.
   */
  settle (id: string, attempts: number, dueAt: Date | null): Promise<boolean>
  /** How many there are, counted up to `most`, for `health()`. */
  count? (most: number): Promise<number>
  listForUser (userId: string): Promise<OutboxRecord[]>
  deleteForUser (userId: string): Promise<void>
}
