import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Hooks } from '../hooks.ts'
import { addErrorHeaders, sendJson, tellError, type Answerable } from './answers.ts'

/** What RFC 6749, 5.2 and 4.1.2.1, and RFC 7009, 2.2.1 call it: by code, else by status. */
const NAMES: Readonly<Record<string | number, string>> = {
  FST_ACCOUNTS_GRANT_UNSUPPORTED: 'unsupported_grant_type',
  FST_ACCOUNTS_SCOPE_UNSUPPORTED: 'invalid_scope',
  FST_ACCOUNTS_REVOCATION_UNSUPPORTED: 'unsupported_token_type',
  401: 'invalid_grant',
  403: 'access_denied',
  429: 'temporarily_unavailable',
  500: 'server_error',
  503: 'temporarily_unavailable'
}

/** Answer every error as OAuth clients expect it (RFC 6749, 5.2), with our own code beside. */
export function answerOAuthError (hooks: Hooks, thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = tellError(hooks, thrown, request)
  // A grant that is no good is a bad request: 401 speaks of a client's own credentials.
  const statusCode = error.statusCode === 401 ? 400 : error.statusCode
  if (statusCode === error.statusCode) addErrorHeaders(reply, error)
  sendJson(reply.code(statusCode), { error: nameOf(error), error_description: describe(error), code: error.code })
}

const nameOf = ({ code, statusCode }: Answerable) => NAMES[code] ?? NAMES[statusCode] ?? 'invalid_request'

/** ASCII without quotation marks and backslashes. */
const describe = ({ message }: Answerable) => message.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?')
