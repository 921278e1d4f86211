import type { Hooks } from '../hooks.ts'
import type { Changes } from '../liveness/changes.ts'
import type { Post } from '../mail/post.ts'
import type { Settings } from '../options/index.ts'
import type { Passwords } from '../passwords/passwords.ts'
import type { ReadPresented } from '../sessions/presented.ts'
import type { TokenEndings } from '../personal-tokens/endings.ts'
import type { SignIn } from '../sessions/sign-in.ts'
import type { SignOut } from '../sessions/sign-out.ts'
import type { GuardedStorage } from '../storage.ts'
import type { OneTimeTokens } from '../tokens/one-time.ts'
import type { Throttle } from './throttle.ts'

/** What the duties of this folder share. */
export interface AccountsDependencies {
  readonly settings: Settings
  readonly storage: GuardedStorage
  readonly passwords: Passwords
  readonly changes: Changes
  readonly signIn: SignIn
  readonly signOut: SignOut
  readonly tokenEndings: TokenEndings
  readonly readPresented: ReadPresented
  readonly throttle: Throttle
  readonly oneTimeTokens: OneTimeTokens
  readonly post: Post
  readonly hooks: Hooks
}
