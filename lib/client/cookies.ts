import { readAnswer, type Connection } from './connection.ts'
import type { Credential, Presented } from './credential.ts'
import type { SignedInAnswer } from './described.ts'
import { isOver } from './error.ts'
import { inTurn } from './in-turn.ts'
import { createSingleFlight } from './single-flight.ts'

/** The last: a browser drops the access cookie when it has expired, and then a guard finds none. */
const RENEWABLE = new Set<string | null>(['FST_ACCOUNTS_TOKEN_EXPIRED', 'FST_ACCOUNTS_TOKEN_INVALID', 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED'])

/** The browser presents them. What is left to do is to have them renewed, where guards don't (`refresh: 'explicit'`). */
export function createCookies ({ fetch, locateRoute }: Connection): Credential & { refresh (): Promise<SignedInAnswer> } {
  let renewals = 0
  const refresh = createSingleFlight(signal => inTurn(`fastify-accounts ${locateRoute('/refresh')}`, async () => {
    const answer = await readAnswer<SignedInAnswer>(await fetch(locateRoute('/refresh'), { method: 'POST', redirect: 'error', signal }))
    renewals++
    return answer
  }))

  return {
    credentials: 'same-origin',
    refresh,
    present: async () => present()
  }

  function present (): Presented {
    const before = renewals
    return {
      headers: {},
      async renew (code) {
        if (!RENEWABLE.has(code)) return null
        // Others may have had them renewed since this request was sent.
        if (renewals === before) {
          try {
            await refresh()
          } catch (error) {
            if (isOver(error)) return null
            throw error
          }
        }
        return present()
      }
    }
  }
}
