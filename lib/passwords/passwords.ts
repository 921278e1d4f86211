import type { PasswordHasher } from '../../types/options.ts'
import { FST_ACCOUNTS_PASSWORD_COMMON, FST_ACCOUNTS_PASSWORD_ILL_FORMED, FST_ACCOUNTS_PASSWORD_TOO_LONG, FST_ACCOUNTS_PASSWORD_TOO_SHORT } from '../errors.ts'
import type { PasswordSettings } from '../options/passwords.ts'
import { randomId } from '../random.ts'
import type { Blocklist } from './blocklist.ts'
import { parsePhc } from './phc.ts'
import type { Queue } from './queue.ts'

export interface Passwords {
  /**
   * Refuse what must not become a password. No hash is spent on it.
   * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`
   */
  check (password: string, identity: readonly string[]): void
  /** Whether this could be anybody's password. */
  isUsable (password: string): boolean
  /** @throws {FST_ACCOUNTS_BUSY} */
  hash (password: string): Promise<string>
  /**
   * Whether the password fits. Takes the time of one verification whatever is wrong: no digest, a foreign or hostile
   * one, a password that could never have been set.
   * @throws {FST_ACCOUNTS_BUSY}
   */
  verify (digest: string | null, password: string): Promise<boolean>
  /** Whether a digest costs another than the options say, so that it should be made anew while the password is known. */
  isOutdated (digest: string): boolean
}

/** Code points are counted, bytes bound, nothing is cut off or trimmed; NIST SP 800-63B-4, 3.1.1.2. */
export async function createPasswords (settings: PasswordSettings, hasher: PasswordHasher, blocklist: Blocklist, queue: Queue): Promise<Passwords> {
  const { minLength, maxBytes } = settings
  // Nobody knows its password: what is verified against it takes as long as a real digest and never fits.
  const decoy = await hasher.hash(randomId())
  const isUsable = (password: string) => isWellFormed(password) && Buffer.byteLength(password) <= maxBytes

  return {
    check (password, identity) {
      const length = [...password].length
      if (!isWellFormed(password)) throw new FST_ACCOUNTS_PASSWORD_ILL_FORMED()
      if (Buffer.byteLength(password) > maxBytes) throw new FST_ACCOUNTS_PASSWORD_TOO_LONG(maxBytes)
      if (length < minLength) throw new FST_ACCOUNTS_PASSWORD_TOO_SHORT(minLength)
      if (blocklist.has(password, identity)) throw new FST_ACCOUNTS_PASSWORD_COMMON()
    },
    isUsable,
    hash: async password => await queue.run(async () => await hasher.hash(normalize(password))),
    async verify (digest, password) {
      const canFit = digest !== null && parsePhc(digest) !== null && isUsable(password)
      const fits = await queue.run(async () => await verifySafely(hasher, canFit ? digest : decoy, canFit ? normalize(password) : 'decoy'))
      return canFit && fits
    },
    isOutdated (digest) {
      const costs = parsePhc(digest)
      const { memoryKiB, iterations, parallelism } = settings.argon2
      return costs === null || costs.memoryKiB !== memoryKiB || costs.iterations !== iterations || costs.parallelism !== parallelism
    }
  }
}

async function verifySafely (hasher: PasswordHasher, digest: string, password: string): Promise<boolean> {
  try {
    return await hasher.verify(digest, password) === true
  } catch {
    return false
  }
}

/** One and the same password, however the keyboard composes its letters. */
const normalize = (password: string) => password.normalize('NFC')

/** Native libraries stop at a NUL, and take every lone surrogate for the same character. */
const isWellFormed = (password: string) => password.isWellFormed() && !password.includes('\0')
