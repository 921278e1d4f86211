import type { FastifyRequest } from 'fastify'
import type { User } from '../../types/principal.ts'
import type { OneTimePurpose, OneTimeTokenRecord, OneTimeTokenStore, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_LINK_INVALID } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import type { OneTimeTokens } from '../tokens/one-time.ts'
import type { AccountsDependencies } from './dependencies.ts'
import type { HandOver } from './hand-over.ts'
import { emailKey, parseEmail } from './identifiers.ts'
import { readText } from './shapes.ts'

export interface Recovery {
  /**
   * Mail a link to the address of an account, if there is one. Nobody learns whether: neither by the answer nor by the
   * work that is done, as a mail to nobody is written for everybody else.
   * @throws {FST_ACCOUNTS_EMAIL_INVALID}
   */
  forgot (email: string, request: FastifyRequest | null): Promise<void>
  /**
   * Set another password by the token of such a link, and end every session. It also proves the address.
   * @throws {FST_ACCOUNTS_LINK_INVALID}
   * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`; the token stays good
   */
  reset (token: string, password: string, request: FastifyRequest | null): Promise<User>
}

export function createRecovery ({ storage, passwords, throttle, oneTimeTokens, post }: Pick<AccountsDependencies, 'storage' | 'passwords' | 'throttle' | 'oneTimeTokens' | 'post'>, handOver: HandOver): Recovery {
  return {
    async forgot (email, request) {
      const { key } = parseEmail(readText(email))
      const user = await storage.users.findByEmail(key)
      if (await throttle.allow(throttle.bucketOf('forgot', { email }, user, request))) {
        if (user === null || user.disabled) await post.enqueueNothing(storage, request)
        else await post.enqueue(storage, { kind: 'reset-password', user, request })
        post.kick()
      }
    },

    async reset (token, password, request) {
      const { digest, record, user } = await findLink({ storage, oneTimeTokens }, readText(token), 'reset-password')
      passwords.check(readText(password), [user.email, user.username ?? '', user.name ?? ''])
      const passwordDigest = await passwords.hash(password)
      // If the account has changed between our look and now, the token is not used up.
      return toUser(await handOver(user, passwordDigest, record, async stores => await consume(stores.oneTimeTokens!, digest, 'reset-password'), FST_ACCOUNTS_LINK_INVALID, request))
    }
  }
}

/** What a link's token stands for: its digest, and the account as it is now. */
interface Link { readonly digest: string, readonly record: OneTimeTokenRecord, readonly user: UserRecord }

/**
 * Look a token up without using it up. It is void once the account's password, state or address is no longer what it was.
 * @throws {FST_ACCOUNTS_LINK_INVALID} whatever is wrong
 */
export async function findLink ({ storage, oneTimeTokens }: { readonly storage: Pick<AccountsDependencies['storage'], 'users' | 'oneTimeTokens'>, readonly oneTimeTokens: OneTimeTokens }, token: string, purpose: OneTimePurpose): Promise<Link> {
  for (const digest of oneTimeTokens.digestsOf(token, purpose)) {
    const record = await storage.oneTimeTokens!.find(digest, purpose, new Date(now()))
    const user = record === null ? null : await storage.users.find(record.userId)
    if (record === null || user === null || user.disabled || user.epoch !== record.epoch) continue
    if (purpose === 'change-email' || emailKey(user.email) === emailKey(record.email)) return { digest, record, user }
  }
  throw new FST_ACCOUNTS_LINK_INVALID()
}

/**
 * Of racers with one token exactly one gets past this. As the last thing in a unit of work: what is undone has used up
 * nothing, even where tokens are kept elsewhere.
 * @throws {FST_ACCOUNTS_LINK_INVALID}
 */
export async function consume (store: OneTimeTokenStore, digest: string, purpose: OneTimePurpose): Promise<void> {
  if (await store.consume(digest, purpose, new Date(now())) === null) throw new FST_ACCOUNTS_LINK_INVALID()
}
