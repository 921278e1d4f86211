import Fastify from 'fastify'
import { resolvePasswords } from '../../lib/options/passwords.ts'
import { createBcrypt } from '../../lib/passwords/bcrypt.ts'
import { loadBlocklist } from '../../lib/passwords/blocklist.ts'
import { loadHasher } from '../../lib/passwords/hasher.ts'
import { createPasswords, type Passwords } from '../../lib/passwords/passwords.ts'
import { createQueue } from '../../lib/passwords/queue.ts'
import { createRefusalTime } from '../../lib/passwords/refusal-time.ts'
import { createArgon2id, type HashingScheme } from '../../lib/passwords/scheme.ts'
import type { PasswordHasher } from '../../types/index.ts'

/** The least that argon2id is allowed to cost. */
export const CHEAP_COSTS = { memoryKiB: 7168, iterations: 5, parallelism: 1 }

export interface CountingHasher extends PasswordHasher {
  /** Calls since the last `take`, as they went to the library. */
  take (): { hash: number, verify: number }
}

/** The given hasher does the work; its calls are counted. */
function countHashes (hasher: PasswordHasher): CountingHasher {
  let counts = { hash: 0, verify: 0 }
  return {
    async hash (password) {
      counts.hash++
      return await hasher.hash(password)
    },
    async verify (digest, password) {
      counts.verify++
      return await hasher.verify(digest, password)
    },
    take () {
      const taken = counts
      counts = { hash: 0, verify: 0 }
      return taken
    }
  }
}

/** The password module with its default limits and blocklist, and a count of the hashes that it spends. */
export async function createCountedPasswords (library?: PasswordHasher, bcrypt?: HashingScheme): Promise<{ readonly passwords: Passwords, readonly hasher: CountingHasher }> {
  const hasher = countHashes(library ?? await loadHasher(CHEAP_COSTS))
  const settings = resolvePasswords({ argon2: CHEAP_COSTS })
  const passwords = await createPasswords(settings, {
    argon2id: createArgon2id(hasher),
    bcrypt: bcrypt ?? await createBcrypt(settings, Fastify().log),
    foreign: null,
    refusalTime: createRefusalTime(null),
    blocklist: await loadBlocklist([], []),
    queue: createQueue(2, 256)
  })
  // What the module hashes for itself at start is nobody's password.
  hasher.take()
  return { passwords, hasher }
}
