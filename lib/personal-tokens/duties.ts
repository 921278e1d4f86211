import { createPersonalTokens, type PersonalTokens } from '../tokens/personal.ts'
import type { Key } from '../tokens/secrets.ts'
import type { PersonalTokenDependencies } from './dependencies.ts'
import { createManagement, type PersonalTokenManagement } from './manage.ts'
import { createNotices } from './notices.ts'
import { createQuota, type TakeFromQuota } from './quota.ts'
import { createUses, type Uses } from './uses.ts'

/** All that there is to personal tokens, but for the credential. */
export interface PersonalTokenDuties {
  readonly personalTokens: PersonalTokens
  readonly management: PersonalTokenManagement
  readonly uses: Uses
  readonly takeFromQuota: TakeFromQuota
  readonly sendNotices: () => Promise<void>
}

/** @param capacity tokens to keep count of at most */
export function createPersonalTokenDuties (dependencies: Omit<PersonalTokenDependencies, 'personalTokens'>, keys: readonly Key[], capacity: number): PersonalTokenDuties {
  const { settings, storage, post } = dependencies
  const personalTokens = createPersonalTokens(keys, settings.prefix)
  return {
    personalTokens,
    management: createManagement({ ...dependencies, personalTokens }),
    uses: createUses(storage.personalTokens!),
    takeFromQuota: createQuota(settings.rateLimit, capacity),
    sendNotices: createNotices(storage, post)
  }
}
