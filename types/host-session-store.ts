/*
 * The port of sessions that a host keeps itself, as in storage.ts: verbs speak intent, each is atomic, an expected outcome
 * is a return value and a rejection becomes 503.
 */

/** A session of ours, and its user, on whose behalf something is kept. */
export interface HostSessionOwner {
  readonly userId: string
  readonly sessionId: string
}

export interface HostSessionRecord {
  /** Of the id that the browser holds. */
  readonly digest: string
  /** `null`: of a visitor who is not signed in. */
  readonly owner: HostSessionOwner | null
  /** JSON of the host's, as text: kept as it is. */
  readonly data: string
  readonly expiresAt: Date
}

export interface HostSessionStore {
  /** `null`: there is none, it is destroyed, or past its end at `now`. */
  find (digest: string, now: Date): Promise<HostSessionRecord | null>
  /** Insert, or replace what is there; a destroyed one stays destroyed, and that is no failure. */
  save (record: HostSessionRecord): Promise<void>
  /**
   * Remove the data, and remember the digest until `until`, also one that was never stored: a request that is still under
   * way must not bring it back.
   */
  destroy (digest: string, until: Date): Promise<void>
  /** Those of a user that are not destroyed, the first to end first. */
  listForUser (userId: string): Promise<HostSessionRecord[]>
  /** Remove all that belong to one session of ours. */
  deleteForSession (sessionId: string): Promise<void>
  deleteForUser (userId: string): Promise<void>
  /** Forget what ended before `before`. */
  deleteExpired (before: Date): Promise<void>
}
