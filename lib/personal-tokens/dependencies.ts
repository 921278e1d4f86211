import type { Hooks } from '../hooks.ts'
import type { Changes } from '../liveness/changes.ts'
import type { Post } from '../mail/post.ts'
import type { PersonalTokenSettings } from '../options/personal-tokens.ts'
import type { GuardedStorage } from '../storage.ts'
import type { PersonalTokens } from '../tokens/personal.ts'

/** What the duties of this folder share. */
export interface PersonalTokenDependencies {
  readonly settings: PersonalTokenSettings
  readonly storage: GuardedStorage
  readonly personalTokens: PersonalTokens
  readonly changes: Changes
  readonly post: Post
  readonly hooks: Hooks
}
