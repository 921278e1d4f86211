import type { PasswordHasher } from '../../types/options.ts'
import { parsePhc } from './phc.ts'

/** A kind of digest. */
export interface Scheme {
  /** A name for what it costs to verify a digest of this kind; `null` for any other text, and for costs out of bounds. */
  costsOf (digest: string): string | null
  /** Load what verifies digests of this kind. Left out: it is there. @throws {FST_ACCOUNTS_PASSWORD_UNVERIFIABLE} */
  load? (): Promise<unknown>
  /**
   * Get ready for digests of these costs: what a verification should take, in milliseconds. Left out: who knows.
   * @throws {FST_ACCOUNTS_PASSWORD_UNVERIFIABLE}
   */
  prepare? (costs: string): Promise<number>
  verify (digest: string, password: string): Promise<boolean>
}

/** A kind of digest that we also make. */
export type HashingScheme = Scheme & PasswordHasher

export function createArgon2id ({ hash, verify }: PasswordHasher): HashingScheme {
  return {
    hash,
    costsOf (digest) {
      const costs = parsePhc(digest)
      return costs === null ? null : `argon2id m=${costs.memoryKiB},t=${costs.iterations},p=${costs.parallelism}`
    },
    async verify (digest, password) {
      try {
        return await verify(digest, password) === true
      } catch {
        // What reads like a digest, and none that the library has ever made.
        return false
      }
    }
  }
}
