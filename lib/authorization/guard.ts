import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Guard } from '../../types/fastify.ts'
import type { Policy } from '../../types/policy.ts'
import type { CredentialKind, Principal } from '../../types/principal.ts'
import { now } from '../clock.ts'
import type { Credential, PolicyDenial } from '../credentials/credential.ts'
import { answerHeaders, CHALLENGE, FST_ACCOUNTS_AUTHENTICATION_REQUIRED, FST_ACCOUNTS_CREDENTIALS_CONFLICT, FST_ACCOUNTS_FORBIDDEN, FST_ACCOUNTS_FRESH_LOGIN_REQUIRED, FST_ACCOUNTS_INTERNAL, FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_SCOPE_INSUFFICIENT, isAccountsError, TOKEN_CHALLENGE } from '../errors.ts'
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

export interface GuardSettings {
  /** Those that there are; `null`: any. */
  readonly scopes: readonly string[] | null
  /** Whether of several credentials the first counts; else they are refused. */
  readonly isOrdered: boolean
}

/** Make guards: who calls, and does the policy let them in? Credentials are asked in the order in which they are given. */
export function createGuards (credentials: readonly Credential[], { scopes, isOrdered }: GuardSettings, hooks: Hooks): Guards {
  const enabled = credentials.map(credential => credential.kind)
  const rules = new WeakMap<object, Rule>()
  return {
    make (policy, subject) {
      const rule = resolvePolicy(policy, { enabled, scopes }, subject)
      const guard = createGuard(rule, credentials, isOrdered, hooks)
      rules.set(guard, rule)
      return guard
    },
    ruleOf: hook => typeof hook === 'function' ? rules.get(hook) : undefined
  }
}

/** @throws {FST_ACCOUNTS_OPTION_INVALID} the order names a kind that is switched off */
export function inOrder (enabled: readonly Credential[], order: readonly CredentialKind[] | null): readonly Credential[] {
  if (order === null) return enabled
  const off = order.find(kind => !enabled.some(credential => credential.kind === kind))
  if (off !== undefined) throw new FST_ACCOUNTS_OPTION_INVALID('credentialOrder', `names "${off}", which is not enabled`)
  const named = order.map(kind => enabled.find(credential => credential.kind === kind)!)
  return [...named, ...enabled.filter(credential => !named.includes(credential))]
}

function createGuard (rule: Rule, enabled: readonly Credential[], isOrdered: boolean, hooks: Hooks): Guard {
  const accepted = enabled.filter(({ kind }) => rule.via.includes(kind))
  const ignored = enabled.filter(({ kind }) => !rule.via.includes(kind))
  // Callback style: where memory suffices, nothing is made between the socket and the handler, not even a promise.
  return function guardRoute (request, reply, done) {
    const { principal: before } = request
    let admission: Promise<void> | null
    try {
      varyByCaller(reply)
      if (!isOrdered && enabled.length > 1) refuseSeveral(enabled, request)
      const found = identify(accepted, 0, request, reply, rule)
      admission = found instanceof Promise
        ? found.then(async principal => { await admit(rule, hooks, principal, request, reply) })
        : admit(rule, hooks, found, request, reply)
    } catch (error) {
      return done(refuse(error, before, request, reply))
    }
    if (admission === null) done()
    else admission.then(() => done(), error => done(refuse(error, before, request, reply)))
  }

  function refuse (thrown: unknown, before: Principal | null, request: FastifyRequest, reply: FastifyReply): Error {
    const error = toRefusal(thrown, accepted, before, request, reply, hooks)
    if (error instanceof FST_ACCOUNTS_AUTHENTICATION_REQUIRED) noteRefused(ignored, 'route', request, reply)
    if (error instanceof FST_ACCOUNTS_SCOPE_INSUFFICIENT) noteRefused(accepted, 'scope', request, reply)
    return error
  }
}

