import type { Accounts, SignedIn } from '../../types/accounts.ts'
import type { HostSessions } from '../../types/host-sessions.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_MAIL_UNSUPPORTED, FST_ACCOUNTS_OWNER_UNSUPPORTED, FST_ACCOUNTS_PERSONAL_TOKENS_OFF } from '../errors.ts'
import type { PersonalTokenManagement } from '../personal-tokens/manage.ts'
import { toListedSession } from '../sessions/records.ts'
import type { Issued } from '../sessions/sign-in.ts'
import { isId } from '../shape.ts'
import type { BasicUsage } from './basic-usage.ts'
import type { Browser } from './browser.ts'
import type { ConfirmEmail } from './confirm-email.ts'
import type { AccountsDependencies } from './dependencies.ts'
import type { Emails } from './emails.ts'
import type { ExportUser } from './export.ts'
import type { ImportUser } from './import.ts'
import type { ListUsers } from './list.ts'
import type { Login } from './login.ts'
import type { Owner } from './owner.ts'
import type { OwnerProof } from './owner-proof.ts'
import type { PasswordChanges } from './password.ts'
import type { Recovery } from './recovery.ts'
import type { Register } from './register.ts'
import { readEndOptions, readOwnerProof, readRotateOptions } from './shapes.ts'
import type { Users } from './users.ts'
import type { Vouch } from './vouch.ts'

export interface Duties {
  readonly register: Register
  readonly login: Login
  readonly vouch: Vouch
  readonly browser: Pick<Browser, 'admit'>
  readonly cookies: Accounts['cookies']
  readonly passwordChanges: PasswordChanges
  readonly users: Users
  readonly confirmEmail: ConfirmEmail
  readonly listUsers: ListUsers
  readonly exportUser: ExportUser
  readonly importUser: ImportUser
  /** `null`: there is no mailer. */
  readonly recovery: Recovery | null
  readonly emails: Emails | null
  /** `null`: they are switched off. */
  readonly personalTokens: PersonalTokenManagement | null
  /** `null`: the users store can't tell who is first. */
  readonly owner: Owner | null
  readonly ownerProof: OwnerProof
  readonly basicUsage: BasicUsage
  readonly hostSessions: HostSessions | null
  readonly policies: Accounts['policies']
  readonly diagnose: Accounts['diagnose']
  readonly health: Accounts['health']
}

/** What a host calls as `app.accounts`. */
export function createServices ({ storage, signOut, hooks }: AccountsDependencies, { register, login, vouch, browser, cookies, passwordChanges, users, confirmEmail, listUsers, exportUser, importUser, recovery, emails, personalTokens, owner, ownerProof, basicUsage, hostSessions, policies, diagnose, health }: Duties): Accounts {
  return {
    async register (input, context = {}) {
      const issued = await browser.admit(context, async request => await register(input, request))
      return issued === null ? null : toSignedIn(issued)
    },
    login: async (input, context = {}) => toSignedIn(await browser.admit(context, async request => await login(input, request))),
    cookies,
    sessions: {
      begin: async (userId, options = {}, { request = null } = {}) => toSignedIn(await vouch(userId, options, request)),
      async list (userId, currentId) {
        if (!isId(userId)) return []
        const [user, sessions] = await Promise.all([storage.users.find(userId), storage.sessions.listForUser(userId, new Date(now()))])
        return sessions.filter(session => session.epoch === user?.epoch).map(session => toListedSession(session, currentId))
      },
      end: async (userId, sessionId, { request = null } = {}) => isId(userId) && isId(sessionId) && await signOut.end(userId, sessionId, 'ended-by-host', request),
      endAll: async (userId, options = {}, { request = null } = {}) => {
        const { except } = readEndOptions(options)
        return isId(userId) ? await signOut.endAll(userId, 'ended-by-host', { except, request }) : 0
      }
    },
    passwords: {
      change: async (userId, passwords, context = {}) => toSignedIn(await browser.admit(context, async request => await passwordChanges.change(userId, passwords, request))),
      set: async (userId, newPassword, { request = null } = {}) => await passwordChanges.set(userId, newPassword, request),
      forgot: async (email, { request = null } = {}) => await byMail(recovery).forgot(email, request),
      reset: async (token, newPassword, { request = null } = {}) => await byMail(recovery).reset(token, newPassword, request)
    },
    emails: {
      verify: async (token, { request = null } = {}) => await byMail(emails).verify(token, request),
      resend: async (email, { request = null } = {}) => await byMail(emails).resend(email, request),
      change: async (userId, change, { request = null } = {}) => await byMail(emails).change(userId, change, request)
    },
    users: {
      find: users.find,
      findByEmail: users.findByEmail,
      findByUsername: users.findByUsername,
      list: listUsers,
      create: users.create,
      update: async (id, change, { request = null } = {}) => await users.update(id, change, { request }),
      confirmEmail,
      delete: users.delete,
      export: exportUser,
      import: importUser,
      announce: users.announce
    },
    personalTokens: {
      list: async userId => await switchedOn(personalTokens).list(userId),
      create: async (userId, token, { request = null } = {}) => await switchedOn(personalTokens).create(userId, token, request),
      update: async (userId, id, change, { request = null } = {}) => await switchedOn(personalTokens).update(userId, id, change, request),
      revoke: async (userId, id, { request = null } = {}) => await switchedOn(personalTokens).revoke(userId, id, request),
      revokeAll: async (userId, { request = null } = {}) => await switchedOn(personalTokens).revokeAll(userId, request),
      rotate: async (userId, id, options = {}, { request = null } = {}) => await switchedOn(personalTokens).rotate(userId, id, readRotateOptions(options).overlap, request)
    },
    owner: {
      isClaimed: async () => await first(owner).isClaimed(),
      checkProof: async (proof, { request }) => await ownerProof.check(readOwnerProof(proof), request),
      claim: async (input, context = {}) => toSignedIn(await browser.admit(context, async request => await first(owner).claim(input, request))),
      setupCode: async () => owner === null || await owner.isClaimed() ? null : ownerProof.setupCode()
    },
    basicUsage,
    hostSessions,
    policies,
    diagnose,
    health,
    addHook: hooks.add
  }
}

/** @throws {FST_ACCOUNTS_MAIL_UNSUPPORTED} */
function byMail<Duty> (duty: Duty | null): Duty {
  if (duty === null) throw new FST_ACCOUNTS_MAIL_UNSUPPORTED()
  return duty
}

/** @throws {FST_ACCOUNTS_PERSONAL_TOKENS_OFF} */
function switchedOn (personalTokens: PersonalTokenManagement | null): PersonalTokenManagement {
  if (personalTokens === null) throw new FST_ACCOUNTS_PERSONAL_TOKENS_OFF()
  return personalTokens
}

/** @throws {FST_ACCOUNTS_OWNER_UNSUPPORTED} */
function first (owner: Owner | null): Owner {
  if (owner === null) throw new FST_ACCOUNTS_OWNER_UNSUPPORTED()
  return owner
}

function toSignedIn ({ user, session, access, refresh }: Issued): SignedIn {
  return { user, session, accessToken: access.token, refreshToken: refresh.token }
}
