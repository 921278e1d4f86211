import session, { type SessionStore } from '@fastify/session'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import accounts, { formatPolicies, optionsFromEnv } from '../../lib/index.ts'
import { sessionStore, type SessionStoreOptions } from '../../lib/adapters/fastify-session/index.ts'
import { sqliteStorage, type SqliteStorage } from '../../lib/adapters/kysely/index.ts'
import { authAs, createMailbox, holdClock, linkOf, tokenOf, type HeldClock, type Mailbox } from '../../lib/testing/index.ts'
import type { AccountsEvent, AccountsFacts, AccountsKey, AccountsOptions, Check, CookieFacts, CookiePrincipal, Guard, HostSessionOwner, ListedSession, Mail, Mailer, MailKind, PasswordOptions, Policy, Principal, RoutePolicy, Secrets, Session, SignedIn, Storage, User, UserList, UserStore } from '../../lib/index.ts'

declare module 'fastify' {
  interface AccountsUser { readonly plan: 'free' | 'paid' }
  interface AccountsClaims { readonly tenant?: string }
}

const app = Fastify()

describe('registration', () => {
  test('takes the three options that are required', () => {
    expect(app.register).type.toBeCallableWith(accounts, { appUrl: 'http://localhost:3000', secret: 'x', storage: {} as Storage })
    expect<AccountsOptions>().type.toBeAssignableFrom<{ appUrl: string, secret: string | undefined, storage: Storage }>()
    expect<AccountsOptions>().type.not.toBeAssignableFrom<{ secret: string, storage: Storage }>()
    expect<AccountsOptions>().type.not.toBeAssignableFrom<{ appUrl: string, secret: string }>()
    expect<AccountsOptions>().type.not.toBeAssignableFrom<{ appUrl: string, secret: string, storage: Storage, refresh: 'sometimes' }>()
  })

  test('digests of another system are verified by a function of the host', () => {
    expect<PasswordOptions['verifyForeign']>().type.toBe<((digest: string, password: string) => boolean | Promise<boolean>) | undefined>()
    expect<PasswordOptions>().type.not.toBeAssignableFrom<{ verifyForeign: (digest: string, password: string) => string }>()
    expect<PasswordOptions>().type.not.toBeAssignableFrom<{ algorithm: 'md5' }>()
  })

  test('a key says for which algorithm it is', () => {
    expect<AccountsKey>().type.toBeAssignableFrom<{ algorithm: 'ES256', privateKey: string }>()
    expect<AccountsKey>().type.toBeAssignableFrom<{ kid: string, algorithm: 'EdDSA', publicKey: { kty: string, crv: string, x: string } }>()
    expect<AccountsKey>().type.not.toBeAssignableFrom<{ privateKey: string }>()
    expect<AccountsKey>().type.not.toBeAssignableFrom<{ algorithm: 'HS256', privateKey: string }>()
  })

  test('the environment gives options that are complete', () => {
    expect(optionsFromEnv).type.toBeCallableWith(process.env)
    expect(optionsFromEnv).type.not.toBeCallableWith({ SMTP_PORT: 587 })
    expect<Awaited<ReturnType<typeof optionsFromEnv>>>().type.toBeAssignableTo<AccountsOptions & { secrets: Secrets }>()
  })

  test('a SQLite storage is a storage that can be closed', () => {
    expect(sqliteStorage).type.toBeCallableWith('accounts.db')
    expect<SqliteStorage>().type.toBeAssignableTo<Storage>()
    expect<SqliteStorage['close']>().type.toBe<() => Promise<void>>()
  })
})

describe('claims', () => {
  test('are what the host has declared', () => {
    expect<CookiePrincipal['claims']['tenant']>().type.toBe<string | undefined>()
    expect<AccountsOptions['hooks']>().type.toBeAssignableFrom<{ claims: () => { tenant: string } }>()
    expect<AccountsOptions['hooks']>().type.not.toBeAssignableFrom<{ claims: () => { tenant: number } }>()
    expect<AccountsOptions>().type.toBeAssignableFrom<{ appUrl: string, secret: string, storage: Storage, credentialOrder: ['bearer', 'cookie'], issuer: string[] }>()
  })
})

