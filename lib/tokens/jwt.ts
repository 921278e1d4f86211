import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import { isSignedWith, signatureLength, signWith, type KeyPair } from './key-pairs.ts'
import type { Key } from './secrets.ts'

/** One key in one role: signs with it, and knows what it signed. */
export interface Jwt {
  /** The encoded header, the same for every token of this key and kind. */
  readonly header: string
  /** Bytes of a signature. */
  readonly signatureLength: number
  sign (claims: object): string
  /** Whether the signature, of the right length, is this key's; says nothing of the claims. */
  verify (token: string): boolean
}

/** Explicit types (RFC 8725bis, 3.11), so that no kind of token can stand in for another. */
export type TokenType = 'at+jwt' | 'rt+jwt'

/** Members of the header that are the host's own. */
export type TokenHeader = Readonly<Record<string, string | number | boolean>>

/** Set up `@fastify/jwt` for each secret key in an encapsulated child, so that one of the host's own stays as it is. */
export async function createJwts (app: FastifyInstance, keys: readonly Key[], typ: TokenType, extra: TokenHeader = {}): Promise<Jwt[]> {
  const jwts: Jwt[] = []
  // One after the other: a child is loaded only once the one before it is.
  for (const key of keys) jwts.push(await createJwt(app, key, typ, extra))
  return jwts
}

async function createJwt (app: FastifyInstance, key: Key, typ: TokenType, extra: TokenHeader): Promise<Jwt> {
  let jwt: FastifyInstance['jwt']
  await app.register(async child => {
    await child.register(fastifyJwt, {
      secret: key.bytes,
      decoratorName: 'accountsToken',
      sign: { algorithm: 'HS256', header: { ...extra, alg: 'HS256', typ, kid: key.id } },
      // The reader judges the times itself, to tell an expired token from a bad one.
      verify: { algorithms: ['HS256'], ignoreExpiration: true, ignoreNotBefore: true, cache: false }
    })
    jwt = child.jwt
  })
  const header = jwt!.sign({}).split('.', 1)[0]!
  return {
    header,
    signatureLength: 32,
    sign: claims => jwt.sign(claims),
    verify (token) {
      try {
        jwt.verify(token)
        return true
      } catch {
        return false
      }
    }
  }
}

/**
 * Not by `@fastify/jwt`: it takes key pairs as text alone, guesses from that what they are (CVE-2023-48223 and its successors), keeps
 * the private ones in a cache of the whole process, and takes both signatures that ECDSA has for one token.
 */
export function createKeyPairJwts (pairs: readonly KeyPair[], typ: TokenType, extra: TokenHeader = {}): Jwt[] {
  return pairs.map(pair => {
    const header = encode({ ...extra, alg: pair.algorithm, typ, kid: pair.id })
    return {
      header,
      signatureLength: signatureLength(pair),
      sign (claims) {
        const input = `${header}.${encode(claims)}`
        return `${input}.${signWith(pair, input).toString('base64url')}`
      },
      verify (token) {
        const dot = token.lastIndexOf('.')
        return isSignedWith(pair, token.slice(0, dot), Buffer.from(token.slice(dot + 1), 'base64url'))
      }
    }
  })
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
