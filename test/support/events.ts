import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Test } from 'tap'
import type { AccountsEvent } from '../../types/index.ts'

export interface Events {
  /** What has been published since the last time, in order. */
  take (): AccountsEvent[]
  /** The same as `name` or `name: reason`. */
  takeNames (): string[]
}

/** Listen to the channel of events until the test ends. */
export function listen (t: Test): Events {
  const events: AccountsEvent[] = []
  const listener = (event: unknown) => { events.push(event as AccountsEvent) }
  subscribe('fastify-accounts', listener)
  t.teardown(() => { unsubscribe('fastify-accounts', listener) })
  return {
    take: () => events.splice(0),
    takeNames: () => events.splice(0).map(({ name, reason }) => reason === undefined ? name : `${name}: ${reason}`)
  }
}
