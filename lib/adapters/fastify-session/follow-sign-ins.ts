import type { FastifySessionObject } from '@fastify/session'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { HostSessions } from '../../../types/host-sessions.ts'
import type { HostSessionOwner } from '../../../types/storage.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../../errors.ts'
import type { Renewal } from './renewal.ts'
import { dataNames, isKnown } from './session-data.ts'

export interface Following extends Pick<Renewal, 'renew'>, Pick<HostSessions, 'ownerOf'> {
  /** `null`: everything. */
  readonly keep: readonly string[] | null
}

/**
 * Have `request.session` belong to whoever is signed in. Whenever that changes its id does, so that no id that somebody
 * knew before, or has planted, is worth anything afterwards (ASVS 7.2.4).
 */
export function followSignIns (app: FastifyInstance, { renew, ownerOf, keep }: Following): void {
  // Before anything of the sign-in is stored: if this fails, nothing has happened.
  app.accounts.addHook('beforeSignIn', async ({ request }) => { if (request !== null) await renew(requireSession(request)) })
  app.accounts.addHook('afterSignIn', ({ user, session, request }) => {
    giveTo(request === null ? null : findSession(request), { userId: user.id, sessionId: session.id }, keep)
  })
  app.accounts.addHook('afterSignOut', async ({ request }) => { await clear(findSession(request)) })

  // A session that began while its visitor was signed in already, or came with other cookies of ours.
  app.addHook('preHandler', async request => {
    const session = findSession(request)
    if (session === null) return
    const owner = await findOwner(request, session, ownerOf)
    if (owner === null || session.accountSession?.sessionId === owner.sessionId) return
    await renew(session)
    giveTo(findSession(request), owner, keep)
  })

  app.addHook('onReady', async () => {
    if (!app.hasRequestDecorator('session')) throw new FST_ACCOUNTS_OPTION_INVALID('app', 'of sessionStore has no sessions: register @fastify/session on the same instance, so that the routes of the plugin have them too')
  })
}

/** Who a guard says that is calling; without a guard, whom the cookies name, if nobody has been found before. */
async function findOwner (request: FastifyRequest, { accountSession }: FastifySessionObject, ownerOf: HostSessions['ownerOf']): Promise<HostSessionOwner | null> {
  const { principal } = request
  if (principal?.via === 'cookie') return { userId: principal.user.id, sessionId: principal.session.id }
  if (principal !== null || (accountSession ?? null) !== null) return null
  return await ownerOf(request)
}

/** What another user has left behind is not handed on; what a visitor has, as far as it is to be kept. */
function giveTo (session: FastifySessionObject | null, owner: HostSessionOwner, keep: readonly string[] | null): void {
  if (session === null) return
  const { accountSession: before = null } = session
  const kept = before === null ? keep : before.userId === owner.userId ? null : []
  if (kept !== null) forget(session, kept)
  // While nobody knows of it there is nothing to save: the host may want no session of those who have no data in one.
  Object.defineProperty(session, 'accountSession', { value: owner, enumerable: isKnown(session), writable: true, configurable: true })
}

async function clear (session: FastifySessionObject | null): Promise<void> {
  if (session === null) return
  if (isKnown(session)) return await session.regenerate()
  forget(session, [])
  delete session.accountSession
}

function forget (session: FastifySessionObject, except: readonly string[]): void {
  for (const name of dataNames(session)) if (!except.includes(name)) Reflect.deleteProperty(session, name)
}

/** `null`: the host has destroyed it. @throws {FST_ACCOUNTS_OPTION_INVALID} where there is none: it would keep its id */
function requireSession (request: FastifyRequest): FastifySessionObject | null {
  const session = findSession(request)
  if (session === null && request.session !== null) throw new FST_ACCOUNTS_OPTION_INVALID('cookie.path', 'of @fastify/session must be "/", so that signing in can give the session another id')
  return session
}

/** Outside of its cookie's path a request has an empty object in the place of a session. */
function findSession ({ session }: FastifyRequest): FastifySessionObject | null {
  const found = session as FastifySessionObject | null | undefined
  return typeof found?.regenerate === 'function' ? found : null
}
