import type { FastifyInstance, HTTPMethods } from 'fastify'
import type { CompletePolicy, RoutePolicy } from '../../types/policy.ts'
import type { Guards } from './guard.ts'
import { addSecurity } from './openapi.ts'
import type { Rule } from './policy.ts'
import { refuseUncalled } from './route-hooks.ts'
import { createRoutePolicies, type KnownRoute, type Verdict } from './route-policies.ts'

export interface Protection {
  readonly guards: Guards
  readonly protect: 'none' | 'all'
  /** Decorators that make hooks and are none themselves, by name. */
  readonly makers: Readonly<Record<string, unknown>>
}

/** How find-my-way prints a router that is empty. */
const NO_ROUTES = '(empty tree)'

/** Guard the routes of a scope as they declare, and answer what lists them. */
export function protectRoutes (app: FastifyInstance, { guards, protect, makers }: Protection): () => RoutePolicy[] {
  const byDefault = protect === 'all' ? guards.make({}, 'Policy') : null
  const { note, judge, enforce } = createRoutePolicies(guards, byDefault)
  const known: KnownRoute[] = []
  // Such routes went by no onRoute hook of ours; hooks of the instance do reach them, also in children.
  const hasEarlier = app.printRoutes() !== NO_ROUTES
  // In a child neither what came earlier nor what is not found is known to be the child's.
  const isRoot = Object.getPrototypeOf(app) === Object.prototype

  // A preflight carries no credentials (Fetch, CORS protocol): @fastify/cors, which must come first, is nothing to warn of.
  const mustTell = app.supportedMethods.some(method => method !== 'OPTIONS' && app.printRoutes({ method: method as HTTPMethods }) !== NO_ROUTES)

  if (byDefault !== null && mustTell) app.log.warn('fastify-accounts: there were routes before it (or it was not awaited): they are guarded, but what they say of policies is not checked at start')

  app.addHook('onRoute', options => {
    refuseUncalled(options, makers)
    known.push(note(options))
  })
  if (byDefault !== null || hasEarlier) app.addHook('onRequest', enforce)
  app.addHook('onReady', async () => {
    for (const route of known) {
      refuseUncalled(route.options, makers)
      addSecurity(route.options, rulesOf(judge(route)))
    }
  })

  const rulesOf = (verdict: Verdict): readonly Rule[] => verdict === 'public' ? [] : verdict.map(guard => guards.ruleOf(guard)!)

  return () => {
    const routes = known.flatMap(route => linesOf(route, describe(judge(route))))
    const policy = byDefault === null ? 'none' : complete(guards.ruleOf(byDefault)!)
    if (isRoot && byDefault !== null) routes.push({ method: '*', url: '(not found)', policy })
    if (isRoot && hasEarlier) routes.push({ method: '*', url: '(added earlier)', policy })
    return routes.sort(byUrlAndMethod)
  }

  function describe (verdict: Verdict): RoutePolicy['policy'] {
    if (verdict === 'public') return 'public'
    const policies = rulesOf(verdict).map(complete)
    return policies.length > 1 ? policies : policies[0] ?? 'none'
  }
}

/** A route at the root of a prefix is served with and without a slash at its end; Fastify then has moved on to the latter. */
function linesOf ({ url, options }: KnownRoute, policy: RoutePolicy['policy']): RoutePolicy[] {
  return [...new Set([url, options.url])].flatMap(url => [options.method].flat().map(method => ({ method, url, policy })))
}

function complete ({ via, optional, fresh, roles, scopes, liveness, check }: Rule): CompletePolicy {
  return { via, optional, fresh: fresh === null ? null : fresh / 1000, roles, scopes, liveness, check: check === null ? null : check.name || 'check' }
}

/** By code units: the same everywhere. */
function byUrlAndMethod (a: RoutePolicy, b: RoutePolicy): number {
  if (a.url !== b.url) return a.url < b.url ? -1 : 1
  return a.method < b.method ? -1 : a.method > b.method ? 1 : 0
}
