import t from 'tap'
import { SHAPES } from '../lib/storage-shapes.ts'
import { guardStorage } from '../lib/storage.ts'
import { after, NOON, samplePersonalToken, sampleSession } from '../lib/testing/samples.ts'
import type { Change, HostSessionRecord, HostSessionStore, OneTimeTokenRecord, PersonalTokenRecord, PersonalTokenStore, RedisInspection, SessionRecord, Storage, Stores, UserRecord, UserStore } from '../types/index.ts'

const TOKEN = samplePersonalToken({ allowedMethods: ['GET'], scopes: [], noticeAt: after(30), lastUsedAt: NOON, lastUsedAddress: '192.0.2.1' })
const { id, userId, digest } = TOKEN
const none = async () => null

/** A storage whose personal tokens answer everything with `value`. */
const answering = (value: unknown): Storage => ({
  users: Object.fromEntries(['find', 'findByEmail', 'create', 'update', 'changePassword', 'delete'].map(verb => [verb, none])),
  sessions: Object.fromEntries(['create', 'find', 'listForUser', 'rotate', 'recover', 'revoke', 'revokeAllForUser', 'revokeOldest', 'deleteAllForUser', 'touch', 'deleteEnded'].map(verb => [verb, none])),
  personalTokens: Object.fromEntries(Object.keys(CALLS).map(verb => [verb, async () => value]))
}) as unknown as Storage

const CALLS: { readonly [Verb in keyof PersonalTokenStore]: (tokens: PersonalTokenStore) => Promise<unknown> } = {
  create: async tokens => await tokens.create(TOKEN, 1),
  find: async tokens => await tokens.find(id),
  findByDigest: async tokens => await tokens.findByDigest(digest),
  listForUser: async tokens => await tokens.listForUser(userId),
  update: async tokens => await tokens.update(id, userId, {}, NOON),
  revoke: async tokens => await tokens.revoke(id, userId, NOON),
  revokeAllForUser: async tokens => await tokens.revokeAllForUser(userId, NOON),
  replace: async tokens => await tokens.replace(id, userId, TOKEN, NOON, 1),
  carryOver: async tokens => await tokens.carryOver(userId, 0, 1),
  touch: async tokens => await tokens.touch([]),
  findNoticesDue: async tokens => await tokens.findNoticesDue(NOON, 1),
  advanceNotice: async tokens => await tokens.advanceNotice(id, NOON, null),
  deleteAllForUser: async tokens => await tokens.deleteAllForUser(userId),
  deleteEnded: async tokens => await tokens.deleteEnded(NOON)
}

/** What is believed, of each verb; of verbs that answer nothing, anything. */
const TRUTHS: { readonly [Verb in keyof PersonalTokenStore]: readonly unknown[] } = {
  create: ['created', 'limit-reached'],
  find: [null, TOKEN, { ...TOKEN, revokedAt: NOON }],
  findByDigest: [null, TOKEN],
  listForUser: [[], [TOKEN, TOKEN]],
  update: [null, TOKEN],
  revoke: [true, false],
  revokeAllForUser: [[], [id]],
  replace: ['replaced', 'limit-reached', 'not-found'],
  carryOver: [undefined],
  touch: [undefined],
  findNoticesDue: [[], [TOKEN]],
  advanceNotice: [true, false],
  deleteAllForUser: [[], [id]],
  deleteEnded: [0]
}
/** What no verb that answers something may say, and what else the verb may not. */
const ODD = [undefined, {}, [undefined], [[]], [{}], 'null', { message: 'not found' }]
const LIES: { readonly [Verb in keyof PersonalTokenStore]?: readonly unknown[] } = {
  create: [null, true, 1, 'update', TOKEN],
  find: [true, 0, 'created', [], [TOKEN]],
  findByDigest: [true, 0, 'created', [], [TOKEN]],
  listForUser: [null, true, TOKEN, [null]],
  update: [true, 0, 'created', [], [TOKEN]],
  revoke: [null, 0, 1, 'true', TOKEN],
  revokeAllForUser: [null, true, id, 1, [1], [TOKEN]],
  replace: [null, true, 1, 'created', TOKEN],
  findNoticesDue: [null, true, TOKEN, [null]],
  advanceNotice: [null, 0, 1, 'true', TOKEN],
  deleteAllForUser: [null, true, id, 1, [1], [TOKEN]],
  deleteEnded: [null, true, '0', []]
}

