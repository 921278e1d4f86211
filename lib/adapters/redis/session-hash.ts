import type { RevokeReason, SessionRecord } from '../../../types/storage.ts'

/** A session as Redis keeps it: each member a field, times in milliseconds; one that is `null` is not there. */
export const FIELDS = [
  'userId', 'epoch', 'generation', 'rotatedAt', 'acknowledgedGeneration', 'createdAt', 'authenticatedAt', 'lastSeenAt',
  'idleExpiresAt', 'expiresAt', 'remember', 'claims', 'userAgent', 'address', 'revokedAt', 'revokeReason'
] as const satisfies ReadonlyArray<keyof SessionRecord>

/** Fields and values in turn, as `HSET` takes them. */
export function toHash (session: SessionRecord): string[] {
  return FIELDS.flatMap(field => {
    const value = session[field]
    return value === null ? [] : [field, String(value instanceof Date ? value.getTime() : value)]
  })
}

/** `values` are those of `FIELDS`, in their order; `null`: there is no such session. */
export function toSessionRecord (id: string, values: ReadonlyArray<string | null>): SessionRecord | null {
  const kept = Object.fromEntries(FIELDS.map((field, index) => [field, values[index] ?? null])) as Record<typeof FIELDS[number], string | null>
  if (kept.userId === null) return null
  return {
    id,
    userId: kept.userId,
    epoch: toNumber(kept.epoch),
    generation: toNumber(kept.generation),
    rotatedAt: toDate(kept.rotatedAt),
    acknowledgedGeneration: toNumber(kept.acknowledgedGeneration),
    createdAt: toDate(kept.createdAt),
    authenticatedAt: toDate(kept.authenticatedAt),
    lastSeenAt: toDate(kept.lastSeenAt),
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
