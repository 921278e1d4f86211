/** How the requests of a client prove who calls: one file a kind, all of this shape. */
export interface Credential {
  /** Whether cookies are sent and kept. */
  readonly credentials: 'same-origin' | 'omit'
  present (): Promise<Presented>
}

/** What one request proves it by. */
export interface Presented {
  readonly headers: Readonly<Record<string, string>>
  /** What to repeat the request with, since it was refused with 401 and this code; `null`: that would be of no use. */
  renew (code: string | null): Promise<Presented | null>
}
