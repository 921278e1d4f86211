import type { FastifyRequest } from 'fastify'
import type { User } from '../../types/principal.ts'
import type { UserChange } from '../../types/storage.ts'
import { FST_ACCOUNTS_FORBIDDEN, FST_ACCOUNTS_USER_NOT_FOUND } from '../errors.ts'
import type { SignOut } from '../sessions/sign-out.ts'
import { isOwner } from './roles.ts'
import type { Users } from './users.ts'

/** What owners and admins do to accounts. Who is an admin and no owner can't touch an owner, nor make one. */
export interface Administration {
  /**
   * @throws {FST_ACCOUNTS_USER_NOT_FOUND}
   * @throws {FST_ACCOUNTS_FORBIDDEN}
   * @throws {FST_ACCOUNTS_LAST_OWNER}
   */
  change (actor: User, id: string, change: UserChange, request: FastifyRequest): Promise<User>
  /**
   * @throws {FST_ACCOUNTS_USER_NOT_FOUND}
   * @throws {FST_ACCOUNTS_FORBIDDEN}
   */
  endSessions (actor: User, id: string, request: FastifyRequest): Promise<void>
}

export function createAdministration (users: Pick<Users, 'find' | 'update'>, signOut: Pick<SignOut, 'endAll'>): Administration {
  async function checkTarget (actor: User, id: string): Promise<void> {
    const target = await users.find(id)
    if (target === null) throw new FST_ACCOUNTS_USER_NOT_FOUND()
    if (isOwner(target) && !isOwner(actor)) throw new FST_ACCOUNTS_FORBIDDEN()
  }
  return {
    async change (actor, id, change, request) {
      if (isOwner({ roles: change.roles ?? [] }) && !isOwner(actor)) throw new FST_ACCOUNTS_FORBIDDEN()
      // Also for the sake of a host's own store that knows nothing of `unlessOwner`.
      await checkTarget(actor, id)
      const user = await users.update(id, change, { request, unlessOwner: !isOwner(actor) })
      if (user === null) throw new FST_ACCOUNTS_USER_NOT_FOUND()
      return user
    },
    async endSessions (actor, id, request) {
      // Who becomes an owner in this very moment has to sign in again, and loses nothing else.
      await checkTarget(actor, id)
      await signOut.endAll(id, 'ended-by-admin', { request })
    }
  }
}
