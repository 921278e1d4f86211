import { createBearerSession, type BearerSession } from './bearer-session.ts'
import { createCall } from './call.ts'
import { createConnection, readAnswer, type Connection } from './connection.ts'
import type { Presented } from './credential.ts'
import type { BearerAnswer } from './described.ts'
import { AccountsError } from './error.ts'
import { createFetch } from './fetch.ts'
import { createMethods } from './methods.ts'
import type { BearerClient, BearerClientOptions } from './types.ts'
import { unlessAborted } from './unless-aborted.ts'

/** For programs, apps and pages of another origin: the client holds the tokens, in memory alone. */
export function createBearerClient ({ refreshToken, save = () => {}, ...options }: BearerClientOptions): BearerClient {
  const connection = createConnection(options)
  const ask = createAsk(connection)
  let session: BearerSession | null = null
  if (refreshToken !== undefined) session = open(refreshToken)

  const fetch = createFetch(connection, { credentials: 'omit', present: async () => await session?.present() ?? NOTHING })
  const call = createCall(connection, fetch)
  const methods = createMethods(call)
  return {
    ...methods,
    fetch,
    async login ({ username, password }, { signal } = {}) {
      const begun = open('')
      await begun.adopt(await ask('/token', { grant_type: 'password', username, password }, signal))
      session?.end(signedOut())
      session = begun
    },
    async logout ({ signal } = {}) {
      const leaving = session
      if (leaving === null) return
      // The server first, so that it can be repeated.
      await ask('/token/revoke', { token: leaving.refreshToken }, signal)
      await leave(leaving, signedOut())
    },
    async refresh ({ signal } = {}) {
      if (session === null) throw signedOut()
      await unlessAborted(session.refresh(), signal)
    },
    passwords: {
      ...methods.passwords,
      async change (body, options) {
        const changing = session
        await changing?.adopt(await call('POST', '/password/change', body, options))
      }
    }
  }

  function open (refreshToken: string): BearerSession {
    const opened = createBearerSession({
      trade: async (refreshToken, signal) => await ask('/token', { grant_type: 'refresh_token', refresh_token: refreshToken }, signal),
      save,
      forget: async why => await leave(opened, why)
    }, refreshToken)
    return opened
  }

  async function leave (leaving: BearerSession, why: AccountsError): Promise<void> {
    leaving.end(why)
    if (session !== leaving) return
    session = null
    await save(null)
  }
}

/** Who has no session asks as a stranger: routes may be for all. */
const NOTHING: Presented = { headers: {}, renew: async () => null }

const signedOut = () => new AccountsError({ statusCode: 401, code: 'FST_ACCOUNTS_AUTHENTICATION_REQUIRED', message: 'Not signed in' })

type Ask = (path: '/token' | '/token/revoke', parameters: Record<string, string>, signal: AbortSignal | undefined) => Promise<BearerAnswer>

/** A form, as OAuth has it: a page of another origin may send it without asking first. */
function createAsk ({ fetch, locateRoute }: Connection): Ask {
  return async (path, parameters, signal) => await readAnswer(await fetch(locateRoute(path), {
    method: 'POST',
    body: new URLSearchParams(parameters),
    credentials: 'omit',
    redirect: 'error',
    ...(signal === undefined ? {} : { signal })
  }))
}