/** A record with one field that is not what it should be. */
const DISTORTIONS: ReadonlyArray<Partial<Record<keyof PersonalTokenRecord, unknown>>> = [
  { id: 1 }, { userId: null }, { name: undefined }, { digest: null }, { context: 'mobile' }, { context: undefined }, { epoch: '0' }, { epoch: NaN }, { epoch: null },
  ...(['allowedMethods', 'allowedIps', 'allowedReferrers', 'scopes'] as const).flatMap(list => [undefined, '["GET"]', {}, [1], [null], false].map(value => ({ [list]: value }))),
  ...(['createdAt', 'expiresAt'] as const).flatMap(date => [undefined, null, 0, NOON.toISOString(), new Date(NaN)].map(value => ({ [date]: value }))),
  ...(['lastUsedAt', 'noticeAt', 'revokedAt'] as const).flatMap(date => [undefined, 0, false, NOON.toISOString(), new Date(NaN)].map(value => ({ [date]: value }))),
  { lastUsedAddress: undefined }, { successorId: 7 }
]

async function call (verb: keyof PersonalTokenStore, value: unknown): Promise<unknown> {
  return await CALLS[verb](guardStorage(answering(value)).personalTokens!)
}

t.test('F-31 of personal tokens the boundary believes what is whole', async t => {
  for (const [verb, values] of Object.entries(TRUTHS)) for (const value of values) t.equal(await call(verb as keyof PersonalTokenStore, value), value, verb)
})

