import type { GuardedStorage } from '../storage.ts'
import type { Changes } from '../liveness/changes.ts'
import type { Hooks } from '../hooks.ts'
import type { Post } from '../mail/post.ts'
import type { Settings } from '../options/index.ts'
import type { Key } from '../tokens/secrets.ts'
import type { Tokens } from '../tokens/tokens.ts'
import { createActivity } from './activity.ts'
import { createCollectClaims } from './claims.ts'
import type { Cookies } from './cookies.ts'
import { createHostSessions } from './host-sessions.ts'
import { createLeave } from './leave.ts'
import { createLiveness } from './liveness.ts'
import { createReadPresented } from './presented.ts'
import { createRefresh, ROTATION_WINDOW } from './rotation.ts'
import { createSignIn } from './sign-in.ts'
import { createSignOut } from './sign-out.ts'

interface SessionDependencies {
  readonly settings: Settings
  readonly storage: GuardedStorage
  readonly tokens: Tokens
  readonly cookies: Cookies
  readonly changes: Changes
  readonly post: Post
  readonly hooks: Hooks
}

/** All that is done with sessions. @param keys for digests @param capacity sessions that a process remembers at most */
export function createSessionDuties (dependencies: SessionDependencies, keys: readonly Key[], capacity: number) {
  const { settings, storage, tokens, cookies, changes, hooks } = dependencies
  const activity = createActivity(storage.sessions, ROTATION_WINDOW)
  const liveness = createLiveness(storage, changes, capacity)
  const signIn = createSignIn(tokens, settings, createCollectClaims(hooks))
  const readPresented = createReadPresented(cookies, tokens)
  return {
    activity,
    liveness,
    signIn,
    signOut: createSignOut(storage, changes, hooks),
    leave: createLeave(cookies, hooks),
    readPresented,
    hostSessions: createHostSessions({ storage, liveness, readPresented }, keys),
    refresh: createRefresh({ ...dependencies, activity, signIn })
  }
}
