import { deepEqual, equal, ok } from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { Change, Storage } from '../../types/storage.ts'
import type { ContractCase } from './storage-contract.ts'
import { monotonic, pause } from '../clock.ts'
import { after, createUser, NOON, samplePersonalToken, sampleSession } from './samples.ts'

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

/** One that nobody has asked for a while may sleep until it is asked. */
async function becomesCurrent ({ feed }: Storage): Promise<boolean> {
  for (const end = monotonic() + 1000; !feed!.isCurrent() && monotonic() < end;) await pause(5)
  return feed!.isCurrent()
}

export const feedCases: readonly ContractCase[] = [
  {
    title: 'the feed is current, and tells within a second of a revoked and of a deleted session',
    async run (storage) {
      if (storage.feed === undefined) return
      const user = await createUser(storage.users)
      ok(await becomesCurrent(storage))
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
    title: 'the feed tells within a second of every change of a personal token that a verdict rests on',
    async run ({ personalTokens: tokens, ...storage }) {
      if (storage.feed === undefined || tokens === undefined) return
      const token = samplePersonalToken({ allowedMethods: ['GET'] })
      const { id, userId } = token
      await tokens.create(token, 1)
      for (const change of [
        async () => await tokens.update(id, userId, { name: 'other' }, NOON),
        async () => await tokens.update(id, userId, { allowedMethods: null }, NOON),
        async () => await tokens.update(id, userId, { allowedIps: ['192.0.2.1'] }, NOON),
        async () => await tokens.update(id, userId, { allowedReferrers: [] }, NOON),
        async () => await tokens.update(id, userId, { scopes: ['read'] }, NOON),
        async () => await tokens.update(id, userId, { expiresAt: after(1800) }, NOON),
        async () => await tokens.carryOver(userId, 0, 1),
        async () => await tokens.replace(id, userId, samplePersonalToken({ userId, epoch: 1 }), after(60), 9),
        async () => await tokens.revoke(id, userId, after(1))
      ]) ok(await listen(storage, heard => heard.kind === 'personal-token' && heard.tokenId === id, change), String(change))
    }
  },
  {
    title: 'the feed tells of all personal tokens of a user that are revoked or deleted together',
    async run ({ personalTokens: tokens, ...storage }) {
      if (storage.feed === undefined || tokens === undefined) return
      for (const end of [tokens.revokeAllForUser, tokens.deleteAllForUser]) {
        const token = samplePersonalToken()
        await tokens.create(token, 1)
        ok(await listen(storage, heard => heard.kind === 'personal-token' && heard.tokenId === token.id, async () => await end(token.userId, after(1))))
      }
    }
  },
  {
    title: 'the feed does not tell of uses and notices of a personal token, nor of a change to what it is',
    async run ({ personalTokens: tokens, ...storage }) {
      if (storage.feed === undefined || tokens === undefined) return
      const [quiet, loud] = [samplePersonalToken({ noticeAt: after(30), scopes: ['read'] }), samplePersonalToken()]
      const { id, userId } = quiet
      for (const token of [quiet, loud]) await tokens.create(token, 1)
      const heard: string[] = []
      ok(await listen(storage, change => {
        if (change.kind === 'personal-token') heard.push(change.tokenId)
        return change.kind === 'personal-token' && change.tokenId === loud.id
      }, async () => {
        await tokens.touch([{ id, lastUsedAt: after(5), lastUsedAddress: '192.0.2.1' }])
        await tokens.advanceNotice(id, after(30), after(40))
        await tokens.update(id, userId, { name: quiet.name, scopes: quiet.scopes, noticeAt: null }, NOON)
        await tokens.revoke(loud.id, loud.userId, after(1))
      }))
      deepEqual(heard.filter(one => one === id), [])
    }
  },
  {
    title: 'the feed tells of what is published on it',
    async run (storage) {
      const { feed } = storage
      if (feed?.publish === undefined) return
      const changes: Change[] = [{ kind: 'user', userId: 'somebody of another store: ü \'"\\' }, { kind: 'session', sessionId: 'a session elsewhere' }, { kind: 'personal-token', tokenId: 'a token elsewhere' }, { kind: 'gap' }]
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
