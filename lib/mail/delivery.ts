import type { MailData, MailKind } from '../../types/mailer.ts'
import type { OneTimePurpose, OutboxRecord, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { MailSettings } from '../options/mail.ts'
import type { GuardedStorage } from '../storage.ts'
import type { OneTimeTokens } from '../tokens/one-time.ts'
import type { Links } from './links.ts'
import type { Render } from './messages.ts'
import { NOTHING } from './post.ts'

export interface DeliveryOptions {
  readonly storage: Pick<GuardedStorage, 'users' | 'oneTimeTokens'>
  readonly oneTimeTokens: OneTimeTokens
  readonly settings: Pick<MailSettings, 'mailer' | 'links' | 'linkTtl'>
  readonly render: Render
}

/** Mail with a link: which one, and for what its token is good. */
const LINKS: Partial<Record<MailKind, { readonly link: keyof Links, readonly purpose: OneTimePurpose }>> = {
  'reset-password': { link: 'resetPassword', purpose: 'reset-password' },
  'verify-email': { link: 'verifyEmail', purpose: 'verify-email' },
  'change-email': { link: 'changeEmail', purpose: 'change-email' }
}

/**
 * Turn what waits in the outbox into a mail and send it; `false`: what it was about is over. Its token is made only now,
 * so that no outage wears it out, and voids the one that an earlier try may have brought (W-01).
 */
export function createDelivery ({ storage, oneTimeTokens, settings, render }: DeliveryOptions): (record: OutboxRecord) => Promise<boolean> {
  async function makeLink (record: OutboxRecord, user: UserRecord, { link, purpose }: NonNullable<typeof LINKS[MailKind]>) {
    const { token, digest } = oneTimeTokens.mint(purpose)
    const createdAt = new Date(now())
    const ttl = settings.linkTtl[link]
    await storage.oneTimeTokens!.issue({ digest, purpose, userId: user.id, email: record.recipient, epoch: user.epoch, createdAt, expiresAt: new Date(createdAt.getTime() + ttl) })
    return { link: settings.links[link](token), validMinutes: Math.floor(ttl / 60_000) }
  }

  return async function deliver (record) {
    const user = record.kind === NOTHING || record.userId === null ? null : await storage.users.find(record.userId)
    if (user === null) return false
    const kind = record.kind as MailKind
    const link = LINKS[kind]
    if (link !== undefined && !isStillWanted(record, kind, user)) return false
    const data = link === undefined ? toEventData(record.data) : await makeLink(record, user, link)
    const { name } = user
    const content = await render(kind, { data, user: { name, email: record.recipient }, locale: record.locale })
    await settings.mailer.send({ id: record.id, to: record.recipient, ...content })
    return true
  }
}

/** A link to an account that has changed since it was asked for would be dead, or do what nobody wants any more. */
function isStillWanted ({ recipient, data }: OutboxRecord, kind: MailKind, user: UserRecord): boolean {
  if (user.disabled || String(user.epoch) !== data.epoch) return false
  if (kind === 'change-email') return true
  return user.email === recipient && !(kind === 'verify-email' && user.emailVerified)
}

function toEventData ({ at, device = null, address = null, newEmail }: OutboxRecord['data']): MailData['email-changed'] | MailData['password-changed'] {
  return { at: new Date(at ?? now()), device, address, ...(typeof newEmail === 'string' ? { newEmail } : {}) }
}
