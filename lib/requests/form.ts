import type { FastifyRequest } from 'fastify'
import { isSafe, type OriginGuard } from './origin.ts'
import type { LimitRate } from './rate-limit.ts'

/** What stands before forms of a host that call our services, as it stands before our own routes. @param limitRate `null`: requests are not counted */
export function createCheckForm (limitRate: LimitRate | null, originGuard: OriginGuard): (request: FastifyRequest) => Promise<void> {
  return async function checkForm (request) {
    if (isSafe(request)) return
    await limitRate?.(request, true)
    originGuard.checkWithoutSession(request)
  }
}
