import { fastifyRateLimit, type CreateRateLimitOptions } from '@fastify/rate-limit'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import { FST_ACCOUNTS_RATE_LIMITED } from '../errors.ts'
import { clientNetwork, isBehindUnknownProxy } from './network.ts'

export interface Limits { readonly max: number, readonly maxSensitive: number, readonly window: number }

/** @throws {FST_ACCOUNTS_RATE_LIMITED} for a network that has asked too much */
export type LimitRate = (request: FastifyRequest, isSensitive: boolean) => Promise<void>

/** Networks that a process keeps count of at most, the latest; about 200 bytes each. */
const CAPACITY = 20_000

/**
 * Two counts a network: whatever the route, and whatever the spelling of its path, it is one of the two.
 * @param limitShared asked once this process has nothing against it
 */
export async function createRateLimit (app: FastifyInstance, { max, maxSensitive, window }: Limits, limitShared: LimitRate | null): Promise<LimitRate> {
  const create = await loadLimiter(app)
  // Each has a store of its own, and that is given what its type does not name: its capacity.
  const limiter = (max: number) => create({ max, timeWindow: window, keyGenerator: clientNetwork, cache: CAPACITY } as CreateRateLimitOptions)
  const [all, sensitive] = [limiter(max), limiter(maxSensitive)]
  const warn = warnOnce(app.log)
  return async (request, isSensitive) => {
    if (isBehindUnknownProxy(request)) warn()
    const outcome = await (isSensitive ? sensitive : all)(request)
    if (!outcome.isAllowed && outcome.isExceeded) throw new FST_ACCOUNTS_RATE_LIMITED(Math.max(1, outcome.ttlInSeconds))
    await limitShared?.(request, isSensitive)
  }
}

/**
 * `@fastify/rate-limit` keeps off an instance that has its decorators already. A host may have one of its own there, with
 * a store and limits of its own, so it is shown an instance that has none, and decorates that.
 */
async function loadLimiter (app: FastifyInstance): Promise<FastifyInstance['createRateLimit']> {
  const decorators: Partial<FastifyInstance> = {}
  const instance = Object.create(app, {
    hasDecorator: { value: () => false },
    decorate: { value: (name: string, value: unknown) => Object.assign(decorators, { [name]: value }) },
    decorateRequest: { value: () => {} },
    // It would limit every route; ours are limited before any other hook of ours.
    addHook: { value: () => {} }
  }) as FastifyInstance
  await (fastifyRateLimit as unknown as (app: FastifyInstance, options: object) => Promise<void>)(instance, {})
  return decorators.createRateLimit!
}

function warnOnce (log: FastifyBaseLogger): () => void {
  let warned = false
  return () => {
    if (warned) return
    warned = true
    log.warn('fastify-accounts: requests come from a proxy (x-forwarded-for) that Fastify does not trust, so all clients share one rate limit: set trustProxy to the addresses of the proxy')
  }
}
