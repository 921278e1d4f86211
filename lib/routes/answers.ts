import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES } from 'node:http'
import { answerHeaders, clientStatus, FST_ACCOUNTS_BODY_TOO_LARGE, FST_ACCOUNTS_INTERNAL, FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED, isAccountsError } from '../errors.ts'
import type { Hooks } from '../hooks.ts'

/** A text passes by the host's serializers and envelopes: what our routes answer is what their documents say. */
export function sendJson (reply: FastifyReply, body: object): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(body))
}

/** What Fastify itself writes on our routes: the error that is left when a hook of the host's fails while an answer is sent. */
export function serialize (value: unknown): string {
  if (!(value instanceof Error)) return JSON.stringify(value)
  const { statusCode, code, error, message } = value as Error & { readonly statusCode?: number, readonly code?: string, readonly error?: string }
  return JSON.stringify({ statusCode, code, error, message })
}

/** Answer every error of our routes in Fastify's shape, whatever error handler the host has. */
export function answerError (hooks: Hooks, thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = tellError(hooks, thrown, request)
  const { statusCode } = error
  addErrorHeaders(reply, error)
  sendJson(reply.code(statusCode), { statusCode, code: error.code, error: STATUS_CODES[statusCode] ?? 'Client Error', message: error.message })
}

/** What a client is told of it, once the log and the hooks know all. */
export function tellError (hooks: Hooks, thrown: unknown, request: FastifyRequest): Answerable {
  const error = toAnswerable(thrown)
  hooks.refused(error, request)
  // An outage fails many requests, and `outages.ts` has said so, and why.
  if (error.statusCode >= 500 && error.code !== 'FST_ACCOUNTS_STORAGE_UNAVAILABLE') request.log.error({ err: thrown }, 'an accounts route failed')
  else request.log.info({ err: error }, error.message)
  return error
}

export function addErrorHeaders (reply: FastifyReply, error: Answerable): void {
  for (const [name, value] of Object.entries(answerHeaders(error))) {
    if (!reply.hasHeader(name)) reply.header(name, value)
  }
}

export type Answerable = Pick<FastifyError, 'code' | 'message'> & { readonly statusCode: number }

/** An error that is meant for a client has a status of its own; of all others a client learns nothing. */
function toAnswerable (thrown: unknown): Answerable {
  if (isAccountsError(thrown)) return thrown
  const statusCode = clientStatus(thrown)
  if (statusCode === null) return new FST_ACCOUNTS_INTERNAL({ cause: thrown })
  if (statusCode === 413) return new FST_ACCOUNTS_BODY_TOO_LARGE()
  if (statusCode === 415) return toAnswerable(new FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED('application/json'))
  const { code, message } = thrown as FastifyError
  return { statusCode, code: typeof code === 'string' ? code : 'FST_ACCOUNTS_HOOK_REFUSED', message }
}
