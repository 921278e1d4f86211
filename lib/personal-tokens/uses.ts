import type { PersonalTokenStore } from '../../types/storage.ts'
import { createBatch } from '../batch.ts'
import { now } from '../clock.ts'
import { plainAddress } from '../requests/network.ts'

/** Notes when and from where tokens were used, and writes it in batches; a failure never concerns a request. */
export interface Uses {
  /** Cheap enough for every request. @param ip as Fastify has it: it need not be an address */
  note (tokenId: string, ip: string): void
  /** How many tokens have a use that is not written yet. */
  size (): number
  close (): Promise<void>
}

interface Use { at: number, ip: string }

export function createUses (store: Pick<PersonalTokenStore, 'touch'>): Uses {
  const batch = createBatch<Use>(
    async uses => await store.touch(uses.map(([id, { at, ip }]) => ({ id, lastUsedAt: new Date(at), lastUsedAddress: plainAddress(ip) }))),
    // The newer use is all that is asked for.
    () => {}
  )
  return {
    note (tokenId, ip) {
      const use = batch.get(tokenId)
      if (use === undefined) {
        batch.add(tokenId, { at: now(), ip })
      } else {
        use.at = now()
        use.ip = ip
      }
    },
    size: batch.size,
    close: batch.close
  }
}