/** Afterwards, as it must not show in the time of the answer, and as another guard may let the caller in, in an "or" of @fastify/auth. */
function noteRefused (credentials: readonly Credential[], reason: PolicyDenial, request: FastifyRequest, reply: FastifyReply): void {
  const credential = credentials.find(credential => credential.isPresent(request))
  if (credential?.noteRefused === undefined) return
  const { principal } = request
  reply.raw.once('close', () => {
    const isRefused = reply.statusCode >= 400 && request.principal === principal
    // Who calls was answered; the storage tells of its failures itself.
    if (isRefused) credential.noteRefused?.(request, reason).catch(() => {})
  })
}

/** Which of two was meant is not for us to guess, and a proxy before us may have judged the other. Those that are switched off are not looked at. */
function refuseSeveral (enabled: readonly Credential[], request: FastifyRequest): void {
  // All kinds but the cookie come in this header.
  if (request.headers.authorization === undefined) return
  let found = false
  for (const credential of enabled) {
    if (!credential.isPresent(request)) continue
    if (found) throw new FST_ACCOUNTS_CREDENTIALS_CONFLICT()
    found = true
  }
}

/** The first credential that is present decides. */
function identify (credentials: readonly Credential[], first: number, request: FastifyRequest, reply: FastifyReply, rule: Rule): Principal | null | Promise<Principal | null> {
  for (let index = first; index < credentials.length; index++) {
    const found = credentials[index]!.identify(request, reply, rule.liveness)
    if (found instanceof Promise) return found.then(principal => principal ?? identify(credentials, index + 1, request, reply, rule))
    if (found !== null) return found
  }
  // One refusal is enough, and it is the same whatever was wrong.
  credentials.findLast(({ refuseForeign }) => refuseForeign !== undefined)?.refuseForeign!(request, reply)
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
  if (principal.scopes !== null && !hasScopes(principal.scopes, rule)) {
    const scopes = rule.scopes === null ? '' : `, scope="${rule.scopes.join(' ')}"`
    // RFC 6750, 3.1.
    reply.header('www-authenticate', `${TOKEN_CHALLENGE}, error="insufficient_scope"${scopes}`)
    throw new FST_ACCOUNTS_SCOPE_INSUFFICIENT()
  }
  if (rule.fresh !== null && now() - principal.authenticatedAt.getTime() > rule.fresh) {
    const error = new FST_ACCOUNTS_FRESH_LOGIN_REQUIRED()
    // RFC 9470, 3: how old the proof may be, in seconds.
    reply.header('www-authenticate', `${answerHeaders(error)['www-authenticate']}, max_age=${rule.fresh / 1000}`)
    throw error
  }
}

/** A credential that was narrowed does not reach what nobody has thought of narrowing. */
function hasScopes (scopes: readonly string[], rule: Rule): boolean {
  return rule.scopes !== null && rule.scopes.every(scope => scopes.includes(scope))
}

async function consult (rule: Rule, hooks: Hooks, principal: Principal, request: FastifyRequest): Promise<void> {
  if (rule.check !== null) await requireConsent(rule.check, principal, request)
  for (const authorize of hooks.authorize) await requireConsent(authorize, principal, request)
}

/** RFC 9110, 11.6.1: every way in which a caller could prove who they are; a 401 asks for something in any case. */
function challengeOf (accepted: readonly Credential[], request: FastifyRequest): string {
  return [...new Set(accepted.map(credential => credential.challenge(request)).filter(challenge => challenge !== null))].join(', ') || CHALLENGE
}

/** Give a refusal its headers here, for an error handler of the host's need not know of them. */
function toRefusal (thrown: unknown, accepted: readonly Credential[], before: Principal | null, request: FastifyRequest, reply: FastifyReply, hooks: Hooks): Error {
  // Another guard may have found a caller already, as in an "or" of @fastify/auth.
  request.principal = before
  noteRefusal(reply)
  const error = thrown instanceof Error ? thrown : new FST_ACCOUNTS_INTERNAL({ cause: thrown })
  if (!isAccountsError(error)) return error
  if (error instanceof FST_ACCOUNTS_AUTHENTICATION_REQUIRED) reply.header('www-authenticate', challengeOf(accepted, request))
  for (const [name, value] of Object.entries(answerHeaders(error))) {
    if (!reply.hasHeader(name)) reply.header(name, value)
  }
  hooks.refused(error, request)
  return error
}
