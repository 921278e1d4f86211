import type { RouteOptions } from 'fastify'
import { FST_ACCOUNTS_GUARD_UNCALLED } from '../errors.ts'

type Hook = (...args: never[]) => unknown

/** The hooks of a route's own that run before its handler. */
export function hooksBefore (route: RouteOptions): readonly Hook[] {
  const { onRequest, preParsing, preValidation, preHandler } = route
  return [onRequest, preParsing, preValidation, preHandler].flat().filter(hook => hook !== undefined) as readonly Hook[]
}

/** A maker of hooks that is used as a hook would never call `done`: the route would hang instead of being guarded. */
export function refuseUncalled (route: RouteOptions, makers: Readonly<Record<string, unknown>>): void {
  const hooks: readonly unknown[] = hooksBefore(route)
  for (const [name, maker] of Object.entries(makers)) {
    if (hooks.includes(maker)) throw new FST_ACCOUNTS_GUARD_UNCALLED(route.url, name)
  }
}
