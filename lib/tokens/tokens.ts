import { now } from '../clock.ts'
import { randomFraction, randomId } from '../random.ts'
import type { Jwt } from './jwt.ts'
import { isAccessClaims, isRefreshClaims, type AccessClaims, type RefreshClaims, type TokenClaims } from './claims.ts'
import { createReader, type Reading } from './reader.ts'

/** What a token is minted for. Times in milliseconds. */
interface Subject {
  readonly sessionId: string
  readonly userId: string
  readonly generation: number
  readonly authenticatedAt: number
}

/** A token with the moment at which it ends, in milliseconds: a whole second, as in its `exp`. */
export interface Minted {
  readonly token: string
  readonly expiresAt: number
}

/** Mint and read the two kinds of token. Pure: no store is asked. */
export interface Tokens {
  /** An access token of `accessTokenTtl`, up to 5 % less by chance, never past `latest`. */
  mintAccess (subject: Subject, latest: number): Minted
  /** A refresh token that ends at `expiresAt`. */
  mintRefresh (subject: Subject, expiresAt: number): Minted
  /** Whether it is headed as an access token of ours is; says nothing of its signature. */
  isAccess (token: string): boolean
  readAccess (token: string): Reading<AccessClaims>
  readRefresh (token: string): Reading<RefreshClaims>
}

export interface TokenSettings {
  readonly issuer: string
  readonly audience: string
  readonly accessTokenTtl: number
}

/** The first of each list signs, all of it verify. */
export function createTokens (jwts: { readonly access: readonly Jwt[], readonly refresh: readonly Jwt[] }, settings: TokenSettings): Tokens {
  const { issuer, audience, accessTokenTtl } = settings
  const mint = (jwt: Jwt | undefined, subject: Subject, iat: number, exp: number, extra: object): Minted => {
    const claims: TokenClaims = { sid: subject.sessionId, gen: subject.generation, jti: randomId(), iat, exp, iss: issuer, aud: audience, sub: subject.userId }
    return { token: jwt!.sign({ ...claims, ...extra }), expiresAt: exp * 1000 }
  }
  const headers = jwts.access.map(({ header }) => `${header}.`)
  return {
    isAccess: token => headers.some(header => token.startsWith(header)),
    mintAccess (subject, latest) {
      const iat = seconds(now())
      // Tokens that were minted together should not all come back for renewal together.
      const lifetime = Math.max(1, seconds(accessTokenTtl * (1 - 0.05 * randomFraction())))
      return mint(jwts.access[0], subject, iat, Math.min(iat + lifetime, seconds(latest)), { auth_time: seconds(subject.authenticatedAt) })
    },
    mintRefresh: (subject, expiresAt) => mint(jwts.refresh[0], subject, seconds(now()), seconds(expiresAt), {}),
    readAccess: createReader({ jwts: jwts.access, issuer, audience, maxLifetime: accessTokenTtl / 1000, isClaims: isAccessClaims }),
    // The stored session bounds a refresh token: a shorter lifetime in the options must not log anybody out.
    readRefresh: createReader({ jwts: jwts.refresh, issuer, audience, maxLifetime: Infinity, isClaims: isRefreshClaims })
  }
}

const seconds = (milliseconds: number) => Math.floor(milliseconds / 1000)
