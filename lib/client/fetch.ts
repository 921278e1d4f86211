import type { Connection, Fetch } from './connection.ts'
import type { Credential, Presented } from './credential.ts'
import { readCode } from './error.ts'
import { unlessAborted } from './unless-aborted.ts'

/**
 * A `fetch` for the application's own routes. A request that a guard has refused, as the access token has expired, is
 * repeated once the session is renewed, unless its body can't be sent twice: then the refusal is answered, and the next
 * request will do.
 */
export function createFetch ({ locate, fetch }: Connection, credential: Credential): Fetch {
  return async (input, init = {}) => {
    const request = input instanceof Request ? input : null
    const address = locate(input instanceof Request ? input.url : input)
    const signal = init.signal ?? request?.signal
    const ask = async (target: string | Request, presented: Presented) => {
      const headers = new Headers(init.headers ?? request?.headers)
      for (const [name, value] of Object.entries(presented.headers)) headers.set(name, value)
      return await fetch(target, { ...init, headers, credentials: credential.credentials })
    }

    const presented = await unlessAborted(credential.present(), signal)
    const response = await ask(request?.clone() ?? address, presented)
    if (response.status !== 401) return response
    const next = await unlessAborted(presented.renew(await readCode(response)), signal)
    return next === null || isStream(init.body) ? response : await ask(request ?? address, next)
  }
}

/** What is gone once it was sent. */
const isStream = (body: unknown): boolean => typeof body === 'object' && body !== null && ('getReader' in body || Symbol.asyncIterator in body)
