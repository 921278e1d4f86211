/** One of the stores, by the answer to a question that nobody's request depends on. */
export interface StoreHealth {
  /** Whether it has answered, within its second. */
  readonly ok: boolean
  /** Milliseconds until it had, or until nobody waited any more. */
  readonly ms: number
}

/** How a running server is: what `app.accounts.health()` and the route say. There is no secret in it, and nobody's data. */
export interface AccountsHealth {
  /** Whether the stores that every request rests on have answered. Nothing else here makes it `false`. */
  readonly ok: boolean
  /** When they were asked. Whoever asks within a second of the answer gets the same one. */
  readonly at: Date
  readonly stores: { readonly users: StoreHealth, readonly sessions: StoreHealth }
  /**
   * What tells this process of changes made by others. While it is not current each request asks the store. `age`: milliseconds
   * since its last proof of life; `null`: there is none, or it does not tell. The whole is `null` where the storage has no feed.
   */
  readonly feed: { readonly current: boolean, readonly age: number | null } | null
  /** Passwords that this process is hashing, and those that wait for a free core, `passwords.maxQueue` at most. */
  readonly passwords: { readonly running: number, readonly waiting: number }
  /**
   * `waiting`: mails in the outbox, neither sent nor given up, of all servers together and counted up to 1000; `null`: it does not tell.
   * `sending`: those that this process is sending. `failing`: the mailer did not take the last mail that this process gave it, for
   * now. The mailer itself is not asked. The whole is `null` without a mailer.
   */
  readonly mail: { readonly waiting: number | null, readonly sending: number, readonly failing: boolean } | null
  /** What requests to this process have shown and the next batch will write: sessions seen, tokens and HTTP Basic used. */
  readonly unwritten: { readonly sessions: number, readonly personalTokens: number, readonly basicUses: number }
}
