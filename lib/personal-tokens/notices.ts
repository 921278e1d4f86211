import type { PersonalTokenRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { Post } from '../mail/post.ts'
import type { GuardedStorage } from '../storage.ts'
import { nextNotice } from './records.ts'

const BATCH = 100

/** Write to the owners of tokens that end soon, each of them once for each notice, however many nodes do so at once. */
export function createNotices (storage: GuardedStorage, post: Post): () => Promise<void> {
  const store = storage.personalTokens!

  async function notify (token: PersonalTokenRecord): Promise<boolean> {
    const user = await storage.users.find(token.userId)
    const isOfUse = user !== null && !user.disabled && user.epoch === token.epoch && token.successorId === null && now() < token.expiresAt.getTime()
    // What was missed while no server ran is told once, not twice.
    return await storage.atomically(async stores => {
      const isOurs = await stores.personalTokens!.advanceNotice(token.id, token.noticeAt!, nextNotice(token.expiresAt, now()))
      if (isOurs && isOfUse) await post.enqueue(stores, { kind: 'personal-token-expiring', user, token, request: null })
      return isOurs
    })
  }

  return async () => {
    let due: PersonalTokenRecord[]
    let advanced: boolean[]
    do {
      due = await store.findNoticesDue(new Date(now()), BATCH)
      advanced = []
      for (const token of due) advanced.push(await notify(token))
      post.kick()
    } while (due.length === BATCH && advanced.includes(true))
  }
}
