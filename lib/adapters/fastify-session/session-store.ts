import { callbackify } from 'node:util'
import type { SessionStore } from '@fastify/session'
import type { FastifyInstance, Session } from 'fastify'
import type { HostSession, HostSessions } from '../../../types/host-sessions.ts'
import type { Duration } from '../../../types/policy.ts'
import type { HostSessionOwner } from '../../../types/storage.ts'
import { now, pause } from '../../clock.ts'
import { DURATION_FORMAT, parseDuration } from '../../duration.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../../errors.ts'
import { followSignIns } from './follow-sign-ins.ts'
import { createRenewal } from './renewal.ts'

declare module 'fastify' {
  interface Session {
    /** The session of ours that this one belongs to, and ends with; `null`, or not there: the visitor is not signed in. */
    accountSession?: HostSessionOwner | null
  }
}

export interface SessionStoreOptions {
  /** The names of what stays in `request.session` when its visitor signs in. Left out: everything does. */
  readonly keep?: readonly string[]
  /** For how long a session is kept after it was saved, if its cookie ends with the browser. @default '1d' */
  readonly ttl?: Duration
}

/** Every node obeys within a second. */
const HEARD_EVERYWHERE_MS = 2000

/**
 * A store for `@fastify/session` on the storage of `fastify-accounts`, and what makes that session follow sign-ins: it has
 * a new id when one begins, and ends with it.
 * @param app where `fastify-accounts` is registered, and `@fastify/session` will be
 * @throws {FST_ACCOUNTS_OPTION_INVALID} by name; at start too, if `@fastify/session` is not registered there
 */
export function sessionStore (app: FastifyInstance, options: SessionStoreOptions = {}): SessionStore {
  const { keep, ttl } = resolve(options)
  const sessions = requireSessions(app)
  const renewal = createRenewal(sessions)
  followSignIns(app, { renew: renewal.renew, ownerOf: sessions.ownerOf, keep })
  tidyUp(app, sessions)
  return {
    get: callbackify(async (id: string) => toSession(await sessions.find(id))),
    set: callbackify(async (id: string, session: Session) => await sessions.save(id, fromSession(session, ttl))),
    destroy: callbackify(async (id: string) => await renewal.destroy(id))
  }
}

/** What belongs to a session that is over is unreadable already. Here it goes, and once more what a node saved that had not heard of it yet. */
function tidyUp (app: FastifyInstance, sessions: HostSessions): void {
  const closing = new AbortController()
  app.addHook('preClose', async () => { closing.abort() })
  app.accounts.addHook('sessionRevoked', async ({ sessionId }) => {
    await sessions.deleteForSession(sessionId)
    await pause(HEARD_EVERYWHERE_MS, closing.signal)
    if (!closing.signal.aborted) await sessions.deleteForSession(sessionId)
  })
}

function toSession (kept: HostSession | null): Session | null {
  return kept === null ? null : { ...JSON.parse(kept.data) as Session, accountSession: kept.owner }
}

function fromSession ({ accountSession = null, ...data }: Session, ttl: number): HostSession {
  return { owner: accountSession, data: JSON.stringify(data), expiresAt: data.cookie.expires ?? new Date(now() + ttl) }
}

function resolve (options: SessionStoreOptions): { readonly keep: readonly string[] | null, readonly ttl: number } {
  const unknown = Object.keys(options).find(name => !['keep', 'ttl'].includes(name))
  if (unknown !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID(unknown, 'is unknown')
  const { keep = null, ttl = '1d' } = options
  if (keep !== null && !(Array.isArray(keep) && keep.every(name => typeof name === 'string'))) throw new FST_ACCOUNTS_OPTION_INVALID('keep', 'must be a list of names')
  const milliseconds = parseDuration(ttl)
  if (milliseconds === null) throw new FST_ACCOUNTS_OPTION_INVALID('ttl', DURATION_FORMAT)
  return { keep, ttl: milliseconds }
}

function requireSessions (app: FastifyInstance): HostSessions {
  // Not there yet, when it was not awaited.
  const { accounts } = app as Partial<FastifyInstance>
  if (accounts === undefined) throw new FST_ACCOUNTS_OPTION_INVALID('app', 'of sessionStore has no accounts: await app.register(accounts, …) first, and register @fastify/session after it')
  if (accounts.hostSessions === null) throw new FST_ACCOUNTS_OPTION_INVALID('storage.hostSessions', 'is missing: sessions of @fastify/session are kept there')
  return accounts.hostSessions
}
