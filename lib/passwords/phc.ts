/** What a digest will cost to verify. */
export interface Argon2Costs { readonly memoryKiB: number, readonly iterations: number, readonly parallelism: number }

const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{16,128}$/

/** A stored digest decides how much memory its verification takes: one that asks for more would kill the process. */
const MOST: Argon2Costs = { memoryKiB: 262_144, iterations: 10, parallelism: 16 }

/**
 * Read an argon2id digest in PHC string format; `null` for any other text, and for costs out of bounds.
 * argon2.txt 3.1 asks for at least 8 KiB a lane.
 */
export function parsePhc (digest: string): Argon2Costs | null {
  const match = PHC.exec(digest)
  if (match === null) return null
  const [memoryKiB, iterations, parallelism] = [Number(match[1]), Number(match[2]), Number(match[3])] as const
  const isBounded = memoryKiB <= MOST.memoryKiB && iterations >= 1 && iterations <= MOST.iterations &&
    parallelism >= 1 && parallelism <= MOST.parallelism && memoryKiB >= 8 * parallelism
  return isBounded ? { memoryKiB, iterations, parallelism } : null
}
