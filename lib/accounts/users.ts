import type { FastifyRequest } from 'fastify'
import type { User } from '../../types/principal.ts'
import type { UserChange } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_LAST_OWNER, FST_ACCOUNTS_PASSWORD_WRONG } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { checkName, parseEmail } from './identifiers.ts'

export interface Users {
  find (id: string): Promise<User | null>
  findByEmail (email: string): Promise<User | null>
  update (id: string, change: UserChange, request?: FastifyRequest | null): Promise<User | null>
  delete (id: string, request?: FastifyRequest | null): Promise<boolean>
  /** Delete an account whose owner proves the password. @throws {FST_ACCOUNTS_PASSWORD_WRONG} */
  deleteOwn (id: string, password: string, request: FastifyRequest): Promise<void>
}

export function createUsers ({ storage, passwords, liveness, signOut, hooks }: AccountsDependencies): Users {
  async function update (id: string, change: UserChange, request: FastifyRequest | null = null): Promise<User | null> {
    if (typeof change.name === 'string') checkName(change.name)
    const at = new Date(now())
    const { user, ended } = await storage.atomically(async stores => {
      const user = await stores.users.update(id, change, at)
      if (user === 'last-owner') throw new FST_ACCOUNTS_LAST_OWNER()
      const ended = user !== null && change.disabled === true ? await stores.sessions.revokeAllForUser(id, { at, reason: 'disabled' }) : []
      return { user, ended }
    })
    if (user === null) return null
    signOut.announce(id, ended, 'disabled', request)
    hooks.record('account.changed', { userId: id, reason: Object.keys(change).sort().join(' '), request })
    await liveness.announce({ kind: 'user', userId: id })
    return toUser(user)
  }

  async function remove (id: string, request: FastifyRequest | null = null): Promise<boolean> {
    const { deleted, ended } = await storage.atomically(async stores => {
      const outcome = await stores.users.delete(id)
      if (outcome === 'last-owner') throw new FST_ACCOUNTS_LAST_OWNER()
      return { deleted: outcome === 'deleted', ended: await stores.sessions.deleteAllForUser(id) }
    })
    signOut.announce(id, ended, 'deleted', request)
    if (deleted) hooks.record('account.deleted', { userId: id, request })
    await liveness.announce({ kind: 'user', userId: id })
    return deleted
  }

  return {
    update,
    delete: remove,
    async find (id) {
      const user = await storage.users.find(id)
      return user === null ? null : toUser(user)
    },
    async findByEmail (email) {
      const user = await storage.users.findByEmail(parseEmail(email).key)
      return user === null ? null : toUser(user)
    },
    async deleteOwn (id, password, request) {
      const user = await storage.users.find(id)
      if (!await passwords.verify(user?.passwordDigest ?? null, password)) throw new FST_ACCOUNTS_PASSWORD_WRONG()
      await remove(id, request)
    }
  }
}
