import type { PasswordHasher } from '../../types/options.ts'
import type { Argon2Costs } from './phc.ts'

/**
 * argon2id by `@node-rs/argon2` where it is installed (twice as fast), else by `argon2`: the same digests, in PHC
 * string format, and each verifies the other's.
 */
export async function loadHasher (costs: Argon2Costs): Promise<PasswordHasher> {
  const options = { memoryCost: costs.memoryKiB, timeCost: costs.iterations, parallelism: costs.parallelism }
  return await loadNodeRs(options) ?? await loadArgon2(options)
}

interface Argon2Options { readonly memoryCost: number, readonly timeCost: number, readonly parallelism: number }

export async function loadNodeRs (options: Argon2Options): Promise<PasswordHasher | null> {
  try {
    const { hash, verify } = await import('@node-rs/argon2')
    return {
      hash: async password => await hash(password, options),
      verify: async (digest, password) => await verify(digest, password)
    }
  } catch {
    return null
  }
}

export async function loadArgon2 (options: Argon2Options): Promise<PasswordHasher> {
  const { default: argon2 } = await import('argon2')
  return {
    hash: async password => await argon2.hash(password, { ...options, type: argon2.argon2id }),
    verify: async (digest, password) => await argon2.verify(digest, password)
  }
}
