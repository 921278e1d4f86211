import type { FastifyBaseLogger } from 'fastify'
import type { PasswordSettings } from '../options/passwords.ts'
import { createBcrypt } from './bcrypt.ts'
import { loadBlocklist } from './blocklist.ts'
import { createForeign } from './foreign.ts'
import { loadHasher } from './hasher.ts'
import { createPasswords, type Passwords } from './passwords.ts'
import { createQueue, hashesAtOnce } from './queue.ts'
import { createRefusalTime } from './refusal-time.ts'
import { createArgon2id } from './scheme.ts'

/** All that passwords need, of which the libraries are loaded when they are wanted. @param serviceWords what users think of first */
export async function loadPasswords (settings: PasswordSettings, serviceWords: readonly string[], log: FastifyBaseLogger): Promise<Passwords> {
  const { argon2, blocklist, verifyForeign, legacy, maxQueue } = settings
  return await createPasswords(settings, {
    argon2id: createArgon2id(await loadHasher(argon2)),
    bcrypt: await createBcrypt(settings, log),
    foreign: verifyForeign === null ? null : createForeign(verifyForeign, log),
    refusalTime: createRefusalTime(legacy === null ? null : legacy.foreignMs ?? 0),
    blocklist: await loadBlocklist(blocklist, serviceWords),
    queue: createQueue(hashesAtOnce(), maxQueue)
  })
}
