import type { FastifyRequest } from 'fastify'
import type { RefreshOutcome } from '../../types/hooks.ts'
import type { SessionRecord, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_STORAGE_UNAVAILABLE, FST_ACCOUNTS_TOKEN_EXPIRED, FST_ACCOUNTS_TOKEN_INVALID } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import type { Changes } from '../liveness/changes.ts'
import type { Post } from '../mail/post.ts'
import type { Settings } from '../options/index.ts'
import type { GuardedStorage } from '../storage.ts'
import type { RefreshClaims } from '../tokens/claims.ts'
import type { Minted, Tokens } from '../tokens/tokens.ts'
import type { Activity } from './activity.ts'
import { isLive } from './records.ts'
import type { Issued, SignIn } from './sign-in.ts'

/** Milliseconds after a rotation in which its parent may still come: other tabs, retries, lost answers. */
export const ROTATION_WINDOW = 30_000

/** Trades of racing requests can make us read again; each one that does has moved the session forward. */
const MAX_ATTEMPTS = 4

interface Refreshed extends Issued<Minted | null> {
  readonly outcome: RefreshOutcome
}

export interface RotationDependencies {
  readonly storage: GuardedStorage
  readonly tokens: Tokens
  readonly activity: Activity
  readonly changes: Changes
  readonly signIn: SignIn
  readonly post: Post
  readonly hooks: Hooks
  readonly settings: Pick<Settings, 'refreshTokenTtl'>
}

/** Trade a refresh token. Throws when it is bad, and ends the session when it was used up long ago. */
export type Refresh = (token: string, request: FastifyRequest | null) => Promise<Refreshed>

interface Found { readonly session: SessionRecord, readonly user: UserRecord }
interface Decision extends Found { readonly outcome: RefreshOutcome }

/**
 * The acknowledged window (docs/architecture.md). The refresh token is signed over session and generation, so the
 * current one can always be issued again, and a stored row alone is of no use. RFC 9700, 4.14.2.
 * @throws {FST_ACCOUNTS_TOKEN_INVALID}
 * @throws {FST_ACCOUNTS_TOKEN_EXPIRED}
 */
export function createRefresh ({ storage, tokens, activity, changes, signIn, post, hooks, settings }: RotationDependencies): Refresh {
  /** One flight for each presented token: who comes second finds the session as the first has left it. */
  const flights = new Map<string, Promise<Decision>>()

  return async function refresh (token, request) {
    const reading = tokens.readRefresh(token)
    if (reading.kind === 'invalid') throw new FST_ACCOUNTS_TOKEN_INVALID()
    if (reading.kind === 'expired') throw new FST_ACCOUNTS_TOKEN_EXPIRED()
    const { claims } = reading
    const key = `${claims.sid}.${claims.gen}`
    const running = flights.get(key)
    if (running !== undefined) return await answer({ ...await running, outcome: 'window' }, claims, request)
    const flight = decide(claims, request).finally(() => flights.delete(key))
    flights.set(key, flight)
    return await answer(await flight, claims, request)
  }

  async function decide (claims: RefreshClaims, request: FastifyRequest | null): Promise<Decision> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const found = await find(claims)
      const { session } = found
      const behind = session.generation - claims.gen
      const inWindow = now() - session.rotatedAt.getTime() <= ROTATION_WINDOW
      // A generation that was never issued: the database has been set back.
      if (behind < 0) throw new FST_ACCOUNTS_TOKEN_INVALID()
      if (behind === 0) activity.note(session, claims.gen)
      if (behind <= 1 && inWindow) return { ...found, outcome: 'window' }
      if (behind === 0) {
        const rotated = await rotate(session)
        if (rotated !== null) return { ...found, session: requireOwner(rotated, session), outcome: 'rotated' }
      } else if (behind === 1 && activity.acknowledged(session) < session.generation) {
        const recovered = await storage.sessions.recover(session.id, session.generation, session.rotatedAt, new Date(now()))
        if (recovered !== null) return { ...found, session: requireOwner(recovered, session), outcome: 'recovered' }
      } else {
        await endReused(found, request)
        throw new FST_ACCOUNTS_TOKEN_INVALID()
      }
    }
    throw new FST_ACCOUNTS_TOKEN_INVALID()
  }

  async function find (claims: RefreshClaims): Promise<Found> {
    const [session, user] = await Promise.all([storage.sessions.find(claims.sid), storage.users.find(claims.sub)])
    if (!isLive(session, user, now())) throw new FST_ACCOUNTS_TOKEN_INVALID()
    return { session: session!, user: user! }
  }

  async function rotate (session: SessionRecord): Promise<SessionRecord | null> {
    const time = now()
    const idleExpiresAt = new Date(Math.min(time + settings.refreshTokenTtl, session.expiresAt.getTime()))
    return await storage.sessions.rotate(session.id, session.generation, { at: new Date(time), idleExpiresAt })
  }

  async function endReused ({ session, user }: Found, request: FastifyRequest | null): Promise<void> {
    const ended = await storage.atomically(async stores => {
      const ended = await stores.sessions.revoke(session.id, { at: new Date(now()), reason: 'reused' })
      if (ended) await post.enqueue(stores, { kind: 'session-reused', user, request })
      return ended
    })
    changes.hear({ kind: 'session', sessionId: session.id })
    if (!ended) return
    post.kick()
    const state = { userId: session.userId, sessionId: session.id, request }
    hooks.record('session.reused', state)
    hooks.record('session.revoked', { ...state, reason: 'reused' })
    hooks.notify('sessionReused', state)
    hooks.notify('sessionRevoked', { ...state, reason: 'reused' })
  }

  async function answer ({ session, user, outcome }: Decision, claims: RefreshClaims, request: FastifyRequest | null): Promise<Refreshed> {
    const state = { userId: user.id, sessionId: session.id, request }
    hooks.record(`session.${outcome}`, state)
    hooks.notify('sessionRefreshed', { ...state, outcome })
    // In the window the generation that was presented, so that this answer can't count as proof that the successor arrived.
    const issued = outcome === 'window' ? await signIn.issueAccess(user, session, claims.gen, request) : await signIn.issue(user, session, request)
    return { ...issued, outcome }
  }
}

/** A store that answers with a row of somebody else's must not give that somebody's session away. */
function requireOwner (changed: SessionRecord, session: SessionRecord): SessionRecord {
  if (changed.userId !== session.userId) throw new FST_ACCOUNTS_STORAGE_UNAVAILABLE({ cause: 'the row has changed its owner' })
  return changed
}
