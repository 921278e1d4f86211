import type { FastifyBaseLogger } from 'fastify'
import type { Owner } from './owner.ts'
import type { OwnerProof } from './owner-proof.ts'

/** Tell the operator of a fresh installation how to own it. A store that is down does not keep a server from starting. */
export async function announceSetup (owner: Owner, proof: OwnerProof, path: string, log: FastifyBaseLogger): Promise<void> {
  try {
    if (await owner.isClaimed()) return
    const setupCode = proof.setupCode()
    log.warn(`fastify-accounts: there is no owner yet: claim this installation at POST ${path}/owner with ${setupCode === null ? 'the legacy credentials' : `the setup code ${setupCode}`}`)
  } catch (error) {
    log.warn({ err: error }, 'fastify-accounts: could not tell whether there is an owner yet')
  }
}
