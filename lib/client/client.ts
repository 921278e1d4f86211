import { createCall } from './call.ts'
import { createConnection } from './connection.ts'
import { createCookies } from './cookies.ts'
import { withCsrfToken } from './csrf.ts'
import type { SignedInAnswer } from './described.ts'
import { createFetch } from './fetch.ts'
import { createMethods } from './methods.ts'
import type { Client, ClientOptions } from './types.ts'
import { unlessAborted } from './unless-aborted.ts'

/** For a page of the application itself: the browser holds the tokens, in cookies that no script can read. */
export function createClient (options: ClientOptions = {}): Client {
  const plain = createConnection(options)
  const connection = { ...plain, fetch: withCsrfToken(plain.fetch) }
  const cookies = createCookies(connection)
  const fetch = createFetch(connection, cookies)
  const call = createCall(connection, fetch)
  return {
    ...createMethods(call),
    fetch,
    register: async (body, options) => await call<SignedInAnswer | undefined>('POST', '/register', body, options) ?? null,
    login: (body, options) => call('POST', '/login', body, options),
    logout: options => call('POST', '/logout', undefined, options),
    refresh: options => unlessAborted(cookies.refresh(), options?.signal),
    owner: {
      status: options => call('GET', '/owner', undefined, options),
      claim: (body, options) => call('POST', '/owner', body, options)
    }
  }
}
