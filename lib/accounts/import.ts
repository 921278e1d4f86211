import type { ImportedAccount, ServiceContext } from '../../types/accounts.ts'
import type { User } from '../../types/principal.ts'
import type { NewUser, UserRecord, UserStore } from '../../types/storage.ts'
import { SHARED_ID } from '../basic/legacy.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_INPUT_INVALID, FST_ACCOUNTS_STORAGE_UNAVAILABLE, FST_ACCOUNTS_USER_EXISTS } from '../errors.ts'
import { randomId } from '../random.ts'
import { toUser } from '../sessions/records.ts'
import { isSubject } from '../tokens/claims.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { accept, readProfile } from './new-account.ts'
import { readImportedAccount } from './shapes.ts'

/** Bring an account of another system along. No route leads here: who could say what the digest is could be anybody. */
export type ImportUser = (account: ImportedAccount, context?: ServiceContext) => Promise<User>

const MAX_DIGEST_LENGTH = 1024

export function createImport ({ storage, passwords, hooks }: Pick<AccountsDependencies, 'storage' | 'passwords' | 'hooks'>): ImportUser {
  async function checkDigest (digest: string): Promise<void> {
    const isText = digest.length <= MAX_DIGEST_LENGTH && digest.isWellFormed() && !digest.includes('\0')
    if (!isText || !await passwords.canVerify(digest)) throw new FST_ACCOUNTS_INPUT_INVALID('account/passwordDigest is of no kind that can be verified here')
  }

  return async function importUser (account, { request = null } = {}) {
    const { id = randomId(), passwordDigest = null, disabled = false, createdAt = new Date(now()), ...profile } = readImportedAccount(account)
    if (!isSubject(id) || id === SHARED_ID) throw new FST_ACCOUNTS_INPUT_INVALID('account/id can be nobody\'s: it has 1 to 128 letters, digits and "_-.:@|"')
    if (passwordDigest !== null) await checkDigest(passwordDigest)
    const newUser = { id, ...readProfile(profile, storage.users), passwordDigest, createdAt: toDate(createdAt) }
    const user = await storage.atomically(async ({ users }) => await (disabled ? insertDisabled : insert)(users, newUser))
    hooks.record('account.registered', { userId: user.id, reason: 'imported', request })
    return toUser(user)
  }
}

/** Its roles come with the end of its being active, or it would count as an active owner for a moment. */
async function insertDisabled (users: UserStore, newUser: NewUser): Promise<UserRecord> {
  const { id } = await insert(users, { ...newUser, roles: [] })
  const user = await users.update(id, { roles: newUser.roles, disabled: true }, newUser.createdAt)
  // It was made in this very unit of work.
  if (user === null || typeof user === 'string') throw new FST_ACCOUNTS_STORAGE_UNAVAILABLE()
  return user
}

/** @throws {FST_ACCOUNTS_USER_EXISTS} or `_EMAIL_TAKEN`, `_USERNAME_TAKEN` */
async function insert (users: UserStore, newUser: NewUser): Promise<UserRecord> {
  const created = await users.create(newUser)
  // A store knows of taken keys alone.
  if (typeof created === 'string' && await users.find(newUser.id) !== null) throw new FST_ACCOUNTS_USER_EXISTS()
  return accept(created)
}

function toDate (given: unknown): Date {
  if (!(given instanceof Date) || Number.isNaN(given.getTime())) throw new FST_ACCOUNTS_INPUT_INVALID('account/createdAt must be a Date')
  return new Date(given)
}
