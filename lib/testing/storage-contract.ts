import type { Storage } from '../../types/storage.ts'
import { atomicCases } from './atomic.ts'
import { basicUseCases } from './basic-uses.ts'
import { feedCases } from './feed.ts'
import { hostSessionCases } from './host-sessions.ts'
import { inspectionCases } from './inspection.ts'
import { mailAndThrottleCases } from './mail-and-throttles.ts'
import { personalTokenCases } from './personal-tokens.ts'
import { sessionCases } from './sessions.ts'
import { userCases } from './users.ts'

/** One promise that every storage must keep. */
export interface ContractCase {
  readonly title: string
  /** Rejects with an assertion error when the storage breaks the promise. */
  run (storage: Storage): Promise<void>
}

/**
 * What an adapter is held to, for any test runner: give each case a storage (it may share one; ids are random) in a
 * database for tests alone, and let a rejection fail the test.
 */
export const storageContract: readonly ContractCase[] = [...userCases, ...sessionCases, ...personalTokenCases, ...mailAndThrottleCases, ...basicUseCases, ...hostSessionCases, ...atomicCases, ...feedCases, ...inspectionCases]

/** The part of it that a users store of a host's own is held to. */
export const userContract = userCases
