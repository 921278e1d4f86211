import type { PersonalTokenDenial } from '../../types/hooks.ts'
import type { PersonalTokenRecord } from '../../types/personal-token-store.ts'
import type { UserRecord } from '../../types/user-store.ts'
import { createAddressSet, type AddressSet } from './addresses.ts'
import { createMethodSet } from './methods.ts'
import { createOriginSet, originOfReferer, type OriginSet } from './referrers.ts'

/** What of a request a token's limits look at. */
export interface Presentation {
  readonly method: string
  /** As `canonicalAddress` answers it; `null`: unknown. */
  readonly address: string | null
  readonly origin: string | undefined
  readonly referer: string | undefined
}

/** Why a token that was found is not accepted. */
export type Denial = Exclude<PersonalTokenDenial, 'malformed' | 'unknown' | 'route' | 'scope'>

/** A token with its lists made ready; `null`: not limited, or not in its context. */
export interface Rules {
  readonly token: PersonalTokenRecord
  readonly methods: ReadonlySet<string> | null
  readonly addresses: AddressSet | null
  readonly referrers: OriginSet | null
}

/** Make a token's lists ready, once for many requests. */
export function compileRules (token: PersonalTokenRecord): Rules {
  const { context, allowedMethods, allowedIps, allowedReferrers } = token
  return {
    token,
    methods: allowedMethods === null ? null : createMethodSet(allowedMethods),
    addresses: context !== 'server' || allowedIps === null ? null : createAddressSet(allowedIps),
    referrers: context !== 'browser' || allowedReferrers === null ? null : createOriginSet(allowedReferrers)
  }
}

/**
 * Decide whether a request may use a token at `now` (milliseconds); `null`: it may. Comparisons are such that what a row
 * lacks, or holds of another type, denies.
 */
export function decide ({ token, methods, addresses, referrers }: Rules, owner: UserRecord | null, request: Presentation, now: number): Denial | null {
  const denial = denyToken(token, owner, now)
  if (denial !== null) return denial
  if (methods !== null && !methods.has(request.method)) return 'method'
  if (addresses !== null && !addresses.has(request.address)) return request.address === null ? 'address-unknown' : 'address'
  return referrers === null ? null : decideReferrer(referrers, request)
}

/** The same of a token by itself, whatever it is used for. */
export function denyToken (token: PersonalTokenRecord, owner: UserRecord | null, now: number): Denial | null {
  if (token.revokedAt !== null) return 'revoked'
  if (!(now < token.expiresAt.getTime())) return 'expired'
  if (owner === null || owner.id !== token.userId) return 'owner-gone'
  if (owner.disabled !== false) return 'owner-disabled'
  return owner.epoch === token.epoch ? null : 'owner-changed'
}

/** A browser sends `Origin`, `Referer`, or both; no page can make either name a site that it is not of. */
function decideReferrer (referrers: OriginSet, { origin, referer }: Presentation): Denial | null {
  if (origin === undefined && referer === undefined) return 'referrer-missing'
  if (origin !== undefined && referer !== undefined && !isWithin(origin, referer)) return 'referrer-conflict'
  const from = origin ?? originOfReferer(referer!)
  return from !== null && referrers.has(from) ? null : 'referrer'
}

/** Whether a `Referer` is of an origin: nothing is cut out of it, as the origin is checked to the letter next. */
function isWithin (origin: string, referer: string): boolean {
  return referer.startsWith(origin) && (referer.length === origin.length || referer[origin.length] === '/')
}
