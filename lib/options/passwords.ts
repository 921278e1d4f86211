import type { PasswordOptions, VerifyForeign } from '../../types/options.ts'
import { checkMembers, integer, oneOf, refuse } from './members.ts'

export interface PasswordSettings {
  readonly minLength: number
  readonly maxBytes: number
  readonly blocklist: readonly string[] | false
  readonly algorithm: 'argon2id' | 'bcrypt'
  readonly rounds: number
  readonly verifyForeign: VerifyForeign | null
  /** `null`: nobody has said that there are old digests. */
  readonly legacy: NonNullable<PasswordOptions['legacy']> | null
  readonly argon2: { readonly memoryKiB: number, readonly iterations: number, readonly parallelism: number }
  readonly revokeTokens: NonNullable<PasswordOptions['revokeTokens']>
  readonly maxQueue: number
}

export function resolvePasswords (options: PasswordOptions): PasswordSettings {
  checkMembers(options, 'passwords')
  const { minLength = 15, maxBytes = 1024, blocklist = [], maxQueue = 256, algorithm = 'argon2id', argon2: costs = {}, rounds = 12, revokeTokens = 'reset' } = options
  oneOf(algorithm, ['argon2id', 'bcrypt'], 'passwords.algorithm')
  if (algorithm === 'bcrypt' && options.argon2 !== undefined) refuse('passwords.argon2', 'is of no use: passwords.algorithm is "bcrypt"')
  if (algorithm !== 'bcrypt' && options.rounds !== undefined) refuse('passwords.rounds', 'is of no use unless passwords.algorithm is "bcrypt"')
  checkMembers(costs, 'passwords.argon2')
  const { memoryKiB = 19456, iterations = 2, parallelism = 1 } = costs
  if (blocklist !== false && !(Array.isArray(blocklist) && blocklist.every(word => typeof word === 'string'))) refuse('passwords.blocklist', 'must be a list of words, or false')
  const argon2 = {
    memoryKiB: integer(memoryKiB, 7168, 262144, 'passwords.argon2.memoryKiB'),
    iterations: integer(iterations, 1, 10, 'passwords.argon2.iterations'),
    parallelism: integer(parallelism, 1, 16, 'passwords.argon2.parallelism')
  }
  // OWASP Password Storage: m=47104 t=1, m=19456 t=2, m=12288 t=3, m=9216 t=4, m=7168 t=5 are equally strong.
  const floor = [47104, 19456, 12288, 9216, 7168][Math.min(argon2.iterations, 5) - 1] ?? 47104
  if (argon2.memoryKiB < floor) refuse('passwords.argon2', `is under the OWASP floor: ${argon2.iterations} iterations need ${floor} KiB`)
  return {
    minLength: integer(minLength, 8, 64, 'passwords.minLength'),
    maxBytes: integer(maxBytes, 64, 4096, 'passwords.maxBytes'),
    blocklist,
    algorithm,
    argon2,
    // OWASP Password Storage asks for 10 at least; 15 takes two seconds.
    rounds: integer(rounds, 10, 15, 'passwords.rounds'),
    ...resolveLegacy(options),
    revokeTokens: oneOf(revokeTokens, ['reset', 'always', 'never'], 'passwords.revokeTokens'),
    maxQueue: integer(maxQueue, 1, 100_000, 'passwords.maxQueue')
  }
}

function resolveLegacy ({ verifyForeign, legacy }: PasswordOptions): Pick<PasswordSettings, 'verifyForeign' | 'legacy'> {
  if (verifyForeign !== undefined && typeof verifyForeign !== 'function') refuse('passwords.verifyForeign', 'must be a function')
  if (legacy === undefined) return { verifyForeign: verifyForeign ?? null, legacy: null }
  checkMembers(legacy, 'passwords.legacy')
  const { bcryptRounds, foreignMs } = legacy
  if (bcryptRounds !== undefined) integer(bcryptRounds, 4, 15, 'passwords.legacy.bcryptRounds')
  if (foreignMs !== undefined) integer(foreignMs, 1, 2000, 'passwords.legacy.foreignMs')
  if (foreignMs !== undefined && verifyForeign === undefined) refuse('passwords.legacy.foreignMs', 'is of no use without passwords.verifyForeign')
  return { verifyForeign: verifyForeign ?? null, legacy: { ...legacy } }
}
