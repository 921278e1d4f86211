import type { FastifyBaseLogger } from 'fastify'
import type { Owner } from './owner.ts'
import type { OwnerProof } from './owner-proof.ts'

/** Tell the operator of a fresh installation how to own it. A store that is down does not keep a server from starting. */
export async function announceSetup (owner: Owner, { setupCode }: OwnerProof, log: FastifyBaseLogger): Promise<void> {
  try {
    if (await owner.isClaimed()) return
    log.warn(setupCode === null
      ? 'fastify-accounts: there is no owner yet: claim this installation at POST …/owner with the legacy credentials'
      : `fastify-accounts: there is no owner yet: claim this installation at POST …/owner with the setup code ${setupCode}`)
  } catch (error) {
    log.warn({ err: error }, 'fastify-accounts: could not tell whether there is an owner yet')
  }
}