t.test('F-31 and what is not, or not what was asked for, is 503', async t => {
  const refused = async (verb: keyof PersonalTokenStore, value: unknown, title: string) => { await t.rejects(call(verb, value), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' }, title) }
  for (const [verb, lies] of Object.entries(LIES)) for (const lie of [...ODD, ...lies]) await refused(verb as keyof PersonalTokenStore, lie, `${verb} ${JSON.stringify(lie)}`)
  for (const distortion of DISTORTIONS) {
    const record = { ...TOKEN, ...distortion }
    for (const [verb, value] of [['find', record], ['findByDigest', record], ['update', record], ['listForUser', [TOKEN, record]], ['findNoticesDue', [record]]] as const) await refused(verb, value, `${verb} ${JSON.stringify(distortion)}`)
  }
  const other = { ...samplePersonalToken(), noticeAt: NOON }
  await refused('find', { ...TOKEN, id: other.id }, 'another id')
  await refused('findByDigest', { ...TOKEN, digest: other.digest }, 'another digest')
  await refused('listForUser', [{ ...TOKEN, userId: other.userId }], 'another user\'s')
  await refused('update', { ...TOKEN, id: other.id }, 'another id')
  await refused('update', { ...TOKEN, userId: other.userId }, 'another user\'s')
  await refused('update', { ...TOKEN, revokedAt: NOON }, 'a revoked one was not changed')
  await refused('findNoticesDue', [{ ...TOKEN, noticeAt: null }], 'one that needs no notice')
  await refused('findNoticesDue', [{ ...TOKEN, revokedAt: NOON }], 'a revoked one')
})

const USER: UserRecord = { id: userId, email: 'ada@example.com', emailVerified: true, username: null, name: null, roles: ['editor'], passwordDigest: null, epoch: 0, disabled: false, createdAt: NOON }

t.test('F-31 what is wrong is said by its name, and nothing of what the adapter returned', async t => {
  const refused = async (expected: string, store: 'users' | 'personalTokens', verb: string, value: unknown, args: readonly unknown[] = []) => {
    const storage = answering(value)
    const users = { ...storage.users, findByEmail: async () => value, find: async () => value, update: async () => value, list: async () => value, hasOwner: async () => value } as UserStore
    const verbs = guardStorage({ ...storage, users })[store] as unknown as Record<string, (...args: readonly unknown[]) => Promise<unknown>>
    const { cause } = await verbs[verb]!(...args).then(() => ({ cause: null }), (error: { cause: unknown }) => error)
    t.equal((cause as Error).message, `${store}.${verb} returned ${expected}`)
  }
  const members: ReadonlyArray<readonly [Partial<Record<keyof UserRecord, unknown>>, string]> = [
    [{ id: 7 }, '"id" must be a string'],
    [{ email: undefined }, '"email" must be a string'],
    [{ epoch: '0' }, '"epoch" must be an integer'],
    [{ epoch: 2 ** 53 }, '"epoch" must be an integer'],
    [{ disabled: 0 }, '"disabled" must be a boolean'],
    [{ roles: '["editor"]' }, '"roles" must be an array of strings'],
    [{ roles: [null] }, '"roles" must be an array of strings'],
    [{ passwordDigest: undefined }, '"passwordDigest" must be a string or null'],
    [{ createdAt: NOON.toISOString() }, '"createdAt" must be a valid Date'],
    [{ createdAt: new Date(NaN) }, '"createdAt" must be a valid Date']
  ]
  for (const [member, expected] of members) {
    await refused(`a user whose ${expected}`, 'users', 'findByEmail', { ...USER, ...member })
    await refused(`a user whose ${expected}`, 'users', 'list', [USER, { ...USER, ...member }])
  }
  await refused('what is not a user or null', 'users', 'findByEmail', undefined)
  await refused('what is not a user or null', 'users', 'findByEmail', [USER])
  await refused('what is not an array', 'users', 'list', USER)
  await refused('a user that does not fit the call', 'users', 'find', USER, ['another'])
  await refused('what is not a user or null or "last-owner"', 'users', 'update', 'is-owner', [userId, {}, NOON])
  await refused('what is not a boolean', 'users', 'hasOwner', 1)
  await refused('what is not "created" or "limit-reached"', 'personalTokens', 'create', null)
  await refused('a personal token whose "context" must be "server" or "browser"', 'personalTokens', 'find', { ...TOKEN, context: 'mobile' }, [id])
})

t.test('a store of personal tokens that lacks a verb is refused by name at start', async t => {
  const storage = answering(null)
  for (const verb of Object.keys(CALLS)) {
    const { [verb as keyof PersonalTokenStore]: _, ...rest } = storage.personalTokens!
    t.throws(() => guardStorage({ ...storage, personalTokens: rest as PersonalTokenStore }), { code: 'FST_ACCOUNTS_OPTION_INVALID', message: `Option "storage.personalTokens.${verb}" is missing` })
  }
})

t.test('F-31 of what a storage says of itself the boundary believes what is whole', async t => {
  const truth = { now: NOON, missingMigrations: [], missingIndexes: ['an_index'], missingTriggers: [] }
  const ask = async (value: unknown) => await guardStorage({ ...answering(null), inspect: async () => value } as Storage).inspect!()
  t.equal(await ask(truth), truth)
  t.equal(guardStorage(answering(null)).inspect, null, 'it need not say anything')
  const distortions = [{ now: 0 }, { now: new Date(NaN) }, { now: undefined }, ...['missingMigrations', 'missingIndexes', 'missingTriggers'].flatMap(list => [undefined, null, 'none', [1]].map(value => ({ [list]: value }))), { disabledTriggers: null }, { disabledTriggers: [1] }]
  for (const lie of [...ODD, null, true, ...distortions.map(distortion => ({ ...truth, ...distortion }))]) {
    await t.rejects(ask(lie), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' }, JSON.stringify(lie))
  }
})

t.test('J-11 what changed is published unless the feed sees its store by itself, or there is none', async t => {
  const changes = [{ kind: 'user', userId }, { kind: 'session', sessionId: 's' }, { kind: 'personal-token', tokenId: id }] as const
  const publish = async (seen: ReadonlyArray<keyof Stores>, stores: Partial<Stores> = {}) => {
    const published: Change[] = []
    const storage: Storage = { ...answering(null), ...stores }
    const feed: Storage['feed'] = { subscribe: () => () => {}, isCurrent: () => true, publish: async change => { published.push(change) }, sees: store => seen.some(name => storage[name] === store) }
    const guarded = guardStorage({ ...storage, feed })
    for (const change of changes) await guarded.publish(change)
    return published.map(({ kind }) => kind)
  }
  t.strictSame(await publish([]), ['user', 'session', 'personal-token'])
  t.strictSame(await publish(['users']), ['session', 'personal-token'])
  t.strictSame(await publish(['users', 'sessions']), ['personal-token'])
  t.strictSame(await publish(['personalTokens']), ['user', 'session'])
  const { personalTokens: _, ...without } = answering(null)
  const published: Change[] = []
  await guardStorage({ ...without, feed: { subscribe: () => () => {}, isCurrent: () => true, publish: async change => { published.push(change) } } }).publish(changes[2])
  t.strictSame(published, [])
})

t.test('F-31 of sessions of the host\'s the boundary believes what is whole and was asked for, and all else is 503', async t => {
  const record: HostSessionRecord = { digest: 'd', owner: { userId, sessionId: 's' }, data: '{}', expiresAt: NOON }
  const verbs = ['find', 'save', 'destroy', 'listForUser', 'deleteForSession', 'deleteForUser', 'deleteExpired'] as const
  const storeOf = (value: unknown) => {
    const hostSessions = Object.fromEntries(verbs.map(verb => [verb, async () => value])) as unknown as HostSessionStore
    return guardStorage({ ...answering(null), hostSessions }).hostSessions!
  }
  for (const value of [null, record, { ...record, owner: null }]) t.equal(await storeOf(value).find('d', NOON), value)
  for (const value of [[], [record, record]]) t.equal(await storeOf(value).listForUser(userId), value)
  const lies = [undefined, false, 'x', [], {}, { digest: 'e' }, { data: null }, { data: {} }, { expiresAt: 0 }, { expiresAt: new Date(NaN) }, { owner: undefined }, { owner: 'a' }, { owner: {} }, { owner: { userId } }, { owner: { userId: 1, sessionId: 's' } }]
  for (const lie of lies) {
    const value = typeof lie === 'object' && !Array.isArray(lie) && Object.keys(lie).length > 0 ? { ...record, ...lie } : lie
    await t.rejects(storeOf(value).find('d', NOON), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' }, JSON.stringify(lie))
    if (JSON.stringify(lie) !== '[]' && !('digest' in Object(lie))) await t.rejects(storeOf([record, value]).listForUser(userId), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' })
  }
  await t.rejects(storeOf([{ ...record, owner: null }]).listForUser(userId), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' }, 'nobody\'s')
  for (const verb of verbs) {
    const { [verb]: _, ...rest } = storeOf(null)
    t.throws(() => guardStorage({ ...answering(null), hostSessions: rest as HostSessionStore }), { message: `Option "storage.hostSessions.${verb}" is missing` })
  }
})

const TEXT = [undefined, null, 7]
const TEXT_OR_NULL = [undefined, 7]
const INTEGER = [undefined, null, '0', 0.5]
const BOOLEAN = [undefined, null, 1]
const DATE = [undefined, null, 0, NOON.toISOString(), new Date(NaN)]
const DATE_OR_NULL = DATE.filter(value => value !== null)

const SESSION: SessionRecord = sampleSession(userId, { id: 's', generation: 3 })
const ONE_TIME: OneTimeTokenRecord = { digest: 'd', purpose: 'reset-password', userId, email: 'ada@example.com', epoch: 0, createdAt: NOON, expiresAt: NOON }
const CHANGED: UserRecord = { ...USER, epoch: 1 }

/** A whole record of each kind, and what its members must not be. */
const RECORDS: Readonly<Record<string, readonly [object, Readonly<Record<string, readonly unknown[]>>]>> = {
  'a user': [CHANGED, { id: TEXT, email: TEXT, epoch: INTEGER, disabled: BOOLEAN, roles: [undefined, null, [1]], passwordDigest: TEXT_OR_NULL, createdAt: DATE }],
  'a session': [SESSION, { id: TEXT, userId: TEXT, epoch: INTEGER, generation: INTEGER, acknowledgedGeneration: INTEGER, rotatedAt: DATE, createdAt: DATE, authenticatedAt: DATE, lastSeenAt: DATE, idleExpiresAt: DATE, expiresAt: DATE, revokedAt: DATE_OR_NULL, remember: BOOLEAN, claims: TEXT_OR_NULL }],
  'a one-time token': [ONE_TIME, { digest: TEXT, purpose: TEXT, userId: TEXT, email: TEXT, epoch: INTEGER, createdAt: DATE, expiresAt: DATE }],
  'a throttle': [{ count: 1, retryAt: NOON }, { count: INTEGER, retryAt: DATE }],
  'an attempt': [{ count: 1, retryAt: NOON, admitted: true }, { count: INTEGER, retryAt: DATE, admitted: BOOLEAN }],
  'a mail': [{ id: 'm', kind: 'k', userId, recipient: 'r', data: {}, locale: null, attempts: 0, createdAt: NOON, dueAt: NOON }, { id: TEXT, kind: TEXT, userId: TEXT_OR_NULL, recipient: TEXT, data: [undefined, null, '{}'], attempts: INTEGER, createdAt: DATE, dueAt: DATE }],
  'a use': [{ userId, method: 'GET', route: '/', lastUsedAt: NOON, lastUsedAddress: null }, { userId: TEXT_OR_NULL, method: TEXT, route: TEXT, lastUsedAt: DATE, lastUsedAddress: TEXT_OR_NULL }],
  'a session of the host\'s': [{ digest: 'd', owner: { userId, sessionId: 's' }, data: '', expiresAt: NOON }, { digest: TEXT, owner: [undefined, {}], data: TEXT, expiresAt: DATE }]
}

interface Verb {
  readonly args: readonly unknown[]
  /** The record that it returns, or a list of them. */
  readonly one?: keyof typeof RECORDS
  readonly many?: keyof typeof RECORDS
  /** What else is believed. */
  readonly truths?: readonly unknown[]
  /** What is whole, and not what was asked for. */
  readonly lies?: readonly unknown[]
}

const texts: Verb = { args: [], truths: [[], ['a']], lies: [null, 'a', [1]] }
const whether: Verb = { args: [], truths: [true, false], lies: [null, 1] }
const count: Verb = { args: [], truths: [0], lies: [null, '0'] }
/** Whatever it answers is not looked at. */
const silent: Verb = { args: [], truths: [undefined, null, 7] }

const VERBS: { readonly [Name in Exclude<keyof Stores, 'personalTokens'>]-?: Readonly<Record<string, Verb>> } = {
  users: {
    find: { args: [userId], one: 'a user', truths: [null], lies: ['last-owner', { ...USER, id: 'another' }] },
    findByEmail: { args: [], one: 'a user', truths: [null], lies: ['email-taken'] },
    findByUsername: { args: [], one: 'a user', truths: [null], lies: ['email-taken'] },
    list: { args: [], many: 'a user' },
    create: { args: [], one: 'a user', truths: ['email-taken', 'username-taken'], lies: [null, 'owner-exists'] },
    hasOwner: whether,
    createFirstOwner: { args: [], one: 'a user', truths: ['owner-exists', 'email-taken', 'username-taken'], lies: [null] },
    update: { args: [userId, {}, NOON, true], one: 'a user', truths: [null, 'last-owner', 'is-owner'], lies: ['not-found', { ...USER, id: 'another' }] },
    changePassword: { args: [userId, 0], one: 'a user', truths: [null], lies: [USER, { ...CHANGED, id: 'another' }] },
    upgradePassword: whether,
    confirmEmail: { args: [userId], one: 'a user', truths: [null], lies: [{ ...USER, emailVerified: false }, { ...USER, id: 'another' }] },
    changeEmail: { args: [userId, 1, { email: USER.email }], one: 'a user', truths: [null, 'email-taken'], lies: [USER, { ...CHANGED, email: 'eve@example.com' }, { ...CHANGED, id: 'another' }] },
    delete: { args: [], truths: ['deleted', 'last-owner', 'not-found'], lies: [null, true] }
  },
  sessions: {
    find: { args: ['s'], one: 'a session', truths: [null], lies: [{ ...SESSION, id: 'another' }] },
    listForUser: { args: [userId], many: 'a session', lies: [[{ ...SESSION, userId: 'another' }]] },
    rotate: { args: ['s', 2], one: 'a session', truths: [null], lies: [{ ...SESSION, generation: 2 }, { ...SESSION, id: 'another' }] },
    recover: { args: ['s', 3], one: 'a session', truths: [null], lies: [{ ...SESSION, generation: 4 }, { ...SESSION, id: 'another' }] },
    revoke: whether,
    revokeAllForUser: texts,
    revokeOldest: texts,
    deleteAllForUser: texts,
    deleteEnded: count,
    create: silent,
    touch: silent
  },
  oneTimeTokens: {
    find: { args: ['d', 'reset-password'], one: 'a one-time token', truths: [null], lies: [{ ...ONE_TIME, digest: 'e' }, { ...ONE_TIME, purpose: 'change-email' }] },
    consume: { args: ['d', 'reset-password'], one: 'a one-time token', truths: [null], lies: [{ ...ONE_TIME, digest: 'e' }, { ...ONE_TIME, purpose: 'change-email' }] },
    listForUser: { args: [userId], many: 'a one-time token', lies: [[{ ...ONE_TIME, userId: 'another' }]] },
    issue: silent,
    deleteForUser: silent,
    deleteExpired: silent
  },
  throttles: { attempt: { args: [], one: 'an attempt', lies: [null] }, find: { args: [], one: 'a throttle', truths: [null] }, reset: silent, deleteForgotten: silent },
  outbox: {
    claim: { args: [], many: 'a mail' },
    settle: whether,
    count: { args: [2], truths: [0, 2], lies: [null, '0', -1, 3, 0.5] },
    listForUser: { args: [userId], many: 'a mail', lies: [[{ ...RECORDS['a mail']![0], userId: null }]] },
    enqueue: silent,
    deleteForUser: silent
  },
  basicUses: {
    list: { args: [], many: 'a use' },
    listForUser: { args: [userId], many: 'a use', lies: [[{ ...RECORDS['a use']![0], userId: null }]] },
    note: silent,
    deleteAllForUser: silent,
    deleteUnused: silent
  },
  hostSessions: {
    find: { args: ['d'], one: 'a session of the host\'s', truths: [null] },
    listForUser: { args: [userId], many: 'a session of the host\'s' },
    save: silent,
    destroy: silent,
    deleteForSession: silent,
    deleteForUser: silent,
    deleteExpired: silent
  }
}

t.test('F-31 of every store and verb the boundary believes what is whole and was asked for, and all else is 503, by the name of the member', async t => {
  for (const [store, verbs] of Object.entries(VERBS)) {
    t.strictSame(Object.keys(verbs).sort(), Object.keys(SHAPES[store as keyof Stores]).sort(), 'no verb is left out')
    for (const [verb, { args, one, many, truths = [], lies = [] }] of Object.entries(verbs)) {
      const answer = async (value: unknown) => {
        const made = Object.fromEntries(Object.keys(verbs).map(name => [name, async () => value]))
        const guarded = guardStorage({ ...answering(null), [store]: made } as unknown as Storage) as unknown as Record<string, Record<string, (...args: readonly unknown[]) => Promise<unknown>>>
        return await guarded[store]![verb]!(...args)
      }
      const refused = async (value: unknown, message: string | RegExp) => { await t.rejects(answer(value), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE', cause: { message } }, `${store}.${verb} ${JSON.stringify(value)}`) }
      const [record, members] = RECORDS[one ?? many ?? ''] ?? [{}, {}]
      const wrap = (value: unknown) => many === undefined ? value : [record, value]
      for (const truth of [...truths, ...(one === undefined ? [] : [record]), ...(many === undefined ? [] : [[], [record]])]) t.equal(await answer(truth), truth, `${store}.${verb} ${JSON.stringify(truth)}`)
      for (const lie of lies) await refused(lie, new RegExp(`^${store}\\.${verb} returned `))
      for (const [member, wrong] of Object.entries(members)) for (const value of wrong) await refused(wrap({ ...record, [member]: value }), new RegExp(` whose "${member}" must be `))
      if (record !== undefined && (one ?? many) !== undefined) for (const value of [undefined, true, 'record', [], {}]) await refused(wrap(value), new RegExp(`^${store}\\.${verb} returned `))
    }
  }
})

t.test('F-31 and of what Redis says of itself', async t => {
  const truth: RedisInspection = { ms: 1, version: '7.2.0', evictionPolicy: null, isPersistent: true }
  const ask = async (value: unknown) => {
    const { sessions, ...rest } = answering(null)
    return await guardStorage({ ...rest, sessions: { ...sessions, inspect: async () => value as RedisInspection } }).places[0]!.inspect()
  }
  for (const value of [truth, { ...truth, version: null, isPersistent: null }]) t.equal(await ask(value), value)
  for (const lie of [...ODD, null, ...[{ ms: null }, { version: undefined }, { version: 7 }, { evictionPolicy: 7 }, { isPersistent: 'yes' }].map(member => ({ ...truth, ...member }))]) {
    await t.rejects(ask(lie), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE' }, JSON.stringify(lie))
  }
})

t.test('a failure is put down to the part of the storage that failed: within a transaction to the store, at its end to itself', async t => {
  const told: string[] = []
  const outages = { answered (part: string) { told.push(`${part} answers`) }, failed (part: string, cause: unknown) { told.push(`${part}: ${String(cause)}`) } }
  const down = async () => { throw new TypeError('down') }
  let atEnd = async () => {}
  const base = answering(null)
  const storage = {
    ...base,
    users: { ...base.users, find: down },
    feed: { subscribe: () => () => {}, isCurrent: () => true, publish: down },
    inspect: down,
    async atomically (stores: Stores, work: (stores: Stores) => Promise<unknown>) {
      const done = await work(stores)
      await atEnd()
      return done
    }
  } as unknown as Storage
  const guarded = guardStorage(storage, outages)
  const failing = async (call: () => Promise<unknown>) => {
    await t.rejects(call(), { code: 'FST_ACCOUNTS_STORAGE_UNAVAILABLE', cause: { message: 'down' } })
    return told.splice(0)
  }
  t.strictSame(await failing(async () => await guarded.users.find(userId)), ['users: TypeError: down'])
  t.strictSame(await failing(async () => await guarded.publish({ kind: 'user', userId })), ['feed: TypeError: down'])
  t.strictSame(await failing(async () => await guarded.inspect!()), ['inspection: TypeError: down'])
  t.strictSame(await failing(async () => await guarded.atomically(async stores => await stores.users.find(userId))), ['users: TypeError: down'])
  t.equal(await guarded.atomically(async stores => await stores.sessions.find('s')), null)
  t.strictSame(told.splice(0), ['sessions answers', 'transaction answers'])
  atEnd = down
  t.strictSame(await failing(async () => await guarded.atomically(async stores => await stores.sessions.find('s'))), ['sessions answers', 'transaction: TypeError: down'])
})
