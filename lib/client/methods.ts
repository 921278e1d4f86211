import type { Call } from './call.ts'
import type { Methods } from './types.ts'

/** What both browsers and clients with tokens ask of the routes. */
export function createMethods (call: Call): Methods {
  return {
    me: options => call('GET', '/me', undefined, options),
    updateMe: (body, options) => call('PATCH', '/me', body, options),
    deleteMe: (body, options) => call('DELETE', '/me', body, options),
    exportMe: options => call('GET', '/me/export', undefined, options),
    sessions: {
      list: options => call('GET', '/sessions', undefined, options),
      end: (id, options) => call('DELETE', at('/sessions', id), undefined, options),
      endOthers: options => call('DELETE', '/sessions', undefined, options)
    },
    passwords: {
      change: (body, options) => call('POST', '/password/change', body, options),
      forgot: (body, options) => call('POST', '/password/forgot', body, options),
      reset: (body, options) => call('POST', '/password/reset', body, options)
    },
    emails: {
      verify: (body, options) => call('POST', '/email/verify', body, options),
      resend: (body, options) => call('POST', '/email/resend', body, options),
      change: (body, options) => call('POST', '/email/change', body, options)
    },
    tokens: {
      list: options => call('GET', '/tokens', undefined, options),
      create: (body, options) => call('POST', '/tokens', body, options),
      update: (id, body, options) => call('PATCH', at('/tokens', id), body, options),
      revoke: (id, options) => call('DELETE', at('/tokens', id), undefined, options),
      rotate: (id, body, options) => call('POST', `${at('/tokens', id)}/rotate`, body, options)
    },
    users: {
      list: (query = {}, options) => call('GET', `/users?${toQuery(query)}`, undefined, options),
      update: (id, body, options) => call('PATCH', at('/users', id), body, options),
      endSessions: (id, options) => call('DELETE', `${at('/users', id)}/sessions`, undefined, options)
    }
  }
}

const at = (path: string, id: string): string => `${path}/${encodeURIComponent(id)}`

function toQuery (query: object): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  return new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString()
}
