import { createHash } from 'node:crypto'

/** Lua that Redis runs without anything in between: a verb that must be atomic is one of these. Its keys are `KEYS[1]` and further. */
export interface Script {
  readonly text: string
  /** By which the server knows it. */
  readonly digest: string
}

export function script (text: string): Script {
  return { text, digest: createHash('sha1').update(text).digest('hex') }
}

/** Milliseconds until Redis may forget a key, as an argument of `PEXPIRE`. */
export const ttl = (milliseconds: number): number => Math.max(1, Math.ceil(milliseconds))

/** In a script: keep the key at least for as long as the argument says. */
export const KEEP_AT_LEAST = (argument: string) => `
  if redis.call('PTTL', KEYS[1]) < tonumber(${argument}) then redis.call('PEXPIRE', KEYS[1], ${argument}) end`
