import type { Checked } from '../../types/diagnosis.ts'
import type { Answered, OutsideFacts } from './outside.ts'
import { reasonOf } from './reason.ts'

const TIMEOUT_MS = 10_000

/** Ask what browsers would ask, without a cookie, so that nothing changes: who am I, and log me out. */
export async function probe (url: string, routesPath: string | null, origin: string): Promise<OutsideFacts> {
  const { origin: there } = new URL(url)
  const unchecked = { state: 'unchecked' } as const
  if (routesPath === null) return { url, me: unchecked, logout: unchecked }
  const me = await ask(`${there}${routesPath}/me`, {})
  const logout = me.state === 'answered' ? await ask(`${there}${routesPath}/logout`, { method: 'POST', headers: { origin } }) : unchecked
  return { url, me, logout }
}

async function ask (url: string, request: RequestInit): Promise<Checked<Answered>> {
  try {
    const response = await fetch(url, { ...request, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) })
    return { state: 'answered', answer: { url, status: response.status, code: await readCode(response), location: response.headers.get('location'), setCookies: response.headers.getSetCookie() } }
  } catch (error) {
    return { state: 'failed', reason: reasonOf(error) }
  }
}

/** The code of an error of ours. */
async function readCode (response: Response): Promise<string | null> {
  try {
    const { code } = await response.json() as { code?: unknown }
    return typeof code === 'string' && code.startsWith('FST_ACCOUNTS_') ? code : null
  } catch {
    return null
  }
}
