import type { FastifyRequest } from 'fastify'
import type { CreatedPersonalToken, NewPersonalToken, PersonalTokenUpdate } from '../../types/personal-tokens.ts'
import type { Duration } from '../../types/policy.ts'
import type { PersonalToken } from '../../types/principal.ts'
import type { PersonalTokenRecord, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { DURATION_FORMAT, parseDuration } from '../duration.ts'
import { FST_ACCOUNTS_INPUT_INVALID, FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED } from '../errors.ts'
import { randomId } from '../random.ts'
import { toUser } from '../sessions/records.ts'
import { isId } from '../shape.ts'
import type { PersonalTokenDependencies } from './dependencies.ts'
import { createFields } from './fields.ts'
import { nextNotice, toPersonalToken } from './records.ts'

/** What an owner does with personal tokens. `null` and `false`: no such user, or no such live token of theirs. */
export interface PersonalTokenManagement {
  list (userId: string): Promise<PersonalToken[]>
  /** @throws {FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED} and what reading the fields throws */
  create (userId: string, given: NewPersonalToken, request: FastifyRequest | null): Promise<CreatedPersonalToken | null>
  update (userId: string, id: string, given: PersonalTokenUpdate, request: FastifyRequest | null): Promise<PersonalToken | null>
  revoke (userId: string, id: string, request: FastifyRequest | null): Promise<boolean>
  revokeAll (userId: string, request: FastifyRequest | null): Promise<number>
  /** @throws {FST_ACCOUNTS_INPUT_INVALID} for what is no duration, {FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED} */
  rotate (userId: string, id: string, overlap: Duration | undefined, request: FastifyRequest | null): Promise<CreatedPersonalToken | null>
}

export function createManagement ({ settings, storage, personalTokens, changes, post, hooks }: PersonalTokenDependencies): PersonalTokenManagement {
  const store = storage.personalTokens!
  const fields = createFields(settings)

  /** A token of a user who may use it. */
  async function findLive (userId: string, id: string): Promise<{ readonly user: UserRecord, readonly record: PersonalTokenRecord } | null> {
    if (!isId(userId) || !isId(id)) return null
    const [user, record] = await Promise.all([storage.users.find(userId), store.find(id)])
    if (user === null || user.disabled || record === null || record.userId !== userId) return null
    return record.epoch === user.epoch && record.revokedAt === null && now() < record.expiresAt.getTime() ? { user, record } : null
  }

  function announceCreated (user: UserRecord, record: PersonalTokenRecord, request: FastifyRequest | null): void {
    post.kick()
    hooks.record('personal-token.created', { userId: user.id, tokenId: record.id, request })
    hooks.notify('personalTokenCreated', { user: toUser(user), token: toPersonalToken(record), request })
  }

  async function announceEnd (userId: string, tokenId: string, reason: string, request: FastifyRequest | null): Promise<void> {
    hooks.record('personal-token.revoked', { userId, tokenId, reason, request })
    await changes.announce({ kind: 'personal-token', tokenId })
  }

  return {
    async list (userId) {
      if (!isId(userId)) return []
      const [user, records] = await Promise.all([storage.users.find(userId), store.listForUser(userId)])
      const isShown = ({ epoch, revokedAt, successorId, expiresAt }: PersonalTokenRecord) =>
        epoch === user?.epoch && revokedAt === null && (successorId === null || now() < expiresAt.getTime())
      return records.filter(isShown).map(toPersonalToken)
    },

    async create (userId, given, request) {
      const at = new Date(now())
      const chosen = fields.readNew(given, at)
      const user = isId(userId) ? await storage.users.find(userId) : null
      if (user === null || user.disabled) return null
      const { token, digest } = personalTokens.mint()
      const record: PersonalTokenRecord = { ...blank(at), ...chosen, id: randomId(), userId, digest, epoch: user.epoch }
      await storage.atomically(async stores => {
        if (await stores.personalTokens!.create(record, settings.maxPerUser) === 'limit-reached') throw new FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED(settings.maxPerUser)
        await post.enqueue(stores, { kind: 'personal-token-created', user, token: record, request })
      })
      announceCreated(user, record, request)
      return { token, personalToken: toPersonalToken(record) }
    },

    async update (userId, id, given, request) {
      const found = await findLive(userId, id)
      if (found === null) return null
      const change = fields.readChange(given, found.record)
      const record = await store.update(id, userId, change, new Date(now()))
      if (record === null) return null
      hooks.record('personal-token.changed', { userId, tokenId: id, reason: Object.keys(given).sort().join(' '), request })
      await changes.announce({ kind: 'personal-token', tokenId: id })
      return toPersonalToken(record)
    },

    async revoke (userId, id, request) {
      if (!isId(userId) || !isId(id) || !await store.revoke(id, userId, new Date(now()))) return false
      await announceEnd(userId, id, 'ended-by-user', request)
      return true
    },

    async revokeAll (userId, request) {
      const ids = isId(userId) ? await store.revokeAllForUser(userId, new Date(now())) : []
      for (const id of ids) await announceEnd(userId, id, 'ended-by-user', request)
      return ids.length
    },

    async rotate (userId, id, overlap, request) {
      const overlapMs = overlap === undefined ? 0 : parseDuration(overlap)
      if (overlapMs === null) throw new FST_ACCOUNTS_INPUT_INVALID(`overlap ${DURATION_FORMAT}`)
      const found = await findLive(userId, id)
      if (found === null) return null
      const { user, record: old } = found
      const { token, digest } = personalTokens.mint()
      const at = new Date(now())
      const life = Math.min(old.expiresAt.getTime() - old.createdAt.getTime(), settings.maxTtl)
      const expiresAt = new Date(at.getTime() + life)
      const { name, context, allowedMethods, allowedIps, allowedReferrers, scopes } = old
      const record: PersonalTokenRecord = { ...blank(at), name, context, allowedMethods, allowedIps, allowedReferrers, scopes, id: randomId(), userId, digest, epoch: user.epoch, expiresAt, noticeAt: nextNotice(expiresAt, at.getTime()) }
      const isReplaced = await storage.atomically(async stores => {
        const outcome = await stores.personalTokens!.replace(id, userId, record, new Date(Math.min(old.expiresAt.getTime(), at.getTime() + overlapMs)), settings.maxPerUser)
        if (outcome === 'limit-reached') throw new FST_ACCOUNTS_PERSONAL_TOKEN_LIMIT_REACHED(settings.maxPerUser)
        const isReplaced = outcome === 'replaced'
        if (isReplaced) await post.enqueue(stores, { kind: 'personal-token-created', user, token: record, request })
        return isReplaced
      })
      if (!isReplaced) return null
      announceCreated(user, record, request)
      await announceEnd(userId, id, 'replaced', request)
      return { token, personalToken: toPersonalToken(record) }
    }
  }
}

/** What every new token begins with. */
const blank = (createdAt: Date) => ({ createdAt, lastUsedAt: null, lastUsedAddress: null, successorId: null, revokedAt: null })
