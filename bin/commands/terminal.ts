import type { Readable, Writable } from 'node:stream'

/** Where a command is given: the standard streams of a process, or others in their place. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable
  readonly stderr: Writable
  /** Do the same in a process of its own, where a server is loaded; the exit code. Left out: it is loaded here. */
  runApart? (): number
}
