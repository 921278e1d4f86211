/*
 * The port of the ledger of HTTP Basic, as in storage.ts: verbs speak intent, each is atomic, and a rejection becomes 503.
 */

/** Who still uses HTTP Basic, and where: one row for each user and route. */
export interface BasicUseRecord {
  /** `null`: the credentials that several share. */
  readonly userId: string | null
  /** Such as `GET`. */
  readonly method: string
  /** The pattern of the route. */
  readonly route: string
  readonly lastUsedAt: Date
  /** `null`: unknown. */
  readonly lastUsedAddress: string | null
}

export interface BasicUseStore {
  /** Note uses; of one user and route the latest is kept. */
  note (uses: readonly BasicUseRecord[]): Promise<void>
  /** The latest first; of one moment in any order. At most `limit`. */
  list (limit: number): Promise<BasicUseRecord[]>
  listForUser (userId: string): Promise<BasicUseRecord[]>
  deleteAllForUser (userId: string): Promise<void>
  /** Forget what was last used before `before`. */
  deleteUnused (before: Date): Promise<void>
}
