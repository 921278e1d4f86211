import type { FastifyRequest } from 'fastify'
import type { PasswordOptions } from '../../types/options.ts'
import type { RevokeReason, Stores, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { Hooks } from '../hooks.ts'
import type { Changes } from '../liveness/changes.ts'

/** Makes known what a transaction of the caller's has ended. */
export interface TokenEndings {
  announce (userId: string, tokenIds: readonly string[], reason: RevokeReason, request: FastifyRequest | null): void
}

export function createTokenEndings (changes: Changes, hooks: Hooks): TokenEndings {
  return {
    announce (userId, tokenIds, reason, request) {
      for (const tokenId of tokenIds) {
        changes.hear({ kind: 'personal-token', tokenId })
        hooks.record('personal-token.revoked', { userId, tokenId, reason, request })
      }
    }
  }
}

/** Whether another password ends the personal tokens too: `reset`, where its owner may have lost the account. */
export function endsTokens (revokeTokens: NonNullable<PasswordOptions['revokeTokens']>, how: 'change' | 'reset'): boolean {
  return revokeTokens === 'always' || (revokeTokens === 'reset' && how === 'reset')
}

/**
 * After a change of the password, in the same transaction: end the personal tokens, or let them live on. Nothing done, they
 * are dead too, as the epoch is another. The ids of those that ended.
 */
export async function endTokens ({ personalTokens }: Pick<Stores, 'personalTokens'>, before: UserRecord, after: UserRecord, isEnd: boolean): Promise<string[]> {
  if (isEnd) return await personalTokens?.revokeAllForUser(after.id, new Date(now())) ?? []
  await personalTokens?.carryOver(after.id, before.epoch, after.epoch)
  return []
}
