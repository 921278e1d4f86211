import { AsyncLocalStorage } from 'node:async_hooks'
import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { sqliteStorage } from '../../lib/adapters/kysely/index.ts'
import type { Change, RevocationFeed, Storage } from '../../types/index.ts'
import { tapStorage } from './tapped-storage.ts'

/** A call has a second, a transaction two; and a client that waits has this much more patience. */
export const DEADLINE_MS = 1000
const PATIENCE_MS = 500

export type Fault = (call: () => Promise<unknown>) => Promise<unknown>

/** What goes wrong in the request that runs in it: one call, by its number, or every call of one verb. */
interface Plan { readonly at: number | string, readonly fault: Fault, readonly verbs: string[], since?: number }

const plans = new AsyncLocalStorage<Plan>()
const realTime = performance.now.bind(performance)
const none: Fault = async call => await call()
export const reject = (thrown: unknown): Fault => async () => { throw thrown }

/** Failures after which the state is looked at. */
export const FAILURES: Readonly<Record<string, Fault>> = {
  rejects: reject(new TypeError('connection reset')),
  'rejects after it has done it': async call => {
    await call()
    throw new TypeError('the reply was lost')
  }
}

export const SILENCES: Readonly<Record<string, Fault>> = {
  'never answers': async () => await new Promise(() => {}),
  'answers too late': async call => {
    await new Promise(resolve => setTimeout(resolve, 2 * DEADLINE_MS + PATIENCE_MS))
    return await call()
  }
}

/** What else an adapter may do instead of answering. */
export const LIES: Readonly<Record<string, Fault>> = {
  ...Object.fromEntries(Object.entries({ undefined, '{}': {}, true: true, 'an error as a value': { message: 'not found' }, 'a text': 'null', 'a number': 1, 'a list of nothing': [undefined], 'a list of null': [null] }).map(([kind, value]) => [`answers ${kind}`, async () => value])),
  'rejects with null': reject(null),
  'rejects with a text': reject('gone'),
  'rejects with what looks like success': reject(Object.assign(new TypeError('fine'), { statusCode: 200 })),
  'rejects with what looks like a refusal': reject(Object.assign(new TypeError('who?'), { statusCode: 401 }))
}

export interface FaultyStorage {
  readonly storage: Storage
  /** Believe nothing that was read before, so that each request makes all of its calls. */
  forget (): void
}

/** What the server counts itself while the store can't: see throttle.test.ts. */
const isAttempt = (verb: string) => verb.startsWith('throttles.')

/** A storage in which goes wrong what `withFault` says. */
export async function createFaultyStorage (isSpared: (verb: string) => boolean = () => false): Promise<FaultyStorage> {
  const inner = await sqliteStorage(':memory:')
  const listeners = new Set<(change: Change) => void>()
  const feed: RevocationFeed = {
    ...inner.feed!,
    subscribe (listener) {
      listeners.add(listener)
      return inner.feed!.subscribe(listener)
    }
  }
  const storage = tapStorage({ ...inner, feed }, async (verb, _args, call) => {
    const plan = plans.getStore()
    if (plan === undefined || isAttempt(verb) || isSpared(verb)) return await call()
    plan.verbs.push(verb)
    if (plan.at !== verb && plan.at !== plan.verbs.length - 1) return await call()
    plan.since = realTime()
    return await plan.fault(call)
  })
  return {
    storage,
    forget () {
      for (const listener of listeners) listener({ kind: 'gap' })
    }
  }
}

/** Send a request with a fault in its storage call number `at`, or in every call of that name; `ms` from the fault to the answer. */
export async function withFault (act: () => Promise<LightMyRequestResponse>, at: number | string = -1, fault = none) {
  const plan: Plan = { at, fault, verbs: [] }
  const answer = await plans.run(plan, act)
  return { answer, verbs: [...plan.verbs], ms: realTime() - (plan.since ?? realTime()) }
}

export function checkUnavailable (t: Test, answer: LightMyRequestResponse, title: string): void {
  t.equal(answer.statusCode, 503, `${title}: ${answer.statusCode}`)
  t.match(answer.headers['retry-after'], /^[1-9]\d?$/, `${title}: when to come back`)
  t.equal(answer.headers['set-cookie'], undefined, `${title}: no cookie`)
}

export const isTransaction = (verb: string) => verb.startsWith('atomically')

/** The deadline is that of the verb in which the fault was. */
export function checkDeadline (t: Test, verb: string, ms: number, title: string): void {
  t.ok(ms <= (isTransaction(verb) ? 2 : 1) * DEADLINE_MS + PATIENCE_MS, `${title}: ${ms.toFixed(0)} ms`)
}
