import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { OwnerProof as Given } from '../../types/accounts.ts'
import type { Legacy } from '../basic/legacy.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_OWNER_PROOF_REFUSED } from '../errors.ts'
import type { Key } from '../tokens/secrets.ts'

/**
 * What proves that somebody may claim the first account: the legacy credentials as long as they are good for anything, else
 * a code that only the log shows.
 */
export interface OwnerProof {
  /** `null`: at the moment the legacy credentials prove it. */
  setupCode (): string | null
  /**
   * @throws {FST_ACCOUNTS_OWNER_PROOF_REFUSED}
   * @throws {FST_ACCOUNTS_TOO_MANY_ATTEMPTS} of the legacy credentials
   */
  check (given: Given | null, request: FastifyRequest): Promise<void>
}

/** @param sunset milliseconds since 1970 */
export function createOwnerProof (legacy: Legacy | null, sunset: number | null, keys: readonly Key[]): OwnerProof {
  const setupCode = createSetupCode(keys)
  const current = () => sunset !== null && now() >= sunset ? null : legacy
  return {
    setupCode: () => current() === null ? setupCode : null,
    async check (given, request) {
      const legacy = current()
      if (legacy === null && !(given !== null && 'setupCode' in given && isCode(given.setupCode, setupCode))) throw new FST_ACCOUNTS_OWNER_PROOF_REFUSED('the setup code that the log of the server shows, as "setupCode"')
      if (legacy !== null && !(given !== null && 'username' in given && await legacy.fits(given, request))) throw new FST_ACCOUNTS_OWNER_PROOF_REFUSED('the legacy credentials, by HTTP Basic')
    }
  }
}

/** Without letters and digits that look alike (Crockford's base 32). */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** 120 bits in six groups of four characters; the same in all processes that share the secret, and after a restart. */
function createSetupCode (keys: readonly Key[]): string {
  const bytes = createHmac('sha256', keys[0]!.bytes).update('setup code').digest()
  const characters = [...bytes.subarray(0, 24)].map(byte => ALPHABET[byte % ALPHABET.length]).join('')
  return characters.replace(/.{4}(?!$)/g, '$&-')
}

/** In any case, and however it is grouped. */
function isCode (given: string, code: string): boolean {
  const [one, other] = [given, code].map(text => Buffer.from(text.toUpperCase().replace(/[\s-]/g, '')))
  return one!.length === other!.length && timingSafeEqual(one!, other!)
}
