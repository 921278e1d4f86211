import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Guard } from '../../types/fastify.ts'
import type { Policy } from '../../types/policy.ts'
import type { Principal } from '../../types/principal.ts'
import { now } from '../clock.ts'
import type { Credential } from '../credentials/credential.ts'
import { answerHeaders, FST_ACCOUNTS_AUTHENTICATION_REQUIRED, FST_ACCOUNTS_FORBIDDEN, FST_ACCOUNTS_FRESH_LOGIN_REQUIRED, FST_ACCOUNTS_INTERNAL, isAccountsError } from '../errors.ts'
import type { Hooks } from '../hooks.ts'
import { noteRefusal, varyByCaller } from '../requests/caching.ts'
import { requireConsent } from './authorize.ts'
import { resolvePolicy, type Rule, type Subject } from './policy.ts'

export interface Guards {
  /** @throws {FST_ACCOUNTS_POLICY_INVALID} which calls the policy by `subject` */
  make (policy: Policy, subject: Subject): Guard
  /** The policy of a guard that was made here, complete; of any other function `undefined`. */
  ruleOf (hook: unknown): Rule | undefined
}

/** Make guards: who calls, and does the policy let them in? */
export function createGuards (credentials: readonly Credential[], hooks: Hooks): Guards {
  const enabled = credentials.map(credential => credential.kind)
  const rules = new WeakMap<object, Rule>()
  return {
    make (policy, subject) {
      const rule = resolvePolicy(policy, enabled, subject)
      const guard = createGuard(rule, credentials.filter(({ kind }) => rule.via.includes(kind)), hooks)
      rules.set(guard, rule)
      return guard
    },
    ruleOf: hook => typeof hook === 'function' ? rules.get(hook) : undefined
  }
}

function createGuard (rule: Rule, accepted: readonly Credential[], hooks: Hooks): Guard {
  // Callback style: where memory suffices, nothing is made between the socket and the handler, not even a promise.
  return function guardRoute (request, reply, done) {
    const { principal: before } = request
    let admission: Promise<void> | null
    try {
      varyByCaller(reply)
      const found = identify(accepted, 0, request, reply, rule)
      admission = found instanceof Promise
        ? found.then(async principal => { await admit(rule, hooks, principal, request, reply) })
        : admit(rule, hooks, found, request, reply)
    } catch (error) {
      return done(toRefusal(error, before, request, reply, hooks))
    }
    if (admission === null) done()
    else admission.then(() => done(), error => done(toRefusal(error, before, request, reply, hooks)))
  }
}

/** The first credential that is present decides. */
function identify (credentials: readonly Credential[], first: number, request: FastifyRequest, reply: FastifyReply, rule: Rule): Principal | null | Promise<Principal | null> {
  for (let index = first; index < credentials.length; index++) {
    const found = credentials[index]!.identify(request, reply, rule.liveness)
    if (found instanceof Promise) return found.then(principal => principal ?? identify(credentials, index + 1, request, reply, rule))
    if (found !== null) return found
  }
  return null
}

/** Throws what is refused; `null`: admitted, else a promise that says so. */
function admit (rule: Rule, hooks: Hooks, principal: Principal | null, request: FastifyRequest, reply: FastifyReply): Promise<void> | null {
  request.principal = principal
  if (principal === null) {
    if (rule.optional) return null
    throw new FST_ACCOUNTS_AUTHENTICATION_REQUIRED()
  }
  checkRule(rule, principal, reply)
  return rule.check === null && hooks.authorize.length === 0 ? null : consult(rule, hooks, principal, request)
}

function checkRule (rule: Rule, principal: Principal, reply: FastifyReply): void {
  if (rule.roles !== null && !rule.roles.some(role => principal.user.roles.includes(role))) throw new FST_ACCOUNTS_FORBIDDEN()
  if (rule.fresh !== null && now() - principal.authenticatedAt.getTime() > rule.fresh) {
    const error = new FST_ACCOUNTS_FRESH_LOGIN_REQUIRED()
    // RFC 9470, 3: how old the proof may be, in seconds.
    reply.header('www-authenticate', `${answerHeaders(error)['www-authenticate']}, max_age=${rule.fresh / 1000}`)
    throw error
  }
}

async function consult (rule: Rule, hooks: Hooks, principal: Principal, request: FastifyRequest): Promise<void> {
  if (rule.check !== null) await requireConsent(rule.check, principal, request)
  for (const authorize of hooks.authorize) await requireConsent(authorize, principal, request)
}

/** Give a refusal its headers here, for an error handler of the host's need not know of them. */
function toRefusal (thrown: unknown, before: Principal | null, request: FastifyRequest, reply: FastifyReply, hooks: Hooks): Error {
  // Another guard may have found a caller already, as in an "or" of @fastify/auth.
  request.principal = before
  noteRefusal(reply)
  const error = thrown instanceof Error ? thrown : new FST_ACCOUNTS_INTERNAL({ cause: thrown })
  if (!isAccountsError(error)) return error
  for (const [name, value] of Object.entries(answerHeaders(error))) {
    if (!reply.hasHeader(name)) reply.header(name, value)
  }
  hooks.refused(error, request)
  return error
}
