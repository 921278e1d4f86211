import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { UserRecord } from '../../types/storage.ts'
import { createLegacy, type Legacy } from '../basic/legacy.ts'
import { createBasicUses, type BasicUses } from '../basic/uses.ts'
import { now } from '../clock.ts'
import type { BasicSettings } from '../options/basic.ts'
import type { NameAndPassword } from '../requests/authorization.ts'
import type { LimitRate } from '../requests/rate-limit.ts'
import type { AccountsDependencies } from './dependencies.ts'
import type { Proof } from './proof.ts'

/** All that there is to HTTP Basic, but for the credential. */
export interface BasicDuties {
  readonly settings: BasicSettings
  /** `null`: there are none. */
  readonly legacy: Legacy | null
  /** Check a name and password as at login, and no oftener; `null`: accounts don't come this way. */
  readonly prove: ((presented: NameAndPassword, request: FastifyRequest) => Promise<UserRecord>) | null
  /** Whether this account is kept out, whatever its password. */
  readonly isBarred: (user: UserRecord) => boolean
  readonly uses: BasicUses
}

/** Nobody sets such a password any more (NIST SP 800-63B-4, 3.1.1.2). */
const SHORT = 8

/** Say at the start what an operator should know of. */
export function warnOfBasic ({ legacy, sunset }: BasicSettings, isInsecure: boolean, log: FastifyBaseLogger): void {
  if (isInsecure) log.warn('fastify-accounts: basic is switched on and cookies.insecure is set: whoever can listen on the network can read passwords')
  if (legacy !== null && [...legacy.password].length < SHORT) log.warn(`fastify-accounts: basic.legacy.password has less than ${SHORT} characters: whoever guesses it is let in, and may claim the first account`)
  if (sunset !== null && sunset <= now()) log.warn('fastify-accounts: basic.sunset has passed: HTTP Basic is refused')
}

/** @param limitRate `null`: requests are not counted */
export function createBasicDuties (settings: BasicSettings, { storage, throttle, hooks }: Pick<AccountsDependencies, 'storage' | 'throttle' | 'hooks'>, proof: Proof, limitRate: LimitRate | null): BasicDuties {
  const uses = createBasicUses(storage.basicUses!)

  /** By network: who guesses must not lock out all others who know the password. */
  async function limitGuesses (check: () => Promise<boolean>, request: FastifyRequest): Promise<boolean> {
    await limitRate?.(request, true)
    return await throttle.guard(throttle.bucketOfNetwork('legacy', request), check, fits => fits, () => hooks.record('login.throttled', { reason: 'throttled', request }))
  }

  async function prove ({ username, password }: NameAndPassword, request: FastifyRequest): Promise<UserRecord> {
    await limitRate?.(request, true)
    const user = await proof.prove(username.includes('@') ? { email: username, password } : { username, password }, request)
    await proof.upgrade(user, password)
    return user
  }

  return {
    settings,
    legacy: settings.legacy === null ? null : createLegacy(settings.legacy, limitGuesses),
    prove: settings.users ? prove : null,
    isBarred: user => proof.whyBarred(user) !== null,
    uses
  }
}
