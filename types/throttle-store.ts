/*
 * The port of throttles, as in storage.ts: verbs speak intent, each is atomic, an expected outcome is a return value and
 * a rejection becomes 503.
 */

export interface ThrottleRule {
  readonly at: Date
  /**
   * Milliseconds from the first, second, … counted attempt to the next one that is admitted; the last of them holds for
   * all that follow. At least one.
   */
  readonly delays: readonly number[]
  /** Attempts that may be counted in all; further ones are refused until `reset`, or until it is forgotten. */
  readonly limit: number
  /** Milliseconds after the last counted attempt at which the key starts anew. */
  readonly forgetAfter: number
}

export interface ThrottleRecord {
  readonly count: number
  readonly retryAt: Date
}

export interface Attempt extends ThrottleRecord {
  readonly admitted: boolean
}

export interface ThrottleStore {
  /**
   * Count one more attempt, unless it comes before its time, or is one too many: then nothing changes. `count` says how
   * many are counted now, `retryAt` when the next one is admitted. Of racers no more are admitted than one after another.
   */
  attempt (key: string, rule: ThrottleRule): Promise<Attempt>
  find (key: string): Promise<ThrottleRecord | null>
  reset (key: string): Promise<void>
  /** Forget what was to be forgotten before `before`. Left out, it goes by itself. */
  deleteForgotten? (before: Date): Promise<void>
}
