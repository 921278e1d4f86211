import { loadBlocklist } from '../../lib/passwords/blocklist.ts'
import { loadHasher } from '../../lib/passwords/hasher.ts'
import { createPasswords, type Passwords } from '../../lib/passwords/passwords.ts'
import { createQueue } from '../../lib/passwords/queue.ts'
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
export async function createCountedPasswords (library?: PasswordHasher): Promise<{ readonly passwords: Passwords, readonly hasher: CountingHasher }> {
  const hasher = countHashes(library ?? await loadHasher(CHEAP_COSTS))
  const settings = { minLength: 15, maxBytes: 1024, blocklist: [], argon2: CHEAP_COSTS, maxQueue: 256 }
  const passwords = await createPasswords(settings, hasher, await loadBlocklist([], []), createQueue(2, 256))
  // What the module hashes for itself at start is nobody's password.
  hasher.take()
  return { passwords, hasher }
}
