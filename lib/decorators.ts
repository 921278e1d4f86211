import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Accounts } from '../types/accounts.ts'
import type { Guard } from '../types/fastify.ts'
import type { Policy } from '../types/policy.ts'
import type { Browser } from './accounts/browser.ts'
import { FST_ACCOUNTS_BASIC_OFF, FST_ACCOUNTS_BEARER_OFF, FST_ACCOUNTS_PERSONAL_TOKENS_OFF } from './errors.ts'
import type { Settings } from './options/index.ts'

interface Decorated {
  readonly accounts: Accounts
  readonly guard: (policy?: Policy) => Guard
  readonly authorize: FastifyInstance['authorize']
  readonly checkForm: (request: FastifyRequest) => Promise<void>
  readonly browser: Browser
}

/** What a host finds on its server, its requests and replies: types/fastify.ts. */
export function decorate (app: FastifyInstance, { bearer, personalTokens, basic }: Pick<Settings, 'bearer' | 'personalTokens' | 'basic'>, { accounts, guard, authorize, checkForm, browser }: Decorated): void {
  app.decorate('accounts', accounts)
  app.decorate('guard', guard)
  app.decorate('authenticate', guard())
  app.decorate('verifyAccessCookie', guard({ via: 'cookie' }))
  // Undefined it would be no hook, and the route open.
  app.decorate('verifyBearer', { getter: () => bearer ? guard({ via: 'bearer' }) : refuse(FST_ACCOUNTS_BEARER_OFF) })
  app.decorate('verifyPersonalToken', { getter: () => personalTokens === null ? refuse(FST_ACCOUNTS_PERSONAL_TOKENS_OFF) : guard({ via: 'personal-token' }) })
  app.decorate('verifyBasic', { getter: () => basic === null ? refuse(FST_ACCOUNTS_BASIC_OFF) : guard({ via: 'basic' }) })
  app.decorate('authorize', authorize)
  app.decorate('checkForm', checkForm)
  app.decorateRequest('principal', null)
  app.decorateReply('signIn', async function (this: FastifyReply, user, options) { return await browser.signIn(this, user, options) })
  app.decorateReply('signOut', async function (this: FastifyReply) { await browser.signOut(this) })
}

function refuse (Refusal: new () => Error): never {
  throw new Refusal()
}
