import type { CompletePolicy, RoutePolicy } from '../../types/policy.ts'

/** Print the matrix that `app.accounts.policies()` lists, for a snapshot: a line for the methods of a route that have one policy. */
export function formatPolicies (policies: readonly RoutePolicy[]): string {
  const lines = new Map<string, { methods: string, readonly url: string, readonly says: string }>()
  for (const { method, url, policy } of policies) {
    const says = describe(policy)
    const key = JSON.stringify([url, says])
    const line = lines.get(key)
    if (line === undefined) lines.set(key, { methods: method, url, says })
    else line.methods += `, ${method}`
  }
  const rows = [...lines.values()]
  const methodsWidth = Math.max(...rows.map(({ methods }) => methods.length))
  const urlWidth = Math.max(...rows.map(({ url }) => url.length))
  return rows.map(({ methods, url, says }) => `${methods.padEnd(methodsWidth)}  ${url.padEnd(urlWidth)}  ${says}\n`).join('')
}

function describe (policy: RoutePolicy['policy']): string {
  if (typeof policy === 'string') return policy
  return [policy].flat().map(describeDemands).join(', then ')
}

function describeDemands ({ via, optional, fresh, roles, scopes, liveness, check }: CompletePolicy): string {
  return [
    via.join(' or '),
    optional ? 'optional' : null,
    roles === null ? null : `roles ${roles.join(' or ')}`,
    scopes === null ? null : scopes.length === 0 ? 'any scopes' : `scopes ${scopes.join(' and ')}`,
    fresh === null ? null : `fresh ${fresh} s`,
    liveness === 'checked' ? null : liveness,
    check === null || check === 'check' ? check : `check ${check}`
  ].filter(part => part !== null).join(', ')
}
