import type { PasswordOptions } from '../../types/options.ts'
import { checkMembers, integer, refuse } from './members.ts'

export interface PasswordSettings {
  readonly minLength: number
  readonly maxBytes: number
  readonly blocklist: readonly string[] | false
  readonly argon2: { readonly memoryKiB: number, readonly iterations: number, readonly parallelism: number }
  readonly maxQueue: number
}

export function resolvePasswords (options: PasswordOptions): PasswordSettings {
  checkMembers(options, 'passwords')
  const { minLength = 15, maxBytes = 1024, blocklist = [], maxQueue = 256, argon2: costs = {} } = options
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
    argon2,
    maxQueue: integer(maxQueue, 1, 100_000, 'passwords.maxQueue')
  }
}
