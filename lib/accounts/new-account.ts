import type { FastifyRequest } from 'fastify'
import type { NewAccount } from '../../types/accounts.ts'
import type { NewUser, UserRecord, UserStore } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_EMAIL_TAKEN, FST_ACCOUNTS_INPUT_INVALID, FST_ACCOUNTS_USERNAME_TAKEN } from '../errors.ts'
import { randomId } from '../random.ts'
import type { AccountsDependencies } from './dependencies.ts'
import { checkName, parseEmail, parseUsername } from './identifiers.ts'
import { checkRoles } from './roles.ts'

/** Check all that an account is to be made of, whoever makes it, and hash its password. Nothing is stored. */
export type Prepare = (account: NewAccount, request: FastifyRequest | null) => Promise<NewUser>

export function createPrepare ({ storage, passwords, hooks }: Pick<AccountsDependencies, 'storage' | 'passwords' | 'hooks'>): Prepare {
  return async function prepare ({ password, ...account }, request) {
    const profile = readProfile(account, storage.users)
    const { email, username, name } = profile
    if (password !== undefined) passwords.check(password, [email, username ?? '', name ?? ''])
    await hooks.before('beforeRegister', { email, username, name, request })
    return {
      id: randomId(),
      ...profile,
      passwordDigest: password === undefined ? null : await passwords.hash(password),
      createdAt: new Date(now())
    }
  }
}

/** Check what an account says of somebody, and find the keys under which they are known. */
export function readProfile (account: Omit<NewAccount, 'password'>, users: UserStore): Omit<NewUser, 'id' | 'passwordDigest' | 'createdAt'> {
  const { email: address, username: wanted, name = null, roles = [], emailVerified = false } = account
  const email = parseEmail(address)
  const username = wanted === undefined ? null : parseUsername(wanted)
  if (username !== null && users.findByUsername === undefined) throw new FST_ACCOUNTS_INPUT_INVALID('username: there are no user names here')
  if (name !== null) checkName(name)
  checkRoles(roles)
  return { email: email.text, emailKey: email.key, username: username?.text ?? null, usernameKey: username?.key ?? null, name, roles, emailVerified }
}

/**
 * @throws {FST_ACCOUNTS_EMAIL_TAKEN}
 * @throws {FST_ACCOUNTS_USERNAME_TAKEN}
 */
export async function insert (users: Pick<UserStore, 'create'>, user: NewUser): Promise<UserRecord> {
  return accept(await users.create(user))
}

/** @throws the same */
export function accept (created: UserRecord | 'email-taken' | 'username-taken'): UserRecord {
  if (created === 'email-taken') throw new FST_ACCOUNTS_EMAIL_TAKEN()
  if (created === 'username-taken') throw new FST_ACCOUNTS_USERNAME_TAKEN()
  return created
}
