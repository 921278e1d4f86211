import type { AccountsOptions, Secrets } from '../../types/options.ts'
import { claim } from '../options/claims.ts'
import { given } from './given.ts'
import type { Reader } from './reader.ts'

const YEAR_MINUTES = 365 * 24 * 60
const MAX_MINUTES = 10 * YEAR_MINUTES

/** What is so when nothing is said, as in the options. */
const REFRESH_MINUTES = 90 * 24 * 60

export function readSecrets (read: Reader): Secrets {
  const name = 'JWT_AUTH_TOKEN_SECRET'
  const access = read.secret(name) ?? read.refuse(name, 'is missing: "npx fastify-accounts secret" prints one')
  // Without it `finish` throws.
  return { access: access!, ...given({ refresh: read.secret('JWT_REFRESH_TOKEN_SECRET'), hash: read.secret('TOKEN_HASH_SECRET'), session: read.secret('EXPRESS_SESSION_SECRET') }) }
}

export function readClaims (read: Reader): Pick<AccountsOptions, 'issuer' | 'audience'> {
  const one = (name: string) => read.text(name, text => { claim(text, name) })
  return given({ issuer: one('JWT_ISSUER'), audience: one('JWT_AUDIENCE') })
}

export function readLifetimes (read: Reader): Pick<AccountsOptions, 'accessTokenTtl' | 'refreshTokenTtl' | 'sessionTtl'> {
  const access = read.integer('JWT_TOKEN_EXPIRY_IN_MINUTES', 1, MAX_MINUTES)
  const refresh = read.integer('JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES', 1, MAX_MINUTES)
  if (access !== undefined && access > (refresh ?? REFRESH_MINUTES)) read.refuse('JWT_TOKEN_EXPIRY_IN_MINUTES', `is more than JWT_REFRESH_TOKEN_EXPIRY_IN_MINUTES (default ${REFRESH_MINUTES})`)
  return {
    ...(access === undefined ? {} : { accessTokenTtl: `${access}m` }),
    ...(refresh === undefined ? {} : { refreshTokenTtl: `${refresh}m` }),
    // Whoever lets logins rest for longer than a year does not want them to end after one.
    ...(refresh === undefined || refresh <= YEAR_MINUTES ? {} : { sessionTtl: `${refresh}m` })
  }
}
