import type { FastifyBaseLogger } from 'fastify'
import type { VerifyForeign } from '../../types/options.ts'
import type { Scheme } from './scheme.ts'

/** A verification that has not answered by then does not fit: nobody waits for ever, and its place in the queue is free. */
export const FOREIGN_DEADLINE_MS = 2000

/** What is, or claims to be, ours to verify: out of bounds it must reach no library at all. */
const OURS = /^(\$argon2id\$|\$2[a-z]?\$)/

/** Digests of another system, which the host verifies. Whatever its function does is at most a wrong password. */
export function createForeign (verifyForeign: VerifyForeign, log: Pick<FastifyBaseLogger, 'error'>): Scheme {
  const failed = (what: string, frames: readonly string[] = []) => { log.error({ frames }, `passwords.verifyForeign ${what}: the digest counts as one that does not fit`) }
  return {
    costsOf: digest => digest === '' || OURS.test(digest) ? null : 'foreign',
    async verify (digest, password) {
      try {
        const fits: unknown = await beforeDeadline(async () => await verifyForeign(digest, password))
        if (typeof fits === 'boolean') return fits
        failed(fits === LATE ? `has not answered within ${FOREIGN_DEADLINE_MS} ms` : `answered ${typeof fits}, not a boolean`)
      } catch (error) {
        failed('threw', framesOf(error))
      }
      return false
    }
  }
}

const LATE = Symbol('late')

async function beforeDeadline (call: () => Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise(resolve => { timer = setTimeout(() => resolve(LATE), FOREIGN_DEADLINE_MS) })
  try {
    return await Promise.race([call(), late])
  } finally {
    clearTimeout(timer)
  }
}

/** Where it threw, and not what: messages repeat what they could not read, a digest or a password. */
function framesOf (error: unknown): string[] {
  try {
    const { stack, message } = error as Error
    return stack!.slice(stack!.lastIndexOf(message) + message.length).split('\n').map(line => line.trim()).filter(line => line.startsWith('at '))
  } catch {
    // It was no error, or one that throws when it is read.
    return []
  }
}
