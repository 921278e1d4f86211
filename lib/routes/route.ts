import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Guard } from '../../types/fastify.ts'
import { FST_ACCOUNTS_INPUT_INVALID } from '../errors.ts'
import { sendJson } from './answers.ts'
import { errorAnswers } from './schemas.ts'

/** `handle` answers a body, or `null` for 204. */
export interface RouteOptions<Body extends TSchema | undefined> {
  readonly method: HTTPMethods
  readonly url: string
  readonly summary: string
  /** `null`: the route is public. */
  readonly guard: Guard | null
  readonly body?: Body
  readonly answers: Readonly<Record<number, TSchema>>
  readonly errors: readonly number[]
  handle (request: FastifyRequest, reply: FastifyReply, body: Body extends TSchema ? Static<Body> : undefined): Promise<object | null>
}

/**
 * Add a route whose body is checked by ourselves: whatever validator, coercion or error handling the host has set up,
 * or puts into our routes by a hook, nothing but the shape of our schema reaches the handler.
 */
export function addRoute<Body extends TSchema | undefined = undefined> (app: FastifyInstance, options: RouteOptions<Body>): void {
  const { method, url, summary, guard, body, answers, errors, handle } = options
  const validator = body === undefined ? null : Compile(body as TSchema)
  app.route({
    method,
    url,
    // In this scope's own order: after the hook that all routes of the plugin share, also where the host protects all.
    ...(guard === null ? { config: { accounts: false } } : { onRequest: guard }),
    schema: {
      summary,
      tags: ['accounts'],
      ...(body === undefined ? {} : { body: body as TSchema }),
      response: { ...answers, ...errorAnswers([400, ...errors, 503]) }
    },
    async handler (request, reply) {
      if (validator !== null && !validator.Check(request.body)) throw new FST_ACCOUNTS_INPUT_INVALID(describeFault(validator, request.body))
      const answer = await handle(request, reply, request.body as Body extends TSchema ? Static<Body> : undefined)
      return answer === null ? await reply.code(204).send() : sendJson(reply, answer)
    }
  })
}

/** Where the body departs from the schema; says nothing of what stands there. */
function describeFault (validator: ReturnType<typeof Compile>, body: unknown): string {
  const faults = validator.Errors(body ?? null)
  // The name of a member that nobody asked for is the caller's own text, and may be a secret: it is not repeated.
  const first = faults.find(({ keyword }) => keyword !== 'boolean')
  return first === undefined ? 'The body is not of the right shape' : `body${first.instancePath} ${first.message}`
}
