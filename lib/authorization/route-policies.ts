import type { RouteOptions } from 'fastify'
import type { Guard } from '../../types/fastify.ts'
import type { Policy } from '../../types/policy.ts'
import { FST_ACCOUNTS_INTERNAL, FST_ACCOUNTS_POLICY_INVALID } from '../errors.ts'
import type { Guards } from './guard.ts'
import type { Subject } from './policy.ts'
import { hooksBefore } from './route-hooks.ts'

/** A route as an `onRoute` hook saw it. `options` is Fastify's own copy, which later hooks may still change. */
export interface KnownRoute {
  readonly url: string
  readonly options: RouteOptions
  readonly declared: Declared
  /** Stands in the route's config, so that a request finds it. */
  readonly mark: Mark
}

interface Mark { isGuardedByItself: boolean }

/** Every guard that a request has to pass, in this order. */
export type Verdict = 'public' | readonly Guard[]

export interface RoutePolicies {
  /** For `onRoute`. @throws {FST_ACCOUNTS_POLICY_INVALID} */
  note (options: RouteOptions): KnownRoute
  /** Decide what guards a route, when every hook has had its say on it. @throws {FST_ACCOUNTS_POLICY_INVALID} also for what contradicts itself */
  judge (route: KnownRoute): Verdict
  /** For `onRequest` of the instance: after routing, on the route that has matched. */
  readonly enforce: Guard
}

type Declared = Policy | false | undefined

/**
 * What routes declare in `config.accounts`. With a default, `enforce` guards them all. Without one, a guard is put among
 * the hooks of each route that declares a policy, so that the others cost nothing.
 */
export function createRoutePolicies (guards: Guards, byDefault: Guard | null): RoutePolicies {
  const MARK = Symbol('fastify-accounts.route')
  type Config = { accounts?: Declared, [MARK]?: Mark } | undefined
  const made = new WeakMap<Policy, Guard>()

  const guardOf = (policy: Policy, subject: Subject): Guard => {
    const guard = made.get(policy) ?? guards.make(policy, subject)
    made.set(policy, guard)
    return guard
  }
  const guardFor = (config: Config): Guard | null => {
    if (config?.[MARK]?.isGuardedByItself === true) return null
    const declared = config?.accounts
    // A policy that is new here stands in a route that was there before the plugin.
    return isPolicy(declared) ? guardOf(declared, 'Policy') : declared === false ? null : byDefault
  }

  return {
    note (options) {
      if ('accounts' in options) throw new FST_ACCOUNTS_POLICY_INVALID(subjectOf(options), 'stands beside the config: write config: { accounts: … }')
      const declared = options.config?.accounts
      // Already here, so that the stack leads to the line that adds the route.
      const guard = isPolicy(declared) ? guardOf(declared, subjectOf(options)) : null
      const mark = { isGuardedByItself: guard !== null && byDefault === null }
      if (mark.isGuardedByItself) putFirst(guard!, options)
      options.config = { ...options.config, [MARK]: mark } as NonNullable<RouteOptions['config']>
      return { url: options.url, options, declared, mark }
    },
    judge ({ options, declared, mark }) {
      const refuse = (why: string): never => { throw new FST_ACCOUNTS_POLICY_INVALID(subjectOf(options), why) }
      const config = options.config as Config
      const policy = config?.accounts
      const guard = isPolicy(policy) ? guardOf(policy, subjectOf(options)) : null
      const own = hooksBefore(options).filter((hook): hook is Guard => guards.ruleOf(hook) !== undefined && hook !== guard)
      const found = config?.[MARK]
      const isLost = found === undefined ? policy === undefined && own.length > 0 && byDefault !== null : found !== mark
      if (isLost || (policy === undefined && declared !== undefined)) refuse('is lost: an onRoute hook has replaced the config of the route')
      if (policy !== undefined && own.length > 0) refuse('stands in config.accounts beside a guard among the hooks: only one of them can be meant')
      if (guard !== null && byDefault === null && !hooksBefore(options).includes(guard)) refuse('was set by an onRoute hook that runs after the plugin\'s, which is too late unless "protect" is "all"')
      if (policy === false) return 'public'
      if (own.length === 0) return [guard ?? byDefault ?? []].flat()
      mark.isGuardedByItself = true
      return own
    },
    enforce (request, reply, done) {
      let guard: Guard | null
      try {
        guard = guardFor(request.routeOptions.config as Config)
      } catch (cause) {
        return done(new FST_ACCOUNTS_INTERNAL({ cause }))
      }
      if (guard === null) done()
      else guard(request, reply, done)
    }
  }
}

/** All but `false` and nothing: what is no policy is to be refused as one. */
const isPolicy = (declared: Declared): declared is Policy => declared !== undefined && declared !== false

function putFirst (guard: Guard, options: RouteOptions): void {
  const hooks = [options.onRequest ?? []].flat()
  if (!hooks.includes(guard)) options.onRequest = [guard, ...hooks]
}

const subjectOf = ({ method, url }: RouteOptions): Subject => `Route ${[method].flat().join(', ')} ${url}: policy`
