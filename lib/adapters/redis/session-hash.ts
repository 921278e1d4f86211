import type { RevokeReason, SessionRecord } from '../../../types/storage.ts'

/** A session as Redis keeps it: each member a field, times in milliseconds; one that is `null` is not there. */
export const FIELDS = [
  'userId', 'epoch', 'generation', 'rotatedAt', 'acknowledgedGeneration', 'createdAt', 'authenticatedAt', 'lastSeenAt',
  'idleExpiresAt', 'expiresAt', 'remember', 'claims', 'userAgent', 'address', 'revokedAt', 'revokeReason'
] as const satisfies ReadonlyArray<keyof SessionRecord>

/**
 * What requests leave behind, in a hash of its own: of a session every process hears each change, and asks anew, while of this
 * nobody has to hear. The later value counts.
 */
export const SEEN_FIELDS = ['lastSeenAt', 'acknowledgedGeneration'] as const satisfies ReadonlyArray<keyof SessionRecord>

type Values = ReadonlyArray<string | null>

/** Fields and values in turn, as `HSET` takes them. */
export function toHash (session: SessionRecord): string[] {
  return FIELDS.flatMap(field => {
    const value = session[field]
    return value === null ? [] : [field, String(value instanceof Date ? value.getTime() : value)]
  })
}

/** `values` are those of `FIELDS`, in their order, and `seen` those of `SEEN_FIELDS`; `null`: there is no such session. */
export function toSessionRecord (id: string, values: Values, [lastSeenAt, acknowledgedGeneration]: Values): SessionRecord | null {
  const kept = Object.fromEntries(FIELDS.map((field, index) => [field, values[index] ?? null])) as Record<typeof FIELDS[number], string | null>
  if (kept.userId === null) return null
  return {
    id,
    userId: kept.userId,
    epoch: toNumber(kept.epoch),
    generation: toNumber(kept.generation),
    rotatedAt: toDate(kept.rotatedAt),
    acknowledgedGeneration: later(toNumber(kept.acknowledgedGeneration), acknowledgedGeneration),
    createdAt: toDate(kept.createdAt),
    authenticatedAt: toDate(kept.authenticatedAt),
    lastSeenAt: new Date(later(toNumber(kept.lastSeenAt), lastSeenAt)),
    idleExpiresAt: toDate(kept.idleExpiresAt),
    expiresAt: toDate(kept.expiresAt),
    remember: kept.remember === 'true',
    claims: kept.claims,
    userAgent: kept.userAgent,
    address: kept.address,
    revokedAt: kept.revokedAt === null ? null : toDate(kept.revokedAt),
    revokeReason: kept.revokeReason as RevokeReason | null
  }
}

/** What is missing is no number: the boundary takes such a session for none. */
const toNumber = (text: string | null) => text === null ? NaN : Number(text)
const toDate = (text: string | null) => new Date(toNumber(text))
const later = (kept: number, seen: string | null | undefined) => Math.max(kept, Number(seen ?? 0))
