/** What every token says. Times in seconds, as RFC 7519 has them. */
export interface TokenClaims {
  /** The session. */
  readonly sid: string
  /** The generation of the session's refresh token. */
  readonly gen: number
  readonly jti: string
  readonly iat: number
  readonly exp: number
  readonly iss: string
  readonly aud: string
  /** The user. */
  readonly sub: string
}

export interface AccessClaims extends TokenClaims {
  /** OpenID Connect Core, 2: when the user last proved who they are. */
  readonly auth_time: number
}

export type RefreshClaims = TokenClaims

/** Of users: they may be another system's. */
const ID = /^[\w.:@|-]{1,128}$/
const RANDOM_ID = /^[\w-]{24}$/

export function isRefreshClaims (claims: Record<string, unknown>): boolean {
  return RANDOM_ID.test(text(claims.sid)) &&
    RANDOM_ID.test(text(claims.jti)) &&
    isSubject(text(claims.sub)) &&
    isCount(claims.gen)
}

export function isAccessClaims (claims: Record<string, unknown>): boolean {
  return isRefreshClaims(claims) && isCount(claims.auth_time)
}

/** Whether a token can name a user of this id. */
export const isSubject = (id: string): boolean => ID.test(id) && id !== '__proto__'

/** A whole number from 0 that JSON carries exactly. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0)

const text = (value: unknown) => typeof value === 'string' ? value : ''
