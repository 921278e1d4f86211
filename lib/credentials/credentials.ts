import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/index.ts'
import type { PersonalTokenDuties } from '../personal-tokens/duties.ts'
import type { Refresh } from '../sessions/rotation.ts'
import type { GuardedStorage } from '../storage.ts'
import { createAccessCookie, type AccessCookieDependencies } from './access-cookie.ts'
import { createBasic, type BasicDependencies } from './basic.ts'
import { createBearer } from './bearer.ts'
import type { Credential } from './credential.ts'
import { createPersonalToken, type PersonalTokenCredentialDependencies } from './personal-token.ts'

interface CredentialsDependencies extends Omit<AccessCookieDependencies, 'refresh' | 'hooks'>, Pick<PersonalTokenCredentialDependencies, 'changes' | 'hooks'> {
  readonly settings: Settings
  readonly storage: GuardedStorage
  readonly refresh: Refresh
  /** `null`: switched off. */
  readonly personal: PersonalTokenDuties | null
  readonly basic: Pick<BasicDependencies, 'settings' | 'legacy' | 'prove' | 'isBarred' | 'uses'> | null
}

export interface Credentials {
  /** Those that are switched on. */
  readonly enabled: readonly Credential[]
  /** Whether a text looks like a personal token of ours. */
  isPersonalToken (token: string): boolean
  /** Whether a request carries a personal token, be it good or bad. */
  carriesPersonalToken (request: FastifyRequest): boolean
}

/** All ways in which a request may prove who it is. */
export function createCredentials ({ settings, personal, basic, refresh, ...dependencies }: CredentialsDependencies): Credentials {
  const isPersonalToken = (token: string) => personal?.personalTokens.isMeant(token) === true
  const accessCookie = createAccessCookie({ ...dependencies, refresh: settings.refresh === 'transparent' ? refresh : null })
  const bearer = settings.bearer ? createBearer({ ...dependencies, isPersonalToken, isFirst: settings.credentialOrder?.includes('bearer') === true }) : null
  const personalToken = personal === null ? null : createPersonalToken({ ...dependencies, ...personal })
  const byBasic = basic === null ? null : createBasic({ ...dependencies, ...basic })
  return {
    enabled: [accessCookie, bearer, personalToken, byBasic].filter(credential => credential !== null),
    isPersonalToken,
    carriesPersonalToken: request => personalToken?.isPresent(request) === true
  }
}
