import { fail } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { NewUser, PersonalTokenRecord, SessionRecord, UserRecord, UserStore } from '../../types/storage.ts'

export const sampleId = () => randomBytes(18).toString('base64url')

/** A moment that stores of whole milliseconds and stores of whole seconds both keep. */
export const NOON = new Date('2026-06-01T12:00:00.000Z')
export const after = (seconds: number, since = NOON) => new Date(since.getTime() + seconds * 1000)

export function sampleUser (change: Partial<NewUser> = {}): NewUser {
  const name = sampleId().toLowerCase()
  return { id: sampleId(), email: `${name}@example.com`, emailKey: `${name}@example.com`, username: null, usernameKey: null, name: null, roles: [], passwordDigest: '$argon2id$sample', emailVerified: false, createdAt: NOON, ...change }
}

/** Store a sample; its id is the one that the store gave it. */
export async function createUser (users: UserStore, change: Partial<NewUser> = {}): Promise<UserRecord & Pick<NewUser, 'emailKey' | 'usernameKey'>> {
  const sample = sampleUser(change)
  const user = await users.create(sample)
  if (typeof user === 'string') fail(`create: ${user}`)
  return { ...user, emailKey: sample.emailKey, usernameKey: sample.usernameKey }
}

export function sampleSession (userId: string, change: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: sampleId(),
    userId,
    epoch: 0,
    generation: 0,
    rotatedAt: NOON,
    acknowledgedGeneration: 0,
    createdAt: NOON,
    authenticatedAt: NOON,
    lastSeenAt: NOON,
    idleExpiresAt: after(3600),
    expiresAt: after(7200),
    remember: true,
    claims: null,
    userAgent: 'curl/8',
    address: '192.0.2.1',
    revokedAt: null,
    revokeReason: null,
    ...change
  }
}

export function samplePersonalToken (change: Partial<PersonalTokenRecord> = {}): PersonalTokenRecord {
  return {
    id: sampleId(),
    userId: sampleId(),
    name: 'backup',
    digest: sampleId(),
    context: 'server',
    allowedMethods: null,
    allowedIps: null,
    allowedReferrers: null,
    scopes: null,
    epoch: 0,
    createdAt: NOON,
    expiresAt: after(3600),
    lastUsedAt: null,
    lastUsedAddress: null,
    noticeAt: null,
    successorId: null,
    revokedAt: null,
    ...change
  }
}

/** Start `count` calls at once. */
export async function race<T> (count: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return await Promise.all(Array.from({ length: count }, async (_, index) => await call(index)))
}
