import type { FastifyRequest } from 'fastify'
import type { BasicUseRecord, BasicUseStore } from '../../types/storage.ts'
import { createBatch } from '../batch.ts'
import { now } from '../clock.ts'
import { clientAddress } from '../requests/client.ts'

/** Notes who uses HTTP Basic where, and writes it in batches; a failure never concerns a request. */
export interface BasicUses {
  /** `true`: the first such use for a while. */
  note (userId: string | null, request: FastifyRequest): boolean
  /** Write what is noted, so that a list has it. */
  flush (): Promise<void>
  /** How many uses are not written yet. */
  size (): number
  close (): Promise<void>
}

type Use = { -readonly [Member in keyof BasicUseRecord]: BasicUseRecord[Member] }

export function createBasicUses (store: BasicUseStore): BasicUses {
  const batch = createBatch<Use>(
    async uses => await store.note(uses.map(([, use]) => use)),
    // The newer use is all that is asked for.
    () => {}
  )
  return {
    note (userId, request) {
      const { method, routeOptions: { url: route = '(not found)' } } = request
      const id = JSON.stringify([userId, method, route])
      const found = batch.get(id)
      const use = found ?? { userId, method, route, lastUsedAt: new Date(now()), lastUsedAddress: null }
      use.lastUsedAt = new Date(now())
      use.lastUsedAddress = clientAddress(request)
      if (found === undefined) batch.add(id, use)
      return found === undefined && batch.inFlight(id) === undefined
    },
    flush: batch.flush,
    size: batch.size,
    close: batch.close
  }
}
