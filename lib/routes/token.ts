import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_GRANT_UNSUPPORTED, FST_ACCOUNTS_INPUT_INVALID, FST_ACCOUNTS_REVOCATION_UNSUPPORTED, FST_ACCOUNTS_SCOPE_UNSUPPORTED } from '../errors.ts'
import { parseTokenRequest } from '../requests/token-request.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { Minted } from '../tokens/tokens.ts'
import { BODY_LIMIT, type RoutesDependencies } from './index.ts'
import { answerOAuthError } from './oauth-errors.ts'
import { addRoute } from './route.ts'
import { BearerAnswer, OAuthError, RevokeBody, Revoked, TokenBody } from './schemas.ts'

/**
 * Bearer tokens for clients without cookies: the token endpoint of OAuth 2.0 with the grants `password` and `refresh_token`
 * (RFC 6749, 4.3 and 6), and revocation (RFC 7009), both for the host's own clients, which have no id and no secret.
 */
export function addToken (scope: FastifyInstance, { login, readSession }: NonNullable<RoutesDependencies['bearer']>, { hooks, refresh, isPersonalToken, signOut }: RoutesDependencies): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT }, async (request: FastifyRequest, body: Buffer) =>
    parseTokenRequest(request.headers['content-type'], body))
  scope.addHook('onRoute', route => {
    route.errorHandler = (error, request, reply) => answerOAuthError(hooks, error, request, reply)
  })
  // RFC 6749, 5.1.
  scope.addHook('onRequest', async (_request, reply) => { reply.header('pragma', 'no-cache') })

  addRoute(scope, {
    method: 'POST',
    url: '/token',
    summary: 'Get an access token by name and password, or by a refresh token',
    guard: null,
    body: TokenBody,
    consumes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: BearerAnswer },
    errorSchema: OAuthError,
    async handle (request, reply, body) {
      // Whoever asks for less must not get all.
      if (body.scope !== undefined) throw new FST_ACCOUNTS_SCOPE_UNSUPPORTED()
      if (body.grant_type === 'password') return answerTokens(await login(readLogin(body), request))
      if (body.grant_type === 'refresh_token') return await trade(required(body, 'refresh_token'), request, reply)
      throw new FST_ACCOUNTS_GRANT_UNSUPPORTED()
    }
  })

  addRoute(scope, {
    method: 'POST',
    url: '/token/revoke',
    summary: 'End the session of an access or refresh token',
    guard: null,
    body: RevokeBody,
    consumes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: Revoked },
    errorSchema: OAuthError,
    async handle (request, _reply, { token }) {
      if (isPersonalToken(token)) throw new FST_ACCOUNTS_REVOCATION_UNSUPPORTED()
      const named = readSession(token)
      if (named !== null) await signOut.end(named.userId, named.sessionId, 'signed-out', request)
      // RFC 7009, 2.2: the same where there was nothing to end.
      return {}
    }
  })

  async function trade (token: string, request: FastifyRequest, reply: FastifyReply): Promise<Tokens> {
    const refreshed = await refresh(token, request)
    reply.header('accounts-refresh', refreshed.outcome)
    // Within the window the presented one stays good: said in so many words, as clients put what they get in place of what they have.
    return { refresh_token: token, ...answerTokens(refreshed) }
  }
}

type Tokens = Static<typeof BearerAnswer>

/** RFC 6749, 5.1. */
export function answerTokens ({ access, refresh }: Pick<Issued<Minted | null>, 'access' | 'refresh'>): Tokens {
  return {
    access_token: access.token,
    token_type: 'Bearer',
    expires_in: Math.max(0, Math.floor((access.expiresAt - now()) / 1000)),
    ...(refresh === null ? {} : { refresh_token: refresh.token })
  }
}

/** What the RFC calls the user name may be the address: no user name holds an `@`. */
function readLogin (body: Static<typeof TokenBody>) {
  const username = required(body, 'username')
  const password = required(body, 'password')
  return username.includes('@') ? { email: username, password } : { username, password }
}

function required (body: Static<typeof TokenBody>, name: 'username' | 'password' | 'refresh_token'): string {
  return body[name] ?? missing(name)
}

function missing (name: string): never {
  throw new FST_ACCOUNTS_INPUT_INVALID(`${name} is missing`)
}
