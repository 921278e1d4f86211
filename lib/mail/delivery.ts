import type { MailData, MailKind } from '../../types/mailer.ts'
import type { OneTimePurpose, OutboxRecord, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_STORAGE_UNAVAILABLE } from '../errors.ts'
import type { MailSettings } from '../options/mail.ts'
import type { GuardedStorage } from '../storage.ts'
import type { OneTimeTokens } from '../tokens/one-time.ts'
import type { Links } from './links.ts'
import type { Render } from './messages.ts'
import { NOTHING } from './post.ts'
import { describeThrown, isPermanent } from './reason.ts'

export interface DeliveryOptions {
  readonly storage: Pick<GuardedStorage, 'users' | 'oneTimeTokens' | 'outbox'>
  readonly oneTimeTokens: OneTimeTokens
  readonly settings: Pick<MailSettings, 'mailer' | 'links' | 'linkTtl'>
  readonly render: Render
}

/** What is sent in this time after it was asked for had nothing to wait for. */
const PROMPT_MS = 5000

/** Mail with a link: which one, and for what its token is good. */
const LINKS: Partial<Record<MailKind, { readonly link: keyof Links, readonly purpose: OneTimePurpose }>> = {
  'reset-password': { link: 'resetPassword', purpose: 'reset-password' },
  'verify-email': { link: 'verifyEmail', purpose: 'verify-email' },
  'change-email': { link: 'changeEmail', purpose: 'change-email' }
}

/** What became of a mail; `over`: there is nothing to send any more; `postponed`: the storage failed, not the mail. */
export type Delivery =
  | { readonly outcome: 'sent' | 'over' | 'postponed' }
  | { readonly outcome: 'failed', readonly reason: string, readonly permanent: boolean }

/** Never rejects. */
export type Deliver = (record: OutboxRecord) => Promise<Delivery>

/**
 * Turn what waits in the outbox into a mail and send it. Its token is made only now, so that no outage wears it out, and
 * voids the one that an earlier try may have brought (W-01).
 */
export function createDelivery ({ storage, oneTimeTokens, settings, render }: DeliveryOptions): Deliver {
  async function makeLink (record: OutboxRecord, user: UserRecord, token: OneTimeToken, { link, purpose }: NonNullable<typeof LINKS[MailKind]>) {
    const createdAt = new Date(now())
    const ttl = settings.linkTtl[link]
    await storage.oneTimeTokens!.issue({ digest: token.digest, purpose, userId: user.id, email: record.recipient, epoch: user.epoch, createdAt, expiresAt: new Date(createdAt.getTime() + ttl) })
    return { link: settings.links[link](token.token), validMinutes: Math.floor(ttl / 60_000) }
  }

  /**
   * After an outage all that was asked for meanwhile goes out at once, in any order: the last to arrive could have a dead
   * link. Of the same kind only the newest is sent, then.
   */
  async function isSuperseded ({ id, kind, userId, createdAt }: OutboxRecord): Promise<boolean> {
    if (now() - createdAt.getTime() < PROMPT_MS) return false
    const waiting = await storage.outbox!.listForUser(userId!)
    const isNewer = (other: OutboxRecord) => other.createdAt > createdAt || (other.createdAt.getTime() === createdAt.getTime() && other.id > id)
    return waiting.some(other => other.kind === kind && isNewer(other))
  }

  return async function deliver (record) {
    const kind = record.kind as MailKind
    const link = LINKS[kind]
    const token = link === undefined ? null : oneTimeTokens.mint(link.purpose)
    try {
      const user = record.kind === NOTHING || record.userId === null ? null : await storage.users.find(record.userId)
      if (user === null || (link !== undefined && (!isStillWanted(record, kind, user) || await isSuperseded(record)))) return { outcome: 'over' }
      const data = link === undefined ? toEventData(record.data) : await makeLink(record, user, token!, link)
      const content = await render(kind, { data, user: { name: user.name, email: record.recipient }, locale: record.locale })
      await settings.mailer.send({ id: record.id, kind, to: record.recipient, ...content })
      return { outcome: 'sent' }
    } catch (error) {
      if (error instanceof FST_ACCOUNTS_STORAGE_UNAVAILABLE) return { outcome: 'postponed' }
      // Mailers, and servers, may repeat what they were given.
      return { outcome: 'failed', reason: describeThrown(error, token === null ? [] : [token.token]), permanent: isPermanent(error) }
    }
  }
}

type OneTimeToken = ReturnType<OneTimeTokens['mint']>

/** A link to an account that has changed since it was asked for would be dead, or do what nobody wants any more. */
function isStillWanted ({ recipient, data }: OutboxRecord, kind: MailKind, user: UserRecord): boolean {
  if (user.disabled || String(user.epoch) !== data.epoch) return false
  if (kind === 'change-email') return true
  return user.email === recipient && !(kind === 'verify-email' && user.emailVerified)
}

type EventKind = { [Kind in MailKind]: 'link' extends keyof MailData[Kind] ? never : Kind }[MailKind]

/** Dates have waited as texts. What a kind needs was put in when it was asked for. */
function toEventData ({ at, device = null, address = null, newEmail, tokenName, expiresAt, lastUsedAt }: OutboxRecord['data']): MailData[EventKind] {
  return {
    at: new Date(at ?? now()),
    device,
    address,
    ...(typeof newEmail === 'string' ? { newEmail } : {}),
    ...(typeof tokenName === 'string' && typeof expiresAt === 'string' ? { tokenName, expiresAt: new Date(expiresAt), lastUsedAt: typeof lastUsedAt === 'string' ? new Date(lastUsedAt) : null } : {})
  }
}
