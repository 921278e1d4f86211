import type { FastifyBaseLogger } from 'fastify'
import { monotonic } from '../clock.ts'
import { FST_ACCOUNTS_OPTION_INVALID, FST_ACCOUNTS_PASSWORD_UNVERIFIABLE } from '../errors.ts'
import type { PasswordSettings } from '../options/passwords.ts'
import type { HashingScheme } from './scheme.ts'

/** bcrypt reads no further; what is longer would be cut off. */
export const BCRYPT_MAX_BYTES = 72

/** `$2x$` marks the digests of a broken implementation (CVE-2011-2483): other passwords fit them as well. */
const BCRYPT = /^\$2[aby]\$(?<rounds>\d\d)\$[./A-Za-z0-9]{53}$/

/** Each round more takes twice as long: 16 would hold a core for four seconds, 31 for days. */
const [LEAST_ROUNDS, MOST_ROUNDS] = [4, 15]

/** The rounds of a bcrypt digest (`$2a$`, `$2b$`, `$2y$`); `null` for any other text, and for rounds out of bounds. */
export function parseBcrypt (digest: string): number | null {
  const rounds = Number(BCRYPT.exec(digest)?.groups?.rounds)
  return rounds >= LEAST_ROUNDS && rounds <= MOST_ROUNDS ? rounds : null
}

export const bcryptCosts = (rounds: number | '') => `bcrypt ${rounds}`

/** What we use of the package `bcrypt`. */
export interface BcryptLibrary {
  hash (password: Buffer, rounds: number): Promise<string>
  compare (password: Buffer, digest: string): Promise<boolean>
}

/** @throws if it is not installed, or was not built for this platform */
export async function importBcrypt (): Promise<BcryptLibrary> {
  return (await import('bcrypt')).default
}

/**
 * bcrypt, by the package of that name, which is loaded when an option or a digest needs it.
 * @throws {FST_ACCOUNTS_OPTION_INVALID} an option needs it, and it can't be loaded
 */
export async function createBcrypt ({ algorithm, rounds, legacy }: Pick<PasswordSettings, 'algorithm' | 'rounds' | 'legacy'>, log: Pick<FastifyBaseLogger, 'error'>, load = importBcrypt): Promise<HashingScheme> {
  const isOwn = algorithm === 'bcrypt'
  let loading: Promise<Bcrypt> | undefined
  const library = async () => await (loading ??= (async () => await measure(await load()))())

  async function requireLibrary (): Promise<Bcrypt> {
    try {
      return await library()
    } catch (cause) {
      throw new FST_ACCOUNTS_PASSWORD_UNVERIFIABLE({ cause: new TypeError(`a bcrypt digest ${CURE}`, { cause }) })
    }
  }

  const wanting = isOwn ? 'passwords.algorithm' : legacy?.bcryptRounds === undefined ? null : 'passwords.legacy.bcryptRounds'
  if (wanting !== null) await library().catch(cause => { throw new FST_ACCOUNTS_OPTION_INVALID(wanting, CURE, { cause }) })
  // Once: every login with such a digest would say the same.
  let hasTold = false

  return {
    costsOf (digest) {
      const rounds = parseBcrypt(digest)
      return rounds === null ? null : bcryptCosts(rounds)
    },
    load: requireLibrary,
    async prepare (costs) {
      try {
        return (await requireLibrary()).expectedMs(Number(costs.slice(bcryptCosts('').length)))
      } catch (error) {
        if (!hasTold) log.error({ err: (error as Error).cause }, `fastify-accounts: an account has a bcrypt digest and can't log in: the database ${CURE}`)
        hasTold = true
        throw error
      }
    },
    async hash (password) {
      return await (await requireLibrary()).hash(Buffer.from(password), rounds)
    },
    async verify (digest, password) {
      const bytes = Buffer.from(password)
      const { compare } = await requireLibrary()
      // The library knows `$2y$`, which is PHP's name for the same, as nothing at all.
      const fits = await compare(bytes.subarray(0, BCRYPT_MAX_BYTES), digest.replace(/^\$2y/, '$2b')).catch(() => false)
      // Where we make such digests ourselves none is of a longer password. Elsewhere the old system may have cut it off.
      return fits && (!isOwn || bytes.length <= BCRYPT_MAX_BYTES)
    }
  }
}

const CURE = 'needs the package "bcrypt": npm install bcrypt'

interface Bcrypt extends BcryptLibrary { expectedMs (rounds: number): number }

/** Rounds that take some 15 ms: enough to be measured, and no delay. */
const MEASURED_ROUNDS = 8

async function measure (library: BcryptLibrary): Promise<Bcrypt> {
  const times: number[] = []
  for (let run = 0; run < 3; run++) {
    const start = monotonic()
    await library.hash(Buffer.from('measured'), MEASURED_ROUNDS)
    times.push(monotonic() - start)
  }
  const median = times.sort((a, b) => a - b)[1]!
  return {
    hash: async (password, rounds) => await library.hash(password, rounds),
    compare: async (password, digest) => await library.compare(password, digest),
    expectedMs: rounds => median * 2 ** (rounds - MEASURED_ROUNDS)
  }
}
