import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { Static, TObject, TSchema } from 'typebox'
import type { Guard } from '../../types/fastify.ts'
import { parseQuery } from '../requests/query.ts'
import { createShape } from '../shape.ts'
import { sendJson } from './answers.ts'
import { errorAnswers } from './schemas.ts'

const IS_HARMLESS = Symbol('fastify-accounts.harmless')
const HARMLESS = { [IS_HARMLESS]: true }

const IS_UNLIMITED = Symbol('fastify-accounts.unlimited')

/** Whether the requests to its route are not counted. */
export const isUnlimited = (request: FastifyRequest): boolean => IS_UNLIMITED in request.routeOptions.config

/** Whether the route of this request may check a secret, hash or send mail: all do that have a body, and any that is not marked. */
export const isSensitive = (request: FastifyRequest): boolean => !(IS_HARMLESS in request.routeOptions.config)

type Given<Schema extends TSchema | undefined> = Schema extends TSchema ? Static<Schema> : undefined

/** `handle` answers a body, or `null` for 204. */
export interface RouteOptions<Body extends TSchema | undefined, Query extends TObject | undefined> {
  readonly method: HTTPMethods
  readonly url: string
  readonly summary: string
  /** `null`: the route is public. */
  readonly guard: Guard | null
  readonly body?: Body
  /** What it does costs nothing however often it is asked, and its answer is wanted also of a crowd behind one address. */
  readonly isUnlimited?: boolean
  /** A request without a body, and without a content type, is taken as `{}`. */
  readonly isBodyOptional?: boolean
  readonly query?: Query
  readonly answers: Readonly<Record<number, TSchema>>
  /** What it answers beyond what all routes of its kind do. */
  readonly errors?: readonly number[]
  /** Left out: Fastify's. */
  readonly errorSchema?: TSchema
  /** The media types of the body. Left out: JSON. */
  readonly consumes?: readonly string[]
  handle (request: FastifyRequest, reply: FastifyReply, body: Given<Body>, query: Given<Query>): Promise<object | null>
}

/**
 * Add a route whose body and query are checked by ourselves: whatever validator, coercion or error handling the host has
 * set up, or puts into our routes by a hook, nothing but the shape of our schema reaches the handler. A route without a
 * schema for its query does not look at it.
 */
export function addRoute<Body extends TSchema | undefined = undefined, Query extends TObject | undefined = undefined> (app: FastifyInstance, options: RouteOptions<Body, Query>): void {
  const { method, url, summary, guard, body, isBodyOptional = false, isUnlimited = false, query, answers, errors = [], errorSchema, consumes, handle } = options
  const readBody = body === undefined ? () => undefined : createShape('body', body)
  const readQuery = query === undefined ? () => undefined : createShape('query', query)
  const numbers = Object.entries(query?.properties ?? {}).filter(([, schema]) => 'type' in schema && schema.type === 'integer').map(([name]) => name)
  app.route({
    method,
    url,
    // In this scope's own order: after the hook that all routes of the plugin share, also where the host protects all.
    ...(guard === null ? {} : { onRequest: guard }),
    config: { ...(guard === null ? { accounts: false } : {}), ...(body === undefined ? HARMLESS : {}), ...(isUnlimited ? { [IS_UNLIMITED]: true } : {}) },
    schema: {
      summary,
      tags: ['accounts'],
      ...(body === undefined ? {} : { body: body as TSchema }),
      ...(query === undefined ? {} : { querystring: query as TSchema }),
      ...(consumes === undefined ? {} : { consumes }),
      response: { ...errorAnswers([400, ...(guard === null ? [] : [401, 403]), ...(method === 'GET' ? [] : [403, 413, 415]), ...errors, 429, 503], errorSchema), ...answers }
    },
    async handler (request, reply) {
      const given = readQuery(query === undefined ? undefined : parseQuery(request.url, numbers)) as Given<Query>
      const isLeftOut = isBodyOptional && request.body === undefined && request.headers['content-type'] === undefined
      const answer = await handle(request, reply, readBody(isLeftOut ? {} : request.body) as Given<Body>, given)
      return answer === null ? await reply.code(204).send() : sendJson(reply, answer)
    }
  })
}
