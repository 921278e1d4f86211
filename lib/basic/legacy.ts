import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { randomToken } from '../random.ts'
import type { NameAndPassword } from '../requests/authorization.ts'

/** Whose id it is that those have who share a name and password: no account's. */
export const SHARED_ID = 'legacy'

/** The name and password that several share. */
export interface Legacy {
  readonly username: string
  /** Whether somebody gives this name. */
  isNamed (presented: NameAndPassword): boolean
  /** Whether both fit. Guesses are counted by network: who guesses must not lock out all who know the password. */
  fits (presented: NameAndPassword, request: FastifyRequest): Promise<boolean>
}

/** @param limitGuesses do the check, unless this network has guessed too often */
export function createLegacy (expected: NameAndPassword, limitGuesses: (check: () => Promise<boolean>, request: FastifyRequest) => Promise<boolean>): Legacy {
  const key = randomToken()
  // Of equal length and with equal work, whatever is compared (CVE-2022-31142).
  const digest = (text: string) => createHmac('sha256', key).update(text.normalize('NFC')).digest()
  const [username, password] = [digest(expected.username), digest(expected.password)]
  const isNamed = (presented: NameAndPassword) => timingSafeEqual(digest(presented.username), username)
  return {
    username: expected.username,
    isNamed,
    fits: async (presented, request) => await limitGuesses(async () => {
      const [hasName, hasPassword] = [isNamed(presented), timingSafeEqual(digest(presented.password), password)]
      return hasName && hasPassword
    }, request)
  }
}
