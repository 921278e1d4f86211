import type { FastifyRequest } from 'fastify'
import type { NewAccount, ServiceContext } from '../../types/accounts.ts'
import type { User } from '../../types/principal.ts'
import type { UserChange, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_FORBIDDEN, FST_ACCOUNTS_LAST_OWNER, FST_ACCOUNTS_PASSWORD_WRONG } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import { isId } from '../shape.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { checkName, loginKey, parseEmail } from './identifiers.ts'
import { insert, type Prepare } from './new-account.ts'
import { checkRoles } from './roles.ts'
import { readNewAccount, readText, readUserChange } from './shapes.ts'

/** `unlessOwner`: refuse, in the very statement of the change, to touch an owner. */
interface UpdateContext extends ServiceContext { readonly unlessOwner?: boolean }

export interface Users {
  find (id: string): Promise<User | null>
  findByEmail (email: string): Promise<User | null>
  findByUsername (username: string): Promise<User | null>
  create (account: NewAccount, context?: ServiceContext): Promise<User>
  /** @throws {FST_ACCOUNTS_FORBIDDEN} for an owner, with `unlessOwner` */
  update (id: string, change: UserChange, context?: UpdateContext): Promise<User | null>
  delete (id: string, context?: ServiceContext): Promise<boolean>
  /** Delete an account whose owner proves the password. @throws {FST_ACCOUNTS_PASSWORD_WRONG} */
  deleteOwn (id: string, password: string, request: FastifyRequest): Promise<void>
  announce (id: string): Promise<void>
}

export function createUsers ({ storage, passwords, throttle, changes, signOut, tokenEndings, hooks }: AccountsDependencies, prepare: Prepare): Users {
  const announce = async (id: string) => await changes.announce({ kind: 'user', userId: id })

  async function update (id: string, wanted: UserChange, { request = null, unlessOwner = false }: UpdateContext = {}): Promise<User | null> {
    const change = readUserChange(wanted)
    if (typeof change.name === 'string') checkName(change.name)
    if (change.roles !== undefined) checkRoles(change.roles)
    if (!isId(id)) return null
    const at = new Date(now())
    const { user, ended, endedTokens } = await storage.atomically(async stores => {
      const user = await (unlessOwner ? stores.users.update(id, change, at, { unlessOwner }) : stores.users.update(id, change, at))
      if (user === 'last-owner') throw new FST_ACCOUNTS_LAST_OWNER()
      if (user === 'is-owner') throw new FST_ACCOUNTS_FORBIDDEN()
      const isEnd = user !== null && change.disabled === true
      const ended = isEnd ? await stores.sessions.revokeAllForUser(id, { at, reason: 'disabled' }) : []
      const endedTokens = isEnd ? await stores.personalTokens?.revokeAllForUser(id, at) ?? [] : []
      return { user, ended, endedTokens }
    })
    if (user === null) return null
    signOut.announce(id, ended, 'disabled', request)
    tokenEndings.announce(id, endedTokens, 'disabled', request)
    hooks.record('account.changed', { userId: id, reason: Object.keys(change).sort().join(' '), request })
    await announce(id)
    return toUser(user)
  }

  async function remove (id: string, { request = null }: ServiceContext = {}): Promise<boolean> {
    if (!isId(id)) return false
    const { deleted, ended, endedTokens } = await storage.atomically(async stores => {
      const outcome = await stores.users.delete(id)
      if (outcome === 'last-owner') throw new FST_ACCOUNTS_LAST_OWNER()
      await stores.oneTimeTokens?.deleteForUser(id)
      await stores.outbox?.deleteForUser(id)
      await stores.basicUses?.deleteAllForUser(id)
      await stores.hostSessions?.deleteForUser(id)
      const endedTokens = await stores.personalTokens?.deleteAllForUser(id) ?? []
      return { deleted: outcome === 'deleted', ended: await stores.sessions.deleteAllForUser(id), endedTokens }
    })
    signOut.announce(id, ended, 'deleted', request)
    tokenEndings.announce(id, endedTokens, 'deleted', request)
    if (deleted) hooks.record('account.deleted', { userId: id, request })
    await announce(id)
    return deleted
  }

  return {
    update,
    announce,
    delete: remove,
    find: async id => shown(isId(id) ? await storage.users.find(id) : null),
    findByEmail: async email => shown(await storage.users.findByEmail(parseEmail(readText(email)).key)),
    async findByUsername (username) {
      const found = loginKey({ username: readText(username) })
      return shown(found === null ? null : await storage.users.findByUsername?.(found.key) ?? null)
    },
    async create (account, { request = null } = {}) {
      const user = await insert(storage.users, await prepare(readNewAccount(account), request))
      hooks.record('account.registered', { userId: user.id, request })
      return toUser(user)
    },
    async deleteOwn (id, password, request) {
      const user = await storage.users.find(id)
      if (!await throttle.prove(id, user, async () => await passwords.verify(user?.passwordDigest ?? null, password), request)) throw new FST_ACCOUNTS_PASSWORD_WRONG()
      await remove(id, { request })
    }
  }
}

const shown = (record: UserRecord | null): User | null => record === null ? null : toUser(record)
