import type { KeyObject } from 'node:crypto'

/** RSA (PKCS #1 v1.5, PSS), ECDSA on P-256, Ed25519: RFC 7518, 3.1, and RFC 8037, 3.1. */
export type KeyAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'

/** RFC 7517, 4. Not that of `node:crypto`, whose types move it from release to release. */
export interface Jwk { readonly kty?: string, readonly [member: string]: unknown }

/** PEM that is not encrypted, as text or bytes, a JWK (RFC 7517), or what `createPrivateKey` and `createPublicKey` of `node:crypto` make. */
export type KeyMaterial = string | Uint8Array | Jwk | KeyObject

/** A key for one algorithm: with `privateKey` it can sign, with `publicKey` alone it verifies what others have signed. */
export interface AccountsKey {
  /** Its name in tokens and in the key set: 1 to 64 letters, digits, `_`, `-`, `.`, `~`, `:`. @default the `kid` of the JWK, else the thumbprint of the key (RFC 7638) */
  readonly kid?: string
  readonly algorithm: KeyAlgorithm
  readonly privateKey?: KeyMaterial
  /** @default that of `privateKey` */
  readonly publicKey?: KeyMaterial
}