describe('decorators', () => {
  test('are typed on instance, request and reply', () => {
    expect(app.authenticate).type.toBe<Guard>()
    expect(app.verifyAccessCookie).type.toBe<Guard>()
    expect(app.verifyPersonalToken).type.toBe<Guard>()
    expect(app.verifyBearer).type.toBe<Guard>()
    expect(app.guard({ via: ['cookie', 'personal-token'], scopes: ['reports:read'] })).type.toBe<Guard>()
    expect(app.guard).type.not.toBeCallableWith({ scopes: 'reports:read' })
    expect(app.guard({ via: 'cookie', fresh: '5m', roles: ['owner'], liveness: 'strict' })).type.toBe<Guard>()
    app.get('/', { onRequest: app.authenticate }, async (request, reply) => {
      expect(request.principal).type.toBe<Principal | null>()
      expect(reply.signIn({ id: 'x' }, { remember: false })).type.toBe<Promise<Session>>()
      expect(reply.signOut()).type.toBe<Promise<void>>()
    })
    app.post('/login', { onRequest: app.checkForm }, async (_request, reply) => {
      expect(app.accounts.login({ email: '', password: '' }, { reply })).type.toBe<Promise<SignedIn>>()
      expect(app.accounts.passwords.reset).type.not.toBeCallableWith('', '', { reply })
      expect(app.accounts.owner.checkProof).type.not.toBeCallableWith({ username: 'admin' }, { request: reply.request })
    })
    app.get('/list', { onRequest: [app.guard({ optional: true })], preHandler: app.authorize(principal => principal.user.roles.includes('owner')) }, async () => '')
  })

  test('a policy knows its members and kinds', () => {
    expect<Policy>().type.not.toBeAssignableFrom<{ via: 'telepathy' }>()
    expect<Policy>().type.not.toBeAssignableFrom<{ liveness: 'lively' }>()
    expect<Check>().type.toBe<(principal: Principal, request: import('fastify').FastifyRequest) => boolean | Promise<boolean>>()
  })

  test('a route declares its policy in its config, or that it is public', () => {
    expect(app.get).type.toBeCallableWith('/', { config: { accounts: { roles: ['owner'] } } }, async () => '')
    expect(app.get).type.toBeCallableWith('/', { config: { accounts: false as const } }, async () => '')
    expect(app.get).type.not.toBeCallableWith('/', { config: { accounts: { liveness: 'lively' } } }, async () => '')
    app.addHook('onRoute', route => { route.config = { ...route.config, accounts: false } })
    expect(app.accounts.policies()).type.toBe<RoutePolicy[]>()
    expect(app.accounts.diagnose()).type.toBe<Promise<AccountsFacts>>()
    expect(formatPolicies).type.toBeCallableWith(app.accounts.policies())
    expect(formatPolicies([])).type.toBe<string>()
  })

  test('a principal is told apart by via', () => {
    const principal = {} as Principal
    if (principal.via === 'cookie') {
      expect(principal).type.toBe<CookiePrincipal>()
      expect(principal.session).type.toBe<Session>()
    }
    if (principal.via === 'personal-token') {
      expect(principal.token.name).type.toBe<string>()
      expect(principal).type.not.toHaveProperty('session')
    }
    expect(principal.signal).type.toBe<AbortSignal>()
  })

  test('a host adds fields to the user by interface merging', () => {
    expect<User['plan']>().type.toBe<'free' | 'paid'>()
    expect<Principal['user']['plan']>().type.toBe<'free' | 'paid'>()
  })
})

