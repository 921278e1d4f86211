import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Accounts, SignInOptions } from './accounts.ts'
import type { Check, Policy } from './policy.ts'
// By another name: plugins for sessions declare a `Session` in this module.
import type { Principal, Session as AccountSession } from './principal.ts'

/** A hook that knows the caller afterwards, as `request.principal`; fits `onRequest` and `@fastify/auth`. */
export type Guard = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => void

declare module 'fastify' {
  /** Extra fields of a user that a host's own users store returns. Extend it by interface merging. */
  interface AccountsUser {}

  /** What the access tokens of a host say beyond our own claims. Extend it by interface merging. */
  interface AccountsClaims {}

  interface FastifyContextConfig {
    /** What this route demands of its caller; `false`: nothing, it is public. Checked at start. */
    accounts?: Policy | false | undefined
  }

  interface FastifyInstance {
    /** Demand any enabled credential; else 401. */
    authenticate: Guard
    /** Make a guard from a policy. Throws at once on a policy that can't be met. */
    guard (policy?: Policy): Guard
    /** Demand the access cookie and no other credential. */
    verifyAccessCookie: Guard
    /** Demand an access token in the `Authorization` header and no other credential. @throws {FST_ACCOUNTS_BEARER_OFF} at once where they are switched off */
    verifyBearer: Guard
    /** Demand a personal token and no other credential. @throws {FST_ACCOUNTS_PERSONAL_TOKENS_OFF} at once where they are switched off */
    verifyPersonalToken: Guard
    /** Demand HTTP Basic and no other credential. Throws at once where it is switched off. */
    verifyBasic: Guard
    /**
     * `onRequest` hook of forms that call the services of `app.accounts`: count the requests of a network together with those to the plugin's
     * routes, and refuse what a page of another origin sends. Of GET it lets all pass.
     * @throws {FST_ACCOUNTS_RATE_LIMITED}
     * @throws {FST_ACCOUNTS_ORIGIN_REFUSED}
     */
    checkForm (request: FastifyRequest): Promise<void>
    /** Make a `preHandler` that lets a known caller pass if `check` says `true`; else 403. */
    authorize (check: Check): (request: FastifyRequest) => Promise<void>
    accounts: Accounts
  }

  interface FastifyRequest {
    /** Who is calling; `null` until a guard has found out. */
    principal: Principal | null
  }

  interface FastifyReply {
    /** Begin a browser session for a user whom the host has authenticated itself (OAuth, SSO), and set its cookies. */
    signIn (user: { readonly id: string }, options?: SignInOptions): Promise<AccountSession>
    /** End the session that the request presents and clear its cookies. */
    signOut (): Promise<void>
  }
}
