import type { ServiceContext } from '../../types/accounts.ts'
import type { User } from '../../types/principal.ts'
import { FST_ACCOUNTS_EMAIL_CONFIRMATION_UNSUPPORTED, FST_ACCOUNTS_STORAGE_UNAVAILABLE } from '../errors.ts'
import { randomToken } from '../random.ts'
import { toUser } from '../sessions/records.ts'
import { isId } from '../shape.ts'
import type { AccountsDependencies } from './dependencies.ts'
import type { HandOver } from './hand-over.ts'
import { emailKey, parseEmail } from './identifiers.ts'
import { readText } from './shapes.ts'

/** Take the host's word that a user has proved an address; nobody who came before that proof stays in. */
export type ConfirmEmail = (id: string, email: string, context?: ServiceContext) => Promise<User | null>

export function createConfirmEmail ({ storage, passwords, hooks }: Pick<AccountsDependencies, 'storage' | 'passwords' | 'hooks'>, handOver: HandOver): ConfirmEmail {
  return async function confirmEmail (id, email, { request = null } = {}) {
    if (storage.users.confirmEmail === undefined) throw new FST_ACCOUNTS_EMAIL_CONFIRMATION_UNSUPPORTED()
    const { key } = parseEmail(readText(email))
    const user = isId(id) ? await storage.users.find(id) : null
    if (user === null || emailKey(user.email) !== key) return null
    if (user.emailVerified) return toUser(user)
    // The password of nobody.
    const passwordDigest = await passwords.hash(randomToken())
    const confirmed = await handOver(user, passwordDigest, user, async () => {}, FST_ACCOUNTS_STORAGE_UNAVAILABLE, request)
    hooks.record('email.verified', { userId: user.id, request })
    return toUser(confirmed)
  }
}
