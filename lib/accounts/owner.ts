import type { FastifyRequest } from 'fastify'
import type { Registration } from '../../types/accounts.ts'
import { monotonic } from '../clock.ts'
import { FST_ACCOUNTS_OWNER_EXISTS } from '../errors.ts'
import type { Issued } from '../sessions/sign-in.ts'
import type { AccountsDependencies } from './dependencies.ts'
import type { Enrol } from './enrol.ts'
import { accept, type Prepare } from './new-account.ts'
import { readRegistration } from './shapes.ts'

/** The first owner of an installation. */
export interface Owner {
  /** Whether anybody has the role `owner`. */
  isClaimed (): Promise<boolean>
  /** The same for everybody who asks: a "no" may be ten seconds old, as nobody may make the store look for owners all the time. */
  isClaimedOfLate (): Promise<boolean>
  /**
   * Make the account of the first owner, and sign it in. Who may is not asked here.
   * @throws {FST_ACCOUNTS_OWNER_EXISTS} and what registering throws
   */
  claim (input: Registration, request: FastifyRequest | null): Promise<Issued>
}

/** For how long strangers are told the same. */
const REMEMBER_MS = 10_000

/** `null`: the users store can't tell who is first. */
export function createOwner ({ storage, hooks }: Pick<AccountsDependencies, 'storage' | 'hooks'>, prepare: Prepare, enrol: Enrol): Owner | null {
  const { hasOwner, createFirstOwner } = storage.users
  if (hasOwner === undefined || createFirstOwner === undefined) return null
  /** One owner always stays, so what was true once is true. */
  let isKnown = false
  let latest: { readonly at: number, readonly answer: Promise<boolean> } | null = null

  async function isClaimed (): Promise<boolean> {
    isKnown ||= await hasOwner!()
    return isKnown
  }

  return {
    isClaimed,
    async isClaimedOfLate () {
      if (isKnown) return true
      if (latest === null || monotonic() - latest.at >= REMEMBER_MS) {
        const asked = { at: monotonic(), answer: isClaimed() }
        latest = asked
        // What failed is no answer to the next.
        asked.answer.catch(() => { if (latest === asked) latest = null })
      }
      return await latest.answer
    },
    async claim (input, request) {
      const account = readRegistration(input)
      // Before a hash is spent on it; of racers the store decides.
      if (await isClaimed()) throw new FST_ACCOUNTS_OWNER_EXISTS()
      // Who could read the log or the configuration vouches for the address.
      const newUser = await prepare({ ...account, roles: ['owner'], emailVerified: true }, request)
      const issued = await enrol(async users => {
        const created = await users.createFirstOwner!(newUser)
        if (created === 'owner-exists') throw new FST_ACCOUNTS_OWNER_EXISTS()
        return accept(created)
      }, request)
      isKnown = true
      hooks.record('owner.claimed', { userId: issued.user.id, request })
      return issued
    }
  }
}
