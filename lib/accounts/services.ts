import type { Accounts, SignedIn } from '../../types/accounts.ts'
import { now } from '../clock.ts'
import { toListedSession } from '../sessions/records.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { isId } from './identifiers.ts'
import type { ListUsers } from './list.ts'
import type { Login } from './login.ts'
import type { PasswordChanges } from './password.ts'
import type { Register } from './register.ts'
import type { Users } from './users.ts'

export interface Duties {
  readonly register: Register
  readonly login: Login
  readonly passwordChanges: PasswordChanges
  readonly users: Users
  readonly listUsers: ListUsers
  readonly policies: Accounts['policies']
}

/** What a host calls as `app.accounts`. */
export function createServices ({ storage, signOut, hooks }: AccountsDependencies, { register, login, passwordChanges, users, listUsers, policies }: Duties): Accounts {
  return {
    register: async (input, { request = null } = {}) => toSignedIn(await register(input, request)),
    login: async (input, { request = null } = {}) => toSignedIn(await login(input, request)),
    sessions: {
      async list (userId, currentId) {
        if (!isId(userId)) return []
        const [user, sessions] = await Promise.all([storage.users.find(userId), storage.sessions.listForUser(userId, new Date(now()))])
        return sessions.filter(session => session.epoch === user?.epoch).map(session => toListedSession(session, currentId))
      },
      end: async (userId, sessionId) => isId(userId) && isId(sessionId) && await signOut.end(userId, sessionId, 'ended-by-host'),
      endAll: async (userId, { except } = {}) => isId(userId) ? await signOut.endAll(userId, 'ended-by-host', { except }) : 0
    },
    passwords: {
      change: async (userId, passwords, { request = null } = {}) => toSignedIn(await passwordChanges.change(userId, passwords, request)),
      set: async (userId, newPassword, { request = null } = {}) => await passwordChanges.set(userId, newPassword, request)
    },
    users: {
      find: users.find,
      findByEmail: users.findByEmail,
      findByUsername: users.findByUsername,
      list: listUsers,
      create: users.create,
      update: async (id, change, { request = null } = {}) => await users.update(id, change, { request }),
      delete: users.delete,
      announce: users.announce
    },
    policies,
    addHook: hooks.add
  }
}

function toSignedIn ({ user, session, access, refresh }: Issued): SignedIn {
  return { user, session, accessToken: access.token, refreshToken: refresh.token }
}
