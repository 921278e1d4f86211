import type { BasicUse } from '../../types/accounts.ts'
import type { UserRecord } from '../../types/storage.ts'
import type { BasicUses } from '../basic/uses.ts'
import { FST_ACCOUNTS_BASIC_OFF } from '../errors.ts'
import { toUser } from '../sessions/records.ts'
import type { AccountsDependencies } from './dependencies.ts'

/** Who uses HTTP Basic where, the latest first. @throws {FST_ACCOUNTS_BASIC_OFF} where nothing of it is kept */
export type BasicUsage = () => Promise<BasicUse[]>

/** What is shown at most. */
const MAX_LISTED = 1000

/** @param uses those of this process; `null`: it takes none, and yet others may, or have */
export function createBasicUsage ({ storage }: Pick<AccountsDependencies, 'storage'>, uses: BasicUses | null): BasicUsage {
  return async function basicUsage () {
    const { basicUses } = storage
    if (basicUses === undefined) throw new FST_ACCOUNTS_BASIC_OFF()
    await uses?.flush()
    const records = await basicUses.list(MAX_LISTED)
    const users = new Map<string | null, UserRecord | null>([[null, null]])
    for (const { userId } of records) { if (userId !== null && !users.has(userId)) users.set(userId, await storage.users.find(userId)) }
    return records.map(use => {
      const user = users.get(use.userId) ?? null
      return { ...use, user: user === null ? null : toUser(user) }
    })
  }
}