describe('services', () => {
  test('answer what their names say', () => {
    expect(app.accounts.login({ username: 'ada', password: 'x' })).type.toBe<Promise<SignedIn>>()
    expect(app.accounts.login).type.not.toBeCallableWith({ password: 'x' })
    expect(app.accounts.sessions.begin('id', { authenticatedAt: new Date() }, { request: null })).type.toBe<Promise<SignedIn>>()
    expect(app.accounts.sessions.begin).type.not.toBeCallableWith({ id: 'id' })
    expect(app.accounts.cookies.access).type.toBe<CookieFacts>()
    expect(app.accounts.sessions.list('id')).type.toBe<Promise<ListedSession[]>>()
    expect(app.accounts.users.find('id')).type.toBe<Promise<User | null>>()
  })

  test('manage users', () => {
    const { users, passwords } = app.accounts
    expect(users.list()).type.toBe<Promise<UserList>>()
    expect(users.list).type.toBeCallableWith({ search: 'ada', cursor: null, limit: 10 })
    expect(users.list).type.not.toBeCallableWith({ limit: '10' })
    expect(users.list).type.not.toBeCallableWith({ page: 2 })
    expect<UserList['next']>().type.toBe<string | null>()
    expect(users.create({ email: 'ada@example.com', roles: ['owner'] })).type.toBe<Promise<User>>()
    expect(users.create).type.not.toBeCallableWith({ password: 'x' })
    expect(users.confirmEmail('id', 'ada@example.com')).type.toBe<Promise<User | null>>()
    expect(users.confirmEmail).type.not.toBeCallableWith('id')
    expect(users.create).type.not.toBeCallableWith({ email: 'ada@example.com', passwordDigest: '$2b$10$' })
    expect(users.import({ id: 'x', email: 'ada@example.com', passwordDigest: '$2b$10$', disabled: true, createdAt: new Date() })).type.toBe<Promise<User>>()
    expect(users.import).type.not.toBeCallableWith({ email: 'ada@example.com', password: 'x' })
    expect(app.accounts.register).type.not.toBeCallableWith({ email: 'ada@example.com', password: 'x', roles: ['owner'] })
    expect(users.update('id', { roles: ['editor'] })).type.toBe<Promise<User | null>>()
    expect(users.update).type.not.toBeCallableWith('id', { email: 'x' })
    expect(users.findByUsername('ada')).type.toBe<Promise<User | null>>()
    expect(users.announce('id')).type.toBe<Promise<void>>()
    expect(passwords.set('id', 'new', { request: null })).type.toBe<Promise<User | null>>()
    expect<AccountsEvent['actorId']>().type.toBe<string | undefined>()
  })

  test('a users store may leave out the list, and know nothing of conditions', () => {
    expect<UserStore>().type.toBeAssignableFrom<Omit<UserStore, 'list' | 'findByUsername'>>()
    expect<UserStore['update']>().type.toBeAssignableFrom<(id: string, change: { readonly name?: string | null }, at: Date) => Promise<null>>()
    expect<'ended-by-admin'>().type.toBeAssignableTo<import('../../lib/index.ts').RevokeReason>()
  })

  test('hooks are typed by their names', () => {
    app.accounts.addHook('beforeLogin', ({ user }) => { expect(user).type.toBe<User>() })
    app.accounts.addHook('sessionRefreshed', ({ outcome }) => { expect(outcome).type.toBe<'rotated' | 'window' | 'recovered'>() })
    app.accounts.addHook('authorize', principal => principal.user.disabled)
    expect(app.accounts.addHook).type.not.toBeCallableWith('beforeLunch', () => {})
    expect(app.accounts.addHook).type.not.toBeCallableWith('authorize', () => 'yes')
  })
})

describe('the kit for tests', () => {
  test('signs in who is there by id, or an address with roles, by a session or a token', () => {
    const user = {} as User
    expect(authAs(app, user)).type.toBe<Promise<Record<string, string>>>()
    expect(authAs).type.toBeCallableWith(Fastify({ http2: true }), { id: 'x' }, { authenticatedAt: new Date() })
    expect(authAs).type.toBeCallableWith(app, { email: 'ada@example.com', roles: ['editor'] }, { via: 'personal-token', scopes: ['reports:read'] })
    expect(authAs).type.not.toBeCallableWith(app, 'ada@example.com')
    expect(authAs).type.not.toBeCallableWith(app, { email: 'ada@example.com', name: 'Ada' })
    expect(authAs).type.not.toBeCallableWith(app, user, { scopes: ['reports:read'] })
    expect(authAs).type.not.toBeCallableWith(app, user, { via: 'telepathy' })
  })

  test('a mailbox is a mailer, and a mail knows its kind', () => {
    expect(createMailbox()).type.toBe<Mailbox>()
    expect<Mailbox>().type.toBeAssignableTo<Mailer>()
    expect(createMailbox().next({ to: 'ada@example.com', kind: 'reset-password', within: '1s' })).type.toBe<Promise<Mail>>()
    expect(createMailbox().next).type.not.toBeCallableWith({ kind: 'postcard' })
    expect<Mail['kind']>().type.toBe<MailKind | undefined>()
    for (const read of [linkOf, tokenOf]) expect(read({ text: '' })).type.toBe<string>()
  })

  test('a clock is moved by durations', () => {
    expect(holdClock()).type.toBe<HeldClock>()
    expect(holdClock().advance).type.toBeCallableWith('61m')
    expect(holdClock().advance).type.not.toBeCallableWith(new Date())
  })
})

describe('sessions of @fastify/session', () => {
  test('the store is one for it, and knows its options', () => {
    expect(sessionStore(app)).type.toBe<SessionStore>()
    expect(app.register).type.toBeCallableWith(session, { secret: 'x', store: sessionStore(app, { keep: ['cart'], ttl: '2h' }) })
    expect<SessionStoreOptions>().type.not.toBeAssignableFrom<{ keep: 'cart' }>()
  })

  test('a request tells to whom its session belongs, and both kinds of session keep their types', () => {
    app.get('/cart', async (request, reply) => {
      expect(request.session.accountSession).type.toBe<HostSessionOwner | null | undefined>()
      expect(reply.signIn({ id: 'x' })).type.toBe<Promise<Session>>()
      return ''
    })
  })
})
