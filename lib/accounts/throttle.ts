import { createHmac } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Attempt, ThrottleRule, UserRecord } from '../../types/storage.ts'
import { now } from '../clock.ts'
import type { Hooks } from '../hooks.ts'
import type { ThrottleSettings } from '../options/throttle.ts'
import { clientNetwork } from '../requests/network.ts'
import type { Devices } from '../sessions/devices.ts'
import type { Key } from '../tokens/secrets.ts'
import type { Attempts } from './attempts.ts'
import { loginKey } from './identifiers.ts'
import { createTurns, type Guard } from './turns.ts'

type Identifier = Parameters<typeof loginKey>[0]

/** How often a secret may be guessed, or a mail be asked for, whoever asks and from wherever. */
export interface Throttle {
  /**
   * The bucket of a submitted name, be it anybody's or not, or of the browser where that is known to the user: nobody
   * else can then use up the attempts of the owner.
   */
  bucketOf (purpose: string, name: Identifier, user: UserRecord | null, request: FastifyRequest | null): string
  /** The bucket of a client's network, for what belongs to no single account: who guesses locks out nobody elsewhere. */
  bucketOfNetwork (purpose: string, request: FastifyRequest): string
  readonly guard: Guard
  /**
   * The same for a caller who is known and proves the password once more: `work` says whether it fits. In a bucket
   * that no stranger can touch.
   * @throws {FST_ACCOUNTS_TOO_MANY_ATTEMPTS}
   */
  prove (userId: string, user: UserRecord | null, work: () => Promise<boolean>, request: FastifyRequest | null): Promise<boolean>
  /** Whether one more of what has no outcome, such as a mail, may be had from this bucket; by default three an hour. */
  allow (bucket: string, rule?: ThrottleSettings): Promise<boolean>
}

const MAILS: ThrottleSettings = { delays: [0], limit: 3, forgetAfter: 3_600_000 }

interface ThrottleDependencies {
  readonly rule: ThrottleSettings
  readonly throttles: Attempts
  readonly keys: readonly Key[]
  readonly devices: Devices
  readonly hooks: Hooks
}

export function createThrottle ({ rule, throttles, keys, devices, hooks }: ThrottleDependencies): Throttle {
  const guard = createTurns(throttles, async bucket => await attempt(throttles, bucket, rule), rule)

  /** The storage must never see whom it is about. */
  const digest = (...parts: ReadonlyArray<string | number>) => createHmac('sha256', keys[0]!.bytes).update(`throttle:${JSON.stringify(parts)}`).digest('base64url')

  return {
    bucketOf (purpose, name, user, request) {
      // Never minted for nobody, and yet looked at as for anybody.
      const device = devices.find(request, user?.id ?? '')
      // Another password, another epoch, and with it other buckets: recovery ends every lock.
      const epoch = user?.epoch ?? 0
      const found = loginKey(name)
      const key = found === null ? ['text', name.email ?? name.username ?? ''] as const : [found.by, found.key] as const
      const [named, known] = [digest(...key, epoch), digest('device', device ?? '', user?.id ?? '', epoch)]
      return `${purpose}:${device === null ? named : known}`
    },
    bucketOfNetwork: (purpose, request) => `${purpose}:${digest('network', clientNetwork(request))}`,
    guard,
    async prove (userId, user, work, request) {
      return await guard(`proof:${digest('user', userId, user?.epoch ?? 0)}`, work, fits => fits, () => hooks.record('proof.throttled', { userId, request }))
    },
    allow: async (bucket, rule = MAILS) => (await attempt(throttles, bucket, rule)).admitted
  }
}

/** Nothing is counted, nothing refused. */
export const noThrottle: Throttle = {
  bucketOf: () => '',
  bucketOfNetwork: () => '',
  guard: async (_bucket, work) => await work(),
  prove: async (_userId, _user, work) => await work(),
  allow: async () => true
}

/** Between clocks that disagree. */
const MAX_TRIES = 4

async function attempt (throttles: Attempts, bucket: string, rule: ThrottleSettings): Promise<Attempt> {
  let at = now()
  for (let tries = 1; ; tries++) {
    const outcome = await throttles.attempt(bucket, { ...rule, at: new Date(at) })
    if (outcome.admitted || !isFree(outcome.count, rule) || tries === MAX_TRIES) return outcome
    // Where no delay holds, only another process whose clock is ahead can have been before us.
    at = Math.max(at, outcome.retryAt.getTime())
  }
}

const isFree = (count: number, { delays, limit }: Pick<ThrottleRule, 'delays' | 'limit'>) => count < limit && (count === 0 || delays[Math.min(count, delays.length) - 1] === 0)
