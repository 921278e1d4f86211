import { channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { AccountsEvent, AccountsEventName, AccountsHookName, AccountsHooks } from '../types/hooks.ts'
import type { AccountsOptions } from '../types/options.ts'
import { now } from './clock.ts'
import { clientStatus, FST_ACCOUNTS_HOOK_REFUSED, FST_ACCOUNTS_OPTION_INVALID, isAccountsError } from './errors.ts'
import { HOOK_NAMES } from './options/members.ts'
import { clientAddress } from './requests/client.ts'

type State<Name extends AccountsHookName> = Parameters<AccountsHooks[Name]>[0]
type BeforeName = 'beforeRegister' | 'beforeLogin' | 'beforeSignIn'
type AfterName = 'afterRegister' | 'afterLogin' | 'afterSignIn' | 'afterSignOut'
type NoticeName = 'loginFailed' | 'sessionRefreshed' | 'sessionReused' | 'sessionRevoked' | 'passwordChanged' | 'personalTokenCreated' | 'personalTokenRefused' | 'mailFailed'

/** What a decision was about; no secret may be among it. */
interface EventDetail {
  readonly userId?: string
  readonly sessionId?: string
  readonly tokenId?: string
  readonly reason?: string
  readonly request: FastifyRequest | null
}

/** The host's hooks, and the record of every decision. */
export interface Hooks {
  add<Name extends AccountsHookName> (name: Name, hook: AccountsHooks[Name]): void
  /** Run in order; the first rejection refuses. @throws {FST_ACCOUNTS_HOOK_REFUSED} or the hook's own 4xx error, or an outage of ours */
  before<Name extends BeforeName> (name: Name, state: State<Name>): Promise<void>
  /** Run in order; rejections are logged. */
  after<Name extends AfterName> (name: Name, state: State<Name>): Promise<void>
  /** Start all and wait for none; rejections are logged. */
  notify<Name extends NoticeName> (name: Name, state: State<Name>): void
  readonly claims: ReadonlyArray<AccountsHooks['claims']>
  readonly verifyToken: ReadonlyArray<AccountsHooks['verifyToken']>
  readonly authorize: ReadonlyArray<AccountsHooks['authorize']>
  /** Publish on `diagnostics_channel` `fastify-accounts`, and log. */
  record (name: AccountsEventName, detail: EventDetail): void
  /** Record a refusal (401, 403 or 429), once for each error, wherever it is noticed first. */
  refused (error: { readonly code: string, readonly statusCode: number }, request: FastifyRequest | null): void
}

const events = channel('fastify-accounts')

/** Decisions that an operator wants to see without being asked. What becomes of the storage `outages.ts` logs. */
const WARNINGS = new Set<AccountsEventName>(['session.reused', 'personal-token.refused', 'mail.failed', 'mail.given-up', 'basic.used'])

/** What a duty has recorded itself: a failed login, one attempt too many, a token that was refused. */
const OWN_EVENT = new Set(['FST_ACCOUNTS_CREDENTIALS_INVALID', 'FST_ACCOUNTS_TOO_MANY_ATTEMPTS', 'FST_ACCOUNTS_PERSONAL_TOKEN_REFUSED'])

export function createHooks (log: FastifyBaseLogger, given: NonNullable<AccountsOptions['hooks']>): Hooks {
  const hooks = Object.fromEntries(HOOK_NAMES.map(name => [name, [given[name] ?? []].flat()])) as unknown as { [Name in AccountsHookName]: Array<AccountsHooks[Name]> }
  const run = <Name extends BeforeName | AfterName | NoticeName>(name: Name) => hooks[name] as unknown as Array<(state: State<Name>) => void | Promise<void>>
  const failed = (name: string, error: unknown) => log.error({ err: error, hook: name }, 'an accounts hook failed')
  const recorded = new WeakSet<object>()
  const record: Hooks['record'] = (name, { request, ...detail }) => {
    const event: AccountsEvent = { name, at: new Date(now()), ...detail, ...actorOf(detail.userId, request), ...(request === null ? {} : { requestId: request.id, address: clientAddress(request) }) }
    if (events.hasSubscribers) events.publish(event)
    const target = request?.log ?? log
    target[WARNINGS.has(name) ? 'warn' : 'debug']({ accounts: event }, name)
  }
  return {
    record,
    claims: hooks.claims,
    verifyToken: hooks.verifyToken,
    authorize: hooks.authorize,
    add (name, hook) {
      if (!HOOK_NAMES.includes(name)) throw new FST_ACCOUNTS_OPTION_INVALID(`hooks.${String(name)}`, 'is unknown')
      if (typeof hook !== 'function') throw new FST_ACCOUNTS_OPTION_INVALID(`hooks.${name}`, 'must be a function')
      hooks[name].push(hook)
    },
    async before (name, state) {
      for (const hook of run(name)) {
        try {
          await hook(state)
        } catch (error) {
          throw clientStatus(error) !== null || isOutage(error) ? error : new FST_ACCOUNTS_HOOK_REFUSED({ cause: error })
        }
      }
    },
    async after (name, state) {
      for (const hook of run(name)) {
        try {
          await hook(state)
        } catch (error) {
          failed(name, error)
        }
      }
    },
    notify (name, state) {
      for (const hook of run(name)) void (async () => await hook(state))().catch(error => failed(name, error))
    },
    refused (error, request) {
      const { code, statusCode } = error
      if (![401, 403, 429].includes(statusCode) || OWN_EVENT.has(code) || recorded.has(error)) return
      recorded.add(error)
      record('request.refused', { request, reason: code })
    }
  }
}

/** A hook that uses our storage while it is down does not mean to refuse. */
const isOutage = (error: unknown) => isAccountsError(error) && error.statusCode === 503

/** The caller whom a guard has found, unless the decision is about that very user. */
function actorOf (userId: string | undefined, request: FastifyRequest | null): { readonly actorId?: string } {
  // A request of another registration, or of a scope without ours, has no principal.
  const actorId = request?.principal?.user.id
  return userId === undefined || actorId === undefined || actorId === userId ? {} : { actorId }
}
