import BetterSqlite from 'better-sqlite3'
import t from 'tap'
import { sqliteStorage } from '../lib/adapters/kysely/index.ts'
import { after, createUser, NOON, samplePersonalToken, sampleSession } from '../lib/testing/samples.ts'
import type { Storage } from '../types/index.ts'
import { databaseFile } from './support/app.ts'

/** What `pragma synchronous` says: a commit waits for the disk at 2, at 1 it does not. */
const FULL = 2
const NORMAL = 1

const why = { at: after(1), reason: 'signed-out' } as const

t.test('F-11 what ends a session or changes an account is on the disk before it is acknowledged; what begins or prolongs a session need not be', async t => {
  let connection: BetterSqlite.Database | undefined
  const { pragma } = BetterSqlite.prototype
  t.teardown(() => { BetterSqlite.prototype.pragma = pragma })
  BetterSqlite.prototype.pragma = function (this: BetterSqlite.Database, ...args: Parameters<typeof pragma>) {
    connection = this
    return pragma.apply(this, args)
  }
  const storage: Storage = await sqliteStorage(databaseFile(t))
  t.teardown(async () => await storage.close?.())
  const level = () => pragma.call(connection!, 'synchronous', { simple: true })
  const { users, sessions, personalTokens: tokens } = storage as Required<Storage>
  const user = await createUser(users)
  const session = sampleSession(user.id)
  const token = samplePersonalToken({ userId: user.id, noticeAt: after(30) })
  const VERBS: ReadonlyArray<readonly [string, number, () => Promise<unknown>]> = [
    ['sessions.create', NORMAL, async () => await sessions.create(session)],
    ['users.create', FULL, async () => await createUser(users)],
    ['sessions.rotate', NORMAL, async () => await sessions.rotate(session.id, 0, { at: after(60), idleExpiresAt: after(3660) })],
    ['users.update', FULL, async () => await users.update(user.id, { roles: ['editor'] }, NOON)],
    ['sessions.recover', NORMAL, async () => await sessions.recover(session.id, 1, after(60), after(120))],
    ['sessions.revoke', FULL, async () => await sessions.revoke(session.id, why)],
    ['sessions.touch', NORMAL, async () => await sessions.touch([{ id: session.id, lastSeenAt: after(121), acknowledgedGeneration: 1 }])],
    ['sessions.revokeAllForUser', FULL, async () => await sessions.revokeAllForUser(user.id, why)],
    ['sessions.create', NORMAL, async () => await sessions.create(sampleSession(user.id))],
    ['users.changePassword', FULL, async () => await users.changePassword(user.id, 0, 'digest')],
    ['sessions.create', NORMAL, async () => await sessions.create(sampleSession(user.id))],
    ['a unit of work', FULL, async () => await storage.atomically!(storage, async stores => {
      await createUser(stores.users)
      await stores.sessions.create(sampleSession(user.id))
    })],
    ['sessions.create', NORMAL, async () => await sessions.create(sampleSession(user.id))],
    ['sessions.deleteAllForUser', FULL, async () => await sessions.deleteAllForUser(user.id)],
    ['sessions.create', NORMAL, async () => await sessions.create(sampleSession(user.id))],
    ['users.delete', FULL, async () => await users.delete(user.id)],
    ...([
      ['create', async () => await tokens.create(token, 9)],
      ['update', async () => await tokens.update(token.id, user.id, { name: 'other' }, NOON)],
      ['carryOver', async () => await tokens.carryOver(user.id, 0, 1)],
      ['advanceNotice', async () => await tokens.advanceNotice(token.id, after(30), null)],
      ['replace', async () => await tokens.replace(token.id, user.id, samplePersonalToken({ userId: user.id }), after(60), 9)],
      ['revoke', async () => await tokens.revoke(token.id, user.id, after(1))],
      ['revokeAllForUser', async () => await tokens.revokeAllForUser(user.id, after(1))],
      ['deleteEnded', async () => await tokens.deleteEnded(after(2))],
      ['deleteAllForUser', async () => await tokens.deleteAllForUser(user.id)]
    ] as const).flatMap(([verb, call]) => [
      ['personalTokens.touch', NORMAL, async () => await tokens.touch([{ id: token.id, lastUsedAt: after(1), lastUsedAddress: null }])],
      [`personalTokens.${verb}`, FULL, call]
    ] as const)
  ]
  for (const [verb, expected, call] of VERBS) {
    await call()
    t.equal(level(), expected, verb)
  }
})
