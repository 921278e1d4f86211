/** What Redis says of itself, for `doctor`; of a Cluster, its primaries together. `null`: it does not tell. */
export interface RedisInspection {
  /** Milliseconds until it has answered the simplest question. */
  readonly ms: number
  /** The oldest of them. */
  readonly version: string | null
  /** By which it may throw away what it was given. */
  readonly evictionPolicy: string | null
  /** Whether a restart leaves what was written before. */
  readonly isPersistent: boolean | null
}
