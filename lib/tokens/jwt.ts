import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import type { Key } from './secrets.ts'

/** One key in one role: signs with it, and knows what it signed. */
export interface Jwt {
  /** The encoded header, the same for every token of this key and kind. */
  readonly header: string
  sign (claims: object): string
  /** Whether the signature is this key's; says nothing of the claims. */
  verify (token: string): boolean
}

/** Explicit types (RFC 8725bis, 3.11), so that no kind of token can stand in for another. */
export type TokenType = 'at+jwt' | 'rt+jwt'

/** Set up `@fastify/jwt` for each key in an encapsulated child, so that one of the host's own stays as it is. */
export async function createJwts (app: FastifyInstance, keys: readonly Key[], typ: TokenType): Promise<Jwt[]> {
  const jwts: Jwt[] = []
  // One after the other: a child is loaded only once the one before it is.
  for (const key of keys) jwts.push(await createJwt(app, key, typ))
  return jwts
}

async function createJwt (app: FastifyInstance, key: Key, typ: TokenType): Promise<Jwt> {
  let jwt: FastifyInstance['jwt']
  await app.register(async child => {
    await child.register(fastifyJwt, {
      secret: key.bytes,
      decoratorName: 'accountsToken',
      sign: { algorithm: 'HS256', header: { alg: 'HS256', typ, kid: key.id } },
      // The reader judges the times itself, to tell an expired token from a bad one.
      verify: { algorithms: ['HS256'], ignoreExpiration: true, ignoreNotBefore: true, cache: false }
    })
    jwt = child.jwt
  })
  const header = jwt!.sign({}).split('.', 1)[0]!
  return {
    header,
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
