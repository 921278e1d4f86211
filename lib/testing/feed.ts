import { equal, ok } from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { Change, Storage } from '../../types/storage.ts'
import type { ContractCase } from './storage-contract.ts'
import { monotonic, pause } from '../clock.ts'
import { after, createUser, NOON, sampleSession } from './samples.ts'

/** Whether the feed says it within the second that it has. */
async function listen ({ feed }: Storage, isAwaited: (change: Change) => boolean, act: () => Promise<unknown>): Promise<boolean> {
  const heard: Change[] = []
  const unsubscribe = feed!.subscribe(change => { if (isAwaited(change)) heard.push(change) })
  await act()
  for (const end = monotonic() + 1000; heard.length === 0 && monotonic() < end;) {
    feed!.isCurrent()
    await pause(5)
  }
  unsubscribe()
  return heard.length > 0
}

export const feedCases: readonly ContractCase[] = [
  {
    title: 'the feed is current, and tells within a second of a revoked and of a deleted session',
    async run (storage) {
      if (storage.feed === undefined) return
      const user = await createUser(storage.users)
      ok(storage.feed.isCurrent())
      for (const end of [
        async (id: string) => await storage.sessions.revoke(id, { at: after(1), reason: 'signed-out' }),
        async () => await storage.sessions.deleteAllForUser(user.id)
      ]) {
        const session = sampleSession(user.id)
        await storage.sessions.create(session)
        ok(await listen(storage, change => change.kind === 'session' && change.sessionId === session.id, async () => await end(session.id)))
      }
    }
  },
  {
    title: 'the feed tells of every change of a user',
    async run (storage) {
      if (storage.feed === undefined) return
      const user = await createUser(storage.users)
      for (const change of [
        async () => await storage.users.update(user.id, { roles: ['owner'] }, NOON),
        async () => await storage.users.update(user.id, { disabled: true }, NOON),
        async () => await storage.users.changePassword(user.id, 1, 'digest'),
        async () => await storage.users.delete(user.id)
      ]) {
        ok(await listen(storage, heard => heard.kind === 'user' && heard.userId === user.id, change))
      }
    }
  },
  {
    title: 'the feed tells of what is published on it',
    async run (storage) {
      const { feed } = storage
      if (feed?.publish === undefined) return
      const changes: Change[] = [{ kind: 'user', userId: 'somebody of another store: ü \'"\\' }, { kind: 'session', sessionId: 'a session elsewhere' }, { kind: 'gap' }]
      for (const change of changes) ok(await listen(storage, heard => isDeepStrictEqual(heard, change), async () => await feed.publish!(change)))
    }
  },
  {
    title: 'who unsubscribes hears nothing more',
    async run (storage) {
      if (storage.feed === undefined) return
      let heard = 0
      storage.feed.subscribe(() => { heard++ })()
      const user = await createUser(storage.users)
      await listen(storage, change => change.kind === 'user' && change.userId === user.id, async () => await storage.users.delete(user.id))
      equal(heard, 0)
    }
  }
]
