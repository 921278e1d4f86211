import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES } from 'node:http'
import { answerHeaders, FST_ACCOUNTS_BODY_TOO_LARGE, FST_ACCOUNTS_INTERNAL, FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED } from '../errors.ts'

/** Answer every error of our routes in Fastify's shape, whatever error handler the host has. */
export function answerError (thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toAnswerable(thrown)
  const { statusCode } = error
  if (statusCode >= 500) request.log.error({ err: thrown }, 'an accounts route failed')
  else request.log.info({ err: error }, error.message)
  for (const [name, value] of Object.entries(answerHeaders(error))) {
    if (!reply.hasHeader(name)) reply.header(name, value)
  }
  void reply.code(statusCode).send({ statusCode, code: error.code, error: STATUS_CODES[statusCode], message: error.message })
}

type Answerable = Pick<FastifyError, 'code' | 'message'> & { readonly statusCode: number }

/** An error that is meant for a client has a status of its own; of all others a client learns nothing. */
function toAnswerable (thrown: unknown): Answerable {
  const { statusCode, code } = (thrown ?? {}) as Partial<FastifyError>
  if (statusCode === 413) return new FST_ACCOUNTS_BODY_TOO_LARGE()
  if (statusCode === 415) return new FST_ACCOUNTS_MEDIA_TYPE_UNSUPPORTED()
  const isAnswerable = thrown instanceof Error && typeof statusCode === 'number' && (statusCode === 503 || (statusCode >= 400 && statusCode < 500))
  return isAnswerable ? { statusCode, code: code ?? 'FST_ACCOUNTS_HOOK_REFUSED', message: thrown.message } : new FST_ACCOUNTS_INTERNAL({ cause: thrown })
}
