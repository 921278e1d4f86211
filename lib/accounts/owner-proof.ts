import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Legacy } from '../basic/legacy.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_BASIC_ENDED, FST_ACCOUNTS_OWNER_PROOF_REFUSED } from '../errors.ts'
import { readBasic } from '../requests/authorization.ts'
import type { Key } from '../tokens/secrets.ts'

/** What proves that somebody may claim the first account: the legacy credentials, else a code that only the log shows. */
export interface OwnerProof {
  /** `null`: the legacy credentials prove it. */
  readonly setupCode: string | null
  /**
   * @throws {FST_ACCOUNTS_OWNER_PROOF_REFUSED}
   * @throws {FST_ACCOUNTS_BASIC_ENDED} or `_TOO_MANY_ATTEMPTS`, of the legacy credentials
   */
  check (request: FastifyRequest, setupCode: string | undefined): Promise<void>
}

/** @param sunset milliseconds since 1970 */
export function createOwnerProof (legacy: Legacy | null, sunset: number | null, keys: readonly Key[]): OwnerProof {
  const setupCode = legacy === null ? createSetupCode(keys) : null
  return {
    setupCode,
    async check (request, given) {
      if (legacy === null ? !isCode(given, setupCode!) : !await fits(legacy, request)) throw new FST_ACCOUNTS_OWNER_PROOF_REFUSED()
    }
  }

  async function fits (legacy: Legacy, request: FastifyRequest): Promise<boolean> {
    const presented = readBasic(request.headers.authorization ?? '')
    if (presented === null || presented === 'malformed') return false
    if (sunset !== null && now() >= sunset) throw new FST_ACCOUNTS_BASIC_ENDED()
    return await legacy.fits(presented, request)
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
function isCode (given: string | undefined, code: string): boolean {
  const [one, other] = [given ?? '', code].map(text => Buffer.from(text.toUpperCase().replace(/[\s-]/g, '')))
  return one!.length === other!.length && timingSafeEqual(one!, other!)
}
