import { createCall } from './call.ts'
import { createConnection } from './connection.ts'
import { createFetch } from './fetch.ts'
import type { PersonalTokenClient, PersonalTokenClientOptions } from './types.ts'

/** With a personal access token. It reaches what its owner may, but manages nothing; and nothing renews it. */
export function createPersonalTokenClient ({ token, ...options }: PersonalTokenClientOptions): PersonalTokenClient {
  const connection = createConnection(options)
  const fetch = createFetch(connection, { credentials: 'omit', present: async () => ({ headers: { authorization: `ApiToken ${token}` }, renew: async () => null }) })
  const call = createCall(connection, fetch)
  return { fetch, me: options => call('GET', '/me', undefined, options) }
}
