import { FST_ACCOUNTS_PASSWORD_COMMON, FST_ACCOUNTS_PASSWORD_ILL_FORMED, FST_ACCOUNTS_PASSWORD_TOO_LONG, FST_ACCOUNTS_PASSWORD_TOO_SHORT } from '../errors.ts'
import type { PasswordSettings } from '../options/passwords.ts'
import { randomId } from '../random.ts'
import { BCRYPT_MAX_BYTES, bcryptCosts } from './bcrypt.ts'
import type { Blocklist } from './blocklist.ts'
import type { Queue } from './queue.ts'
import type { RefusalTime } from './refusal-time.ts'
import type { HashingScheme, Scheme } from './scheme.ts'

export interface Passwords {
  /**
   * Refuse what must not become a password. No hash is spent on it.
   * @throws {FST_ACCOUNTS_PASSWORD_TOO_SHORT} or `_TOO_LONG`, `_ILL_FORMED`, `_COMMON`
   */
  check (password: string, identity: readonly string[]): void
  /** Whether this could be anybody's password. */
  isUsable (password: string): boolean
  /**
   * @throws {FST_ACCOUNTS_BUSY}
   * @throws {FST_ACCOUNTS_PASSWORD_TOO_LONG} rather than cut anything off
   */
  hash (password: string): Promise<string>
  /**
   * Whether the password fits. A refusal takes the same time whatever is wrong: no digest, one of any kind, a hostile one,
   * a password that could never have been set. With `isDisabled` it becomes a refusal even if the password fits.
   * @throws {FST_ACCOUNTS_BUSY}
   * @throws {FST_ACCOUNTS_PASSWORD_UNVERIFIABLE}
   */
  verify (digest: string | null, password: string, isDisabled?: boolean): Promise<boolean>
  /**
   * Whether a digest is of a kind that we know, within its bounds.
   * @throws {FST_ACCOUNTS_PASSWORD_UNVERIFIABLE} it is, and what verifies it is not installed
   */
  canVerify (digest: string): Promise<boolean>
  /** Whether a digest is of another kind or costs than the options say, so that it should be made anew while the password is known. */
  isOutdated (digest: string): boolean
  /** Hashes that are being made or verified, and those that wait for their turn. */
  load: Queue['load']
  /** Hash no more, but for what is being hashed. */
  close: Queue['close']
}

export interface PasswordsDependencies {
  readonly argon2id: HashingScheme
  readonly bcrypt: HashingScheme
  /** `null`: digests of other systems don't fit. */
  readonly foreign: Scheme | null
  readonly refusalTime: RefusalTime
  readonly blocklist: Blocklist
  readonly queue: Queue
}

/** Code points are counted, bytes bound, nothing is cut off or trimmed; NIST SP 800-63B-4, 3.1.1.2. */
export async function createPasswords (settings: PasswordSettings, { argon2id, bcrypt, foreign, refusalTime, blocklist, queue }: PasswordsDependencies): Promise<Passwords> {
  const { minLength, maxBytes } = settings
  const [current, mostBytes] = settings.algorithm === 'bcrypt' ? [bcrypt, BCRYPT_MAX_BYTES] : [argon2id, Infinity]
  const schemes = [argon2id, bcrypt, ...(foreign === null ? [] : [foreign])]
  // Nobody knows its password: what is verified against it takes as long as a real digest and never fits.
  const decoy = await current.hash(randomId())
  const costs = current.costsOf(decoy)!
  const expect = async (scheme: Scheme, costs: string) => { refusalTime.expect(costs, await scheme.prepare?.(costs) ?? null) }
  await expect(current, costs)
  if (settings.legacy?.bcryptRounds !== undefined) await expect(bcrypt, bcryptCosts(settings.legacy.bcryptRounds))
  const schemeOf = (digest: string) => schemes.find(scheme => scheme.costsOf(digest) !== null)
  const isUsable = (password: string) => isWellFormed(password) && Buffer.byteLength(password) <= maxBytes

  return {
    check (password, identity) {
      const length = [...password].length
      if (!isWellFormed(password)) throw new FST_ACCOUNTS_PASSWORD_ILL_FORMED()
      if (Buffer.byteLength(password) > maxBytes) throw new FST_ACCOUNTS_PASSWORD_TOO_LONG(maxBytes)
      if (length < minLength) throw new FST_ACCOUNTS_PASSWORD_TOO_SHORT(minLength)
      if (Buffer.byteLength(normalize(password)) > mostBytes) throw new FST_ACCOUNTS_PASSWORD_TOO_LONG(mostBytes)
      if (blocklist.has(password, identity)) throw new FST_ACCOUNTS_PASSWORD_COMMON()
    },
    isUsable,
    async hash (password) {
      const normalized = normalize(password)
      if (Buffer.byteLength(normalized) > mostBytes) throw new FST_ACCOUNTS_PASSWORD_TOO_LONG(mostBytes)
      return await queue.run(async () => await current.hash(normalized))
    },
    async verify (digest, password, isDisabled = false) {
      const scheme = digest !== null && isUsable(password) ? schemeOf(digest) : undefined
      const attempt = scheme === undefined ? { scheme: current, digest: decoy, costs } : { scheme, digest: digest!, costs: scheme.costsOf(digest!)! }
      await expect(attempt.scheme, attempt.costs)
      const spellings = isUsable(password) ? spellingsOf(password) : ['decoy']
      const { fits, refusal } = await queue.run(async () => {
        const refusal = refusalTime.start(spellings.length)
        return { fits: await fitsOne(attempt, spellings) && scheme !== undefined, refusal }
      })
      // Waited for outside of the queue: whoever is refused keeps nobody from being verified.
      if (fits && !isDisabled) refusal.cancel()
      else await refusal.due
      return fits
    },
    async canVerify (digest) {
      const scheme = schemeOf(digest)
      await scheme?.load?.()
      return scheme !== undefined
    },
    isOutdated: digest => current.costsOf(digest) !== costs,
    load: queue.load,
    close: queue.close
  }

  async function fitsOne ({ scheme, digest, costs }: Attempt, spellings: readonly string[]): Promise<boolean> {
    for (const spelling of spellings) {
      if (await refusalTime.measure(costs, async () => await scheme.verify(digest, spelling))) return true
    }
    return false
  }
}

interface Attempt { readonly scheme: Scheme, readonly digest: string, readonly costs: string }

/** One and the same password, however the keyboard composes its letters. */
const normalize = (password: string) => password.normalize('NFC')

/** Other systems have hashed what was typed, as it was. */
const spellingsOf = (password: string) => [...new Set([normalize(password), password])]

/** Native libraries stop at a NUL, and take every lone surrogate for the same character. */
const isWellFormed = (password: string) => password.isWellFormed() && !password.includes('\0')
