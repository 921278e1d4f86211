import type { FastifySchema, RouteOptions } from 'fastify'
import type { CredentialKind } from '../../types/principal.ts'
import type { Rule } from './policy.ts'

/** What a kind of credential is called among the `securitySchemes`. */
const SCHEMES: Readonly<Record<CredentialKind, string>> = { cookie: 'accountsCookie', bearer: 'accountsBearer', 'personal-token': 'accountsPersonalToken', basic: 'accountsBasic' }

/**
 * Say in a route's schema what its policies demand (OpenAPI 3.1, 4.8.30: one of the list is enough), unless the host has.
 * Validation is compiled by now: only what describes routes reads this.
 */
export function addSecurity (route: RouteOptions, rules: readonly Rule[]): void {
  const schema: FastifySchema & { security?: unknown } = route.schema ?? {}
  if (rules.length === 0 || schema.security !== undefined) return
  const schemes = Object.entries(SCHEMES).filter(([kind]) => rules.every(({ via }) => via.includes(kind as CredentialKind)))
  const scopes = [...new Set(rules.flatMap(rule => rule.scopes ?? []))]
  const security: object[] = schemes.map(([kind, scheme]) => ({ [scheme]: kind === 'personal-token' ? scopes : [] }))
  if (rules.every(({ optional }) => optional)) security.push({})
  route.schema = { ...schema, security } as FastifySchema
}
