import type { Claims } from './tokens.ts'
import { claimsOf } from './tokens.ts'

// What the acknowledged window promises, as a state machine of its own: the oracle of the model test.

export const WINDOW_MS = 30_000

/** What a browser holds; its tabs share it. */
export interface Jar { access?: string, refresh?: string }

/** One login, as the specification has it. */
export interface SessionState {
  readonly userId: string
  generation: number
  rotatedAt: number
  /** The highest generation that anybody has proved to hold. */
  proved: number
  /** The same, without what a crash may have taken away. */
  known: number
  idleEnd: number
  readonly end: number
  isOver: boolean
  /** Somebody else has had a copy of its cookies. */
  isStolen: boolean
}

export type Outcome = 'rotated' | 'window' | 'recovered' | 'refused' | 'alarm'

const isRunning = (session: SessionState, time: number) => !session.isOver && time < session.idleEnd && time < session.end

/** What a trade may come to: one outcome, or two where a crash may have taken an acknowledgement away. */
function judge (session: SessionState | undefined, token: Claims, time: number): readonly Outcome[] {
  if (session === undefined || !isRunning(session, time) || time >= token.exp * 1000) return ['refused']
  const behind = session.generation - token.gen
  if (behind < 0) return ['refused']
  if (behind <= 1 && time - session.rotatedAt <= WINDOW_MS) return ['window']
  if (behind === 0) return ['rotated']
  if (behind > 1 || session.known >= session.generation) return ['alarm']
  return session.proved >= session.generation ? ['recovered', 'alarm'] : ['recovered']
}

/** Note what a trade of that token has done. */
export function apply (session: SessionState, outcome: Outcome, token: Claims, time: number, idleMs: number): void {
  if (outcome === 'alarm') session.isOver = true
  if (outcome !== 'refused' && outcome !== 'alarm' && token.gen === session.generation) prove(session, token.gen)
  if (outcome === 'recovered') session.rotatedAt = time
  if (outcome !== 'rotated') return
  session.generation++
  session.rotatedAt = time
  session.idleEnd = Math.min(time + idleMs, session.end)
}

function prove (session: SessionState, generation: number): void {
  session.proved = Math.max(session.proved, generation)
  session.known = Math.max(session.known, generation)
}

export type Sessions = Map<string, SessionState>

/** How a guard finds the caller: by the access cookie, or by a trade of the refresh cookie, or not at all. */
export type Expectation =
  | { readonly by: 'access', readonly sid: string }
  | { readonly by: 'refresh', readonly sid: string, readonly token: Claims, readonly outcomes: readonly Outcome[] }
  | { readonly by: 'nothing' }

export function expectGuard (sessions: Sessions, jar: Jar, time: number): Expectation {
  const access = read(jar.access)
  const session = access === null ? undefined : sessions.get(access.sid)
  if (access !== null && session !== undefined && time < access.exp * 1000 && isRunning(session, time)) return { by: 'access', sid: access.sid }
  return expectTrade(sessions, jar, time)
}

export function expectTrade (sessions: Sessions, jar: Jar, time: number): Expectation {
  const token = read(jar.refresh)
  return token === null ? { by: 'nothing' } : { by: 'refresh', sid: token.sid, token, outcomes: judge(sessions.get(token.sid), token, time) }
}

/** An access token was accepted: it proves its generation. */
export function noteAccess (sessions: Sessions, jar: Jar): void {
  const access = read(jar.access)!
  prove(sessions.get(access.sid)!, access.gen)
}

export const read = (token: string | undefined): Claims | null => token === undefined ? null : claimsOf(token)
