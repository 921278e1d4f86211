import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { isDeepStrictEqual } from 'node:util'

type Check = (answer: unknown) => string | null

/** By the schema itself, which is the same for every server of this process. */
const checks = new WeakMap<object, Check>()

/**
 * Have every answer of the plugin's routes looked at in passing: its status is one that its document names, and its body has the
 * members that are documented for it, and no other. Below a user there may be more: hosts have fields of their own.
 */
export function checkAnswers (t: Test, app: FastifyInstance): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    done(null, payload)
    const schema = request.routeOptions.schema as { readonly tags?: readonly string[], readonly response?: Record<number, object> } | undefined
    if (schema?.tags?.includes('accounts') !== true || request.method === 'HEAD') return
    const fault = judge(schema.response?.[reply.statusCode], reply.statusCode, payload)
    if (fault !== null) t.fail(`${request.method} ${request.routeOptions.url ?? ''} answered ${reply.statusCode}: ${fault}`)
  })
}

function judge (schema: object | undefined, statusCode: number, payload: unknown): string | null {
  // What a host's own hook refuses with, or what is wrong with the server.
  if (schema === undefined) return statusCode === 500 || isOfHost(payload) ? null : `no such status is documented, and the body is ${String(payload)}`
  if (statusCode === 204) return payload == null || payload === '' ? null : 'has a body'
  let check = checks.get(schema)
  if (check === undefined) checks.set(schema, check = createCheck(schema))
  return check(JSON.parse(String(payload)))
}

function isOfHost (payload: unknown): boolean {
  const { code } = JSON.parse(String(payload)) as { readonly code?: string }
  return code === undefined || !code.startsWith('FST_ACCOUNTS_') || code === 'FST_ACCOUNTS_HOOK_REFUSED'
}

function createCheck (schema: object): Check {
  const validator = Compile(closed(schema) as TSchema)
  return answer => validator.Check(answer) ? null : JSON.stringify(validator.Errors(answer).map(({ instancePath, message, params }) => [instancePath, message, params]))
}

/** The same schema, in which no object has members that it does not name. */
function closed (schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema
  if (Array.isArray(schema)) return schema.map(closed)
  const copy = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]))
  const { properties } = copy as { properties?: object }
  if (properties === undefined || isDeepStrictEqual(properties, {}) || 'emailVerified' in properties) return copy
  return { ...copy, additionalProperties: false }
}
