import { monotonic } from './clock.ts'
import type { Presented } from './credential.ts'
import type { BearerAnswer } from './described.ts'
import { AccountsError, isOver } from './error.ts'
import { createSingleFlight } from './single-flight.ts'

/** One login: requests that began under it are never repeated under another. */
export interface BearerSession {
  readonly refreshToken: string
  present (): Promise<Presented>
  refresh (): Promise<void>
  /** Take tokens that an answer has brought. */
  adopt (granted: BearerAnswer): Promise<void>
  end (why: AccountsError): void
}

export interface BearerSessionDependencies {
  trade (refreshToken: string, signal: AbortSignal): Promise<BearerAnswer>
  save (refreshToken: string): void | Promise<void>
  /** The server says that the session is over. */
  forget (why: AccountsError): Promise<void>
}

interface Access {
  readonly token: string
  /** From then on it is renewed before it is used. */
  readonly staleAt: number
  readonly endsAt: number
}

const RENEWABLE = new Set<string | null>(['FST_ACCOUNTS_TOKEN_EXPIRED', 'FST_ACCOUNTS_TOKEN_INVALID'])

/** @param refreshToken `''`: the first one will be adopted */
export function createBearerSession ({ trade, save, forget }: BearerSessionDependencies, refreshToken: string): BearerSession {
  let access: Access | null = null
  let ended: AccountsError | null = null

  const refresh = createSingleFlight(async signal => {
    if (ended !== null) throw ended
    const presented = refreshToken
    const granted = await trade(presented, signal).catch(async (error: unknown) => {
      // Else a change of the password has brought others meanwhile, and those are good.
      if (refreshToken !== presented) return null
      if (!isOver(error)) throw error
      const why = new AccountsError({ statusCode: 401, code: error.code, message: 'The session is over: sign in again' })
      await forget(why)
      throw why
    })
    if (ended !== null) throw ended
    if (granted !== null && refreshToken === presented) await adopt(granted)
  })

  return {
    get refreshToken () { return refreshToken },
    refresh,
    adopt,
    end (why) { ended = why },
    async present () {
      if (access === null || monotonic() >= access.staleAt) await refresh().catch(goOn)
      return toPresented(access!.token)
    }
  }

  async function adopt ({ access_token: token, expires_in: lifetime, refresh_token: next = refreshToken }: BearerAnswer): Promise<void> {
    const time = monotonic()
    // Before any of them is used: a program that dies in between comes back with the one before, and is given this one again.
    if (next !== refreshToken) await save(next)
    refreshToken = next
    access = { token, staleAt: time + 900 * lifetime, endsAt: time + 1000 * lifetime }
  }

  /** While the server can't renew it, what is left of its time is used. */
  function goOn (error: unknown): void {
    if (access === null || isOver(error) || monotonic() >= access.endsAt) throw error
  }

  function toPresented (token: string): Presented {
    return {
      headers: { authorization: `Bearer ${token}` },
      async renew (code) {
        if (!RENEWABLE.has(code)) return null
        // Others may have renewed it since this request was sent.
        if (access?.token === token) await refresh()
        return toPresented(access!.token)
      }
    }
  }
}
