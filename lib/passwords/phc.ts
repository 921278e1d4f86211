/** What a digest will cost to verify. */
export interface Argon2Costs { readonly memoryKiB: number, readonly iterations: number, readonly parallelism: number }

/** The specification has the order m, t, p; the `argon2` package writes m, p, t. */
const PHC = /^\$argon2id\$v=19\$m=(?<m>\d{1,7})(?=,(?:p=\d+,)?t=(?<t>\d{1,3})[,$])(?=,(?:t=\d+,)?p=(?<p>\d{1,3})[,$])(?:,t=\d+,p=\d+|,p=\d+,t=\d+)\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{16,128}$/

/** A stored digest decides how much memory its verification takes: one that asks for more would kill the process. */
const MOST: Argon2Costs = { memoryKiB: 262_144, iterations: 10, parallelism: 16 }

/**
 * Read an argon2id digest in PHC string format; `null` for any other text, and for costs out of bounds.
 * argon2.txt 3.1 asks for at least 8 KiB a lane.
 */
export function parsePhc (digest: string): Argon2Costs | null {
  const match = PHC.exec(digest)
  if (match === null) return null
  const { m, t, p } = match.groups as { m: string, t: string, p: string }
  const [memoryKiB, iterations, parallelism] = [Number(m), Number(t), Number(p)] as const
  const isBounded = memoryKiB <= MOST.memoryKiB && iterations >= 1 && iterations <= MOST.iterations &&
    parallelism >= 1 && parallelism <= MOST.parallelism && memoryKiB >= 8 * parallelism
  return isBounded ? { memoryKiB, iterations, parallelism } : null
}
