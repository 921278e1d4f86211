/** A change that makes a verdict held in memory untrue. */
export type Change =
  | { readonly kind: 'session', readonly sessionId: string }
  | { readonly kind: 'user', readonly userId: string }
  /** It was changed, revoked or deleted. */
  | { readonly kind: 'personal-token', readonly tokenId: string }
  /** Changes were missed: believe nothing that was read before. */
  | { readonly kind: 'gap' }

/** Tells every node what was revoked on any. */
export interface RevocationFeed {
  /** Hear of every change of another node, after its write. Changes of this node may come too. */
  subscribe (listener: (change: Change) => void): () => void
  /**
   * Whether every change acknowledged anywhere more than a second ago has been delivered. Synchronous and cheap,
   * for it is called on each request; may deliver changes before it returns.
   */
  isCurrent (): boolean
  /** Milliseconds since the last proof that it is alive, for `health()`; `null`: there is none. Synchronous, and asks nobody. */
  age? (): number | null
  /** Tell every node of a change that this feed does not see by itself, such as of a user in a host's own store. */
  publish? (change: Change): Promise<void>
  /** Whether it sees by itself what is changed in this store, so that nothing of it needs to be published. */
  sees? (store: object): boolean
}
