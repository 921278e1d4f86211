import type { KeyAlgorithm } from '../../types/keys.ts'
import type { KeyPair } from './key-pairs.ts'

/** What others verify access tokens with (RFC 7517, 5): public parts and nothing else. */
export interface KeySet {
  readonly keys: ReadonlyArray<{ readonly kid: string, readonly alg: KeyAlgorithm, readonly use: 'sig', readonly [member: string]: string }>
}

export function createKeySet (pairs: readonly KeyPair[]): KeySet {
  return {
    keys: pairs.map(({ id, algorithm, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }) as Record<string, string>, kid: id, alg: algorithm, use: 'sig' }))
  }
}
