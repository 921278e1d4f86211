import type { Selectable } from 'kysely'
import type { PersonalTokenChange, PersonalTokenRecord } from '../../../types/storage.ts'
import type { Dialect } from './dialects.ts'
import type { Stored } from './tables.ts'

export interface PersonalTokensTable {
  id: string
  user_id: string
  name: string
  digest: string
  context: PersonalTokenRecord['context']
  allowed_methods: Stored['list'] | null
  allowed_ips: Stored['list'] | null
  allowed_referrers: Stored['list'] | null
  scopes: Stored['list'] | null
  epoch: number
  created_at: Stored['time']
  expires_at: Stored['time']
  last_used_at: Stored['time'] | null
  last_used_address: string | null
  notice_at: Stored['time'] | null
  successor_id: string | null
  revoked_at: Stored['time'] | null
}

export function toPersonalTokenRecord (row: Selectable<PersonalTokensTable>): PersonalTokenRecord {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    digest: row.digest,
    context: row.context,
    allowedMethods: toList(row.allowed_methods),
    allowedIps: toList(row.allowed_ips),
    allowedReferrers: toList(row.allowed_referrers),
    scopes: toList(row.scopes),
    epoch: row.epoch,
    createdAt: new Date(row.created_at),
    expiresAt: new Date(row.expires_at),
    lastUsedAt: toDate(row.last_used_at),
    lastUsedAddress: row.last_used_address,
    noticeAt: toDate(row.notice_at),
    successorId: row.successor_id,
    revokedAt: toDate(row.revoked_at)
  }
}

export function fromPersonalTokenRecord (token: PersonalTokenRecord, { toTime }: Dialect): PersonalTokensTable {
  const timeOf = (date: Date | null) => date === null ? null : toTime(date)
  return {
    id: token.id,
    user_id: token.userId,
    name: token.name,
    digest: token.digest,
    context: token.context,
    allowed_methods: fromList(token.allowedMethods),
    allowed_ips: fromList(token.allowedIps),
    allowed_referrers: fromList(token.allowedReferrers),
    scopes: fromList(token.scopes),
    epoch: token.epoch,
    created_at: toTime(token.createdAt),
    expires_at: toTime(token.expiresAt),
    last_used_at: timeOf(token.lastUsedAt),
    last_used_address: token.lastUsedAddress,
    notice_at: timeOf(token.noticeAt),
    successor_id: token.successorId,
    revoked_at: timeOf(token.revokedAt)
  }
}

export function fromPersonalTokenChange (change: PersonalTokenChange, { toTime }: Dialect): Partial<PersonalTokensTable> {
  const { name, allowedMethods, allowedIps, allowedReferrers, scopes, expiresAt, noticeAt } = change
  return {
    ...(name === undefined ? {} : { name }),
    ...(allowedMethods === undefined ? {} : { allowed_methods: fromList(allowedMethods) }),
    ...(allowedIps === undefined ? {} : { allowed_ips: fromList(allowedIps) }),
    ...(allowedReferrers === undefined ? {} : { allowed_referrers: fromList(allowedReferrers) }),
    ...(scopes === undefined ? {} : { scopes: fromList(scopes) }),
    ...(expiresAt === undefined ? {} : { expires_at: toTime(expiresAt) }),
    ...(noticeAt === undefined ? {} : { notice_at: noticeAt === null ? null : toTime(noticeAt) })
  }
}

const toDate = (time: Stored['time'] | null) => time === null ? null : new Date(time)

/** No list means no limit, and an empty one that nothing is allowed: never the one for the other. */
const toList = (list: Stored['list'] | null) => typeof list === 'string' ? JSON.parse(list) as string[] : list

const fromList = (list: readonly string[] | null) => list === null ? null : JSON.stringify(list)
