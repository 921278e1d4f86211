import type { PersonalToken } from '../../types/principal.ts'
import type { PersonalTokenRecord } from '../../types/storage.ts'

/** What may be shown of a token: everything but the digest, and what is there for ourselves. */
export function toPersonalToken (record: PersonalTokenRecord): PersonalToken {
  const { id, name, context, allowedMethods, allowedIps, allowedReferrers, scopes, createdAt, expiresAt, lastUsedAt, lastUsedAddress, successorId } = record
  return { id, name, context, allowedMethods, allowedIps, allowedReferrers, scopes, createdAt, expiresAt, lastUsedAt, lastUsedAddress, successorId }
}

const DAY_MS = 24 * 3_600_000
const NOTICES_MS = [7 * DAY_MS, DAY_MS]

/** When the owner is next to be told that a token ends: seven days before, one day before, and then no more. */
export function nextNotice (expiresAt: Date, now: number): Date | null {
  const notice = NOTICES_MS.map(before => expiresAt.getTime() - before).find(at => at > now)
  return notice === undefined ? null : new Date(notice)
}
