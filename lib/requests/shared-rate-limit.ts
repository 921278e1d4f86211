import { createHmac } from 'node:crypto'
import type { ThrottleStore } from '../../types/storage.ts'
import { now } from '../clock.ts'
import { FST_ACCOUNTS_RATE_LIMITED } from '../errors.ts'
import type { Key } from '../tokens/secrets.ts'
import { clientNetwork } from './network.ts'
import type { LimitRate, Limits } from './rate-limit.ts'

/** The same two counts, kept in the store for all who share it, by windows of the clock: whoever counts, it is in the same. */
export function createSharedRateLimit ({ max, maxSensitive, window }: Limits, { attempt }: Pick<ThrottleStore, 'attempt'>, { bytes }: Key): LimitRate {
  /** The storage must never see whom it is about. */
  const keyOf = (...parts: ReadonlyArray<string | number>) => `rate:${createHmac('sha256', bytes).update(`rate-limit:${JSON.stringify(parts)}`).digest('base64url')}`

  return async (request, isSensitive) => {
    const at = now()
    const begin = at - at % window
    const key = keyOf(isSensitive ? 'sensitive' : 'all', clientNetwork(request), begin)
    const { admitted } = await attempt(key, { at: new Date(begin), delays: [0], limit: isSensitive ? maxSensitive : max, forgetAfter: window })
    if (!admitted) throw new FST_ACCOUNTS_RATE_LIMITED(Math.max(1, Math.ceil((begin + window - at) / 1000)))
  }
}
