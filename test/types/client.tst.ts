import { describe, expect, test } from 'tstyche'
import { AccountsError, createBearerClient, createClient, createPersonalTokenClient, type BearerClient, type Client, type CreatedTokenAnswer, type PersonalTokenClient, type SessionsAnswer, type SignedInAnswer, type UserAnswer, type UsersAnswer } from '../../lib/client/index.ts'

declare module '../../lib/client/index.ts' {
  interface User { readonly plan: 'free' | 'paid' }
}

const accounts = createClient()
const api = createBearerClient({ url: 'https://app.example.com' })

describe('clients', () => {
  test('are made for what they are used in', () => {
    expect(accounts).type.toBe<Client>()
    expect(api).type.toBe<BearerClient>()
    expect(createPersonalTokenClient({ url: 'https://app.example.com', token: 'x' })).type.toBe<PersonalTokenClient>()
    expect(createClient).type.toBeCallableWith({ prefix: '/accounts', fetch })
    expect(createBearerClient).type.not.toBeCallableWith()
    expect(createBearerClient).type.not.toBeCallableWith({})
    expect(createBearerClient).type.toBeCallableWith({ url: 'x', refreshToken: process.env.TOKEN, async save (token: string | null) { await fetch(`x${token}`) } })
    expect(createPersonalTokenClient).type.not.toBeCallableWith({ url: 'x' })
    expect(accounts.fetch).type.toBeAssignableTo<(input: string | URL | Request, init?: RequestInit) => Promise<Response>>()
  })

  test('have the methods that go with how they prove who calls', () => {
    expect<BearerClient>().type.not.toHaveProperty('register')
    expect<BearerClient>().type.not.toHaveProperty('owner')
    expect<PersonalTokenClient>().type.not.toHaveProperty('sessions')
    expect<keyof PersonalTokenClient>().type.toBe<'fetch' | 'me'>()
  })
})

describe('methods', () => {
  test('take what the schemas of the routes take', () => {
    expect(accounts.login).type.toBeCallableWith({ email: 'x', password: 'x', remember: false })
    expect(accounts.login).type.toBeCallableWith({ username: 'x', password: 'x' }, { signal: AbortSignal.timeout(1) })
    expect(accounts.login).type.not.toBeCallableWith({ password: 'x' })
    expect(accounts.login).type.not.toBeCallableWith({ email: 'x', password: 'x', remember: 'yes' })
    expect(api.login).type.toBeCallableWith({ username: 'x', password: 'x' })
    expect(api.login).type.not.toBeCallableWith({ email: 'x', password: 'x' })
    expect(accounts.register).type.not.toBeCallableWith({ email: 'x', password: 'x', plan: 'free' })
    expect(accounts.updateMe).type.toBeCallableWith({ name: null })
    expect(accounts.tokens.create).type.toBeCallableWith({ name: 'x', context: 'server', scopes: ['a'], allowedIps: null })
    expect(accounts.tokens.create).type.not.toBeCallableWith({ name: 'x', context: 'elsewhere' })
    expect(accounts.tokens.update).type.not.toBeCallableWith('id', { context: 'server' })
    expect(accounts.tokens.rotate).type.toBeCallableWith('id', { overlap: '12h' })
    expect(accounts.users.list).type.toBeCallableWith()
    expect(accounts.users.list).type.toBeCallableWith({ search: 'ada', limit: 10 })
    expect(accounts.users.list).type.not.toBeCallableWith({ limit: '10' })
  })

  test('answer what the schemas of the routes answer', () => {
    expect(accounts.register({ email: 'x', password: 'x' })).type.toBe<Promise<SignedInAnswer | null>>()
    expect(accounts.login({ email: 'x', password: 'x' })).type.toBe<Promise<SignedInAnswer>>()
    expect(api.login({ username: 'x', password: 'x' })).type.toBe<Promise<void>>()
    expect(accounts.logout()).type.toBe<Promise<void>>()
    expect(accounts.me()).type.toBe<Promise<UserAnswer>>()
    expect<SignedInAnswer['session']['expiresAt']>().type.toBe<string>()
    expect<SessionsAnswer['sessions'][number]['address']>().type.toBe<string | null>()
    expect<CreatedTokenAnswer['personalToken']['context']>().type.toBe<'server' | 'browser'>()
    expect<CreatedTokenAnswer['personalToken']['allowedIps']>().type.toBe<string[] | null>()
    expect<UsersAnswer['next']>().type.toBe<string | null>()
  })

  test('know the fields of a user, and those of the host\'s own', () => {
    expect<UserAnswer['user']['roles']>().type.toBe<string[]>()
    expect<UserAnswer['user']['name']>().type.toBe<string | null>()
    expect<UserAnswer['user']['plan']>().type.toBe<'free' | 'paid'>()
    expect<UsersAnswer['users'][number]['plan']>().type.toBe<'free' | 'paid'>()
    expect<SignedInAnswer['user']['plan']>().type.toBe<'free' | 'paid'>()
  })
})

describe('errors', () => {
  test('have what a caller decides by', () => {
    expect<AccountsError['statusCode']>().type.toBe<number>()
    expect<AccountsError['retryAfter']>().type.toBe<number | null>()
    expect<'FST_ACCOUNTS_TOO_MANY_ATTEMPTS'>().type.toBeAssignableTo<AccountsError['code']>()
    expect<AccountsError>().type.toBeAssignableTo<Error>()
  })
})
