import { now } from '../clock.ts'
import { randomFraction, randomId } from '../random.ts'
import type { Jwt } from './jwt.ts'
import { isAccessClaims, isRefreshClaims, type AccessClaims, type RefreshClaims, type TokenClaims } from './claims.ts'
import { createReader, FUTURE_TOLERANCE, WRONG_CLOCK, type Reading } from './reader.ts'

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
  /** An access token of `accessTokenTtl`, up to 5 % less by chance, never past `latest`; `extra` are claims of the host's. */
  mintAccess (subject: Subject, latest: number, extra: object): Minted
  /** A refresh token that ends at `expiresAt`. */
  mintRefresh (subject: Subject, expiresAt: number): Minted
  /** Whether it is headed as an access token of ours is; says nothing of its signature. */
  isAccess (token: string): boolean
  readAccess (token: string): Reading<AccessClaims>
  readRefresh (token: string): Reading<RefreshClaims>
}

export interface TokenSettings {
  /** The first is written, all are good. */
  readonly issuers: readonly string[]
  readonly audiences: readonly string[]
  readonly accessTokenTtl: number
  /** Of access tokens. */
  readonly leeway: number
}

/** The first of each list signs, all of it verify. */
export function createTokens (jwts: { readonly access: readonly Jwt[], readonly refresh: readonly Jwt[] }, settings: TokenSettings): Tokens {
  const { issuers, audiences, accessTokenTtl, leeway } = settings
  const mint = (jwt: Jwt | undefined, subject: Subject, iat: number, exp: number, extra: object): Minted => {
    const claims: TokenClaims = { sid: subject.sessionId, gen: subject.generation, jti: randomId(), iat, exp, iss: issuers[0]!, aud: audiences[0]!, sub: subject.userId }
    return { token: jwt!.sign({ ...claims, ...extra }), expiresAt: exp * 1000 }
  }
  const headers = jwts.access.map(({ header }) => `${header}.`)
  return {
    isAccess: token => headers.some(header => token.startsWith(header)),
    mintAccess (subject, latest, extra) {
      const iat = seconds(now())
      // Tokens that were minted together should not all come back for renewal together.
      const lifetime = Math.max(1, seconds(accessTokenTtl * (1 - 0.05 * randomFraction())))
      return mint(jwts.access[0], subject, iat, Math.min(iat + lifetime, seconds(latest)), { auth_time: seconds(subject.authenticatedAt), ...extra })
    },
    mintRefresh: (subject, expiresAt) => mint(jwts.refresh[0], subject, seconds(now()), seconds(expiresAt), {}),
    readAccess: createReader({ jwts: jwts.access, issuers, audiences, maxLifetime: accessTokenTtl / 1000, leeway, maxAhead: FUTURE_TOLERANCE, isClaims: isAccessClaims }),
    // The stored session bounds a refresh token: neither a shorter lifetime in the options nor a clock that was ahead must log anybody out.
    readRefresh: createReader({ jwts: jwts.refresh, issuers, audiences, maxLifetime: Infinity, leeway: 0, maxAhead: WRONG_CLOCK, isClaims: isRefreshClaims })
  }
}

const seconds = (milliseconds: number) => Math.floor(milliseconds / 1000)
