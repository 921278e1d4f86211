import type { User } from './principal.ts'

export interface UserListQuery {
  /** Part of an address, user name or name, without regard to case; spaces around it do not count, `''` is none. */
  readonly search?: string
  /** What the page before has answered as `next`. */
  readonly cursor?: string | null
  /** 1 to 100. @default 50 */
  readonly limit?: number
}

/** A page of users, newest first. */
export interface UserList {
  readonly users: readonly User[]
  /** The cursor of the next page; `null`: there is none. */
  readonly next: string | null
}
